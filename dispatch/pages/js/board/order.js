/**
 * The "needs you" order (待处理优先): which outage a dispatcher has to look at next, and why.  Pure.
 *
 *   1 key or life-support customers dark   2 nobody has acknowledged it
 *   3 ETR passed, or nearly late on site   4 confirmed, no crew
 *   5 predicted: verify                    6 in work, or foreseen
 *   7 restored, not verified
 *
 * Inside a rank the most customers dark come first, then the earliest start.
 */

import { FORESEEN, LADDER, RUNNING } from "./model.js";

const MINUTE = 60_000;
export const SOON_MS = 15 * MINUTE;
export const RANKS = ["key", "unseen", "late", "crew", "verify", "work", "restored"];

/**
 * What an outage needs: its rank (1 to 7) and the word for it.
 * @param {any} outage @param {{key: number, vulnerable: number}} dark customers in it by priority
 * @param {number} now @param {number} arrivalMin minutes promised from report to crew on site
 */
export function need(outage, dark, now, arrivalMin) {
  const rank = rankOf(outage, dark, now, arrivalMin);
  if (rank === 1 && dark.key === 0) return { rank, word: "vulnerable" };
  if (rank === 7 && outage.stage === "verified") return { rank, word: "verified" };
  return { rank, word: RANKS[rank - 1] };
}

/** What to verify means: a person vouches for what is believed, or for power that is back. */
export function verifying(outage) {
  if (outage.state === "predicted" || outage.state === "verify") return "confirm";
  return outage.state === "restored" && outage.stage !== "verified" ? "verify" : null;
}

function rankOf(outage, dark, now, arrivalMin) {
  if (!RUNNING.has(outage.state)) return 7;
  if (FORESEEN.has(outage.kind)) return late(outage, now) ? 3 : 6;
  if (dark.key + dark.vulnerable > 0 && outage.state !== "predicted") return 1;
  if (!outage.acknowledged) return 2;
  if (late(outage, now) || nearlyLateOnSite(outage, now, arrivalMin)) return 3;
  if (outage.state === "predicted" || outage.state === "verify") return 5;
  return outage.crew ? 6 : 4;
}

/** Whether its estimate has passed. */
export function late(outage, now) {
  return outage.etr !== null && Date.parse(outage.etr.at) < now;
}

/** When the crew has to be there, by the promise; null once it is, or where nobody has to go. */
export function arriveBy(outage, arrivalMin) {
  if (!RUNNING.has(outage.state) || FORESEEN.has(outage.kind)) return null;
  if (!outage.confirmed_at || reached(outage, "on_site")) return null;
  return Date.parse(outage.confirmed_at) + arrivalMin * MINUTE;
}

function nearlyLateOnSite(outage, now, arrivalMin) {
  const by = arriveBy(outage, arrivalMin);
  return by !== null && by - now < SOON_MS;
}

/** Whether the work has come to a stage, or further. */
export function reached(outage, stage) {
  return LADDER.indexOf(outage.stage) >= LADDER.indexOf(stage);
}

/**
 * The ids in order.  @param {any[]} outages @param {(id: string) => {key: number, vulnerable: number}} dark
 */
export function ordered(outages, dark, now, arrivalMin) {
  const ranked = outages.map((o) => [need(o, dark(o.id), now, arrivalMin).rank, o]);
  ranked.sort(([a, x], [b, y]) => a - b || y.customers_out - x.customers_out
    || Date.parse(x.started_at) - Date.parse(y.started_at) || (x.id < y.id ? -1 : 1));
  return ranked.map(([, o]) => o.id);
}

/**
 * The list under a reader's hand: what is shown stays where it is; what is new waits in the slot.
 * `shown` are the ids on the screen, `wanted` the ids in their order now.
 * @returns {{shown: string[], waiting: string[]}}
 */
export function still(shown, wanted, held) {
  if (!held) return { shown: wanted, waiting: [] };
  const known = new Set(shown);
  return { shown, waiting: wanted.filter((id) => !known.has(id)) };
}

/** By feeder, for storms: the feeders in the order of their most needed outage. */
export function byFeeder(ids, feederOf) {
  const groups = new Map();
  for (const id of ids) {
    const feeder = feederOf(id) ?? "";
    if (!groups.has(feeder)) groups.set(feeder, []);
    groups.get(feeder).push(id);
  }
  return groups;
}
