/** Filters of the list, kept in the address, so that a view can be sent to a colleague.  Pure. */

import { late } from "./order.js";

export const TABS = ["all", "fault", "planned", "temporary", "arrears", "curtailment",
  "customer_owned", "unknown", "suppressed"];
export const NONE = { tab: "all", state: "", feeder: "", district: "", crew: "", overdue: false,
  mine: false, text: "", group: false, open: "" };

/** The filters of an address's query; what makes no sense is left out. @param {string} search */
export function read(search) {
  const asked = new URLSearchParams(search);
  const found = { ...NONE };
  for (const name of ["state", "feeder", "district", "crew", "text", "open"]) found[name] = asked.get(name) ?? "";
  for (const name of ["overdue", "mine", "group"]) found[name] = asked.get(name) === "1";
  if (TABS.includes(asked.get("tab"))) found.tab = asked.get("tab");
  return found;
}

/** The query of filters: only what is set, and what else was in `search`. */
export function write(filters, search = "") {
  const asked = new URLSearchParams(search);
  for (const [name, value] of Object.entries(filters)) {
    if (value === NONE[name]) asked.delete(name);
    else asked.set(name, value === true ? "1" : value);
  }
  const text = asked.toString();
  return text ? `?${text}` : "";
}

/** Whether an outage passes. @param {any} outage @param {string} me the dispatcher's name */
export function passes(outage, filters, now, me) {
  const { tab, state, feeder, district, crew, text } = filters;
  if (tab !== "all" && outage.kind !== tab) return false;
  if (state && outage.state !== state) return false;
  if (feeder && outage.feeder_id !== feeder) return false;
  if (district && !outage.districts.includes(district)) return false;
  if (crew && outage.crew !== crew) return false;
  if (filters.overdue && !late(outage, now)) return false;
  if (filters.mine && outage.acknowledged?.by !== me) return false;
  return !text || haystack(outage).includes(text.toLowerCase());
}

function haystack(outage) {
  return [outage.id, outage.device_id, outage.feeder_id, outage.cause, outage.crew, ...outage.districts]
    .join(" ").toLowerCase();
}

/** How many of the filters beside the tab are set. */
export function setCount(filters) {
  return ["state", "feeder", "district", "crew", "overdue", "mine", "text"].filter((n) => filters[n]).length;
}
