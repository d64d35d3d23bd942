/**
 * The timeline of an outage, newest first: evidence, verdicts, actions.  Pure.
 *
 * A change of the log is a verdict when state, device or certainty moved; the evidence that came
 * with it stands beside it, for and against.  What a person did is an action, taken or not.
 */

import { sides } from "./evidence.js";

const TOGETHER_MS = 120_000;
const SURE = 0.05; // a change of certainty by less than this is not told

/** @param {any} detail an outage with its changes @param {any[]} decisions */
export function timeline(detail, decisions) {
  const lines = [];
  let before = null;
  for (const change of detail.changes) {
    lines.push(...ofChange(change, before));
    before = change;
  }
  for (const decision of decisions) lines.push(ofDecision(decision, detail));
  lines.reverse(); // of one moment, what was committed last comes first
  lines.sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || order(a) - order(b));
  return together(lines);
}

/** Word for word the same evidence within a minute or two is one line, counted up. */
function together(lines) {
  const found = [];
  for (const line of lines) {
    const last = found[found.length - 1];
    if (last && same(last, line)) {
      last.lines = [added(last.lines[0], line.lines[0])];
      last.since = line.at;
    } else found.push(line);
  }
  return found;
}

function same(a, b) {
  return a.kind === "evidence" && b.kind === "evidence" && a.lines.length === 1 && b.lines.length === 1
    && a.lines[0].code && a.lines[0].code === b.lines[0].code && typeof a.lines[0].fields?.n === "number"
    && Object.keys(a.lines[0].fields).length === 1 && Date.parse(a.at) - Date.parse(b.at) < TOGETHER_MS;
}

function added(a, b) {
  const n = a.fields.n + b.fields.n;
  const text = [a, b].find((line) => line.fields.n > 1)?.text ?? ofMany(a.text);
  return { ...a, text: text.replace(/^\d+/, String(n)), fields: { n } };
}

/** What is said of one meter, said of several. */
const ofMany = (text) => text.replace(/\bmeter\b/, "meters").replace(/\b(report|stay|follow)s\b/, "$1").replace(/\bis\b/, "are")
  .replace("; it ", "; they ").replace(" its ", " their ");

const order = (line) => ["action", "verdict", "evidence"].indexOf(line.kind);

function ofChange(change, before) {
  const { outage } = change;
  if (change.decision) return []; // the decision itself is told
  const reasons = change.reasons?.length ? change.reasons : [{ code: "", text: change.reason }];
  if (before && !moved(outage, before.outage)) {
    return [{ kind: "evidence", at: change.at, lines: reasons }];
  }
  return [{ kind: "verdict", at: change.at, outage, reasons, against: sides(outage).against }];
}

function moved(now, then) {
  return now.state !== then.state || now.device_id !== then.device_id
    || Math.abs(now.probability - then.probability) >= SURE;
}

function ofDecision(decision, detail) {
  const change = detail.changes.find((c) => c.decision === decision.id);
  const asked = decision.action === "ping" ? change?.reasons?.[0]?.fields?.n : null;
  return { kind: "action", at: decision.at, asked, action: decision.action, by: decision.by, reason: decision.reason,
    refused: decision.accepted ? "" : decision.why, etr: decision.action === "etr" ? change?.outage.etr?.at ?? null : null };
}
