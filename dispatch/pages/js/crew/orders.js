/** What a crew's order looks like: its mark, its order among others, and what can be said of it.  Pure. */

import { RUNNING } from "../board/model.js";
import { NEXT } from "../matter.js";

const STEP_MS = 1_800_000;
const CHOICES = 24; // half hours

/** The mark beside an order. */
export function markOf(order) {
  if (!open(order)) return "restored";
  if (order.kind === "planned" || order.kind === "temporary") return "planned";
  return { predicted: "predicted", verify: "predicted", partially_restored: "partly" }[order.state] ?? "out";
}

/** Those in the dark first, then the oldest. */
export function inOrder(orders) {
  return [...orders].sort((a, b) => Number(open(b)) - Number(open(a)) || Date.parse(a.started_at) - Date.parse(b.started_at));
}

/** The next step of the work; null where none is a crew's to say. */
export function nextOf(order) {
  if (!open(order)) return null;
  return NEXT[order.stage === "none" ? "assigned" : order.stage] ?? null;
}

/** Whether cause and estimate can be said. */
export function open(order) {
  return RUNNING.has(order.state);
}

/** Moments by which power may be back: half hours of the clock, from at least a quarter of an hour ahead. */
export function choices(now) {
  const first = Math.ceil((now + STEP_MS / 2) / STEP_MS) * STEP_MS;
  return Array.from({ length: CHOICES }, (_, i) => first + i * STEP_MS);
}
