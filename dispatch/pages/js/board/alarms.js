/**
 * Alarms ask for an action; everything else is a silent line of the timeline.  Pure.
 *
 * P1 (sound until acknowledged): key customer dark, feeder lockout.  P2 (one tone): ten minutes
 * without a crew, ETR or arrival limit passed, restored but meters dark, a source silent.  P3 is a
 * count.  An alarm is raised once for a thing and does not chatter; what was shelved waits.
 */

import { FORESEEN, RUNNING } from "./model.js";
import { arriveBy, late } from "./order.js";

const MINUTE = 60_000;
export const WINDOW_MS = 10 * MINUTE;
export const FLOOD = 10; // more in ten minutes is a flood, and storm mode is offered
export const SHELVE_MIN_MAX = 60;
const CREW_MS = 10 * MINUTE;
const AGAIN_MS = 10 * MINUTE; // a condition that flickers within this is the same alarm
const LEVEL = { key: 1, lockout: 1, crew: 2, etr: 2, arrival: 2, meters: 2, source: 2, new: 3 };

/** The conditions that hold now: [{id, kind, outage, feeder, name}]. */
export function conditions(model, now, arrivalMin) {
  const found = [];
  for (const outage of model.outages.values()) {
    const add = (kind) => found.push({ id: `${kind}:${outage.id}`, kind, outage: outage.id,
      feeder: outage.feeder_id, name: outage.device_id });
    for (const kind of ofOutage(outage, model.dark(outage.id), now, arrivalMin)) add(kind);
    const stays = model.power?.dark[outage.id]?.length ?? 0;
    if (outage.state === "restored" && stays > 0) add("meters");
  }
  for (const source of model.sources) {
    if (!source.ready) found.push({ id: `source:${source.name}`, kind: "source", outage: null, feeder: null, name: source.name });
  }
  return found;
}

function ofOutage(outage, dark, now, arrivalMin) {
  if (!RUNNING.has(outage.state)) return [];
  if (FORESEEN.has(outage.kind)) return late(outage, now) ? ["etr"] : [];
  const kinds = ["new"];
  const sure = outage.state === "confirmed" || outage.state === "partially_restored";
  if (sure && dark.key > 0) kinds.push("key");
  if (sure && outage.device_kind === "breaker") kinds.push("lockout");
  if (sure && !outage.crew && now - Date.parse(outage.confirmed_at ?? outage.detected_at) > CREW_MS) kinds.push("crew");
  if (late(outage, now)) kinds.push("etr");
  const by = arriveBy(outage, arrivalMin);
  if (by !== null && by < now) kinds.push("arrival");
  return kinds;
}

export class Alarms {
  constructor() {
    /** @type {Map<string, any>} alarms by id, in the order they were raised */
    this.all = new Map();
    this.storm = false;
    this.shelved = new Map(); // id -> until ms
  }

  /** Bring the alarms up to date; those that were raised just now. */
  look(model, now, arrivalMin) {
    const raised = [];
    const holding = new Set();
    for (const condition of conditions(model, now, arrivalMin)) {
      holding.add(condition.id);
      const before = this.all.get(condition.id);
      if (before && (before.goneAt === null || now - before.goneAt < AGAIN_MS)) {
        before.goneAt = null;
        continue;
      }
      const alarm = { ...condition, level: LEVEL[condition.kind], at: now, seenAt: null, goneAt: null };
      this.all.set(condition.id, alarm);
      raised.push(alarm);
    }
    for (const alarm of this.all.values()) {
      if (!holding.has(alarm.id) && alarm.goneAt === null) alarm.goneAt = now;
      if (alarm.seenAt === null && alarm.outage && model.outages.get(alarm.outage)?.acknowledged) alarm.seenAt = now;
      if (alarm.goneAt !== null && now - alarm.goneAt > 6 * AGAIN_MS) this.all.delete(alarm.id);
    }
    return raised.filter((alarm) => !this.isShelved(alarm.id, now));
  }

  /** Those that wait for an action, P1 first; in storm mode the P2 of a feeder are one. */
  waiting(now) {
    const open = [...this.all.values()].filter((a) => a.level < 3 && a.goneAt === null
      && a.seenAt === null && !this.isShelved(a.id, now));
    open.sort((a, b) => a.level - b.level || a.at - b.at);
    if (!this.storm) return open.map((a) => ({ ...a, count: 1 }));
    const merged = new Map();
    for (const alarm of open) {
      const id = alarm.level === 1 ? alarm.id : `feeder:${alarm.feeder ?? alarm.name}`;
      const before = merged.get(id);
      if (before) before.count += 1;
      else merged.set(id, { ...alarm, count: 1, merged: alarm.level !== 1 });
    }
    return [...merged.values()];
  }

  /** How many were raised in the last ten minutes, without the mere counts of P3. */
  recent(now) {
    return [...this.all.values()].filter((a) => a.level < 3 && now - a.at <= WINDOW_MS).length;
  }

  /** How many P3 there are: new outages in the last ten minutes. */
  news(now) {
    return [...this.all.values()].filter((a) => a.level === 3 && now - a.at <= WINDOW_MS).length;
  }

  /** Whether storm mode is to be offered. */
  flood(now) {
    return !this.storm && this.recent(now) > FLOOD;
  }

  /** Somebody has seen it. */
  see(id, now) {
    const alarm = this.all.get(id);
    if (alarm) alarm.seenAt = now;
  }

  /** Put one aside for at most an hour, with a reason; false without one. */
  shelve(id, minutes, reason, now) {
    if (!reason.trim() || !(minutes > 0) || minutes > SHELVE_MIN_MAX) return false;
    this.shelved.set(id, now + minutes * MINUTE);
    return true;
  }

  isShelved(id, now) {
    return (this.shelved.get(id) ?? 0) > now;
  }
}
