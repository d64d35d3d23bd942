/** Texts as they arrive on the phones of the simulated city; a phone can be picked and answers. */

import { attribute, byId, el, text } from "../dom.js";
import { choose, fill, language, words } from "../i18n.js";
import { Answer, SignedOut, ask, codeOfAddress, session as whoAmI, signIn } from "../session.js";
import { askForCode } from "../signin.js";
import { times as timesOf } from "../times.js";
import { PHONE } from "../words/phone.js";
import { SHARED } from "../words/shared.js";

const SIGNATURE = /^(【[^】]*】|\[[^\]]*\] )/; // of every text the same: it would hide what each says
const LOOK_MS = 1_000;
const BOXES_MAX = 60;

class Phones {
  constructor(session) {
    this.session = session;
    this.boxes = new Map(); // box -> its texts, oldest first; the box of the newest text is the last
    this.homes = new Map(); // box of a household that is told every phase -> its language
    this.after = 0;
    this.picked = undefined; // undefined: the household that reads this language; null: whichever has the newest text
  }

  start() {
    byId("language").addEventListener("click", () => { choose(language() === "zh" ? "en" : "zh"); this.words(); this.draw(); });
    byId("newest").addEventListener("click", () => { this.picked = null; this.draw(); });
    byId("reply").addEventListener("submit", (event) => { event.preventDefault(); this.reply(); });
    this.words();
    this.look();
  }

  words() {
    this.say = words(language(), SHARED, PHONE);
    this.times = timesOf(this.session.time_zone, language());
    document.title = `Lastgasp · ${this.say("title")}`;
    fill(document, this.say);
    text(byId("language"), this.say("other"));
  }

  async look() {
    let wait = LOOK_MS;
    try {
      const { texts } = await ask(`/api/phone?after=${this.after}`);
      byId("stale").hidden = true;
      for (const each of texts) this.take(each);
      if (texts.length || !this.drawn) this.draw();
    } catch (error) {
      byId("stale").hidden = false;
      text(byId("stale"), this.say(error instanceof Answer && error.status === 404 ? "off" : "stale"));
      if (error instanceof SignedOut) await askForCode(this.say);
      wait = 3 * LOOK_MS;
    }
    setTimeout(() => this.look(), wait);
  }

  take(one) {
    const texts = this.boxes.get(one.box) ?? [];
    texts.push(one);
    this.boxes.delete(one.box);
    this.boxes.set(one.box, texts);
    if (one.household) this.homes.set(one.box, one.household);
    this.after = Math.max(this.after, one.no);
    if (one.mine && this.drawn) this.picked = one.box;
  }

  draw() {
    this.drawn = true;
    const { say } = this;
    attribute(document.querySelector("main"), "aria-busy", null);
    text(byId("count"), say("count", { n: this.times.count(this.after) }));
    const newest = [...this.boxes.keys()].reverse();
    const homes = newest.filter((box) => this.homes.has(box)).sort((a, b) => this.first(a) - this.first(b));
    const home = this.picked === undefined ? homes[0] : null;
    const shown = this.picked ?? home ?? newest[0];
    attribute(byId("newest"), "aria-pressed", String(!this.picked && !home));
    this.list([...homes, ...newest.filter((box) => !this.homes.has(box))].slice(0, BOXES_MAX), shown);
    this.phone(shown);
  }

  /** Households that read this language stand before those that do not. */
  first(box) {
    return this.homes.get(box) === language() ? 0 : 1;
  }

  list(boxes, shown) {
    const list = byId("boxes");
    const focused = document.activeElement?.dataset?.box;
    list.replaceChildren(...boxes.map((box) => {
      const last = this.boxes.get(box).at(-1);
      return el("li", {}, el("button", { type: "button", "data-box": box, "aria-current": box === shown ? "true" : null,
        onclick: () => { this.picked = box; this.draw(); } },
      this.homes.has(box) && el("span", { class: "home" }, this.say(`home.${this.homes.get(box)}`)),
      el("span", { class: "number" }, last.phone), el("time", { class: "quiet number" }, this.times.seconds(last.at)),
      el("span", { class: "last" }, last.text.replace(SIGNATURE, ""))));
    }));
    if (focused) list.querySelector(`[data-box="${focused}"]`)?.focus();
  }

  phone(box) {
    const texts = this.boxes.get(box) ?? [];
    const list = byId("texts");
    if (list.dataset.box !== String(box)) { list.replaceChildren(); list.dataset.box = String(box); }
    text(byId("number"), texts.length ? this.say("phone", { phone: texts[0].phone }) : this.say("none"));
    byId("reply").hidden = !texts.length;
    const known = new Set([...list.children].map((each) => Number(each.dataset.no)));
    for (const one of texts.filter((each) => !known.has(each.no))) {
      list.append(el("li", { class: one.mine ? "mine" : null, "data-no": one.no },
        el("time", { datetime: one.at }, one.mine ? this.times.seconds(one.at) : `${one.source} · ${this.times.seconds(one.at)}`),
        el("p", {}, one.text)));
    }
    list.scrollTop = list.scrollHeight;
  }

  async reply() {
    const texts = this.boxes.get(Number(byId("texts").dataset.box)) ?? [];
    const typed = byId("words").value.trim();
    if (!texts.length || !typed) return;
    try {
      await ask("/api/phone/replies", { method: "POST", body: { no: texts.at(-1).no, text: typed } });
      byId("words").value = "";
      text(byId("answer"), this.say("sent"));
    } catch {
      text(byId("answer"), this.say("failed"));
    }
  }
}

async function open() {
  const say = words(language(), SHARED, PHONE);
  const code = codeOfAddress();
  try {
    if (code) await signIn(code);
    return await whoAmI();
  } catch {
    await askForCode(say, { page: true, why: "sign.why" });
    return whoAmI();
  }
}

new Phones(await open()).start();
