/** One customer's page: their own premises, from the feed, and two buttons that are calls. */

import { attribute, byId, debounce, el, text } from "../dom.js";
import { Feed } from "../feed.js";
import { keep, kept, language, leadToOther, words } from "../i18n.js";
import { mark } from "../marks.js";
import { SignedOut, Turns, ask, feedToken } from "../session.js";
import { askForCode, enterAs } from "../signin.js";
import { times as timesOf } from "../times.js";
import { MINE } from "../words/mine.js";
import { SHARED } from "../words/shared.js";
import { nextUpdate, phaseOf, promised, repairs, rounded, steps, waits, windowOf } from "./phase.js";

const LOST_MS = 60_000; // two heartbeats: what is shown is old from here on
const AGAIN_MS = 30_000;

class Mine {
  constructor(session) {
    this.session = session;
    this.offset = Date.parse(session.server_time) - Date.now();
    this.say = words(language(), SHARED, MINE);
    this.times = timesOf(session.time_zone, language());
    this.link = { state: "connecting" };
    this.heardAt = this.now();
    this.premises = null;
    this.memory = kept(`dark-${session.subject}`) || null;
    this.turns = new Turns();
    this.read = debounce(() => this.#read(), 300);
  }

  now = () => Date.now() + this.offset;

  start() {
    const { say, session } = this;
    document.title = say("title");
    text(byId("place"), session.site || say("place", { id: session.subject }));
    text(byId("safety"), say("safety", { phone: session.phone }));
    byId("phone").replaceChildren(say("phone"), el("a", { href: `tel:${session.phone}` }, session.phone));
    text(byId("on"), say("button.on"));
    attribute(byId("steps"), "aria-label", say("steps"));
    byId("off").addEventListener("click", () => this.call("no_power"));
    byId("on").addEventListener("click", () => this.call("restored"));
    leadToOther(byId("language"));
    this.feed = new Feed({ url: session.feeds_url, channel: `customer:${session.subject}`, token: feedToken,
      onSnapshot: (status) => this.#status(status), onPub: (pub) => this.#status(pub.data),
      onLink: (link) => this.#linked(link), onSignedOut: () => this.#signedOut() });
    this.feed.start();
    this.#read();
    setInterval(() => this.draw(), 1_000);
    document.addEventListener("visibilitychange", () => this.#seen());
    setInterval(() => this.#read(), AGAIN_MS);
  }

  #status(status) {
    this.turns.take(this.turns.ask()); // what was asked before it and is still on its way is older
    this.heardAt = this.now();
    if (status && this.premises) this.premises = { ...this.premises, status };
    this.draw();
    this.read();
    this.#seen();
  }

  /** Who looks at the page needs no second text (docs/notices.md). */
  #seen() {
    if (document.visibilityState === "visible") this.feed?.seen();
  }

  async #read() {
    const turn = this.turns.ask();
    try {
      const found = await ask(`/api/customers/${encodeURIComponent(this.session.subject)}/premises`);
      if (!this.turns.take(turn)) return;
      this.premises = found;
      this.heardAt = this.now();
      this.draw();
    } catch (error) {
      if (error instanceof SignedOut) this.#signedOut();
    }
  }

  #linked(link) {
    this.link = link.retryAt ? { ...link, retryAt: link.retryAt + this.offset } : link;
    this.draw();
  }

  async #signedOut() {
    this.link = { state: "lost", reason: "signed_out" };
    this.draw();
    if (document.querySelector(".sign-in")) return;
    await askForCode(this.say);
    this.feed.start();
    this.#read();
  }

  // -- what is shown ----------------------------------------------------------------------------

  draw() {
    this.#stale();
    if (!this.premises) return;
    const { say, premises } = this;
    const now = this.now();
    const seen = { now, zone: this.session.time_zone, arrivalMin: this.session.arrival_min, lost: this.lost, darkBefore: this.memory };
    const found = phaseOf(premises, seen);
    this.#remember(premises.status, found);
    this.found = found;
    byId("now").dataset.mark = found.mark;
    document.body.dataset.phase = found.phase;
    const headline = say(found.headline);
    if (byId("headline").dataset.said !== `${found.mark}${headline}`) {
      byId("headline").dataset.said = `${found.mark}${headline}`;
      byId("headline").replaceChildren(mark(found.mark), el("span", {}, headline));
    }
    text(byId("until"), say(found.until, this.#values(found.values, now)));
    byId("safety").hidden = !waits(found.phase);
    text(byId("updated"), say("updated", { at: this.times.when(premises.status.updated_at, now) }));
    this.#next(found, seen);
    this.#steps();
    this.#facts(found, seen);
    text(byId("off"), say((premises.status.power === "off" && found.phase !== "detected") || found.phase === "to_verify" || found.phase === "restored" ? "button.off" : "button.off.first"));
    byId("buttons").hidden = false;
    byId("on").disabled = byId("off").disabled = this.lost || this.sending === true;
    attribute(document.querySelector("main"), "aria-busy", null);
  }

  get lost() {
    return this.link.state === "lost" && this.now() - this.heardAt > LOST_MS;
  }

  #stale() {
    const on = this.link.state === "lost";
    byId("stale").hidden = !on;
    document.body.classList.toggle("lost", on);
    if (!on) return;
    const at = this.times.seconds(this.heardAt);
    text(byId("stale"), this.link.retryAt ? this.say("stale.retry", { at, retry: this.times.seconds(this.link.retryAt) }) : this.say("stale", { at }));
  }

  /** Moments, windows and counts as people read them. */
  #values(values, now) {
    const { times, say } = this;
    const said = {};
    for (const [name, value] of Object.entries(values)) {
      if (name === "by") said.by = times.by(value, now);
      else if (name === "at") said.at = times.when(value, now);
      else if (name === "span") said.span = times.span(value);
      else if (name === "days") said.window = this.#days(value);
      else if (name === "why") said.why = this.#cause(value);
      else if (Array.isArray(value)) said[name] = name === "window" ? times.ahead(...value, now) : times.between(...value, now);
      else said[name] = typeof value === "number" ? times.count(value) : value;
    }
    return { phone: this.session.phone, ...said, ...(said.window ? {} : { window: "" }), say: say("title") };
  }

  /** Planned work with its days: 8月3日周一 08:00至16:00 / Mon 3 Aug, 08:00 to 16:00. */
  #days([from, to]) {
    const { times } = this;
    const zh = times.language === "zh";
    const start = `${times.day(from)}${zh ? " " : ", "}${times.time(from)}`;
    const end = times.sameDay(from, to) ? times.time(to) : `${times.day(to)}${zh ? " " : ", "}${times.time(to)}`;
    return this.say("date.window", { from: start, to: end });
  }

  #cause(cause) {
    if (!cause) return this.say("cause.wait");
    const word = this.say(`cause.${cause.replaceAll(" ", "_")}`);
    if (!word.startsWith("[")) return word;
    const chinese = /[\u4e00-\u9fff]/.test(cause); // somebody's own words are for who reads their language
    return chinese === (this.times.language === "zh") ? cause : this.say("cause.wait");
  }

  #next(found, seen) {
    if (!waits(found.phase) || promised(found)) { text(byId("next"), ""); return; }
    const { by, passed } = nextUpdate(this.premises.status, seen);
    const next = this.times.by(by, seen.now);
    text(byId("next"), passed === null ? this.say("next", { at: next }) : this.say("next.none", { at: this.times.time(passed), next }));
  }

  #steps() {
    const box = byId("steps");
    box.hidden = !repairs(this.premises);
    if (box.hidden) return;
    const found = steps(this.premises);
    const stamp = JSON.stringify(found);
    if (box.dataset.said === stamp) return;
    box.dataset.said = stamp;
    box.replaceChildren(...found.map((step) => el("li", { class: step.at === null ? null : "done" }, this.say(`step.${step.name}`),
      step.at === null ? null : el("time", { datetime: new Date(step.at).toISOString() }, this.times.time(step.at)))));
  }

  #facts(found, seen) {
    const { say, times, premises } = this;
    const { status } = premises;
    const facts = [];
    if (status.power === "off" && status.off_at) facts.push(["since", times.when(status.off_at, seen.now)]);
    if (status.power === "off" && status.etr && ["assigned", "on_site", "partly"].includes(found.phase)) {
      facts.push(["etr", say(status.etr.source === "crew" ? "etr.also" : "etr.also.first", { window: times.ahead(...windowOf(status, seen.zone), seen.now) })]);
    }
    if (repairs(premises) && status.power === "off") facts.push(["cause", this.#cause(status.cause)]);
    if (status.power === "off" && found.phase !== "yours" && status.homes_out >= 5) facts.push(["homes", say("homes", { n: times.count(rounded(status.homes_out)) })]);
    if (premises.plan && !premises.plan.cancelled_at && found.phase !== "planned") facts.push(["plan", this.#days([Date.parse(premises.plan.from), Date.parse(premises.plan.to)])]);
    const stamp = JSON.stringify(facts);
    if (byId("facts").dataset.said === stamp) return;
    byId("facts").dataset.said = stamp;
    byId("facts").replaceChildren(...facts.flatMap(([name, value]) => [el("dt", {}, say(`fact.${name}`)), el("dd", {}, value)]));
  }

  /** What this browser told of last: without it, "our notice was wrong" could not be said. */
  #remember(status, found) {
    const dark = status.power === "off" ? status.outage_id : found.phase === "cancelled" ? this.memory : null;
    if (dark === this.memory || (this.memory && found.phase === "no_data")) return;
    this.memory = dark;
    keep(`dark-${this.session.subject}`, dark ?? "");
  }

  // -- what a person says -----------------------------------------------------------------------

  /** A call: the customer's own word about their power. */
  async call(kind) {
    const { say } = this;
    this.sending = true;
    text(byId("answer"), say("told.wait"));
    this.draw();
    try {
      const kept_ = await ask("/api/calls", { method: "POST", body: { customer_id: this.session.subject, kind } });
      text(byId("answer"), say(`told.${kind}`, { at: this.times.time(kept_.at) }));
      this.read();
    } catch (error) {
      if (error instanceof SignedOut) this.#signedOut();
      text(byId("answer"), say("told.failed", { phone: this.session.phone }));
    } finally {
      this.sending = false;
      this.draw();
    }
  }
}

async function begin() {
  const say = words(language(), SHARED, MINE);
  document.title = say("title");
  const session = await enterAs("customer", say);
  if (!session) return;
  window.lastgaspMine = new Mine(session); // for the tests
  window.lastgaspMine.start();
}

begin();
