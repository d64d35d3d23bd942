/** The header, the figures, the stale slot: how things stand, and how old that is. */

import { attribute, byId, el, text } from "../dom.js";
import { mark } from "../marks.js";
import { figures, oldest } from "./model.js";

const OLD_MS = 120_000;
const SHOWN = [["confirmed", "out"], ["partially_restored", "partly"], ["predicted", "predicted"], ["verify", "predicted"], ["restored", "restored"]];

/** The clock, the zone, the link and the oldest source. */
export function drawHead({ say, times, now, session, link, model, heardAt }) {
  const place = session.site || "";
  text(byId("title"), `Lastgasp ${place}`.trim());
  text(byId("zone"), session.district ? `${say("zone")} ${session.district}` : say("zone.all"));
  text(byId("clock"), `${times.day(now)} ${times.seconds(now)} ${times.zone.split("/").pop().replaceAll("_", " ")}`);
  const word = say(`link.${link.state}`);
  text(byId("link"), word);
  attribute(byId("link"), "data-state", link.state);
  const old = oldest(model.sources);
  text(byId("oldest"), old ? `${say("age.oldest")} ${say(`age.${old.name}`)} ${times.age(old.ms)}` : say("age.none"));
  byId("oldest").classList.toggle("old", old !== null && old.ms > OLD_MS);
  stale({ say, times, link, heardAt });
}

function stale({ say, times, link, heardAt }) {
  const lost = link.state === "lost";
  document.body.classList.toggle("lost", lost);
  const at = times.seconds(heardAt);
  text(byId("slot"), !lost ? "" : link.retryAt ? say("stale.retry", { at, retry: times.seconds(link.retryAt) }) : say("stale", { at }));
}

/** The figures, in boxes that never change their size. */
export function drawFigures({ say, times, now, model, before }) {
  const found = figures(model, now);
  const box = byId("figures");
  if (!box.children.length) {
    box.setAttribute("aria-label", say("fig.states"));
    for (const name of ["dark", "states", "key", "crews", "overdue", "silent"]) {
      box.append(el("dl", { class: `figure${name === "states" ? " wide" : ""}`, id: `fig-${name}` },
        el("dt", {}, say(`fig.${name}`)), el("dd", { class: name === "states" ? "value small" : "value" }), el("dd", { class: "under" })));
    }
  }
  const set = (name, value, under = "") => {
    const [, big, small] = byId(`fig-${name}`).children;
    text(big, value);
    text(small, under);
  };
  set("dark", times.count(found.dark), change(found.dark, before, { say, times }));
  set("key", times.count(found.key));
  set("crews", `${found.free}/${found.busy}`);
  set("overdue", times.count(found.overdue));
  set("silent", found.silent === null ? "–" : times.count(found.silent), found.customers === null ? "" : say("fig.of", { n: times.count(found.customers) }));
  states(byId("fig-states").children[1], found.by, { say, times });
  return found;
}

function change(dark, before, { say, times }) {
  if (before === null) return "";
  const by = dark - before;
  return by === 0 ? say("fig.same") : say("fig.change", { n: `${by > 0 ? "▲ +" : "▼ −"}${times.count(Math.abs(by))}` });
}

function states(box, by, { say, times }) {
  const wanted = SHOWN.map(([state]) => by[state] ?? 0).join();
  if (box.dataset.said === wanted) return;
  box.dataset.said = wanted;
  box.replaceChildren(...SHOWN.map(([state, name]) => el("span", {}, mark(name), `${say(`state.${state}`)} `, el("b", {}, times.count(by[state] ?? 0)))));
}
