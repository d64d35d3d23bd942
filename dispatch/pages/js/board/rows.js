/** A row of the list in words: what each cell says.  Pure. */

import { FORESEEN, RUNNING, markOf } from "./model.js";
import { late, need } from "./order.js";
import { brief } from "./evidence.js";

const DAY_MS = 86_400_000;

/**
 * @param {any} outage
 * @param {{say: any, times: any, now: number, dark: {key: number, vulnerable: number},
 *   crews: any[], arrivalMin: number, calls: number | undefined, told: number | undefined}} seen
 */
export function cells(outage, seen) {
  const { say, times, now, dark } = seen;
  const running = RUNNING.has(outage.state);
  const needs = need(outage, dark, now, seen.arrivalMin);
  const end = running ? now : Date.parse(outage.restored_at ?? outage.started_at);
  return {
    mark: markOf(outage, now),
    state: say(`state.${outage.state}`),
    need: say(`need.${needs.word}`),
    urgent: running && needs.rank <= 4,
    key: dark.key ? times.count(dark.key) : "",
    vulnerable: dark.vulnerable ? times.count(dark.vulnerable) : "",
    no: outage.id,
    feeder: outage.feeder_id ?? "–",
    device: outage.device_id === outage.feeder_id ? say(`device.${outage.device_kind}`) : outage.device_id,
    dark: times.count(outage.customers_out),
    peak: `/ ${times.count(outage.customers_affected)}`,
    ...since(outage, times, now),
    elapsed: times.span(end - Date.parse(outage.started_at)),
    probability: probability(outage.probability),
    ...why(outage, say, times),
    kind: say(`kind.${outage.kind}`),
    cause: causeOf(outage.cause, say),
    crew: crewName(outage.crew, seen.crews) ?? (FORESEEN.has(outage.kind) ? "–" : say("stage.none")),
    stage: outage.stage && outage.stage !== "none" ? say(`stage.${outage.stage}`) : "",
    ...etr(outage, say, times, now),
    calls: seen.calls === undefined ? "" : String(seen.calls),
    told: seen.told === undefined ? "" : times.count(seen.told),
  };
}

/** 0.97; certainty is never said of what was inferred. */
export function probability(p) {
  return Math.min(p, 0.99).toFixed(2);
}

/** A cause in words; a code nobody has a word for, and a person's own words, as they are. */
export function causeOf(cause, say) {
  if (!cause) return say("cause.none");
  const word = say(`cause.${cause.replaceAll(" ", "_")}`);
  return word.startsWith("[") ? cause : word;
}

/** A crew's name. */
export function crewName(id, crews) {
  if (!id) return null;
  return crews.find((crew) => crew.id === id)?.name ?? id;
}

/** What has lasted for less than a day needs no date: its age says which of two it is. */
function since(outage, times, now) {
  const at = Date.parse(outage.started_at);
  return { since: now - at < DAY_MS ? times.time(at) : times.date(at), began: times.when(at, now) };
}

/** A time, and beneath it the date where it is not today's, and who says so. */
function etr(outage, say, times, now) {
  if (!RUNNING.has(outage.state)) {
    return { ...moment(outage.restored_at, times, now, [say(`state.${outage.state}`)]), late: false };
  }
  if (!outage.etr) return { etr: say("etr.none"), source: "", late: false, whole: null };
  const passed = late(outage, now);
  return { ...moment(outage.etr.at, times, now, [say(`etr.${outage.etr.source}`), passed ? say("etr.late") : ""]), late: passed };
}

/** Of the words the last one is shown; all of them are there for who asks. */
function moment(at, times, now, words) {
  const said = words.filter(Boolean);
  const last = said[said.length - 1] ?? "";
  if (!at) return { etr: "", source: last, whole: null };
  const under = times.sameDay(at, now) ? last : `${times.date(at)}${times.language === "zh" ? " " : " · "}${last}`;
  return { etr: times.time(at), source: under, whole: [times.when(at, now), ...said].join(" · ") };
}

/** The two strongest lines of evidence in a few words each; all of them for who asks. */
function why(outage, say, times) {
  const lines = (outage.reasons?.length ? outage.reasons : outage.evidence.map((e) => ({ code: "", text: e, for: true })))
    .filter((line) => line.code !== "probability" && !line.text.startsWith("probability"));
  const said = lines.map((line) => brief(line, say, times));
  return { why: said[0] ?? "", also: said[1] ?? "", reasons: said.join(times.language === "zh" ? "；" : "; ") };
}
