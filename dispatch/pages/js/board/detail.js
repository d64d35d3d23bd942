/** One outage in full: verdict, evidence for and against, crew, timeline, steps, calls, notices. */

import { byId, el } from "../dom.js";
import { mark } from "../marks.js";
import { LADDER, RUNNING, markOf, noticedIn } from "./model.js";
import { sides, sentence } from "./evidence.js";
import { findingKind } from "./pool.js";
import { finding, whyNot } from "./refused.js";
import { causeOf, crewName, probability } from "./rows.js";
import { timeline } from "./timeline.js";

const KEY = / [a-z]$/; // of its key, behind the name of an action
const NOTICED_MAX = 50;
const LATE_MS = 60_000; // a fact that came later than this shows both of its times

/** How sure, in a word that is never "certain". */
function device(outage, say) {
  return `${say(`device.${outage.device_kind}`)} ${outage.device_id}`;
}

/**
 * Draw the detail.  @param {{outage: any, detail: any, decisions: any[], calls: any[],
 *   notices: any, crews: any[]}} seen @param {any} context
 */
export function drawDetail(seen, context) {
  const { outage } = seen;
  const box = byId("detail");
  const scroll = box.scrollTop;
  const held = box.contains(document.activeElement) ? document.activeElement.id : "";
  box.replaceChildren(el("div", { class: "detail" },
    head(outage, context), evidence(outage, context), noticed(outage, context), work(outage, seen, context),
    times(seen, context), steps(seen, context), calls(seen, context), notices(seen, context)));
  box.scrollTop = scroll;
  if (held && held !== "detail") byId(held)?.focus({ preventScroll: true });
}

function head(outage, { say, times: t, now, actions, close, open }) {
  const running = RUNNING.has(outage.state);
  const words = say(running ? "verdict.text" : outage.state === "rejected" ? "verdict.none" : "verdict.over", {
    device: device(outage, say), n: t.count(running ? outage.customers_out : outage.customers_affected),
  });
  return el("div", { class: "detail-head" },
    el("div", { class: "line" },
      el("h2", {}, mark(markOf(outage, now)), say(`state.${outage.state}`), el("span", { class: "quiet" }, outage.id)),
      el("span", { class: "room" }),
      el("button", { id: "detail-close", type: "button", class: "plain", "aria-label": say("detail.close"), title: say("detail.close"), onclick: close }, "✕")),
    el("p", { class: "verdict" }, el("b", {}, words), " · ", say("verdict.p", { p: probability(outage.probability) }),
      " · ", say(`kind.${outage.kind}`), " · ", causeOf(outage.cause, say)),
    outage.parent_id ? el("p", {}, say("detail.parent"), " ", el("button", { id: "detail-parent", type: "button", class: "plain linked", onclick: () => open(outage.parent_id) }, outage.parent_id)) : null,
    outage.acknowledged ? el("p", { class: "quiet" }, say("detail.seen", { by: outage.acknowledged.by, at: t.when(outage.acknowledged.at, now) })) : null,
    actions(outage));
}

function evidence(outage, { say, times: t }) {
  const found = sides(outage);
  const list = (lines) => el("ul", {}, ...lines.map((line) => el("li", {}, sentence(line, say, t))));
  return el("section", { class: "sides" },
    el("div", { class: "for" }, el("h3", {}, say("for.title")), list([...found.for, ...found.aside])),
    el("div", { class: "against" }, el("h3", {}, say("against.title")),
      found.against.length ? list(found.against) : el("p", { class: "quiet" }, say("against.none"))));
}

/** What was noticed at it or below and is no outage of its own, and why. */
function noticed(outage, { say, times: t, now, model }) {
  const found = noticedIn(model, outage).slice(0, NOTICED_MAX);
  if (!found.length) return null;
  return el("section", {}, el("h3", {}, say("detail.noticed")), el("ul", { class: "rows" }, ...found.map((f) => el("li", {},
    `${t.when(f.since, now)}${f.until ? ` – ${t.when(f.until, now)}` : ""} · ${findingKind(f.kind, say)} ${f.device_id}`,
    el("span", { class: "quiet" }, ` · ${finding(f.reason, t.language)}`)))));
}

function work(outage, { crews }, { say, times: t, now }) {
  const reached = new Map((outage.progress ?? []).map((p) => [p.stage, p.at]));
  const name = crewName(outage.crew, crews);
  const etr = outage.etr && RUNNING.has(outage.state)
    ? `${say("col.etr")}${t.colon}${outage.etr.earliest ? t.between(outage.etr.earliest, outage.etr.at, now) : t.when(outage.etr.at, now)} · ${say(`etr.${outage.etr.source}`)}`
    : `${say("col.etr")}${t.colon}${say("etr.none")}`;
  return el("section", {},
    el("h3", {}, say("crew"), name ? ` · ${name}` : ""),
    name ? null : el("p", { class: "quiet" }, say("crew.none")),
    el("ol", { class: "ladder" }, ...LADDER.map((stage) => el("li", { class: reached.has(stage) ? "done" : null },
      say(`stage.${stage}`), el("br"), reached.has(stage) ? t.time(reached.get(stage)) : "–"))),
    RUNNING.has(outage.state) ? el("p", {}, etr) : null);
}

function times(seen, { say, times: t, now }) {
  const lines = seen.detail ? timeline(seen.detail, seen.decisions) : [];
  return el("section", { id: "timeline", tabindex: -1 }, el("h3", {}, say("timeline")),
    seen.detail ? el("ol", { class: "timeline" }, ...lines.map((line) => lineOf(line, seen, { say, t, now })))
      : el("p", { class: "quiet" }, say("detail.wait")));
}

function lineOf(line, seen, { say, t, now }) {
  const words = wordsOf(line, seen, { say, t, now });
  const late = line.receivedAt && Date.parse(line.receivedAt) - Date.parse(line.at) > LATE_MS;
  return el("li", { class: `${line.kind}-line` },
    el("time", { datetime: line.at }, line.since ? `${t.seconds(line.since)} –${t.seconds(line.at)}` : t.seconds(line.at)),
    el("span", { class: "kind" }, say(`timeline.${line.kind}`)),
    el("div", {}, el("p", {}, words.text), words.under ? el("p", { class: "under" }, words.under) : null,
      late ? el("p", { class: "under" }, say("late.received", { at: t.seconds(line.receivedAt) })) : null));
}

function wordsOf(line, seen, { say, t, now }) {
  if (line.kind === "action") {
    const what = !line.action ? line.text : line.refused ? say(`act.${line.action}`).replace(KEY, "") : say(`did.${line.action}`);
    const more = [line.by, line.reason, line.refused ? say("decision.refused", { why: whyNot(line.refused, say, t.language) }) : ""].filter(Boolean);
    if (line.asked) return { text: say("did.asked", { n: line.asked }), under: more.join(" · ") };
    return { text: line.etr ? `${what}${t.colon}${t.when(line.etr, now)}` : what, under: more.join(" · ") };
  }
  if (line.kind === "evidence") return { text: line.lines.map((l) => sentence(l, say, t)).join(t.language === "zh" ? "；" : "; ") };
  const o = line.outage;
  const against = line.against.map((l) => sentence(l, say, t)).join(t.language === "zh" ? "；" : "; ");
  return {
    text: `${say(`state.${o.state}`)} · ${device(o, say)} ${probability(o.probability)} · ${t.count(o.customers_out)}/${t.count(o.customers_affected)}`,
    under: [line.reasons.map((l) => sentence(l, say, t)).join(t.language === "zh" ? "；" : "; "), against ? `${say("against")}${t.colon}${against}` : ""].filter(Boolean).join(" · "),
  };
}

function steps({ detail }, { say, times: t, now }) {
  if (detail && !detail.steps.length) return null;
  return el("section", {}, el("h3", {}, say("steps")), el("ul", { class: "rows" },
    ...(detail?.steps ?? []).map((step) => el("li", {}, say(step.on_at ? "step.on" : "step.out", {
      off: t.when(step.off_at, now), on: step.on_at ? t.when(step.on_at, now) : "", n: t.count(step.customers.length),
    }), step.inferred ? el("span", { class: "quiet" }, ` · ${say("step.inferred")}`) : null))));
}

function calls({ calls: list }, { say, times: t, now }) {
  return el("section", {}, el("h3", {}, `${say("calls")} ${list.length || ""}`),
    list.length ? el("ul", { class: "rows" }, ...list.slice(0, 50).map((call) => el("li", {},
      `${t.when(call.at, now)} · ${call.customer_id} · ${say(`call.${call.kind}`)}`, call.text ? ` · “${call.text}”` : "")))
      : el("p", { class: "quiet" }, say("calls.none")));
}

/** Who was told what, or why not: a line for each decision, and what became of the texts. */
function notices({ notices: found }, { say, times: t, now }) {
  const word = (key, other) => { const said = say(key); return said.startsWith("[") ? other : said; };
  const decided = found?.decisions ?? [];
  const states = {};
  for (const notice of found?.notices ?? []) states[notice.state] = (states[notice.state] ?? 0) + 1;
  const sum = Object.entries(states).map(([state, n]) => `${word(`notice.state.${state}`, state)} ${t.count(n)}`).join(" · ");
  return el("section", {}, el("h3", {}, say("notices")), sum ? el("p", {}, sum) : null,
    decided.length ? el("ul", { class: "rows" }, ...decided.slice(-50).reverse().map((one) => el("li", {},
      `${t.when(one.at, now)} · ${word(`notice.${one.phase}`, one.phase)} · ${say(one.send ? "notice.sent" : "notice.held", { n: t.count(one.customers) })}`,
      el("span", { class: "quiet" }, ` · ${word(`notice.why.${one.reason}`, one.reason)}`))))
      : sum ? null : el("p", { class: "quiet" }, say("notices.none")));
}
