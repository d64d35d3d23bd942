/** Telling the service of a decision: one way for the board and a crew's page. */

import { matter } from "./matter.js";
import { ask } from "./session.js";

const AGAIN = 5; // times that a decision is told of a newer version

/**
 * Tell the service of a decision about an outage; what it answers.
 * While meters come back an outage changes every second: as long as nothing that a person decides
 * by is another one than in `seen`, the decision is told again of the newer version.
 * @param {string} id @param {any} body with the version that was seen @param {any} seen the outage
 * @param {() => string} [rename] a new name for a decision that has one: the old one was answered
 */
export async function decide(id, body, seen, rename = () => body.id) {
  let told = body;
  for (let again = AGAIN; ; again -= 1) {
    try {
      return await ask(`/api/outages/${encodeURIComponent(id)}/actions`, { method: "POST", body: told });
    } catch (error) {
      const now = moved(error) ? error.body.outage : null;
      if (!again || !now || !seen || told.version >= now.version || matter(seen) !== matter(now)) throw error;
      told = { ...told, version: now.version, ...(told.id === undefined ? {} : { id: rename() }) };
    }
  }
}

/**
 * Whether somebody changed the outage meanwhile, so that one has to look again.  Else the service
 * says why it takes no such decision, and that is what a person has to read, however often it was told.
 */
export function moved(error) {
  return error.status === 409 && error.body?.code === "stale_version";
}
