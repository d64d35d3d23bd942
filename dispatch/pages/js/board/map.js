/** The map: the network's own lines, no tiles.  Power is feature state; only new versions are data. */

import { byId, el, text } from "../dom.js";
import { NORMAL, STATES, bounds, bubbleFeatures, lineFeatures, nodeStates, places, pointFeatures } from "./nodes.js";

const LIBRARY = "/pages/vendor/maplibre-gl.mjs";
const WORKER = "/pages/vendor/maplibre-gl-worker.mjs";
const [LV, SERVICE, METERS] = [13.5, 15.5, 13.5]; // zooms at which they appear
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A colour of the page's palette as it is now. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export class GridMap {
  /** @param {{say: any, onOpen: (id: string) => void}} how */
  constructor(how) {
    this.how = how;
    this.map = null;
    this.states = new Uint8Array(0);
    this.box = byId("map");
  }

  /** Draw a network; false where this browser cannot. */
  async draw(network) {
    this.network = network;
    this.nodeOf = new Map(network.ids.map((id, node) => [id, node]));
    this.at = places(network);
    this.lines = lineFeatures(network, this.at);
    this.linesOf = new Map();
    this.lines.owner.forEach((node, line) => {
      if (!this.linesOf.has(node)) this.linesOf.set(node, []);
      this.linesOf.get(node).push(line);
    });
    this.states = new Uint8Array(network.ids.length);
    this.#title();
    try {
      await this.#start();
    } catch {
      this.map = null;
      this.box.replaceChildren(el("p", { class: "none" }, this.how.say("map.none")));
      return false;
    }
    return true;
  }

  #title() {
    const { say } = this.how;
    text(byId("map-title"), say(this.at.diagram ? "map.diagram" : "map"));
    text(byId("map-note"), this.at.unplaced ? say("map.unplaced", { n: this.at.unplaced }) : "");
  }

  async #start() {
    if (this.map) {
      this.map.getSource("lines").setData({ type: "FeatureCollection", features: this.lines.features });
      this.map.getSource("points").setData({ type: "FeatureCollection", features: pointFeatures(this.network, this.at) });
      return;
    }
    const library = await import(LIBRARY);
    library.setWorkerUrl(new URL(WORKER, location.href).href);
    const holder = el("div");
    this.box.replaceChildren(holder);
    this.map = new library.Map({
      container: holder, attributionControl: false, fadeDuration: 0, dragRotate: false, pitchWithRotate: false,
      maxPitch: 0, bounds: bounds(this.at), fitBoundsOptions: { padding: 32 }, style: this.#style(), renderWorldCopies: false,
      locale: { "Map.Title": this.how.say("map.label") },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.on("click", "bubbles", (event) => this.how.onOpen(event.features[0].properties.id));
    await new Promise((resolve) => this.map.once("load", resolve));
    this.map.getCanvas().setAttribute("aria-label", this.how.say("map.label"));
  }

  #style() {
    return {
      version: 8,
      sources: {
        lines: { type: "geojson", data: { type: "FeatureCollection", features: this.lines.features }, tolerance: 0.2 },
        points: { type: "geojson", data: { type: "FeatureCollection", features: pointFeatures(this.network, this.at) } },
        bubbles: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
      },
      layers: layers(),
    };
  }

  /** Bring power up to date: only what changed is touched. */
  show(power, outages) {
    if (!this.map || power.version !== this.network.version) return;
    const now = nodeStates(this.network, power, outages);
    for (let node = 0; node < now.length; node += 1) {
      if (now[node] === this.states[node]) continue;
      const power_ = STATES[now[node]];
      this.map.setFeatureState({ source: "points", id: node }, { power: power_ });
      for (const line of this.linesOf.get(node) ?? []) this.map.setFeatureState({ source: "lines", id: line }, { power: power_ });
    }
    this.states = now;
    this.bubbles(outages);
  }

  /** The outages as bubbles. */
  bubbles(outages) {
    if (!this.map) return;
    const features = bubbleFeatures(outages.values(), this.network, this.at, this.nodeOf);
    this.map.getSource("bubbles").setData({ type: "FeatureCollection", features });
  }

  /** What the map says of a node: for those who cannot see it, and for tests. */
  stateOf(id) {
    return STATES[this.states[this.nodeOf?.get(id) ?? -1] ?? NORMAL];
  }

  /** Follow the choice: the outage's device in the middle, near enough to see what is behind it. */
  follow(deviceId) {
    const node = this.nodeOf?.get(deviceId);
    if (!this.map || node === undefined) return;
    this.map.setFilter("chosen", ["==", ["id"], node]);
    const center = [this.at.x[node], this.at.y[node]];
    const zoom = Math.max(this.map.getZoom(), this.network.size[node] > 400 ? 12.5 : 14);
    if (still()) this.map.jumpTo({ center, zoom });
    else this.map.easeTo({ center, zoom, duration: 300 });
  }

  /** The whole network. */
  fit() {
    this.map?.fitBounds(bounds(this.at), { padding: 32, animate: !still() });
  }

  /** After another theme: the same layers in its colours. */
  recolour() {
    if (!this.map) return;
    for (const layer of layers()) {
      for (const [name, value] of Object.entries(layer.paint ?? {})) this.map.setPaintProperty(layer.id, name, value);
    }
  }
}

/** A grey network, and an overlay for each state: a mark in the grey layer would vanish under its
 * neighbours. */
function layers() {
  const grid = colour("grid");
  const has = (state) => ["case", ["==", ["feature-state", "power"], state], 1, 0];
  const level = (...levels) => ["in", ["get", "level"], ["literal", levels]];
  const line = (id, filter, minzoom, width, paint = {}) => ({ id, type: "line", source: "lines", filter, minzoom,
    layout: { "line-cap": "round" }, paint: { "line-color": grid, "line-width": width, ...paint } });
  const over = (state, paint) => [[0, 0], [1, LV], [2, SERVICE]].map(([at, minzoom]) => line(`${state}-${at}`, level(at), minzoom,
    at === 0 ? 4 : 2.5, { "line-color": colour(state), "line-opacity": has(state), ...paint }));
  const point = (id, kind, minzoom, paint) => ({ id, type: "circle", source: "points", filter: ["==", ["get", "class"], kind], minzoom, paint });
  const fill = ["match", ["feature-state", "power"], "out", colour("out"), "predicted", colour("predicted"), "planned", colour("planned"), "unknown", colour("unknown"), colour("surface")];
  const edge = ["match", ["feature-state", "power"], "out", colour("out"), "predicted", colour("predicted"), "planned", colour("planned"), "unknown", colour("unknown"), grid];
  const marked = ["case", ["in", ["coalesce", ["feature-state", "power"], "normal"], ["literal", ["out", "predicted", "planned", "unknown"]]], 1, 0];
  const label = (id, source, filter, minzoom, maxzoom, extra = {}) => ({ id, type: "symbol", source, filter, minzoom, maxzoom,
    layout: { "text-field": ["get", "name"], "text-size": 12, "text-offset": [0, 1.1], "text-anchor": "top", "text-optional": true, ...extra },
    paint: { "text-color": colour("text"), "text-halo-color": colour("page"), "text-halo-width": 1.5 } });
  return [
    { id: "ground", type: "background", paint: { "background-color": colour("page") } },
    line("grid-2", level(2), SERVICE, 0.7), line("grid-1", level(1), LV, 1), line("grid-3", level(3), 11, 1, { "line-dasharray": [2, 3] }),
    line("grid-0", level(0), 0, ["interpolate", ["linear"], ["zoom"], 9, 1, 14, 2.5]),
    ...over("unknown", { "line-dasharray": [0.1, 2] }), ...over("planned", {}), ...over("predicted", { "line-dasharray": [2, 1.5] }), ...over("out", {}),
    point("meters", "meter", METERS, { "circle-radius": ["interpolate", ["linear"], ["zoom"], 13.5, 2, 16, 4], "circle-color": edge, "circle-opacity": ["interpolate", ["linear"], ["zoom"], 15.5, marked, 16, 1] }),
    point("transformers", "transformer", 11, { "circle-radius": ["interpolate", ["linear"], ["zoom"], 11, 2.5, 15, 6], "circle-color": fill, "circle-stroke-color": edge, "circle-stroke-width": 1.5,
      "circle-opacity": ["interpolate", ["linear"], ["zoom"], 13, marked, 13.5, 1], "circle-stroke-opacity": ["interpolate", ["linear"], ["zoom"], 13, marked, 13.5, 1] }),
    point("switches", "switch", 13, { "circle-radius": 3.5, "circle-color": colour("page"), "circle-stroke-color": edge, "circle-stroke-width": 2 }),
    point("substations", "substation", 0, { "circle-radius": 8, "circle-color": colour("text-2"), "circle-stroke-color": colour("page"), "circle-stroke-width": 2 }),
    { id: "bubbles", type: "circle", source: "bubbles", paint: { "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "out"]], 1, 5, 70, 34],
      "circle-color": ["match", ["get", "state"], "out", colour("out"), "predicted", colour("predicted"), "planned", colour("planned"), colour("unknown")],
      "circle-opacity": ["interpolate", ["linear"], ["zoom"], 11, 0.35, 14, 0.12],
      "circle-stroke-color": ["match", ["get", "state"], "out", colour("out"), "predicted", colour("predicted"), "planned", colour("planned"), colour("unknown")], "circle-stroke-width": 2 } },
    { id: "chosen", type: "circle", source: "points", filter: ["==", ["id"], -1], paint: { "circle-radius": 14, "circle-color": "rgba(0,0,0,0)", "circle-stroke-color": colour("focus"), "circle-stroke-width": 3 } },
    label("names-substations", "points", ["==", ["get", "class"], "substation"], 0, 24, { "text-size": 13 }),
    label("names-bubbles", "bubbles", ["<", ["get", "rank"], 10], 0, 13),
    label("names-switches", "points", ["==", ["get", "class"], "switch"], 13.5, 24),
    label("names-transformers", "points", ["==", ["get", "class"], "transformer"], 14.5, 24),
  ];
}
