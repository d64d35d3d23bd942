/** The network in places and states, ready to be drawn.  Pure: no map, no DOM. */

import { FORESEEN } from "./model.js";

export const NORMAL = 0;
export const STATES = ["normal", "out", "predicted", "planned", "unknown"];
const METER = 6;
const TRANSFORMER = 5;
const SPAN = 0.2; // degrees that a network without geography is drawn in

/** How the meters of an outage are drawn. @returns {number} index into STATES */
export function stateOf(outage) {
  if (!outage) return 1;
  if (FORESEEN.has(outage.kind)) return 3;
  return outage.state === "predicted" || outage.state === "verify" ? 2 : 1;
}

/**
 * The state of every node.  A device is dark when all customers behind it that are not silent are.
 * @param {any} network @param {any} power @param {Map<string, any>} outages @returns {Uint8Array}
 */
export function nodeStates(network, power, outages) {
  const count = network.ids.length;
  const states = new Uint8Array(count);
  for (const node of power.silent) states[node] = 4;
  for (const [id, nodes] of Object.entries(power.dark)) {
    const state = stateOf(outages.get(id));
    for (const node of nodes) states[node] = state;
  }
  const meters = new Int32Array(count);
  const dark = new Int32Array(count);
  const mute = new Int32Array(count);
  const shown = new Uint8Array(count);
  for (let node = count - 1; node >= 0; node -= 1) {
    if (network.kind[node] === METER) {
      meters[node] = 1;
      if (states[node] === 4) mute[node] = 1;
      else if (states[node] !== NORMAL) { dark[node] = 1; shown[node] = states[node]; }
    } else if (dark[node] > 0 && dark[node] + mute[node] === meters[node]) {
      states[node] = shown[node];
    } else if (meters[node] > 0 && mute[node] === meters[node]) {
      states[node] = 4;
    }
    const above = network.parent[node];
    if (above >= 0) {
      meters[above] += meters[node];
      dark[above] += dark[node];
      mute[above] += mute[node];
      if (shown[node]) shown[above] = shown[node];
    }
  }
  return states;
}

/**
 * Where each node is drawn, in degrees: [x, y] columns; what has no place is drawn at its parent.
 * @returns {{x: Float64Array, y: Float64Array, diagram: boolean, unplaced: number}}
 */
export function places(network) {
  if (network.placed === 0) return diagram(network);
  const count = network.ids.length;
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  const scale = network.geographic ? network.step : SPAN / 100_000;
  const [x0, y0] = network.geographic ? [network.origin_x, network.origin_y] : [0, 0];
  let unplaced = 0;
  for (let node = 0; node < count; node += 1) {
    const above = network.parent[node];
    if (network.x[node] >= 0) {
      x[node] = x0 + network.x[node] * scale;
      y[node] = y0 + network.y[node] * scale;
    } else {
      unplaced += 1;
      x[node] = above >= 0 ? x[above] : x0;
      y[node] = above >= 0 ? y[above] : y0;
    }
  }
  return { x, y, diagram: false, unplaced };
}

/** Invented places: a lane for each feeder, x by depth.  Meters stand at their transformer's side. */
export function diagram(network) {
  const count = network.ids.length;
  const depth = new Int32Array(count);
  const lane = new Float64Array(count).fill(-1);
  let next = 0;
  let deepest = 1;
  for (let node = 0; node < count; node += 1) {
    const above = network.parent[node];
    depth[node] = above >= 0 ? depth[above] + 1 : 0;
    deepest = Math.max(deepest, depth[node]);
    const leaf = network.kind[node] === TRANSFORMER || network.size[node] === 1;
    if (leaf && !(above >= 0 && below(network, node))) lane[node] = next++;
  }
  for (let node = count - 1; node >= 0; node -= 1) {
    if (lane[node] < 0) lane[node] = middle(network, lane, node);
  }
  for (let node = 0; node < count; node += 1) {
    if (below(network, node)) lane[node] = lane[network.parent[node]] + spread(node);
  }
  const x = Float64Array.from(depth, (d) => (d / deepest) * SPAN);
  const y = Float64Array.from(lane, (l) => -(l / Math.max(1, next)) * SPAN);
  return { x, y, diagram: true, unplaced: 0 };
}

const below = (network, node) => network.kind[node] === METER;
const spread = (node) => ((node * 7919) % 17) / 20 - 0.4;

function middle(network, lane, node) {
  let [sum, n] = [0, 0];
  for (let at = node + 1; at < node + network.size[node]; at += network.size[at]) {
    if (lane[at] >= 0) { sum += lane[at]; n += 1; }
  }
  return n ? sum / n : 0;
}

/** Lines as GeoJSON features with whole ids; `owner[i]` is the node that line i is dark with. */
export function lineFeatures(network, at) {
  const features = [];
  const owner = [];
  const add = (level, node, from, to) => {
    features.push({ type: "Feature", id: features.length, properties: { level }, geometry: { type: "LineString", coordinates: [from, to] } });
    owner.push(node);
  };
  const { lines } = network;
  if (at.diagram || lines.node.length === 0) {
    for (let node = 0; node < network.ids.length; node += 1) {
      const above = network.parent[node];
      if (above < 0) continue;
      const level = network.kind[node] === METER ? 2 : network.kind[above] === TRANSFORMER ? 1 : 0;
      add(level, node, [at.x[above], at.y[above]], [at.x[node], at.y[node]]);
    }
    return { features, owner };
  }
  const scale = network.geographic ? network.step : SPAN / 100_000;
  const [x0, y0] = network.geographic ? [network.origin_x, network.origin_y] : [0, 0];
  for (let i = 0; i < lines.node.length; i += 1) {
    add(lines.level[i], lines.node[i], [x0 + lines.x1[i] * scale, y0 + lines.y1[i] * scale],
      [x0 + lines.x2[i] * scale, y0 + lines.y2[i] * scale]);
  }
  return { features, owner };
}

/** Devices as GeoJSON features; the id is the node. */
export function pointFeatures(network, at) {
  const classes = ["substation", "switch", "switch", "switch", "switch", "transformer", "meter"];
  return network.ids.map((name, node) => ({
    type: "Feature", id: node,
    properties: { class: classes[network.kind[node]], name, rank: network.size[node] },
    geometry: { type: "Point", coordinates: [at.x[node], at.y[node]] },
  }));
}

/** Outages as GeoJSON points at their devices, the largest first. */
export function bubbleFeatures(outages, network, at, nodeOf) {
  const found = [...outages].filter((o) => o.customers_out > 0 && nodeOf.has(o.device_id));
  found.sort((a, b) => b.customers_out - a.customers_out);
  return found.map((outage, rank) => {
    const node = nodeOf.get(outage.device_id);
    return { type: "Feature", id: rank, properties: { id: outage.id, out: outage.customers_out, rank,
      state: STATES[stateOf(outage)], name: outage.device_id }, geometry: { type: "Point", coordinates: [at.x[node], at.y[node]] } };
  });
}

/** The box around all places: [[west, south], [east, north]]. */
export function bounds(at) {
  let [w, s, e, n] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < at.x.length; i += 1) {
    w = Math.min(w, at.x[i]); e = Math.max(e, at.x[i]);
    s = Math.min(s, at.y[i]); n = Math.max(n, at.y[i]);
  }
  return [[w, s], [e, n]];
}
