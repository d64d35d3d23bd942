/** Keys for people who never touch the mouse.  They can be turned off (WCAG 2.1.4). */

import { byId, el } from "../dom.js";
import { keep, kept } from "../i18n.js";
import { TABS } from "./filters.js";

const REGIONS = ["head", "pool", "map-panel", "detail"];
const HELP = ["F6", "jk", "Enter", "Esc", "/", "a", "c", "e", "n", "p", "v", "d", "m", "t", "r", "19", "0", "?"];
const SHOWN = { jk: "j k", 19: "1–9" };

/** Whether a key belongs to a field and not to us. */
const typing = (target) => target.closest("input, select, textarea, dialog, [contenteditable]");

/** @param {any} board what the keys do, by name */
export function listen(board) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "F6") { event.preventDefault(); nextRegion(event.shiftKey ? -1 : 1); return; }
    if (event.key === "Escape" && !byId("dialog").open) { board.back(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const row = event.target.closest("tr[data-id]");
    const inList = row !== null || event.target === document.body || event.target.id === "pool";
    if (event.key === "ArrowDown" && inList) { event.preventDefault(); board.move(1); return; }
    if (event.key === "ArrowUp" && inList) { event.preventDefault(); board.move(-1); return; }
    if (event.key === "Enter" && row) { event.preventDefault(); board.open(row.dataset.id); return; }
    if (kept("keys") === "off" && event.key !== "?") return;
    const work = board.keys[event.key] ?? (/^[1-9]$/.test(event.key) ? () => board.tab(TABS[Number(event.key) - 1]) : null);
    if (work) { event.preventDefault(); work(); }
  });
}

function nextRegion(by) {
  const there = REGIONS.map(byId).filter((region) => !region.hidden && region.offsetParent !== null);
  const at = there.findIndex((region) => region.contains(document.activeElement));
  const next = there[(at + by + there.length) % there.length];
  const stop = next.querySelector('tr[tabindex="0"], button:not(:disabled), canvas, [tabindex="0"]') ?? next;
  stop.focus();
}

/** The list of keys, as a dialog. */
export function help(say) {
  const dialog = byId("dialog");
  const back = document.activeElement;
  const on = el("input", { type: "checkbox" });
  on.checked = kept("keys") !== "off";
  on.addEventListener("change", () => keep("keys", on.checked ? "on" : "off"));
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.replaceChildren(el("form", { method: "dialog" }, el("h2", { id: "dialog-title" }, say("help")),
    el("dl", {}, ...HELP.flatMap((key) => [el("dt", {}, el("kbd", {}, SHOWN[key] ?? key)), el("dd", {}, say(`k.${key}`))])),
    el("label", { class: "quick" }, on, say("help.keys")),
    el("div", { class: "end" }, el("button", { class: "main" }, say("help.close")))));
  dialog.showModal();
  dialog.addEventListener("close", () => back?.focus({ preventScroll: true }), { once: true });
}
