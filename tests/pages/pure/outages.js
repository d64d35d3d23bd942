/** Outages and statuses as the API gives them, with what a test cares for changed. */
export const NOW = Date.parse("2026-07-31T08:42:00Z"); // 16:42 in Shanghai
export const at = (clock) => new Date(Date.parse(`2026-07-31T${clock}:00+08:00`)).toISOString();

export const outage = (changes = {}) => ({
  id: "S1-1", version: 1, state: "confirmed", kind: "fault", cause: null, device_id: "T1", device_kind: "transformer",
  feeder_id: "F1", districts: ["north"], phases: "ABC", probability: 0.97, started_at: at("15:00"), detected_at: at("15:01"),
  confirmed_at: at("16:30"), restored_at: null, customers_affected: 40, customers_out: 40, etr: null, evidence: [],
  parent_id: null, reasons: [], acknowledged: { at: at("15:02"), by: "anna" }, crew: "crew-1", stage: "assigned", progress: [], ...changes,
});

export const status = (changes = {}) => ({
  customer_id: "C1", power: "off", outage_id: "S1-1", state: "confirmed", kind: "fault", cause: null, off_at: at("15:00"), on_at: null,
  verified: true, etr: null, updated_at: at("16:40"), stage: "none", progress: [], detected_at: at("15:01"), confirmed_at: at("16:30"),
  homes: 420, homes_out: 100, ...changes,
});

export const premises = (changes = {}, more = {}) => ({
  status: status(changes), etr_before: null, heard_at: at("14:50"), silent: false, plan: null, calls: [], ...more,
});

export const on = (more = {}, changes = {}) => premises({ power: "on", outage_id: null, state: null, kind: null, off_at: null,
  detected_at: null, confirmed_at: null, homes: null, homes_out: null, ...changes }, { heard_at: at("16:05"), ...more });
