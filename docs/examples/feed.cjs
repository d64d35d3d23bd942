// A client of the feeds in another language: node feed.cjs URL TOKEN CHANNEL [ORIGIN]
// Prints every message as it comes, one a line, and at the end {"closed": code, "reason": text}.
const WebSocket = require("ws");

const [url, token, channel, origin] = process.argv.slice(2);
const socket = new WebSocket(url, origin ? { origin } : {});
const say = (message) => socket.send(JSON.stringify(message));

socket.on("message", (text) => {
  console.log(text.toString());
  const message = JSON.parse(text);
  if (message.op === "hello" && token) say({ op: "auth", token });
  if (message.op === "hello" && !token) say({ op: "subscribe", channel, since: null });
  if (message.op === "authenticated") say({ op: "subscribe", channel, since: null });
  if (message.op === "ping") say({ op: "pong", id: message.id });
});
socket.on("close", (code, reason) => {
  console.log(JSON.stringify({ closed: code, reason: reason.toString() }));
});
socket.on("error", () => {});
