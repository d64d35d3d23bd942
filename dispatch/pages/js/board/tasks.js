/** Tasks of the desk: customers whom nothing else reached, and whom somebody has to call. */

import { attribute, byId, el, text } from "../dom.js";
import { Answer, SignedOut, ask } from "../session.js";

const OUTCOMES = ["told", "nobody_answered", "not_needed"];

export class Tasks {
  /** @param {any} context say, times, now(), live(), toast(words), whyNot(error), onOpen(id), onNew(n), again(), onSignedOut() */
  constructor(context) {
    this.context = context;
    this.open = [];
    this.known = null; // ids seen before, so that only what is new rings
    this.lines = new Map(); // id -> its line: what somebody is typing there stays
    byId("task-button").addEventListener("click", () => this.toggle());
  }

  /** What the service says is open now; null where it could not be asked. */
  take(found) {
    if (!found) return;
    this.open = found.tasks;
    const ids = new Set(this.open.map((task) => task.id));
    const fresh = this.open.filter((task) => !this.known?.has(task.id)).length;
    this.known = ids;
    this.draw();
    if (fresh) this.context.onNew(fresh);
  }

  toggle(open = byId("task-panel").hidden) {
    byId("task-panel").hidden = !open;
    attribute(byId("task-button"), "aria-expanded", String(open));
    this.draw();
    if (open) (byId("task-panel").querySelector("li button") ?? byId("task-shut")).focus();
    else byId("task-button").focus();
  }

  draw() {
    const { say } = this.context;
    const button = byId("task-button");
    text(button, say("tasks.count", { n: this.open.length }));
    attribute(button, "data-level", this.open.length ? 2 : null);
    const panel = byId("task-panel");
    if (panel.hidden) return;
    if (!panel.children.length) this.#frame(panel);
    const list = byId("task-list");
    for (const [id, line] of this.lines) {
      if (!this.open.some((task) => task.id === id)) { line.remove(); this.lines.delete(id); }
    }
    for (const task of this.open) {
      if (!this.lines.has(task.id)) this.lines.set(task.id, this.#line(task));
      if (this.lines.get(task.id).parentNode !== list) list.append(this.lines.get(task.id));
    }
    byId("task-none").hidden = this.open.length > 0;
  }

  #frame(panel) {
    const { say } = this.context;
    panel.replaceChildren(el("div", { class: "bar" }, el("h2", {}, say("tasks")), el("span", { class: "room" }),
      el("button", { id: "task-shut", type: "button", class: "plain", "aria-label": say("help.close"), onclick: () => this.toggle(false) }, "✕")),
    el("p", { class: "quiet" }, say("tasks.why")), el("ul", { id: "task-list" }), el("p", { id: "task-none", class: "empty" }, say("tasks.none")));
  }

  #line(task) {
    const { say, times, now, onOpen } = this.context;
    const who = say(task.priority === "key" ? "tasks.key" : "tasks.vulnerable");
    const about = [say(`notice.${task.phase}`), task.off_at ? say("tasks.off", { at: times.when(task.off_at, now()) }) : "",
      task.etr_at ? `${say("col.etr")} ${times.by(task.etr_at, now())}` : "", say("tasks.by", { at: times.by(task.expires_at, now()) }), say(`tasks.speaks.${task.language}`)];
    const note = el("input", { maxlength: 500, placeholder: say("ask.note"), "aria-label": `${say("ask.note")} ${task.customer_id}` });
    const number = el("span", { class: "number" }, task.phone || say("tasks.no.phone"));
    const show = task.phone ? el("button", { type: "button", onclick: () => this.#number(task, number, show) }, say("tasks.show")) : null;
    return el("li", { "data-id": task.id },
      el("div", { class: "what" }, el("b", {}, task.address || task.customer_id), el("span", { class: "quiet" }, ` ${who} · ${task.customer_id}`)),
      el("div", { class: "what quiet" }, about.filter(Boolean).join(" · ")),
      el("div", { class: "what" }, number, " ", show, " ",
        el("button", { type: "button", class: "plain linked", onclick: () => onOpen(task.outage_id) }, say("tasks.outage", { id: task.outage_id }))),
      note, el("div", { class: "quick" }, ...OUTCOMES.map((outcome) => el("button", { type: "button", "data-outcome": outcome,
        onclick: () => this.#close(task, outcome, note.value.trim()) }, say(`tasks.${outcome}`)))));
  }

  /** The whole number, to be called now; that it was shown is written down. */
  async #number(task, place, button) {
    const said = await this.#ask(`/api/tasks/${task.id}/number`);
    if (!said) return;
    const link = el("a", { href: `tel:${said.phone}` }, said.phone);
    place.replaceChildren(link);
    button.remove();
    link.focus();
  }

  async #close(task, outcome, note) {
    const { say, toast } = this.context;
    const said = await this.#ask(`/api/tasks/${task.id}`, { outcome, note });
    if (!said) return;
    const at = this.open.findIndex((one) => one.id === task.id);
    this.open = this.open.filter((one) => one.id !== task.id);
    this.draw();
    const next = this.lines.get(this.open[Math.min(at, this.open.length - 1)]?.id);
    (next?.querySelector("button") ?? byId("task-shut")).focus();
    toast(say("tasks.closed", { who: task.address || task.customer_id, what: say(`tasks.${outcome}`) }));
  }

  async #ask(path, body) {
    const { say, live, toast, whyNot, again, onSignedOut } = this.context;
    if (!live()) { toast(say("said.stale")); return null; }
    try {
      return await ask(path, { method: "POST", body });
    } catch (error) {
      if (error instanceof SignedOut) onSignedOut();
      else if (error instanceof Answer) { toast(say("said.refused", { why: whyNot(error.message, error.body.code) })); again(); }
      else toast(say("said.away"));
      return null;
    }
  }
}
