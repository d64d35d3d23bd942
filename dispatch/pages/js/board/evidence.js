/** Evidence in the reader's language: by its code and numbers where there are words for it.  Pure. */

/** Sentences by code.  Each takes the line's own fields; a missing field falls back to its text. */
const ZH = {
  gasps: "{n}/{of}表末次上报", last_gasps: "{n}/{of}表末次上报", silent: "{n}/{of}表静默", missed: "{n}/{of}表心跳缺失",
  pings_on: "{n}表应答有电", ping_on: "{n}表应答有电", pings_off: "{n}表应答失电", powered: "{n}表有电", alive: "{n}表有电", heard_on: "{n}表有电",
  calls: "{n}次来电", terminal_off: "终端 {device_id} 失电", terminal_on: "终端 {device_id} 有电", trip: "{device_id} 跳闸", open: "{device_id} 分闸",
  lockout: "{device_id} 闭锁", closed: "{device_id} 合闸带电", plan: "计划停电", comms: "通信中断", dcu: "集中器静默",
};

/**
 * @param {{code?: string, text: string, n?: number, of?: number, device_id?: string}} line
 */
export function sentence(line, say, times) {
  const form = times.language === "zh" ? ZH[line.code] : undefined;
  if (!form) return line.text;
  let whole = true;
  const said = form.replace(/\{(\w+)\}/g, (_, name) => {
    const value = line[name] ?? line.fields?.[name];
    if (value === undefined || value === null) whole = false;
    return typeof value === "number" ? times.count(value) : value;
  });
  return whole ? said : line.text;
}

/** Lines that speak for the outage, against it, and neither. */
export function sides(outage) {
  const lines = outage.reasons?.length ? outage.reasons
    : outage.evidence.map((text) => ({ code: "", text, for: !/says? it is on|has power|answer(s|ed)? that|energi[sz]ed/.test(text) }));
  const told = lines.filter((line) => line.code !== "probability" && !line.text.startsWith("probability"));
  return { for: told.filter((l) => l.for === true), against: told.filter((l) => l.for === false), aside: told.filter((l) => l.for === null) };
}
