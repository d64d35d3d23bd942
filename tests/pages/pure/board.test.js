/** The specification of what the board decides: order, stillness, filters, alarms, the timeline. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Alarms, FLOOD } from "../../../dispatch/pages/js/board/alarms.js";
import { sentence, sides } from "../../../dispatch/pages/js/board/evidence.js";
import { NONE, passes, read, write } from "../../../dispatch/pages/js/board/filters.js";
import { Model, figures, noticedIn, oldest } from "../../../dispatch/pages/js/board/model.js";
import { bubbleFeatures, diagram, lineFeatures, nodeStates, places } from "../../../dispatch/pages/js/board/nodes.js";
import { byFeeder, need, ordered, still, verifying } from "../../../dispatch/pages/js/board/order.js";
import { Teller } from "../../../dispatch/pages/js/board/tell.js";
import { timeline } from "../../../dispatch/pages/js/board/timeline.js";
import { words } from "../../../dispatch/pages/js/i18n.js";
import { times } from "../../../dispatch/pages/js/times.js";
import { BOARD } from "../../../dispatch/pages/js/words/board.js";
import { NOW, at, outage } from "./outages.js";

const none = { key: 0, vulnerable: 0 };
const MINUTE = 60_000;

for (const [sentence_, changes, dark, word] of [
  ["a key customer in the dark comes first of all", {}, { key: 1, vulnerable: 0 }, "key"],
  ["so does somebody with a medical device", {}, { key: 0, vulnerable: 1 }, "vulnerable"],
  ["what nobody has acknowledged is next", { acknowledged: null }, none, "unseen"],
  ["an estimate that has passed is late", { etr: { at: at("16:41"), source: "history" } }, none, "late"],
  ["a crew that is nearly late is late", { confirmed_at: at("16:10") }, none, "late"],
  ["a crew on site is not late any more", { confirmed_at: at("15:10"), stage: "on_site" }, none, "work"],
  ["confirmed without a crew wants one", { crew: null, stage: "none" }, none, "crew"],
  ["a predicted one wants to be verified", { state: "predicted", confirmed_at: null }, none, "verify"],
  ["with a crew on its way it is in work", {}, none, "work"],
  ["planned work needs nobody, acknowledged or not", { kind: "planned", acknowledged: null, crew: null }, none, "work"],
  ["planned work with a key customer needs nobody either", { kind: "planned" }, { key: 2, vulnerable: 0 }, "work"],
  ["planned work that lasts too long does", { kind: "planned", etr: { at: at("16:00"), source: "plan" } }, none, "late"],
  ["restored and verified needs nothing more", { state: "restored", stage: "verified" }, none, "verified"],
  ["restored but not verified comes last", { state: "restored" }, { key: 1, vulnerable: 0 }, "restored"],
]) test(`needs you: ${sentence_}`, () => assert.equal(need(outage(changes), dark, NOW, 45).word, word));

test("one of a thing is not many", () => {
  const [en, zh] = ["en", "zh"].map((language) => words(language, BOARD));
  assert.equal(en("verdict.text", { device: "Meter M1", n: "1" }), "Meter M1 is dead, 1 customer is dark");
  assert.equal(en("verdict.text", { device: "B1", n: "11" }), "B1 is dead, 11 customers are dark");
  assert.equal(en("verdict.text", { device: "B1", n: "1,001" }), "B1 is dead, 1,001 customers are dark");
  assert.equal(zh("verdict.text", { device: "电表 M1", n: "1" }), "电表 M1 失电，1户停电");
});

test("what there is to verify is an outage that is not sure yet, or power that is back", () => {
  const of = (changes) => verifying(outage(changes));
  assert.equal(of({ state: "predicted" }), "confirm");
  assert.equal(of({ state: "restored" }), "verify");
  assert.equal(of({ state: "restored", stage: "verified" }), null);
  assert.equal(of({}), null);
});

test("inside a rank the most customers come first, then the earliest", () => {
  const all = [outage({ id: "a", customers_out: 5 }), outage({ id: "b", customers_out: 9 }), outage({ id: "c", customers_out: 5, started_at: at("14:00") })];
  assert.deepEqual(ordered(all, () => none, NOW, 45), ["b", "c", "a"]);
});

test("nothing enters or moves while a hand is in the list; what is new waits", () => {
  assert.deepEqual(still(["a", "b"], ["c", "b", "a"], true), { shown: ["a", "b"], waiting: ["c"] });
  assert.deepEqual(still(["a", "b"], ["c", "b", "a"], false), { shown: ["c", "b", "a"], waiting: [] });
});

test("a storm is grouped by feeder in the order of its most needed", () => {
  const groups = byFeeder(["a", "b", "c"], (id) => ({ a: "F2", b: "F1", c: "F2" })[id]);
  assert.deepEqual([...groups], [["F2", ["a", "c"]], ["F1", ["b"]]]);
});

test("filters live in the address and come back from it", () => {
  const set = { ...NONE, tab: "fault", feeder: "F1", mine: true, text: "T 1" };
  assert.deepEqual(read(write(set)), set);
  assert.equal(write(NONE), "");
  assert.deepEqual(read("?tab=nonsense&mine=yes"), NONE);
  assert.equal(write(NONE, "?lang=en&tab=fault"), "?lang=en");
});

for (const [words, filters, passed] of [
  ["by kind", { tab: "planned" }, false], ["by state", { state: "confirmed" }, true], ["by feeder", { feeder: "F2" }, false],
  ["by district", { district: "north" }, true], ["mine", { mine: true }, true], ["overdue", { overdue: true }, false], ["by a word", { text: "t1" }, true],
]) test(`an outage is filtered ${words}`, () => assert.equal(passes(outage(), { ...NONE, ...filters }, NOW, "anna"), passed));

function model(outages, { dark = {}, sources = [] } = {}) {
  const found = new Model();
  found.snapshot({ outages, findings: [] });
  found.setNetwork({ version: "v", ids: ["S", "T1", "M1", "M2"], kind: [0, 5, 6, 6], parent: [-1, 0, 1, 1], size: [4, 3, 1, 1], customers: [0, 0, 1, 1], priority: [0, 0, 2, 0] });
  found.setPower({ version: "v", dark, silent: [], customers: 2 });
  found.sources = sources;
  return found;
}

const kinds = (alarms) => alarms.map((a) => `P${a.level} ${a.kind}`).sort();

for (const [words, changes, more, wanted] of [
  ["a key customer in the dark is P1", { confirmed_at: at("16:40") }, { dark: { "S1-1": [2] } }, ["P1 key", "P3 new"]],
  ["a feeder lockout is P1", { device_kind: "breaker", confirmed_at: at("16:40") }, {}, ["P1 lockout", "P3 new"]],
  ["ten minutes without a crew are P2", { crew: null, stage: "none", confirmed_at: at("16:31") }, {}, ["P2 crew", "P3 new"]],
  ["an estimate that has passed is P2", { etr: { at: at("16:00") }, stage: "on_site" }, {}, ["P2 etr", "P3 new"]],
  ["a crew that is late is P2", { confirmed_at: at("15:50") }, {}, ["P2 arrival", "P3 new"]],
  ["restored with a meter still dark is P2", { state: "restored" }, { dark: { "S1-1": [3] } }, ["P2 meters"]],
  ["a source that is silent is P2", { state: "closed" }, { sources: [{ name: "mqtt", ready: false, age_s: null }] }, ["P2 source"]],
  ["planned work rings for nobody", { kind: "planned", crew: null }, { dark: { "S1-1": [2] } }, []],
  ["a predicted one is only counted", { state: "predicted", device_kind: "breaker" }, { dark: { "S1-1": [2] } }, ["P3 new"]],
]) test(`alarms: ${words}`, () => {
  const raised = new Alarms().look(model([outage(changes)].filter((o) => o.state !== "closed"), more), NOW, 45);
  assert.deepEqual(kinds(raised), wanted);
});

test("alarms: nothing chatters: what comes back within ten minutes is the same alarm", () => {
  const alarms = new Alarms();
  const [there, gone] = [model([], { sources: [{ name: "mqtt", ready: false }] }), model([])];
  assert.equal(alarms.look(there, NOW, 45).length, 1);
  alarms.look(gone, NOW + MINUTE, 45);
  assert.equal(alarms.look(there, NOW + 2 * MINUTE, 45).length, 0);
  alarms.look(gone, NOW + 3 * MINUTE, 45);
  assert.equal(alarms.look(there, NOW + 14 * MINUTE, 45).length, 1);
});

test("alarms: whoever acknowledges the outage has seen its alarm", () => {
  const alarms = new Alarms();
  const unseen = outage({ device_kind: "breaker", acknowledged: null, confirmed_at: at("16:40") });
  alarms.look(model([unseen]), NOW, 45);
  assert.equal(alarms.waiting(NOW).length, 1);
  alarms.look(model([{ ...unseen, acknowledged: { at: at("16:42"), by: "ben" } }]), NOW, 45);
  assert.equal(alarms.waiting(NOW).length, 0);
});

test("alarms: the eleventh in ten minutes offers storm mode, and that merges P2 by feeder", () => {
  const alarms = new Alarms();
  const many = Array.from({ length: FLOOD + 1 }, (_, i) => outage({ id: `S1-${i}`, acknowledged: null, crew: null, stage: "none", confirmed_at: at("16:31"), feeder_id: `F${i % 2}` }));
  alarms.look(model(many.slice(1)), NOW, 45);
  assert.equal(alarms.flood(NOW), false);
  alarms.look(model(many), NOW, 45);
  assert.equal(alarms.flood(NOW), true);
  alarms.storm = true;
  assert.deepEqual(alarms.waiting(NOW).map((a) => a.count), [5, 6]);
});

test("alarms: shelving wants a reason and an end within the hour", () => {
  const alarms = new Alarms();
  const silent = model([], { sources: [{ name: "mqtt", ready: false }] });
  alarms.look(silent, NOW, 45);
  assert.equal(alarms.shelve("source:mqtt", 15, " ", NOW), false);
  assert.equal(alarms.shelve("source:mqtt", 61, "works", NOW), false);
  assert.equal(alarms.shelve("source:mqtt", 60, "works", NOW), true);
  assert.equal(alarms.waiting(NOW).length, 0);
  assert.equal(alarms.waiting(NOW + 61 * MINUTE).length, 1);
});

test("live region: one polite summary in ten seconds, and nothing is forgotten", () => {
  const teller = new Teller();
  teller.note(undefined, outage());
  assert.deepEqual(teller.due(0), { begun: 1, restored: 0, changed: 0 });
  teller.note(outage(), outage({ state: "restored" }));
  teller.note(outage(), outage({ version: 3 }));
  assert.equal(teller.due(9_999), null);
  assert.deepEqual(teller.due(10_000), { begun: 0, restored: 1, changed: 1 });
  assert.equal(teller.due(30_000), null);
});

test("an older version of an outage changes nothing", () => {
  const found = model([outage({ version: 5 })]);
  found.put(outage({ version: 4, state: "predicted" }));
  assert.equal(found.outages.get("S1-1").state, "confirmed");
  found.put(outage({ version: 6, state: "closed" }));
  assert.equal(found.outages.size, 0);
});

/** A finding: what is not said of it does not matter. */
const noticed = (id, device, since, until = null) => ({ id, kind: "comms_loss", device_id: device, at: at(until ?? since), since: at(since), until: until && at(until) });

test("what has ended stays known, and the feed's state alone says what goes on", () => {
  const model = new Model();
  model.snapshot({ outages: [], findings: [noticed("a", "D1", "16:00"), noticed("b", "D2", "16:05")] });
  model.take({ type: "finding", data: noticed("a", "D1", "16:00", "16:10") });
  model.snapshot({ outages: [], findings: [] });
  assert.deepEqual([...model.findings.keys()], ["a"]);
  model.noticed([noticed("a", "D1", "16:00"), noticed("b", "D2", "16:05", "16:20")]);
  assert.deepEqual([...model.findings.values()].map((f) => f.until), [at("16:10"), at("16:20")]);
});

test("an outage has what was noticed at its device or below while it went on", () => {
  const model = new Model();
  model.setNetwork({ version: 1, ids: ["S1", "B1", "T1", "T2", "B2"], parent: [-1, 0, 1, 1, 0], kind: [0, 1, 5, 5, 1], size: [5, 3, 1, 1, 1], customers: [0, 0, 2, 2, 0], priority: [0, 0, 0, 0, 0] });
  model.noticed([
    noticed("before", "T1", "15:00", "15:10"), noticed("during", "T1", "16:25", "16:35"), noticed("still", "B1", "16:00"),
    noticed("beside", "B2", "16:25"), noticed("after", "T2", "17:30"), noticed("elsewhere", "D9", "16:25"),
  ]);
  const dark = outage({ device_id: "B1", started_at: at("16:20"), restored_at: at("17:00") });
  assert.deepEqual(noticedIn(model, dark).map((f) => f.id), ["still", "during"]);
});

test("customers without data are a figure of their own, never counted as on", () => {
  const found = model([outage()]);
  found.setPower({ version: "v", dark: { "S1-1": [2] }, silent: [3], customers: 2 });
  const said = figures(found, NOW);
  assert.deepEqual([said.dark, said.key, said.silent, said.customers], [40, 1, 1, 2]);
});

test("the oldest source is the one that spoke longest ago", () => {
  const sources = [{ name: "meters", age_s: 3 }, { name: "breakers", age_s: 9 }, { name: "database", age_s: null }];
  assert.deepEqual(oldest(sources), { name: "breakers", ms: 9_000 });
  assert.equal(oldest([]), null);
});

//   S - T1 - (M1, M2)     S - T2 - M3
const NETWORK = { version: "v", placed: 0, ids: ["S", "T1", "M1", "M2", "T2", "M3"], kind: [0, 5, 6, 6, 5, 6], parent: [-1, 0, 1, 1, 0, 4],
  size: [6, 3, 1, 1, 2, 1], customers: [0, 0, 1, 1, 0, 1], lines: { node: [] } };

test("a device is dark when all behind it are, and the silent count for nothing", () => {
  const power = { dark: { "S1-1": [2] }, silent: [3], customers: 3 };
  assert.deepEqual([...nodeStates(NETWORK, power, new Map([["S1-1", outage()]]))], [0, 1, 1, 4, 0, 0]);
  const half = { dark: { "S1-1": [2] }, silent: [], customers: 3 };
  assert.deepEqual([...nodeStates(NETWORK, half, new Map())], [0, 0, 1, 0, 0, 0]);
  const planned = { dark: { "S1-1": [2, 3, 5] }, silent: [], customers: 3 };
  assert.deepEqual([...nodeStates(NETWORK, planned, new Map([["S1-1", outage({ kind: "planned" })]]))], [3, 3, 3, 3, 3, 3]);
});

test("without places a diagram is drawn: a lane each, and depth to the right", () => {
  const drawn = diagram(NETWORK);
  assert.equal(drawn.diagram, true);
  assert.ok(drawn.x[1] > drawn.x[0] && drawn.x[2] > drawn.x[1]);
  assert.notEqual(drawn.y[1], drawn.y[4]);
  assert.equal(lineFeatures(NETWORK, drawn).features.length, 5);
});

test("who has no place stands at the parent, and is counted", () => {
  const some = { ...NETWORK, placed: 2, geographic: true, step: 1, origin_x: 100, origin_y: 10, x: [0, 5, -1, -1, 5, -1], y: [0, 1, -1, -1, 2, -1] };
  const found = places(some);
  assert.equal(found.unplaced, 3);
  assert.deepEqual([found.x[2], found.y[2]], [105, 11]);
});

test("the map has a bubble for each outage of the list that is out, the largest first", () => {
  const nodeOf = new Map(NETWORK.ids.map((id, node) => [id, node]));
  const found = bubbleFeatures([outage({ id: "a", customers_out: 1 }), outage({ id: "b", customers_out: 2, device_id: "T2" }), outage({ id: "c", customers_out: 0 })], NETWORK, diagram(NETWORK), nodeOf);
  assert.deepEqual(found.map((f) => f.properties.id), ["b", "a"]);
});

test("the timeline has evidence, verdicts and actions, newest first; repeats are counted up", () => {
  const change = (clock, code, fields, changes) => ({ at: at(clock), reason: code, reasons: [{ code, text: `${fields.n ?? ""} ${code}`, fields }], outage: outage(changes), decision: null });
  const detail = { changes: [change("15:01", "detected", {}, { state: "predicted", reasons: [{ text: "1 ping says on", for: false }] }), change("15:02", "confirmed", {}, {}),
    change("15:10", "heard_again", { n: 3 }, {}), change("15:11", "heard_again", { n: 4 }, {})] };
  const decisions = [{ id: "d", at: at("15:05"), action: "assign", by: "anna", reason: "", accepted: true, why: "" }];
  const lines = timeline(detail, decisions);
  assert.deepEqual(lines.map((l) => l.kind), ["evidence", "action", "verdict", "verdict"]);
  assert.equal(lines[0].lines[0].fields.n, 7);
  assert.equal(lines[3].against.length, 1);
});

test("repeats that are counted up are said of many, however many each was", () => {
  const said = (...lines) => timeline({ changes: lines.map(([n, text], i) => ({ at: at(`15:0${i}`), reason: "", reasons: [{ code: "some", text, fields: { n } }], outage: outage({}), decision: null })) }, [])[0].lines[0].text;
  const first = [1, "1 meter heard"]; // the first of an outage is its verdict
  assert.equal(said(first, [545, "545 meters heard"], [1, "1 meter heard"]), "546 meters heard");
  assert.equal(said(first, [1, "1 meter reports power: not part of it"], [1, "1 meter reports power: not part of it"]), "2 meters report power: not part of it");
  assert.equal(said(first, [1, "1 meter cannot say it; it follows its transformer"], [1, "1 meter cannot say it; it follows its transformer"]), "2 meters cannot say it; they follow their transformer");
  assert.equal(said(first, [1, "1 more meter is behind it"], [1, "1 more meter is behind it"]), "2 more meters are behind it");
});

test("evidence against always shows, and is said in the reader's language", () => {
  const zh = { language: "zh", seconds: () => "15:02:41", count: String };
  const found = sides(outage({ reasons: [], evidence: ["3 of 4 meters sent a last gasp", "1 ping answered on", "probability 0.97"] }));
  assert.deepEqual([found.for.length, found.against.length], [1, 1]);
  assert.equal(sentence({ code: "gasps", n: 37, of: 40, text: "37 of 40 meters sent a last gasp" }, null, zh), "40表中37表末次上报");
  assert.equal(sentence({ code: "heard_again", fields: { n: 7 }, text: "7 meters heard" }, null, zh), "7表复电");
  assert.equal(sentence({ code: "gasps", text: "some meters" }, null, zh), "some meters");
  assert.equal(sentence({ code: "no_such", text: "as it is" }, null, zh), "as it is");
  assert.equal(sentence({ text: "B1 tripped at 2026-07-31T07:02:41Z" }, null, { ...zh, language: "en" }), "B1 tripped at 15:02:41");
});
