/** What the live regions say: a polite summary at most every ten seconds, and P1 at once.  Pure. */

export const POLITE_MS = 10_000;

export class Teller {
  constructor() {
    this.saidAt = -POLITE_MS;
    this.counts = { begun: 0, restored: 0, changed: 0 };
  }

  /** A change happened: what kind of news it is. */
  note(before, outage) {
    if (!before) this.counts.begun += 1;
    else if (before.state !== outage.state && (outage.state === "restored" || outage.state === "closed")) this.counts.restored += 1;
    else this.counts.changed += 1;
  }

  /** The counts to be said now, or null while it is too early or there is nothing. */
  due(now) {
    const { begun, restored, changed } = this.counts;
    if (now - this.saidAt < POLITE_MS || begun + restored + changed === 0) return null;
    const said = { begun, restored, changed };
    this.saidAt = now;
    this.counts = { begun: 0, restored: 0, changed: 0 };
    return said;
  }
}
