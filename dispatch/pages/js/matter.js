/** What people decide by and do about it, and the causes that everybody has words for.  Pure. */

export const CAUSES = ["cable_fault", "line_fault", "transformer_fault", "switchgear_fault", "fuse_blown", "overload",
  "third_party", "vehicle", "tree", "animal", "lightning", "wind", "flood", "customer_side", "upstream", "unknown"];

/** The next step of the work, by the stage that it is at. */
export const NEXT = { assigned: "en_route", en_route: "on_site", on_site: "repaired", cause_found: "repaired" };

/** As long as this is the same, the outage is as they saw it, whatever its version. */
export function matter(outage) {
  const { state, device_id, kind, cause, crew, stage, acknowledged, etr } = outage;
  return JSON.stringify([state, device_id, kind, cause, crew, stage, acknowledged?.by ?? null, etr?.at ?? null]);
}
