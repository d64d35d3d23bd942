// An SMS centre of another house (npm smpp): it takes texts, writes them down, gives receipts, and
// says what became of one when it is asked (query_sm).
//   node smsc.cjs PORT LOG [FAULTS as JSON: shares throttled, silent, early, twice, mute; receipt_s]
const fs = require("node:fs");
const smpp = require("smpp");

const [port, log] = [Number(process.argv[2]), process.argv[3]];
const faults = { throttled: 0, silent: 0, early: 0, twice: 0, mute: 0, receipt_s: 0.05, seed: 1, ...JSON.parse(process.argv[4] || "{}") };
let state = faults.seed >>> 0;
const dice = () => { // mulberry32
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const file = fs.openSync(log, "a");
const write = (what, fields) => fs.writeSync(file, JSON.stringify({ what, at_ms: Date.now(), ...fields }) + "\n");

const sessions = new Set();
const pending = new Map(); // receipts until they are acknowledged
const fates = new Map(); // message_state by id
let taken = 0;
let receipts = 0;

function deliver(no) {
  const owed = pending.get(no);
  const session = [...sessions].pop();
  if (!owed || !session) return;
  session.deliver_sm(owed.pdu, (answer) => {
    if (answer.command_status === 0 && pending.delete(no)) write("receipt", { number: owed.number, message_id: owed.id });
  });
}

const server = smpp.createServer((session) => {
  session.on("bind_transceiver", (pdu) => {
    session.send(pdu.response());
    sessions.add(session);
    for (const no of pending.keys()) deliver(no);
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { session.send(pdu.response()); session.close(); });
  session.on("error", () => {});
  session.on("close", () => sessions.delete(session));
  session.on("query_sm", (pdu) => {
    const fate = fates.get(pdu.message_id);
    write("asked", { message_id: pdu.message_id, fate: fate ?? null });
    if (fate === undefined) session.send(pdu.response({ command_status: smpp.ESME_RQUERYFAIL }));
    else session.send(pdu.response({ message_id: pdu.message_id, final_date: "261125000000000+", message_state: fate, error_code: 0 }));
  });
  session.on("submit_sm", (pdu) => {
    if (dice() < faults.throttled) {
      write("refused", { number: pdu.destination_addr });
      session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      return;
    }
    const id = (++taken).toString(16).padStart(8, "0");
    const text = pdu.short_message.message.toString();
    write("taken", { message_id: id, source: pdu.source_addr, number: pdu.destination_addr, text, reference: pdu.user_message_reference ?? null, part: "1/1" });
    const receipt = {
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
      short_message: { message: `id:${id} sub:001 dlvrd:001 submit date:2611250000 done date:2611250000 stat:DELIVRD err:000 text:` },
      user_message_reference: pdu.user_message_reference,
    };
    fates.set(id, 2); // 5.2.28: DELIVERED
    const mute = faults.mute > 0 && dice() < faults.mute;
    const [twice, early, silent] = [dice() < faults.twice, dice() < faults.early, dice() < faults.silent];
    for (let i = 0; !mute && i < (twice ? 2 : 1); i += 1) {
      pending.set(++receipts, { pdu: receipt, number: pdu.destination_addr, id });
      const no = receipts;
      setTimeout(() => deliver(no), early ? 0 : faults.receipt_s * 1000);
    }
    if (!silent) setTimeout(() => session.send(pdu.response({ message_id: id })), early ? 30 : 0);
  });
});
server.on("error", (error) => { throw error; });
server.listen(port, "127.0.0.1");
