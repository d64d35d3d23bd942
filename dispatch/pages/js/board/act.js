/** What a dispatcher does: forms, what the service answered, and undo. */

import { byId, el } from "../dom.js";
import { decide, moved } from "../decide.js";
import { CAUSES, NEXT } from "../matter.js";
import { Answer, SignedOut, ask } from "../session.js";
import { instant, wall } from "../times.js";
import { ENDED, RUNNING } from "./model.js";
import { whyNot } from "./refused.js";

const HOUR = 3_600_000;

/** The form of each action: which fields it asks for; none at all is done at once. */
const FORMS = {
  acknowledge: [], en_route: [], on_site: [], repaired: [], verify: [], ping: [], close: [],
  confirm: ["reason"], reject: ["reason"], relocate: ["device", "reason"], split: ["device", "reason"],
  merge: ["other", "reason"], cause: ["cause"], etr: ["window", "reason"], assign: ["crew"], note: ["note"],
};

/** The actions that make sense for an outage now: those at hand, and the rest. */
export function actionsOf(outage) {
  if (ENDED.has(outage.state)) return { near: [], more: [] };
  const running = RUNNING.has(outage.state);
  const near = [];
  if (!outage.acknowledged) near.push("acknowledge");
  if (running) {
    const next = NEXT[outage.stage];
    if (next) near.push(next);
    near.push("assign", "etr");
  }
  if (!running && outage.stage !== "verified") near.push("verify");
  if (!running) near.push("close");
  near.push("note");
  const more = running
    ? [...(outage.state === "confirmed" || outage.state === "partially_restored" ? [] : ["confirm"]), "reject", "cause", "relocate", "split", "merge", "en_route", "on_site", "repaired", "ping"].filter((a) => !near.includes(a))
    : ["cause", "ping"];
  return { near, more };
}

export class Acts {
  /** @param {any} context say, times, model, live(), onChanged(), onSignedOut() */
  constructor(context) {
    this.context = context;
  }

  /** Do something about an outage: ask for what it needs, then tell the service. */
  async act(action, outage) {
    const { say, live } = this.context;
    if (!outage) return;
    if (!live()) return this.toast(say("said.stale"));
    const fields = FORMS[action];
    const body = fields.length ? await this.#form(say(`act.${action}`).replace(/ [a-z]$/, ""), fields, outage) : {};
    if (body === null) return;
    await this.send(outage.id, { version: this.context.model.outages.get(outage.id)?.version ?? outage.version, action, ...body });
  }

  /** Tell the service of a decision; what became of it is shown, and can be undone until told. */
  async send(id, body) {
    const { say, model, onChanged } = this.context;
    try {
      const done = await decide(id, body, model.outages.get(id));
      if (done.outage) { model.put(done.outage); onChanged(done.outage); }
      const words = say("said.done", { what: say(`did.${body.action}`) });
      const undo = ["undo", "note", "ping"].includes(body.action) || !done.outage ? null
        : () => this.send(id, { version: model.outages.get(id)?.version ?? done.outage.version, action: "undo", decision: done.decision.id });
      this.toast(words, undo);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error) {
    const { model, onChanged, onSignedOut, say, times } = this.context;
    if (error instanceof SignedOut) return onSignedOut();
    if (!(error instanceof Answer)) return this.toast(say("said.away"));
    if (error.status === 409 && error.body.outage) {
      model.put(error.body.outage);
      onChanged(error.body.outage);
    }
    return this.toast(say(moved(error) ? "said.conflict" : "said.refused", { why: whyNot(error.message, say, times.language, error.body.code) }));
  }

  /** Enter a call. */
  async call() {
    const { say } = this.context;
    const body = await this.#form(say("enter.call"), ["who", "call", "words"]);
    if (body) await this.#enter("/api/calls", body, say("entered.call", { who: body.customer_id ?? body.phone }));
  }

  /** Enter planned work. */
  async plan() {
    const { say } = this.context;
    const body = await this.#form(say("enter.plan"), ["planned", "device", "span", "plan-reason"]);
    if (body) await this.#enter("/api/planned", body, say("entered.plan", { device: body.device_id }));
  }

  async #enter(path, body, words) {
    if (!this.context.live()) return this.toast(this.context.say("said.stale"));
    try {
      await ask(path, { method: "POST", body });
      this.toast(words);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A few words at the foot, with a way back where there is one. */
  toast(words, undo = null) {
    const box = byId("toast");
    clearTimeout(this.timer);
    box.hidden = false;
    box.replaceChildren(el("span", {}, words));
    byId("polite").textContent = words;
    if (undo) {
      box.append(el("button", { type: "button", onclick: () => { box.hidden = true; undo(); } }, this.context.say("said.undo")));
    }
    this.timer = setTimeout(() => { if (!box.contains(document.activeElement)) box.hidden = true; }, undo ? 12_000 : 6_000);
  }

  /** A form as a dialog; what was filled in as a body, or null. */
  #form(title, fields, outage) {
    const dialog = byId("dialog");
    const { say } = this.context;
    const back = document.activeElement;
    const made = fields.map((name) => this.#field(name, outage));
    const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
    const form = el("form", { method: "dialog", novalidate: true },
      el("h2", { id: "dialog-title" }, title), ...made.map((m) => m.node), wrong,
      el("div", { class: "end" }, el("button", { type: "button", value: "no", onclick: () => dialog.close() }, say("ask.cancel")),
        el("button", { type: "submit", class: "main" }, say("ask.go"))));
    dialog.setAttribute("aria-labelledby", "dialog-title");
    dialog.replaceChildren(form);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    dialog.showModal();
    form.querySelector("input, select, textarea")?.focus();
    return new Promise((resolve) => {
      let body = null;
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const missing = [...form.elements].find((e) => e.required && !e.value.trim());
        if (missing) { missing.focus(); missing.setAttribute("aria-invalid", "true"); return; }
        try {
          body = Object.assign({}, ...(await Promise.all(made.map((m) => m.read()))));
          dialog.close();
        } catch (error) {
          wrong.hidden = false;
          wrong.textContent = error.message;
        }
      });
      dialog.addEventListener("close", () => {
        resolve(body);
        if (back?.isConnected) back.focus({ preventScroll: true });
        else this.context.backToRow();
      }, { once: true });
    });
  }

  #field(name, outage) {
    const { say } = this.context;
    const label = (words, field) => el("label", {}, el("span", {}, words), field);
    const one = (key, words, attributes = {}, kind = "input") => {
      const field = el(kind, attributes);
      return { node: label(words, field), read: () => (field.value.trim() ? { [key]: field.value.trim() } : {}) };
    };
    switch (name) {
      case "reason": return one("reason", say("ask.reason.must"), { required: true, maxlength: 500, rows: 2 }, "textarea");
      case "note": return one("reason", say("ask.note"), { required: true, maxlength: 500, rows: 3 }, "textarea");
      case "plan-reason": return one("reason", say("plan.reason"), { maxlength: 500 });
      case "device": return one("device_id", say("ask.device"), { required: true, value: outage?.device_id ?? "" });
      case "other": return one("other_id", say("ask.other"), { required: true });
      case "words": return one("text", say("call.text"), { maxlength: 500, rows: 2 }, "textarea");
      case "who": return this.#who(label);
      case "crew": return this.#crew(label);
      case "window": return this.#window(label, outage);
      case "span": return this.#span(label);
      default: return this.#choice(name, label);
    }
  }

  #choice(name, label) {
    const { say } = this.context;
    const [key, words, values] = {
      cause: ["cause", say("ask.cause"), CAUSES.map((c) => [c, say(`cause.${c}`)])],
      call: ["kind", say("call.kind"), ["no_power", "partial", "restored"].map((c) => [c, say(`call.${c}`)])],
      planned: ["kind", say("plan.kind"), ["planned", "temporary", "arrears", "curtailment"].map((c) => [c, say(`kind.${c}`)])],
    }[name];
    const field = el("select", {}, ...values.map(([value, word]) => el("option", { value }, word)));
    return { node: label(words, field), read: () => ({ [key]: field.value }) };
  }

  #who(label) {
    const field = el("input", { required: true });
    return { node: label(this.context.say("call.who"), field),
      read: () => (/^[0-9+() .-]{5,}$/.test(field.value.trim()) ? { phone: field.value.trim() } : { customer_id: field.value.trim() }) };
  }

  #crew(label) {
    const { say, model } = this.context;
    const crews = model.crews.filter((c) => c.active).sort((a, b) => a.busy - b.busy);
    const field = el("select", {}, ...crews.map((c) => el("option", { value: c.id }, `${c.name} · ${say(c.busy ? "ask.busy" : "ask.free")}`)));
    const fresh = el("input", { maxlength: 60 });
    const node = el("div", { class: "pair" }, crews.length ? label(say("ask.crew"), field) : el("p", { class: "quiet" }, say("ask.crew.none")), label(say("ask.crew.new"), fresh));
    const read = async () => {
      if (!fresh.value.trim()) {
        if (!crews.length) throw new Error(say("ask.crew.none"));
        return { crew: field.value };
      }
      const body = { id: fresh.value.trim(), name: fresh.value.trim(), district: this.context.session.district };
      const made = await ask("/api/crews", { method: "POST", body });
      model.crews.push(made);
      return { crew: made.id };
    };
    return { node, read };
  }

  /** An estimate is a window on the site's clock, never a minute. */
  #window(label, outage) {
    const { say, times, now } = this.context;
    const [from, to] = [el("input", { type: "datetime-local", step: 900 }), el("input", { type: "datetime-local", step: 900, required: true })];
    const set = (start, end) => { from.value = wall(start, times.zone); to.value = wall(end, times.zone); };
    const round = (ms) => Math.ceil(ms / (HOUR / 4)) * (HOUR / 4);
    if (outage?.etr && Date.parse(outage.etr.at) > now()) set(Date.parse(outage.etr.earliest ?? outage.etr.at), Date.parse(outage.etr.at));
    else set(round(now() + HOUR), round(now() + 2 * HOUR));
    const quick = [1, 2, 4].map((n) => el("button", { type: "button", onclick: () => set(round(now() + (n - 0.5) * HOUR), round(now() + n * HOUR)) }, say("ask.hours", { n })));
    const node = el("fieldset", {}, el("legend", {}, say("ask.window", { zone: times.zone })), el("div", { class: "quick" }, ...quick),
      el("div", { class: "pair" }, label(say("ask.from"), from), label(say("ask.to"), to)));
    return { node, read: () => ({ at: instant(to.value, times.zone), ...(from.value ? { earliest: instant(from.value, times.zone) } : {}) }) };
  }

  #span(label) {
    const { say, times, now } = this.context;
    const day = Math.ceil((now() + 24 * HOUR) / HOUR) * HOUR;
    const [from, to] = [el("input", { type: "datetime-local", required: true, value: wall(day, times.zone) }), el("input", { type: "datetime-local", required: true, value: wall(day + 8 * HOUR, times.zone) })];
    return { node: el("div", { class: "pair" }, label(`${say("plan.from")} (${times.zone})`, from), label(say("plan.to"), to)),
      read: () => ({ from: instant(from.value, times.zone), to: instant(to.value, times.zone) }) };
  }
}
