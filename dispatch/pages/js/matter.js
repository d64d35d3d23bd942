/** What people decide by, and the causes that everybody has words for.  Pure. */

export const CAUSES = ["cable_fault", "line_fault", "transformer_fault", "switchgear_fault", "fuse_blown", "overload",
  "third_party", "vehicle", "tree", "animal", "lightning", "wind", "flood", "customer_side", "upstream", "unknown"];

/** As long as this is the same, the outage is as they saw it, whatever its version. */
export function matter(outage) {
  const { state, device_id, kind, cause, crew, stage, acknowledged, etr } = outage;
  return JSON.stringify([state, device_id, kind, cause, crew, stage, acknowledged?.by ?? null, etr?.at ?? null]);
}
