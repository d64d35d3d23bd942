// The client of the feeds for JavaScript, outside a browser: node follow.mjs URL TOKEN CHANNEL
// Prints what it is told, one JSON object a line: {"state"}, {"pub"} or {"link"}.
import { createRequire } from "node:module";

globalThis.WebSocket ??= createRequire(import.meta.url)("ws"); // Node 22 has its own
const { Feed } = await import("../../dispatch/pages/js/feed.js");

const [url, token, channel] = process.argv.slice(2);
const print = (kind) => (what) => console.log(JSON.stringify({ [kind]: what }));
const expires_at = new Date(Date.now() + 3_600_000).toISOString();

new Feed({
  url,
  channel,
  token: async () => ({ token, expires_at }),
  onSnapshot: print("state"),
  onPub: print("pub"),
  onLink: print("link"),
  onSignedOut: () => process.exit(1),
}).start();
