/**
 * What a customer is told: phase, headline, until line, next update, steps.  Pure.
 *
 * Never: restored without this meter's word; on because nobody called or data is missing; "soon";
 * a minute where only a window is known; probabilities, device codes, blame, crews' names; counts
 * below five.
 */

import { down, up } from "../times.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FEW = 5;
export const CHANGED_MS = HOUR; // a changed estimate is the headline for so long
const MATERIAL_MS = 30 * MINUTE;
const SPREAD = { history: 0.4, crew: 0.2, plan: 0 }; // of the time that is left, where no earliest is given
const CAUSES = new Set(["cable_fault", "line_fault", "transformer_fault", "switchgear_fault", "fuse_blown", "overload",
  "third_party", "vehicle", "tree", "animal", "lightning", "wind", "flood", "upstream"]);
const DARK_STATES = new Set(["confirmed", "partially_restored"]);
const FORESEEN = new Set(["planned", "temporary", "curtailment"]);

/**
 * @typedef {{phase: string, headline: string, until: string, values: Record<string, any>, mark: string}} Told
 * `headline` and `until` are keys of words/mine.js; `values` are moments (ms), windows [ms, ms] and counts.
 */

/**
 * @param {any} premises what /api/customers/{id}/premises says
 * @param {{now: number, zone: string, arrivalMin: number, lost: boolean, darkBefore: string | null}} seen
 *   `lost`: nothing was heard for two heartbeats; `darkBefore`: the outage this page last told of
 * @returns {Told}
 */
export function phaseOf(premises, seen) {
  const { status } = premises;
  if (status.power === "off") return dark(premises, seen);
  if (seen.lost) return noData(premises);
  if (status.power === "unknown") return told("to_verify", "to_verify.until", {}, "predicted");
  return bright(premises, seen);
}

function told(phase, until, values, mark, headline = phase) {
  return { phase, headline, until, values, mark };
}

// -- no power -------------------------------------------------------------------------------------

function dark(premises, seen) {
  const { status } = premises;
  if (status.kind === "customer_owned") return yours(premises);
  if (FORESEEN.has(status.kind) && plannedWindow(premises)) return planned(premises, "planned.now");
  if (status.kind === "arrears") return told("no_etr", "no_etr.until.call", {}, "out");
  if (!DARK_STATES.has(status.state)) {
    const by = promise(Date.parse(status.detected_at ?? status.off_at), 30, seen);
    return told("detected", "detected.until", { by }, "predicted");
  }
  return repair(premises, seen);
}

function repair(premises, seen) {
  const { status } = premises;
  const { etr } = status;
  if (etr && Date.parse(etr.at) < seen.now) {
    return told("missed", "missed.until", { by: promise(Date.parse(etr.at), 30, seen) }, "out");
  }
  const changed = etr ? changedEtr(premises, seen) : null;
  if (changed) return changed;
  if (status.state === "partially_restored") return partly(status);
  if (at(status, "on_site")) return onSite(status);
  if (at(status, "assigned")) return assigned(status, seen);
  if (!etr) return told("no_etr", "no_etr.until", { by: nextUpdate(status, seen).by }, "out");
  const until = etr.source === "crew" ? "confirmed.until.crew" : "confirmed.until";
  return told("confirmed", until, { window: windowOf(status, seen.zone) }, "out");
}

function changedEtr({ status, etr_before: was }, { now, zone }) {
  if (!was) return null;
  const moved = Date.parse(status.etr.at) - Date.parse(was.at);
  const said = Date.parse(status.etr.said_at ?? status.updated_at);
  if (Math.abs(moved) < MATERIAL_MS || now - said > CHANGED_MS) return null;
  const window = windowOf(status, zone);
  const before = windowOf({ ...status, etr: was }, zone);
  if (String(window) === String(before)) return null;
  const why = [status.etr.reason, status.cause].map(named).find(Boolean) ?? null;
  return told("etr_changed", why ? "etr.until.why" : "etr.until", { window, was: before, why }, "out", moved > 0 ? "etr_later" : "etr_sooner");
}

/** A cause that has words for customers; what a dispatcher typed is for the desk. */
function named(cause) {
  const code = cause?.replaceAll(" ", "_");
  return CAUSES.has(code) ? code : null;
}

function partly(status) {
  const [homes, out] = [status.homes, status.homes_out];
  const back = homes !== null && out !== null && homes !== undefined && out !== undefined ? homes - out : 0;
  if (back >= FEW && out >= FEW) return told("partly", "partly.until", { back, out }, "partly");
  return told("partly", "partly.until.few", {}, "partly");
}

function onSite(status) {
  const since = at(status, "on_site");
  if (at(status, "repaired")) return told("on_site", "on_site.until.repaired", { at: at(status, "repaired") }, "out");
  return told("on_site", at(status, "cause_found") ? "on_site.until.found" : "on_site.until", { at: since }, "out");
}

function assigned(status, seen) {
  const headline = at(status, "en_route") ? "assigned" : "dispatched";
  const by = up(Date.parse(status.confirmed_at ?? status.off_at) + seen.arrivalMin * MINUTE, 15, seen.zone);
  if (by <= seen.now) return told("assigned", "assigned.until.late", { by: nextUpdate(status, seen).by }, "out", headline);
  return told("assigned", "assigned.until", { by }, "out", headline);
}

// -- power, or nobody knows -----------------------------------------------------------------------

function bright(premises, seen) {
  const { status, silent, heard_at: heard } = premises;
  if (!status.verified) return told("to_verify", "to_verify.until", {}, "predicted");
  const back = status.on_at ? Date.parse(status.on_at) : null;
  if (back !== null && seen.now - back < DAY) {
    return told("restored", "restored.until", { at: back, span: back - Date.parse(status.off_at) }, "restored");
  }
  if (silent || heard === null) return noData(premises);
  if (seen.darkBefore && status.outage_id === null) {
    return told("cancelled", "cancelled.until", { at: Date.parse(status.updated_at) }, "over");
  }
  if (calledOff(premises, seen)) return yours(premises);
  if (plannedWindow(premises)) return planned(premises, premises.plan.cancelled_at ? "planned.off" : "planned");
  return told("on", "on.until", { at: Date.parse(heard) }, "over");
}

function noData({ heard_at: heard }) {
  return heard === null ? told("no_data", "no_data.until.never", {}, "unknown") : told("no_data", "no_data.until", { at: Date.parse(heard) }, "unknown");
}

function yours({ heard_at: heard }) {
  return told("yours", "yours.until", { at: Date.parse(heard) }, "predicted");
}

/** Whether they said lately that they have no power, and the meter has spoken since. */
function calledOff({ calls, heard_at: heard }, { now }) {
  const last = [...calls].sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0];
  return last?.kind === "no_power" && now - Date.parse(last.at) < 6 * HOUR && Date.parse(heard) >= Date.parse(last.at);
}

function planned(premises, headline) {
  return told("planned", "planned.until", { days: plannedWindow(premises) }, "planned", headline);
}

function plannedWindow({ plan }) {
  return plan ? [Date.parse(plan.from), Date.parse(plan.to)] : null;
}

// -- what goes with it ----------------------------------------------------------------------------

/** When a stage was reached, ms, or null. */
export function at(status, stage) {
  const found = (status.progress ?? []).find((p) => p.stage === stage);
  return found ? Date.parse(found.at) : null;
}

/** The window of an estimate, rounded outward to half hours; to quarters once the crew is on site. */
export function windowOf(status, zone) {
  const { etr } = status;
  const end = Date.parse(etr.at);
  const said = Date.parse(etr.said_at ?? status.updated_at);
  const start = etr.earliest ? Date.parse(etr.earliest) : end - Math.max(0, end - said) * (SPREAD[etr.source] ?? 0.4);
  const step = at(status, "on_site") ? 15 : 30;
  const [from, to] = [down(start, step, zone), up(end, step, zone)];
  return [from, Math.max(to, from + step * MINUTE)];
}

/** The first full half hour so many minutes after a moment; moved on for as long as it has passed. */
function promise(fromMs, minutes, { now, zone }) {
  let by = up(fromMs + minutes * MINUTE, 30, zone);
  while (by <= now) by += 30 * MINUTE;
  return by;
}

/** When the next word comes, kept even with "no change": an hour after the last one, half hours. */
export function nextUpdate(status, { now, zone }) {
  let by = up(Date.parse(status.updated_at) + HOUR, 30, zone);
  let passed = null;
  while (by <= now) { passed = by; by += HOUR; }
  return { by, passed };
}

/** Whether there is something to wait for. */
export function waits(phase) {
  return ["detected", "confirmed", "no_etr", "assigned", "on_site", "etr_changed", "missed", "partly", "to_verify"].includes(phase);
}

/** A count of homes that is easy to read, as the texts say it: 7, 240, 1,200. */
export function rounded(homes) {
  const step = homes < 20 ? 1 : homes < 1000 ? 10 : 100;
  return Math.round(homes / step) * step;
}

const PROMISES = new Set(["detected.until", "no_etr.until", "missed.until", "assigned.until.late"]);

/** Whether the until line says itself by when the next word comes: one promise, and not two. */
export function promised({ until }) {
  return PROMISES.has(until);
}

/** The steps with their times; a step without a time has no tick. @returns {{name: string, at: number | null}[]} */
export function steps({ status }) {
  const ms = (text) => (text ? Date.parse(text) : null);
  return [
    { name: "detected", at: ms(status.detected_at) }, { name: "confirmed", at: ms(status.confirmed_at) },
    { name: "assigned", at: at(status, "assigned") }, { name: "on_site", at: at(status, "on_site") },
    { name: "repair", at: at(status, "cause_found") }, { name: "restored", at: status.verified ? ms(status.on_at) : null },
  ];
}

/** Whether the page shows the steps of a repair. */
export function repairs({ status }) {
  return status.outage_id !== null && !FORESEEN.has(status.kind) && status.kind !== "arrears" && status.kind !== "customer_owned";
}
