/**
 * Evidence and reasons in the reader's language.  Pure.
 *
 * A line comes as a code with its numbers beside the English sentence (docs/protocols.md, "Evidence
 * and reasons").  Where there are Chinese words for the code, and all that they need, they are
 * said; else the sentence itself, which is never wrong.
 */

const BY = { "its breaker": "断路器信号", terminals: "配变终端", meters: "多块电表" };
const KIND = { breaker: "出线断路器", switch: "分段开关", recloser: "重合器", fuse: "熔断器", transformer: "配变", meter: "电表" };

/** By code: what a change says, with its fields. */
const SAID = {
  detected: (f) => f.device && `发现停电：${KIND[f.kind] ?? ""}${f.device}`, confirmed: (f) => f.by && `经${BY[f.by] ?? f.by}确认`,
  locked_out: (f) => f.device && `${f.device} 闭锁`, opened: (f) => f.device && `${f.device} 分闸`, tripped: (f) => f.device && `${f.device} 跳闸`,
  reclosed: (f) => f.device && `${f.device} 短时重合`, closed: (f) => f.device && `${f.device} 合闸`, commanded: () => "遥控分闸，非故障",
  planned: () => "与计划停电相符，不告警", overrun: (f) => f.plan && `超过计划${f.plan}的结束时间`, extended: (f) => f.plan && `计划${f.plan}延期`, wider: (f) => f.n && `超出计划${f.plan}的范围：${f.of}表中${f.n}表不在${f.device}之后`, momentary: () => "瞬时停电", stayed_restored: () => "已稳定恢复", reopened: () => "未结束又停电，并入同一停电",
  heard_again: (f) => f.n && `${f.n}表复电`, report_power: (f) => f.n && `${f.n}表报告有电`, partly_restored: (f) => f.n && `${f.of}表中${f.n}表已恢复`,
  restored: () => "已恢复", follow_transformer: (f) => f.n && `${f.n}表无法自证，随其配变`, stay_dark: (f) => f.n && `${f.n}表仍停电${f.outage ? `（${f.outage}）` : ""}`,
  phases: (f) => `停电相别为${f.phases}相`,
  left_behind: (f) => (f.n ? `上级恢复后仍有${f.n}表停电` : "上级恢复后仍停电"), probability: (f) => f.after !== undefined && `把握由${f.before}变为${f.after}`,
  moved: () => "定位调整", takes_in: (f) => f.outage && `并入${f.outage}`, part_of: (f) => f.outage && `属于${f.outage}`, part_of_another: () => "属于另一停电",
  merged: (f) => f.outage && `已并入${f.outage}`, more_behind: (f) => f.n && `另有${f.n}表在其后`, not_behind: (f) => f.n && `${f.n}表不在其后`,
  relocated: (f) => `改定位：${f.before} → ${f.after}`, merged_at: (f) => `合并定位：${f.after}`, to_verify: (f) => f.n && `${f.n}表待核实`, split: () => "拆分", split_off: () => "由拆分产生",
  etr: () => "预计恢复时间更新", verified: (f) => f.n && `${f.n}表确认复电`, as_before: () => "撤销后恢复原状",
  withdrawn: () => "撤回：电表有电", unsupported: () => "撤回：证据不足", nobody_out: () => "无用户停电", device_gone: () => "设备已不在网络中", began: () => "起始时间更正",
};

/** By code: evidence, with its own numbers. */
const EVIDENCE = {
  tripped: (l, t) => `${l.device_id} 于${t.seconds(l.at)}跳闸`, commanded: (l, t) => `${l.device_id} 于${t.seconds(l.at)}遥控分闸`,
  placed: (l) => `调度员定位于 ${l.device_id}`, vouched: () => "调度员已核实", closed_above: (l) => `上级 ${l.device_id} 合闸带电`,
  terminals: (l) => `${l.n}台配变终端报失压`, gasps: (l) => `${l.of}表中${l.n}表末次上报`, overdue: (l) => `${l.n}次心跳缺失`,
  unanswered: (l) => `召测${l.of}表，${l.n}表无应答`, left_behind: () => "上级复电前即已停电",
  report_power: (l) => `${l.of}表中${l.n}表有电`, no_gasp: (l) => `${l.of}表中${l.n}表无末次上报`,
  load_lost: (l) => `${l.device_id} 负荷突降${Math.round(100 * l.p)}%`, fault_passed: (l, t) => `${l.device_id} 于${t.seconds(l.at)}流过故障电流，故障在其后`,
  fault_below: (l, t) => `${l.device_id} 于${t.seconds(l.at)}流过故障电流，请查其后段`,
  phase_lost: (l) => `${l.n}台三相设备报该相断相`, phase_live: (l) => `其他相${l.of}表中${l.n}表有电`, mute: (l) => `${l.n}表在静默集中器之后`,
};

/** @param {{code?: string, text: string, fields?: any}} line @param {any} times */
export function sentence(line, _say, times) {
  if (times.language !== "zh") return withClock(line.text, times);
  const said = line.fields ? SAID[line.code]?.(line.fields) : EVIDENCE[line.code]?.(line, times);
  return said && !said.includes("undefined") ? said : withClock(line.text, times);
}

/** By code: evidence where there is room for a few words; where there is more, the sentence. */
const BRIEF = {
  zh: {
    gasps: (l) => `末报${l.n}/${l.of}`, overdue: (l) => `${l.n}次心跳缺失`, unanswered: (l) => `${l.n}/${l.of}表召测无应答`,
    report_power: (l) => `有电${l.n}/${l.of}`, no_gasp: (l) => `无末报${l.n}/${l.of}`, terminals: (l) => `${l.n}台终端失压`,
    tripped: (l, t) => `${t.time(l.at)}跳闸`, commanded: (l, t) => `${t.time(l.at)}遥控分闸`, phase_live: (l) => `其他相${l.n}/${l.of}表有电`, mute: (l) => `${l.n}表集中器静默`,
    load_lost: (l) => `负荷降${Math.round(100 * l.p)}%`, closed_above: () => "上级合闸带电", left_behind: () => "上级复电前已停",
  },
  en: {
    gasps: (l) => `${l.n}/${l.of} gasps`, overdue: (l) => `${l.n} overdue`, unanswered: (l) => `${l.n}/${l.of} mute to pings`,
    report_power: (l) => `${l.n}/${l.of} have power`, no_gasp: (l) => `${l.n}/${l.of} without gasp`, terminals: (l) => `${l.n} terminal${l.n === 1 ? "" : "s"} dead`,
    tripped: (l, t) => `trip ${t.time(l.at)}`, commanded: (l, t) => `opened by command ${t.time(l.at)}`, phase_live: (l) => `${l.n}/${l.of} live on others`, mute: (l) => `${l.n} behind mute DCU`,
    load_lost: (l) => `load down ${Math.round(100 * l.p)} %`, closed_above: () => "live above", left_behind: () => "dark before that",
  },
};

/** Evidence in a few words.  @param {{code?: string, text: string}} line @param {any} times */
export function brief(line, say, times) {
  const said = BRIEF[times.language][line.code]?.(line, times);
  return said && !/undefined|null|NaN/.test(said) ? said : sentence(line, say, times);
}

/** Moments inside a sentence on the site's clock: nobody reads UTC at three in the morning. */
function withClock(text, times) {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (at) => times.seconds(at));
}

const AGAINST = /answered.*on|has power|report(?:s)? power|energi[sz]ed|says? it is on/i;

/** Lines that speak for the outage, against it, and neither. */
export function sides(outage) {
  const lines = outage.reasons?.length ? outage.reasons : outage.evidence.map((text) => ({ code: "", text, for: !AGAINST.test(text) }));
  const told = lines.filter((line) => line.code !== "probability" && !line.text.startsWith("probability"));
  return { for: told.filter((l) => l.for === true), against: told.filter((l) => l.for === false), aside: told.filter((l) => l.for === null) };
}
