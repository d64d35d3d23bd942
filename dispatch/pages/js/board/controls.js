/** The board's switches: filters, tabs, language, theme, and what else is pressed by the mouse. */

import { attribute, byId, el, text } from "../dom.js";
import { choose, keep, kept, language } from "../i18n.js";
import { mark } from "../marks.js";
import { TABS, write } from "./filters.js";
import { help } from "./keys.js";

/** Give every control of the page its work, once.  @param {any} board */
export function wireControls(board) {
  const { say } = board;
  const on = (id, event, work) => byId(id).addEventListener(event, work);
  on("enter-call", "click", () => board.acts.call());
  on("enter-plan", "click", () => board.acts.plan());
  on("help-button", "click", () => help(say));
  on("new-button", "click", () => board.list.refresh(true));
  on("map-fit", "click", () => board.map.fit());
  on("tree-button", "click", () => board.showTree(byId("tree").hidden));
  on("f-text", "input", () => board.filter({ text: byId("f-text").value }));
  on("f-text", "keydown", (event) => { if (event.key === "Enter") board.list.focus(); });
  for (const name of ["state", "feeder", "district", "crew"]) on(`f-${name}`, "change", () => board.filter({ [name]: byId(`f-${name}`).value }));
  for (const name of ["overdue", "mine", "group"]) on(`f-${name}`, "click", () => board.filter({ [name]: !board.filters[name] }));
  byId("f-text").value = board.filters.text;
  const other = language() === "zh" ? "en" : "zh";
  text(byId("language"), other === "en" ? "EN" : "中文");
  byId("language").lang = other === "en" ? "en" : "zh-CN";
  on("language", "click", () => { choose(other); location.search = write(board.filters, location.search); location.reload(); });
  theme(say, () => board.map.recolour());
  tabs(board);
  byId("legend").replaceChildren(...["out", "partly", "predicted", "planned", "unknown"].map((name) => el("li", {}, mark(name), say(`legend.${name}`))));
}

function theme(say, recolour) {
  const button = byId("theme");
  const label = () => {
    const now = kept("theme") || "auto";
    text(button, say(`theme.${now}`));
    button.setAttribute("aria-label", `${say("theme.label")}: ${say(`theme.${now}`)}`);
  };
  button.addEventListener("click", () => {
    const next = { auto: "dark", dark: "light", light: "auto" }[kept("theme") || "auto"];
    keep("theme", next === "auto" ? "" : next);
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    label();
    recolour();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  label();
}

function tabs(board) {
  const box = byId("tabs");
  box.replaceChildren(...TABS.map((name) => el("button", { type: "button", role: "tab", "data-tab": name, id: `tab-${name}`, "aria-controls": "list", onclick: () => board.tab(name) },
    board.say(`tab.${name}`), el("span", { class: "count" }))));
  box.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(board.filters.tab) + by + TABS.length) % TABS.length];
    board.tab(next);
    byId(`tab-${next}`).focus();
  });
}

/** Which tab is chosen and how many each has, and which switches are on. */
export function drawTabs({ filters, model }, all) {
  for (const name of TABS) {
    const tab = byId(`tab-${name}`);
    const chosen = filters.tab === name;
    attribute(tab, "aria-selected", String(chosen));
    attribute(tab, "tabindex", chosen ? 0 : -1);
    const count = name === "all" ? all.length : name === "suppressed" ? [...model.findings.values()].filter((f) => !f.until).length : all.filter((o) => o.kind === name).length;
    text(tab.querySelector(".count"), count ? String(count) : "");
  }
  for (const name of ["overdue", "mine", "group"]) attribute(byId(`f-${name}`), "aria-pressed", String(filters[name]));
}

/** What the filters can be set to: what there is, and what is chosen. */
export function drawOptions({ say, model, filters }, all) {
  const set = (name, values, word) => {
    const select = byId(`f-${name}`);
    const wanted = [...new Set([...values, filters[name]].filter(Boolean))].sort();
    if (select.dataset.said === wanted.join("|") + wanted.map(word).join("|") || select === document.activeElement) return;
    select.dataset.said = wanted.join("|") + wanted.map(word).join("|");
    select.replaceChildren(el("option", { value: "" }, say(`filter.${name}`)), ...wanted.map((v) => el("option", { value: v }, word(v))));
    select.value = filters[name];
  };
  set("state", all.map((o) => o.state), (v) => say(`state.${v}`));
  set("feeder", all.map((o) => o.feeder_id), (v) => v);
  set("district", all.flatMap((o) => o.districts), (v) => v);
  set("crew", model.crews.map((c) => c.id), (v) => model.crews.find((c) => c.id === v)?.name ?? v);
}
