/** What stands in the list's place and around its rows: groups, emptiness, and what was suppressed. */

import { byId, el } from "../dom.js";
import { setCount } from "./filters.js";
import { COLUMNS } from "./list.js";
import { findingsInOrder } from "./model.js";
import { finding } from "./refused.js";

const SHOWN_MAX = 300; // findings

/** The rows by feeder, and what is said of each. */
export function grouped({ say, times, model }) {
  const feederOf = (id) => model.outages.get(id)?.feeder_id;
  const title = (feeder, ids) => say("pool.group.row", { feeder: feeder || say("pool.none.feeder"), n: ids.length,
    dark: times.count(ids.reduce((sum, id) => sum + (model.outages.get(id)?.customers_out ?? 0), 0)) });
  return { feederOf, title };
}

/** What a list without rows says: that a filter hides them, or how many customers have data. */
export function empty({ say, times, model, filters }, all) {
  if (all && (setCount(filters) || filters.tab !== "all")) return say("pool.filtered", { n: all });
  const { power } = model;
  if (!power) return say("pool.empty.unknown");
  return say("pool.empty", { n: times.count(power.customers - power.silent.length), all: times.count(power.customers) });
}

/** Rows of the final size, before there are any. */
export function bones() {
  return Array.from({ length: 12 }, () => el("tr", {}, ...Array.from(COLUMNS, () => el("td", {}, el("div")))));
}

/** Findings and suppressed alarms with their reasons, those that have ended behind; null: the list is there. */
export function drawSuppressed(findings, { say, times }, now) {
  const table = byId("suppressed");
  if (!findings) { table?.remove(); return; }
  const found = findingsInOrder(findings).slice(0, SHOWN_MAX);
  const made = found.length ? el("table", { class: "tree found", id: "suppressed", "aria-label": say("suppressed.label") },
    el("thead", {}, el("tr", {}, ...["kind", "device", "since", "until", "reason"].map((n) => el("th", { scope: "col" }, say(`sup.${n}`))))),
    el("tbody", {}, ...found.map((f) => el("tr", { class: f.until ? "quiet" : null }, el("th", { scope: "row" }, findingKind(f.kind, say)), el("td", {}, f.device_id),
      el("td", {}, times.when(f.since, now)), el("td", {}, f.until ? times.when(f.until, now) : "–"), el("td", { class: "reason" }, finding(f.reason, times.language))))))
    : el("p", { class: "empty", id: "suppressed" }, say("suppressed.none"));
  if (table) table.replaceWith(made); else byId("list").append(made);
}

/** The name of a kind of finding; of one that is new here its own. */
export function findingKind(kind, say) {
  const word = say(`finding.${kind}`);
  return word.startsWith("[") ? kind : word;
}
