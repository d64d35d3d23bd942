/** Alarms on the screen and in the ear. */

import { attribute, byId, el, text } from "../dom.js";
import { keep, kept } from "../i18n.js";

const REPEAT_MS = 4_000;

export class Bell {
  /** @param {{say: any, times: any, alarms: any, now: () => number, onSee: (alarm: any) => void, onOpen: (id: string) => void}} context */
  constructor(context) {
    this.context = context;
    this.sounded = 0;
    byId("alarm-button").addEventListener("click", () => this.toggle());
    addEventListener("pointerdown", () => { this.audio ??= new AudioContext(); }, { once: true });
    addEventListener("keydown", () => { this.audio ??= new AudioContext(); }, { once: true });
  }

  /** What an alarm says. */
  words(alarm) {
    const { say } = this.context;
    if (alarm.merged && alarm.count > 1) return say("alarm.merged", { feeder: alarm.feeder ?? alarm.name, n: alarm.count });
    return say(`alarm.${alarm.kind}`, { name: alarm.name });
  }

  /** One tone for P2; for P1 a sound until it is acknowledged. */
  ring(raised) {
    if (raised.some((a) => a.level === 2)) this.tone();
    const waiting = this.context.alarms.waiting(this.context.now()).some((a) => a.level === 1);
    if (waiting && performance.now() - this.sounded > REPEAT_MS) {
      this.sounded = performance.now();
      this.#tone(880, 0.3);
    }
  }

  /** One tone: somebody is waited for. */
  tone() { this.#tone(440, 0.15); }

  #tone(hz, seconds) {
    if (!this.audio || kept("sound") === "off") return;
    const [tone, loud] = [this.audio.createOscillator(), this.audio.createGain()];
    tone.frequency.value = hz;
    loud.gain.value = 0.08;
    tone.connect(loud).connect(this.audio.destination);
    tone.start();
    tone.stop(this.audio.currentTime + seconds);
  }

  toggle(open = byId("alarm-panel").hidden) {
    byId("alarm-panel").hidden = !open;
    attribute(byId("alarm-button"), "aria-expanded", String(open));
    if (open) { this.drawn = null; this.draw(); byId("alarm-panel").querySelector("button")?.focus(); }
    else byId("alarm-button").focus();
  }

  /** The count in the header, and the panel where it is open. */
  draw() {
    const { say, alarms, now } = this.context;
    const waiting = alarms.waiting(now());
    const recent = alarms.recent(now());
    const button = byId("alarm-button");
    text(button, `${say("alarms")} ${waiting.length} · ${say("alarms.count", { n: recent })}`);
    attribute(button, "data-level", waiting[0]?.level ?? null);
    const panel = byId("alarm-panel");
    const state = JSON.stringify([waiting.map((a) => [a.id, a.count]), alarms.storm, alarms.flood(now()), kept("sound"), alarms.news(now())]);
    if (panel.hidden || state === this.drawn) return;
    this.drawn = state;
    const held = panel.contains(document.activeElement);
    panel.replaceChildren(...this.#parts(waiting));
    if (held) panel.querySelector("button")?.focus();
  }

  #parts(waiting) {
    const { say, alarms, now } = this.context;
    const sound = kept("sound") !== "off";
    const again = (work) => () => { work(); this.draw(); };
    const parts = [el("div", { class: "bar" }, el("h2", {}, say("alarms")), el("span", { class: "room" }),
      el("button", { type: "button", onclick: again(() => keep("sound", sound ? "off" : "on")) }, say(sound ? "alarms.sound.on" : "alarms.sound.off")),
      el("button", { type: "button", class: "plain", "aria-label": say("help.close"), onclick: () => this.toggle(false) }, "✕"))];
    if (alarms.flood(now())) {
      parts.push(el("p", {}, say("storm.offer", { n: alarms.recent(now()) }), " ",
        el("button", { type: "button", class: "main", onclick: again(() => { alarms.storm = true; }) }, say("storm.on"))));
    }
    if (alarms.storm) parts.push(el("p", {}, `${say("storm.is")} `, el("button", { type: "button", onclick: again(() => { alarms.storm = false; }) }, say("storm.off"))));
    parts.push(waiting.length ? el("ul", {}, ...waiting.slice(0, 100).map((alarm) => this.#line(alarm, again))) : el("p", { class: "quiet" }, say("alarm.none")));
    parts.push(el("p", { class: "quiet" }, say("alarm.news", { n: alarms.news(now()) })));
    return parts;
  }

  #line(alarm, again) {
    const { say, times, alarms, now, onSee, onOpen } = this.context;
    const name = alarm.outage ? el("button", { type: "button", class: "plain what", onclick: () => onOpen(alarm.outage) }, this.words(alarm)) : el("span", { class: "what" }, this.words(alarm));
    const shelf = el("form", { hidden: true }, el("input", { name: "reason", placeholder: say("ask.reason.must"), "aria-label": say("ask.reason.must"), required: true }),
      el("input", { name: "minutes", type: "number", min: 1, max: 60, value: 15, "aria-label": say("alarm.minutes") }), el("button", {}, say("alarm.shelve")));
    shelf.addEventListener("submit", (event) => {
      event.preventDefault();
      again(() => alarms.shelve(alarm.id, Number(shelf.elements.minutes.value), shelf.elements.reason.value, now()))();
    });
    return el("li", {}, el("span", { class: `level level-${alarm.level}` }, `P${alarm.level}`), name, el("time", { class: "quiet" }, times.time(alarm.at)),
      el("button", { type: "button", onclick: again(() => onSee(alarm)) }, say("alarm.see")),
      el("button", { type: "button", onclick: () => { shelf.hidden = !shelf.hidden; shelf.elements.reason.focus(); } }, say("alarm.shelve")), shelf);
  }
}
