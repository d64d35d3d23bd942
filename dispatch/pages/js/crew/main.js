/** A crew's page: its own work orders, where they are, and how far the work is. */

import { whyNot } from "../board/refused.js";
import { decide, moved } from "../decide.js";
import { attribute, byId, el, text } from "../dom.js";
import { language, leadToOther, words } from "../i18n.js";
import { mark } from "../marks.js";
import { CAUSES } from "../matter.js";
import { Answer, SignedOut, ask } from "../session.js";
import { askForCode, enterAs } from "../signin.js";
import { times as timesOf } from "../times.js";
import { CREW } from "../words/crew.js";
import { SHARED } from "../words/shared.js";
import { choices, inOrder, markOf, nextOf, open } from "./orders.js";

const AGAIN_MS = 4_000;
const SURE_MS = 6_000; // in which a second press means it

class Crew {
  constructor(session) {
    this.session = session;
    this.offset = Date.parse(session.server_time) - Date.now();
    this.say = words(language(), SHARED, CREW);
    this.times = timesOf(session.time_zone, language());
    this.orders = null;
    this.spots = new Map(); // device -> where it stands
    this.sent = new Map(); // what was sent and not answered -> its id: sent again it counts once
    this.asking = null; // {id, action}: the form that is open
    this.lost = false;
    this.heardAt = this.now();
  }

  now = () => Date.now() + this.offset;

  start() {
    const { say, session } = this;
    document.title = say("title");
    text(byId("who"), say("who", { id: session.subject }));
    leadToOther(byId("language"));
    this.read();
    setInterval(() => { if (document.visibilityState === "visible") this.read(); }, AGAIN_MS);
    document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") this.read(); });
    window.addEventListener("online", () => this.read());
    window.addEventListener("offline", () => this.#line(true));
  }

  async read() {
    if (this.reading) return;
    this.reading = true;
    try {
      const { outages } = await ask("/api/outages");
      this.heardAt = this.now();
      this.#line(false);
      this.#told(outages);
      for (const order of outages) await this.#locate(order);
      this.draw();
    } catch (error) {
      if (error instanceof SignedOut) this.#signedOut();
      else this.#line(true);
    } finally {
      this.reading = false;
    }
  }

  async #locate(order) {
    if (this.spots.has(order.device_id)) return;
    try {
      this.spots.set(order.device_id, await ask(`/api/outages/${encodeURIComponent(order.id)}/place`));
    } catch (error) {
      if (!(error instanceof Answer)) throw error; // an order that is gone by now; the next reading knows
    }
  }

  /** Take the orders as they are, and say which are new. */
  #told(orders) {
    const known = this.orders && new Set(this.orders.map((o) => o.id));
    this.orders = inOrder(orders);
    const fresh = known && this.orders.find((o) => !known.has(o.id));
    if (fresh) this.answer(this.say("new", { device: this.#device(fresh) }));
    if (this.asking && !orders.some((o) => o.id === this.asking.id && open(o))) this.asking = null;
    this.draw();
  }

  #line(lost) {
    if (this.lost === lost) return;
    this.lost = lost;
    this.draw();
  }

  async #signedOut() {
    this.lost = true;
    this.draw();
    if (document.querySelector(".sign-in")) return;
    await askForCode(this.say);
    this.read();
  }

  answer(words) {
    text(byId("answer"), words);
  }

  // -- what is shown ----------------------------------------------------------------------------

  draw() {
    const { say, orders } = this;
    byId("stale").hidden = !this.lost;
    document.body.classList.toggle("lost", this.lost);
    if (this.lost) text(byId("stale"), say("stale", { at: this.times.seconds(this.heardAt) }));
    if (!orders) return;
    attribute(document.querySelector("main"), "aria-busy", null);
    text(byId("headline"), orders.length ? say("some", { n: orders.length }) : say("none"));
    const stamp = JSON.stringify([orders, [...this.spots], this.asking, this.sure, this.lost, this.sending, this.times.time(this.now())]);
    if (this.stamp === stamp) return;
    this.stamp = stamp;
    if (this.asking && document.querySelector("form")?.contains(document.activeElement) && !this.lost) return; // not under a hand
    const at = document.activeElement?.dataset.at;
    byId("orders").replaceChildren(...(orders.length ? orders.map((order) => this.#order(order)) : [el("p", {}, say("none.why"))]));
    if (at) document.querySelector(`[data-at="${CSS.escape(at)}"]`)?.focus();
  }

  #device = (order) => `${this.say(`device.${order.device_kind}`)} ${order.device_id}`;

  #order(order) {
    const { say } = this;
    const name = markOf(order);
    const next = nextOf(order);
    return el("article", { class: "order", "data-mark": name, "data-id": order.id, "aria-label": this.#device(order) },
      el("h2", {}, mark(name), el("span", {}, this.#device(order))),
      el("dl", {}, ...this.#facts(order).flatMap(([fact, value]) => [el("dt", {}, say(`fact.${fact}`)), el("dd", {}, value)])),
      this.#way(order),
      next && this.#button(order, next),
      open(order) && (this.asking?.id === order.id ? this.#form(order)
        : el("div", { class: "pair" }, ...["cause", "etr"].map((action) => this.#opener(order, action)))));
  }

  #facts(order) {
    const { say, times } = this;
    const now = this.now();
    const state = markOf(order) === "planned" ? "planned" : order.state === "closed" ? "restored" : order.state;
    const done = order.progress.at(-1);
    const stage = say(`stage.${order.stage}`);
    return [
      ["state", say(`state.${state}`)],
      ["out", say("out", { out: times.count(order.customers_out), all: times.count(order.customers_affected) })],
      ["since", times.when(order.started_at, now)],
      ...(order.phases && order.phases !== "ABC" ? [["phases", order.phases]] : []),
      ...(order.feeder_id ? [["feeder", order.feeder_id]] : []),
      ["stage", done ? say("at", { what: stage, at: times.when(done.at, now) }) : stage],
      ["cause", order.cause ? this.#cause(order.cause) : say("cause.none")],
      ["etr", order.etr ? times.by(order.etr.at, now) : say("etr.none")],
      ["no", order.id],
    ];
  }

  #cause(cause) {
    const word = this.say(`cause.${cause}`);
    return word.startsWith("[") ? cause : word;
  }

  #way(order) {
    const spot = this.spots.get(order.device_id);
    if (!spot) return null;
    if (spot.latitude === null) return el("p", { class: "quiet" }, this.say("place.none"));
    const at = `${spot.latitude},${spot.longitude}`;
    return el("a", { class: "go", href: `geo:${at}?q=${at}` }, this.say("place"));
  }

  #button(order, action) {
    const sure = this.sure === order.id && action === "repaired";
    return el("button", { type: "button", class: "main", "data-at": `${order.id} next`, disabled: this.lost || this.sending === true,
      onclick: () => this.#step(order, action) }, this.say(sure ? "act.repaired.sure" : `act.${action}`));
  }

  /** The last step is asked twice: whoever puts the phone away must not have told a street that it is mended. */
  #step(order, action) {
    if (action === "repaired" && this.sure !== order.id) {
      this.sure = order.id;
      setTimeout(() => { this.sure = null; this.draw(); }, SURE_MS);
      return this.draw();
    }
    this.sure = null;
    return this.send(order, { action });
  }

  #opener(order, action) {
    return el("button", { type: "button", "data-at": `${order.id} ${action}`, disabled: this.lost || this.sending === true,
      onclick: () => { this.asking = { id: order.id, action }; this.draw(); document.querySelector("form select")?.focus(); } }, this.say(`act.${action}`));
  }

  #form(order) {
    const { say } = this;
    const causes = CAUSES.map((c) => el("option", { value: c, selected: c === order.cause }, say(`cause.${c}`)));
    const first = this.asking.action === "cause" ? null : el("select", { name: "at" }, ...choices(this.now()).map((at) =>
      el("option", { value: new Date(at).toISOString() }, say("by", { at: this.times.by(at, this.now()), span: this.times.span(at - this.now()) }))));
    const cause = el("select", { name: "cause" }, ...causes);
    const close = () => { this.asking = null; this.draw(); };
    return el("form", { onsubmit: (event) => {
      event.preventDefault();
      this.asking = null;
      this.send(order, first ? { action: "etr", at: first.value, reason: cause.value } : { action: "cause", cause: cause.value });
    } },
    first && el("label", {}, say("ask.by"), first),
    el("label", {}, say(first ? "ask.why" : "ask.cause"), cause),
    el("div", { class: "pair" }, el("button", { type: "submit", class: "main", disabled: this.lost }, say("send")),
      el("button", { type: "button", onclick: close }, say("leave"))));
  }

  // -- what a crew says -------------------------------------------------------------------------

  async send(order, body) {
    const { say } = this;
    this.sending = true;
    this.answer(say("wait"));
    document.activeElement?.blur?.();
    this.draw();
    const key = JSON.stringify([order.id, body]);
    if (!this.sent.has(key)) this.sent.set(key, fresh());
    try {
      const rename = () => { this.sent.set(key, fresh()); return this.sent.get(key); };
      const done = await decide(order.id, { version: order.version, id: this.sent.get(key), ...body }, order, rename);
      this.sent.delete(key);
      if (done.outage) this.#replace(done.outage);
      this.answer(say("sent", { what: say(`did.${body.action}`) }));
    } catch (error) {
      this.#failed(order, error, key);
    } finally {
      this.sending = false;
      this.draw();
    }
  }

  #failed(order, error, key) {
    const { say } = this;
    if (error instanceof SignedOut) return this.#signedOut();
    if (!(error instanceof Answer)) return this.answer(say("away"));
    if (error.status < 500) this.sent.delete(key);
    if (error.status === 404) {
      this.orders = this.orders.filter((o) => o.id !== order.id);
      return this.answer(say("gone", { id: order.id }));
    }
    const now = error.status === 409 ? error.body.outage : null;
    if (now) this.#replace(now);
    if (now && moved(error)) return this.answer(say("conflict", { device: this.#device(now) }));
    return this.answer(say("refused", { why: whyNot(error.message, say, this.times.language, error.body.code) }));
  }

  #replace(outage) {
    const mine = outage.crew === this.session.subject;
    this.orders = inOrder([...this.orders.filter((o) => o.id !== outage.id), ...(mine ? [outage] : [])]);
  }
}

/** A name for a decision; pages over plain HTTP have no randomUUID. */
function fresh() {
  return `crew-${[...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
}

async function begin() {
  const say = words(language(), SHARED, CREW);
  document.title = say("title");
  const session = await enterAs("crew", say);
  if (!session) return;
  window.lastgaspCrew = new Crew(session); // for the tests
  window.lastgaspCrew.start();
}

begin();
