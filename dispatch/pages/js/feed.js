/**
 * A feed that resumes (docs/feeds.md): the socket, kept up over broken connections.
 *
 * It needs nothing but a WebSocket: browsers have one, Node 22 too, and older ones the package ws.
 * It tells of `snapshot`s, `pub`s and its own `link`: "live", "catching_up" or "lost" with the time
 * of the next try.  Nothing is told twice and nothing is left out: what has a gap is asked for again.
 */

const FIRST_MS = 1_000;
const LAST_MS = 30_000;
const RENEW_EARLY = 0.75; // of a token's life
const TERMINAL = new Set([4400, 4403, 4406, 4413]);
const TOKEN_OVER = new Set([4401, 4410]);

export class Feed {
  /**
   * @param {{url: string, channel: string, token: () => Promise<{token: string, expires_at: string}>,
   *   onSnapshot: (data: any) => void, onPub: (pub: any) => void,
   *   onLink: (link: {state: string, retryAt?: number, reason?: string}) => void,
   *   onSignedOut: () => void}} what
   */
  constructor(what) {
    this.what = what;
    this.since = null;
    this.channel = what.channel;
    this.tries = 0;
    this.heard = 0;
    this.heartbeatMs = 25_000;
    this.socket = null;
    this.stopped = false;
    this.timers = { retry: 0, renew: 0 };
    this.watch = setInterval(() => this.#look(), 1_000);
  }

  /** Connect now; harmless when connected. */
  async start() {
    clearTimeout(this.timers.retry);
    if (this.socket || this.stopped) return;
    let given;
    try {
      given = await this.what.token();
    } catch (error) {
      if (error?.status === 401) {
        this.what.onLink({ state: "lost", reason: "signed_out" });
        this.what.onSignedOut();
        return;
      }
      this.#again();
      return;
    }
    if (!this.socket && !this.stopped) this.#open(given);
  }

  /** Close for good. */
  stop() {
    this.stopped = true;
    clearInterval(this.watch);
    clearTimeout(this.timers.retry);
    clearTimeout(this.timers.renew);
    this.socket?.close();
  }

  /** A person has seen everything so far; said once of each position. */
  seen() {
    if (!this.since || this.since.offset === this.acked) return;
    this.acked = this.since.offset;
    this.#say({ op: "ack", channel: this.channel, offset: this.acked });
  }

  #open(given) {
    const socket = new WebSocket(this.what.url);
    this.socket = socket;
    this.heard = Date.now();
    socket.onopen = () => {
      this.#say({ op: "auth", token: given.token });
      this.#say({ op: "subscribe", channel: this.what.channel, since: this.since });
      this.#renewBefore(given.expires_at);
    };
    socket.onmessage = (event) => {
      this.heard = Date.now();
      if (socket === this.socket) this.#hear(JSON.parse(event.data));
    };
    socket.onerror = () => {}; // what follows it says more
    socket.onclose = (event) => {
      if (socket === this.socket) this.#closed(event);
    };
  }

  #hear(said) {
    switch (said.op) {
      case "hello":
        this.heartbeatMs = said.heartbeat_s * 1000;
        break;
      case "subscribed":
        this.channel = said.channel;
        this.tries = 0;
        this.since = { epoch: said.epoch, offset: said.offset };
        this.acked = undefined;
        if (!said.recovered) this.what.onSnapshot(said.snapshot);
        this.top = said.top;
        this.#report();
        break;
      case "pub":
        this.#pub(said);
        break;
      case "pos":
        if (this.since && (said.epoch !== this.since.epoch || said.offset > this.since.offset)) this.#resubscribe();
        break;
      case "ping":
        this.#say({ op: "pong", id: said.id });
        break;
    }
  }

  #pub(said) {
    if (this.since && said.offset <= this.since.offset) return;
    if (this.since && said.offset !== this.since.offset + 1 + (said.skipped || 0)) {
      this.#resubscribe();
      return;
    }
    this.since = { epoch: said.epoch, offset: said.offset };
    this.what.onPub(said);
    this.#report();
  }

  #report() {
    const behind = this.since && this.top !== undefined && this.since.offset < this.top;
    const state = behind ? "catching_up" : "live";
    if (state !== this.state) this.what.onLink({ state });
    this.state = state;
  }

  #resubscribe() {
    this.#say({ op: "unsubscribe", channel: this.channel });
    this.#say({ op: "subscribe", channel: this.what.channel, since: this.since });
  }

  async #renew() {
    try {
      const given = await this.what.token();
      this.#say({ op: "refresh", token: given.token });
      this.#renewBefore(given.expires_at);
    } catch (error) {
      if (error?.status === 401) this.what.onSignedOut();
      else this.timers.renew = setTimeout(() => this.#renew(), FIRST_MS * 5);
    }
  }

  #renewBefore(expiresAt) {
    clearTimeout(this.timers.renew);
    const left = Math.max(1_000, (Date.parse(expiresAt) - Date.now()) * RENEW_EARLY);
    this.timers.renew = setTimeout(() => this.#renew(), Math.min(left, 2 ** 31 - 1));
  }

  #closed(event) {
    this.socket = null;
    clearTimeout(this.timers.renew);
    if (this.stopped) return;
    let reason = {};
    try { reason = JSON.parse(event.reason); } catch { /* no close frame of ours */ }
    if (TERMINAL.has(event.code)) {
      this.state = "lost";
      this.what.onLink({ state: "lost", reason: reason.reason });
      return;
    }
    const fresh = TOKEN_OVER.has(event.code) && this.tries === 0; // a new token will do, once
    this.#again(fresh ? 0 : reason.retry_after_ms);
  }

  #again(afterMs) {
    this.socket = null;
    const limit = Math.min(LAST_MS, FIRST_MS * 2 ** this.tries);
    const wait = afterMs ?? limit * Math.random();
    this.tries += 1;
    this.state = "lost";
    this.what.onLink({ state: "lost", retryAt: Date.now() + wait });
    this.timers.retry = setTimeout(() => this.start(), Math.max(wait, 200));
  }

  /** Two heartbeats without a word: the line is dead, whatever the socket believes. */
  #look() {
    if (this.socket && Date.now() - this.heard > 2 * this.heartbeatMs + 2_000) {
      const socket = this.socket;
      this.#again();
      socket.onclose = null;
      socket.close();
    }
  }

  #say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
