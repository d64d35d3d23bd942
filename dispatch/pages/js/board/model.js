/**
 * What the board knows: outages and findings from the feed, the network and who is dark in it from
 * the API.  Pure: no DOM, no clock, no network.
 */

export const ENDED = new Set(["closed", "rejected", "momentary"]);
export const RUNNING = new Set(["predicted", "confirmed", "partially_restored", "verify"]);
export const KINDS = ["fault", "planned", "temporary", "arrears", "curtailment", "customer_owned", "unknown"];
/** Kinds that somebody decided on beforehand: nobody has to be sent anywhere for them. */
export const FORESEEN = new Set(["planned", "arrears", "curtailment"]);
export const LADDER = ["assigned", "en_route", "on_site", "cause_found", "repaired", "verified"];
const SUBSTATION = 0;
const METER = 6;
const OVER_MAX = 300; // findings that have ended, the newest

export class Model {
  constructor() {
    /** @type {Map<string, any>} */
    this.outages = new Map();
    this.findings = new Map();
    this.network = null;
    this.power = null;
    this.crews = [];
    this.sources = [];
    this.priorities = new Map();
  }

  /** The feed's whole state. */
  snapshot(data) {
    this.outages = new Map((data?.outages ?? []).map((o) => [o.id, o]));
    const over = [...this.findings.values()].filter((f) => f.until);
    this.findings = new Map([...over, ...(data?.findings ?? [])].map((f) => [f.id, f]));
  }

  /** Findings as the API tells of them, those that have ended too. */
  noticed(found) {
    for (const finding of found) {
      const before = this.findings.get(finding.id);
      if (!before || Date.parse(before.at) <= Date.parse(finding.at)) this.findings.set(finding.id, finding);
    }
    const over = [...this.findings.values()].filter((f) => f.until).sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
    for (const { id } of over.slice(OVER_MAX)) this.findings.delete(id);
  }

  /** One message of the feed; the outage before it, or undefined.  @param {any} pub */
  take(pub) {
    if (pub.type === "finding") this.noticed([pub.data]);
    if (pub.type !== "change") return undefined;
    return this.put(pub.data.outage);
  }

  /** An outage as it is now; an older version changes nothing.  Returns what it was. */
  put(outage) {
    const before = this.outages.get(outage.id);
    if (before && before.version > outage.version) return before;
    if (ENDED.has(outage.state)) this.outages.delete(outage.id);
    else this.outages.set(outage.id, outage);
    return before;
  }

  /** The drawing of the network. */
  setNetwork(network) {
    this.network = network;
    this.nodeOf = new Map(network.ids.map((id, node) => [id, node]));
    this.#countPriorities();
  }

  /** Who is dark. */
  setPower(power) {
    this.power = power;
    this.#countPriorities();
  }

  /** Key and vulnerable customers in the dark of an outage. */
  dark(outageId) {
    return this.priorities.get(outageId) ?? { key: 0, vulnerable: 0 };
  }

  #countPriorities() {
    this.priorities = new Map();
    if (!this.network || !this.power || this.power.version !== this.network.version) return;
    for (const [id, nodes] of Object.entries(this.power.dark)) {
      const count = { key: 0, vulnerable: 0 };
      for (const node of nodes) {
        if (this.network.priority[node] === 2) count.key += 1;
        if (this.network.priority[node] === 1) count.vulnerable += 1;
      }
      this.priorities.set(id, count);
    }
  }
}

/** Findings as they are read: what goes on, then what has ended, each the newest first. */
export function findingsInOrder(findings) {
  return [...findings].sort((a, b) => Boolean(a.until) - Boolean(b.until) || Date.parse(b.at) - Date.parse(a.at));
}

/** What was noticed at an outage's device or below it while the outage went on. */
export function noticedIn(model, outage) {
  const { network, nodeOf } = model;
  const top = nodeOf?.get(outage.device_id);
  if (top === undefined) return [];
  const [from, to] = [outage.started_at, outage.restored_at].map((at) => (at ? Date.parse(at) : Infinity));
  return findingsInOrder([...model.findings.values()].filter((f) => {
    const node = nodeOf.get(f.device_id);
    const below = node >= top && node < top + network.size[top];
    return below && Date.parse(f.since) <= to && (!f.until || Date.parse(f.until) >= from);
  }));
}

/** The mark of an outage: what state it is in, drawn. @returns {string} */
export function markOf(outage, now) {
  if (FORESEEN.has(outage.kind) && RUNNING.has(outage.state)) return "planned";
  switch (outage.state) {
    case "predicted": case "verify": return "predicted";
    case "partially_restored": return "partly";
    case "restored": return now - Date.parse(outage.restored_at) > 600_000 ? "over" : "restored";
    case "confirmed": return "out";
    default: return "over";
  }
}

/** The path of a node from the substation down to itself: ids. */
export function pathOf(network, node) {
  const path = [];
  for (let at = node; at >= 0; at = network.parent[at]) path.unshift(network.ids[at]);
  return path;
}

/** Rows of the tree table: substations and feeders, then down to transformers of what is opened. */
export function treeRows(network, power, open) {
  const dark = new Set(Object.values(power?.dark ?? {}).flat());
  const silent = new Set(power?.silent ?? []);
  const below = (marked) => {
    const sums = new Int32Array(network.ids.length + 1);
    for (let i = 0; i < network.ids.length; i += 1) {
      sums[i + 1] = sums[i] + (marked ? (marked.has(i) ? Math.max(1, network.customers[i]) : 0) : network.customers[i]);
    }
    return (node) => sums[node + network.size[node]] - sums[node];
  };
  const [served, out, mute] = [below(null), below(dark), below(silent)];
  const rows = [];
  const visit = (node, depth) => {
    const children = [];
    for (let at = node + 1; at < node + network.size[node]; at += network.size[at]) {
      if (network.kind[at] !== METER) children.push(at);
    }
    const row = { node, id: network.ids[node], kind: network.kind[node], depth, served: served(node),
      out: out(node), silent: mute(node), branches: children.length, open: open.has(node) };
    rows.push(row);
    if (row.open) for (const child of children) visit(child, depth + 1);
  };
  for (let node = 0; node < network.ids.length; node += 1) {
    if (network.kind[node] === SUBSTATION && network.parent[node] < 0) visit(node, 0);
  }
  return rows;
}

/** The figures above the list. */
export function figures(model, now) {
  const all = [...model.outages.values()];
  const running = all.filter((o) => RUNNING.has(o.state));
  const by = {};
  for (const outage of all) by[outage.state] = (by[outage.state] ?? 0) + 1;
  const key = running.reduce((sum, o) => sum + model.dark(o.id).key, 0);
  return {
    dark: running.reduce((sum, o) => sum + o.customers_out, 0),
    by,
    key,
    overdue: running.filter((o) => o.etr && Date.parse(o.etr.at) < now).length,
    free: model.crews.filter((c) => c.active && !c.busy).length,
    busy: model.crews.filter((c) => c.active && c.busy).length,
    silent: model.power ? model.power.silent.length : null,
    customers: model.power ? model.power.customers : null,
  };
}

/** The source whose last word is the oldest, and its age in ms; null where none has spoken. */
export function oldest(sources) {
  const spoken = sources.filter((s) => s.age_s !== null);
  if (!spoken.length) return null;
  const found = spoken.reduce((a, b) => (b.age_s > a.age_s ? b : a));
  return { name: found.name, ms: found.age_s * 1000 };
}
