/** The network as a table: what the map shows, for everybody, always. */

import { byId, el } from "../dom.js";
import { treeRows } from "./model.js";

const KINDS = ["substation", "breaker", "switch", "recloser", "fuse", "transformer", "meter"];
const ROWS_MAX = 300;

export class Tree {
  constructor({ say, times }) {
    this.say = say;
    this.times = times;
    this.open = new Set();
    this.box = byId("tree");
  }

  /** Draw; substations are open at first. */
  draw(network, power) {
    if (!network || this.box.hidden) return;
    if (this.version !== network.version) {
      this.version = network.version;
      this.open = new Set(network.parent.flatMap((above, node) => (above < 0 ? [node] : [])));
    }
    this.last = [network, power];
    const held = this.box.contains(document.activeElement) ? document.activeElement.dataset.node : null;
    const { scrollTop } = this.box;
    const rows = treeRows(network, power, this.open);
    this.box.replaceChildren(this.#table(rows.slice(0, ROWS_MAX)));
    this.box.scrollTop = scrollTop;
    if (held) this.box.querySelector(`[data-node="${held}"]`)?.focus({ preventScroll: true });
  }

  #table(rows) {
    const { say } = this;
    return el("table", { class: "tree", "aria-label": say("tree.label") },
      el("thead", {}, el("tr", {}, ...["device", "served", "out", "silent"].map((name) => el("th", { scope: "col" }, say(`tree.${name}`))))),
      el("tbody", {}, ...rows.map((row) => this.#row(row))));
  }

  #row(row) {
    const { say, times } = this;
    const toggle = () => {
      if (this.open.has(row.node)) this.open.delete(row.node); else this.open.add(row.node);
      this.draw(...this.last);
    };
    const lead = row.branches
      ? el("button", { type: "button", "data-node": row.node, "aria-expanded": String(row.open), "aria-label": `${say(row.open ? "tree.shut" : "tree.open")} ${row.id}`, onclick: toggle }, row.open ? "▾" : "▸")
      : el("span", { class: "lead" });
    return el("tr", { class: `d${Math.min(5, row.depth)}${row.out ? " dark" : ""}` },
      el("th", { scope: "row" }, lead, ` ${row.id} `, el("span", { class: "quiet" }, say(`device.${KINDS[row.kind]}`))),
      el("td", {}, times.count(row.served)), el("td", { class: "out" }, row.out ? times.count(row.out) : "–"),
      el("td", {}, row.silent ? times.count(row.silent) : "–"));
  }
}
