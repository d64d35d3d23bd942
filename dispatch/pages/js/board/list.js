/** The list on the screen: rows that change in place and never move under the reader's hand. */

import { attribute, byId, el, text } from "../dom.js";
import { mark } from "../marks.js";
import { byFeeder, still } from "./order.js";

export const PAGE = 300;
export const COLUMNS = ["state", "key", "no", "where", "dark", "since", "why", "cause", "crew", "etr", "told"];
const SINGLE = new Set(["no"]); // of one line; the others say two things, one above the other

export class List {
  /**
   * @param {{say: any, onOpen: (id: string) => void, onSelect: (id: string) => void,
   *   onWaiting: (ids: string[]) => void}} how
   */
  constructor(how) {
    this.how = how;
    this.box = byId("list");
    this.rows = new Map();
    this.shown = [];
    this.wanted = [];
    this.page = 0;
    this.selected = null;
    this.pointer = false;
    this.box.addEventListener("pointerenter", () => { this.pointer = true; });
    this.box.addEventListener("pointerleave", () => { this.pointer = false; this.refresh(); });
    this.box.addEventListener("focusout", (event) => {
      if (!this.box.contains(event.relatedTarget)) queueMicrotask(() => this.refresh());
    });
    addEventListener("resize", () => this.refresh()); // another width has other columns
    this.#table();
  }

  /** Whether somebody's hand or eye is in the list: nothing may move then. */
  get held() {
    return this.pointer || this.box.contains(document.activeElement);
  }

  #table() {
    const { say } = this.how;
    this.body = el("tbody");
    this.table = el("table", { class: "pool", role: "grid", "aria-label": say("pool.label"), "aria-colcount": COLUMNS.length },
      el("colgroup", {}, ...COLUMNS.map((name) => el("col", { class: `c-${name}` }))),
      el("thead", {}, el("tr", { "aria-rowindex": 1 }, ...COLUMNS.map((name) => el("th", { scope: "col", class: name }, say(`col.${name}`), SINGLE.has(name) ? null : el("div", { class: "under" }, say(`col.${name}.under`)))))),
      this.body);
    this.pager = el("div", { class: "pager", hidden: true });
    this.empty = el("p", { class: "empty", hidden: true });
    this.all = el("div", {}, this.table, this.empty, this.pager);
    this.box.replaceChildren(this.all);
    this.body.addEventListener("click", (event) => this.#click(event));
    this.body.addEventListener("dblclick", (event) => this.#open(event));
    this.body.addEventListener("focusin", (event) => {
      const id = event.target.closest("tr")?.dataset.id;
      if (id) this.select(id);
    });
  }

  #click(event) {
    const row = event.target.closest("tr[data-id]");
    if (!row) return;
    row.focus({ preventScroll: true });
    this.how.onOpen(row.dataset.id);
  }

  #open(event) {
    const row = event.target.closest("tr[data-id]");
    if (row) this.how.onOpen(row.dataset.id);
  }

  /**
   * Draw again: the ids in their order, and how to say a row.
   * @param {string[]} wanted @param {(id: string) => any} say
   */
  draw(wanted, cellsOf, { group = null, empty = "" } = {}) {
    this.wanted = wanted;
    this.cellsOf = cellsOf;
    this.group = group;
    this.emptyText = empty;
    this.refresh();
  }

  /** Whether the list is there, or something else in its place. */
  put(there) {
    this.all.hidden = !there;
  }

  /** Take what waits in, if nobody's hand is there; and bring every cell up to date. */
  refresh(apply = false) {
    if (!this.cellsOf) return;
    const { shown, waiting } = still(this.shown, this.wanted, this.held && !apply && this.shown.length > 0);
    this.shown = shown;
    this.#render();
    this.how.onWaiting(waiting);
  }

  #render() {
    const pages = Math.max(1, Math.ceil(this.shown.length / PAGE));
    this.page = Math.min(this.page, pages - 1);
    const first = this.page * PAGE;
    const ids = this.shown.slice(first, first + PAGE);
    this.#place(ids, first);
    attribute(this.table, "aria-rowcount", this.shown.length + 1);
    this.#showPager(first, ids.length, pages);
    this.empty.hidden = this.shown.length > 0;
    text(this.empty, this.emptyText);
    this.table.hidden = this.shown.length === 0;
  }

  /** Rows are places: an order that changes changes their words, and nothing moves on the screen. */
  #place(ids, first) {
    if (!this.slots) { this.slots = []; this.body.replaceChildren(); }
    const held = this.body.contains(document.activeElement);
    while (this.slots.length > ids.length) this.slots.pop().tr.remove();
    while (this.slots.length < ids.length) {
      this.slots.push(this.#slot());
      this.body.append(this.slots[this.slots.length - 1].tr);
    }
    const order = this.group ? [...byFeeder(ids, this.group.feederOf).values()].flat() : ids;
    this.rows = new Map(order.map((id, at) => [id, this.slots[at]]));
    order.forEach((id, at) => {
      const row = this.slots[at];
      attribute(row.tr, "data-id", id);
      attribute(row.tr, "aria-rowindex", first + at + 2);
      this.#fill(row, this.cellsOf(id));
      attribute(row.tr, "aria-selected", String(id === this.selected));
      attribute(row.tr, "tabindex", id === this.#stop(order) ? 0 : -1);
    });
    this.#heads(ids);
    const chosen = this.rows.get(this.selected)?.tr;
    if (held && chosen && chosen !== document.activeElement) chosen.focus({ preventScroll: true });
  }

  #heads(ids) {
    for (const head of this.body.querySelectorAll("tr.group")) head.remove();
    if (!this.group) return;
    const seen = [...this.table.tHead.rows[0].cells].filter((cell) => cell.offsetWidth).length || COLUMNS.length;
    for (const [feeder, members] of byFeeder(ids, this.group.feederOf)) {
      const head = el("tr", { class: "group", role: "row" }, el("td", { colspan: seen, role: "gridcell" }, this.group.title(feeder, members)));
      this.rows.get(members[0]).tr.before(head);
    }
  }

  #stop(ids) {
    return ids.includes(this.selected) ? this.selected : ids[0];
  }

  #slot() {
    const cell = (name, ...inside) => el("td", { class: name, role: "gridcell" }, ...inside);
    const parts = {};
    const part = (name, kind = "div", under = false) => (parts[name] = el(kind, { class: under ? "under" : null }));
    const state = el("div");
    parts.markBox = el("span");
    state.append(parts.markBox, part("state", "span"));
    const dark = el("div", {}, part("dark", "b"));
    const sure = el("div", {}, part("probability", "span"), " ", part("why", "span", true));
    const tr = el("tr", { tabindex: -1 },
      cell("state", state, part("need", "div", true)), cell("key", part("key"), part("vulnerable", "div", true)),
      cell("no", part("no")), cell("where", part("device"), part("feeder", "div", true)),
      cell("dark", dark, part("peak", "div", true)), cell("since", part("since"), part("elapsed", "div", true)),
      cell("why", sure, part("also", "div", true)), cell("cause", part("kind"), part("cause", "div", true)),
      cell("crew", part("crew"), part("stage", "div", true)), cell("etr", part("etr"), part("source", "div", true)),
      cell("told", part("calls"), part("told", "div", true)));
    return { tr, parts };
  }

  #fill({ tr, parts }, cells) {
    for (const [name, node] of Object.entries(parts)) {
      if (name !== "markBox") text(node, cells[name] ?? "");
    }
    if (parts.markBox.dataset.mark !== cells.mark) {
      parts.markBox.dataset.mark = cells.mark;
      parts.markBox.replaceChildren(mark(cells.mark));
    }
    tr.classList.toggle("urgent", cells.urgent);
    parts.source.classList.toggle("late", cells.late);
    attribute(parts.why.closest("td"), "title", cells.reasons || null);
    attribute(parts.since.closest("td"), "title", cells.began);
    attribute(parts.etr.closest("td"), "title", cells.whole);
    attribute(parts.crew.closest("td"), "title", cells.crew);
    attribute(parts.cause.closest("td"), "title", cells.cause);
    attribute(parts.no, "title", cells.no);
    attribute(parts.device, "title", cells.device);
  }

  #showPager(first, count, pages) {
    this.pager.hidden = pages < 2;
    if (pages < 2) return;
    const { say } = this.how;
    const turn = (by) => () => { this.page += by; this.refresh(); this.box.scrollTop = 0; };
    this.pager.replaceChildren(
      el("button", { type: "button", disabled: this.page === 0, onclick: turn(-1) }, say("pool.back")),
      el("span", {}, say("pool.rows", { from: first + 1, to: first + count, n: this.shown.length })),
      el("button", { type: "button", disabled: this.page === pages - 1, onclick: turn(1) }, say("pool.next")));
  }

  /** Choose a row. */
  select(id) {
    if (this.selected === id) return;
    const before = this.rows.get(this.selected)?.tr;
    if (before) { attribute(before, "aria-selected", "false"); attribute(before, "tabindex", -1); }
    this.selected = id;
    const row = this.rows.get(id)?.tr;
    if (row) { attribute(row, "aria-selected", "true"); attribute(row, "tabindex", 0); }
    this.how.onSelect(id);
  }

  /** Choose the row so many further on, and put the focus there. */
  move(by) {
    const ids = [...this.body.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id);
    if (!ids.length) return;
    const at = ids.indexOf(this.selected);
    const next = ids[Math.min(ids.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    this.select(next);
    this.focus();
  }

  /** Put the focus on the chosen row, and bring it into view beneath the heading. */
  focus() {
    const row = this.rows.get(this.selected)?.tr ?? this.body.querySelector("tr[data-id]");
    if (!row) { byId("pool").focus(); return; }
    row.focus({ preventScroll: true });
    const head = this.table.tHead.offsetHeight;
    const top = row.offsetTop - head;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (row.offsetTop + row.offsetHeight > this.box.scrollTop + this.box.clientHeight) {
      this.box.scrollTop = row.offsetTop + row.offsetHeight - this.box.clientHeight;
    }
  }
}
