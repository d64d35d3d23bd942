/** Asking the service, signed in by the browser's cookie.  No token or code is ever kept here. */

/** What the service answered that is no success: a sentence for a person. */
export class Answer extends Error {
  /** @param {number} status @param {string} sentence @param {any} body */
  constructor(status, sentence, body) {
    super(sentence);
    this.status = status;
    this.body = body;
  }
}

/** No sign-in, or none any more. */
export class SignedOut extends Answer {}

/** The service cannot be reached. */
export class Away extends Error {}

const role = document.documentElement.dataset.as || "dispatcher";

/**
 * Ask; the answer's JSON.
 * @param {string} path @param {{method?: string, body?: any, as?: string, tag?: string}} [how]
 */
export async function ask(path, { method = "GET", body, as = role } = {}) {
  const headers = { "X-Lastgasp-As": as };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, credentials: "same-origin", cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Away("no answer");
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  if (answer.status === 401) throw new SignedOut(401, said.error || "", said);
  throw new Answer(answer.status, said.error || `HTTP ${answer.status}`, said);
}

/** The turns of one kind of question: its answers may overtake each other on their way. */
export class Turns {
  #asked = 0;
  #taken = 0;

  /** The turn of a question that is asked now. */
  ask() {
    return (this.#asked += 1);
  }

  /** Take the answer of a turn, unless a later one's was taken before: then false. @param {number} turn */
  take(turn) {
    if (turn < this.#taken) return false;
    this.#taken = turn;
    return true;
  }
}

/** Trade a one-time code for the cookie; who one is then. @param {string} code */
export function signIn(code) {
  const text = code.trim();
  return ask("/api/session", { method: "POST", body: { code: text.split("#code=").pop() } });
}

/** Who is signed in, and what the pages need to know of their place. @param {string} [as] */
export function session(as = role) {
  return ask("/api/session", { as });
}

/** A short-lived token for the feeds. */
export async function feedToken() {
  return ask("/api/session/token", { method: "POST" });
}

/** The code of the address's fragment, taken out of the address and of the history. */
export function codeOfAddress() {
  const found = /^#code=(.+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return decodeURIComponent(found[1]);
}
