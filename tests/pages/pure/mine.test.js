/** The specification of the customer's page: each phase, its lines, and what is never said. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { words } from "../../../dispatch/pages/js/i18n.js";
import { nextUpdate, phaseOf, steps, windowOf } from "../../../dispatch/pages/js/mine/phase.js";
import { down, instant, times, up, wall } from "../../../dispatch/pages/js/times.js";
import { BOARD } from "../../../dispatch/pages/js/words/board.js";
import { MINE } from "../../../dispatch/pages/js/words/mine.js";
import { SHARED } from "../../../dispatch/pages/js/words/shared.js";
import { NOW, at, on, premises } from "./outages.js";

const ZONE = "Asia/Shanghai";
const seen = { now: NOW, zone: ZONE, arrivalMin: 45, lost: false, darkBefore: null };
const etr = (clock, more = {}) => ({ at: at(clock), earliest: null, source: "history", confidence: 0.8, said_at: at("16:30"), reason: null, ...more });
const done = (...stages) => stages.map(([stage, clock]) => ({ stage, at: at(clock) }));
const plan = (more = {}) => ({ id: "p", device_id: "T1", districts: [], from: "2026-08-03T00:00:00Z", to: "2026-08-03T08:00:00Z", kind: "planned", reason: "", entered_by: "", entered_at: at("10:00"), cancelled_at: null, ...more });

/** The phases of the table, each with how it comes about, its headline's and its until line's key. */
const TABLE = [
  ["a first sign", premises({ state: "predicted", confirmed_at: null, detected_at: at("16:20") }), "detected", "detected", "detected.until"],
  ["confirmed with a first estimate", premises({ etr: etr("19:00") }), "confirmed", "confirmed", "confirmed.until"],
  ["confirmed with a crew's word", premises({ etr: etr("19:00", { source: "crew" }) }), "confirmed", "confirmed", "confirmed.until.crew"],
  ["confirmed without an estimate", premises(), "no_etr", "no_etr", "no_etr.until"],
  ["a crew is assigned and has not left", premises({ progress: done(["assigned", "16:35"]) }), "assigned", "dispatched", "assigned.until"],
  ["a crew is on its way", premises({ progress: done(["assigned", "16:35"], ["en_route", "16:38"]) }), "assigned", "assigned", "assigned.until"],
  ["a crew that should be there and is not", premises({ confirmed_at: at("15:10"), progress: done(["assigned", "15:35"]) }), "assigned", "dispatched", "assigned.until.late"],
  ["the crew is there", premises({ progress: done(["assigned", "15:10"], ["on_site", "15:38"]) }), "on_site", "on_site", "on_site.until"],
  ["the crew has found it", premises({ progress: done(["on_site", "15:38"], ["cause_found", "16:00"]) }), "on_site", "on_site", "on_site.until.found"],
  ["the estimate moved back", premises({ etr: etr("21:30") }, { etr_before: etr("19:00") }), "etr_changed", "etr_later", "etr.until"],
  ["what a dispatcher typed is for the desk", premises({ etr: etr("18:00", { reason: "Li has the wrong joint" }) }, { etr_before: etr("21:00") }), "etr_changed", "etr_sooner", "etr.until"],
  ["the estimate moved forward, with a reason", premises({ etr: etr("18:00", { reason: "tree" }) }, { etr_before: etr("21:00") }), "etr_changed", "etr_sooner", "etr.until.why"],
  ["the estimate has passed", premises({ etr: etr("16:30") }), "missed", "missed", "missed.until"],
  ["others are back", premises({ state: "partially_restored" }), "partly", "partly", "partly.until"],
  ["others are back, too few to be counted", premises({ state: "partially_restored", homes: 6, homes_out: 3 }), "partly", "partly", "partly.until.few"],
  ["it should be back and the meter has not said so", premises({ power: "unknown", verified: false, on_at: at("16:30") }), "to_verify", "to_verify", "to_verify.until"],
  ["it is back", on({}, { outage_id: "S1-1", state: "restored", off_at: at("12:00"), on_at: at("15:50") }), "restored", "restored", "restored.until"],
  ["planned work is ahead", on({ plan: plan() }), "planned", "planned", "planned.until"],
  ["planned work was called off", on({ plan: plan({ cancelled_at: at("16:00") }) }), "planned", "planned.off", "planned.until"],
  ["planned work goes on", premises({ kind: "planned" }, { plan: plan({ from: at("08:00"), to: at("18:00") }) }), "planned", "planned.now", "planned.until"],
  ["they called, and the meter has power", on({ calls: [{ at: at("16:00"), kind: "no_power" }] }), "yours", "yours", "yours.until"],
  ["the fault is behind their own meter", premises({ kind: "customer_owned" }), "yours", "yours", "yours.until"],
  ["the meter is silent", on({ silent: true, heard_at: at("14:50") }), "no_data", "no_data", "no_data.until"],
  ["the meter never spoke", on({ silent: true, heard_at: null }), "no_data", "no_data", "no_data.until.never"],
  ["all is well", on(), "on", "on", "on.until"],
];

for (const [words_, given, phase, headline, until] of TABLE) {
  test(`phase: ${words_}`, () => {
    const found = phaseOf(given, seen);
    assert.deepEqual([found.phase, found.headline, found.until], [phase, headline, until]);
    for (const language of ["zh", "en"]) {
      const say = words(language, MINE);
      assert.ok(!say(headline).includes("[") && say(until).length > 1, `${language} has words for ${headline}`);
      for (const bad of [/尽快|马上|\bsoon\b|[0-9]+%|概率|in \d+ (h|min)/i]) assert.doesNotMatch(say(until) + say(headline), bad);
    }
  });
}

test("a notice that was wrong is corrected to whoever was told, and to nobody else", () => {
  assert.equal(phaseOf(on(), { ...seen, darkBefore: "S1-1" }).phase, "cancelled");
  assert.equal(phaseOf(on(), seen).phase, "on");
});

test("never restored without this meter's word", () => {
  const inferred = on({}, { outage_id: "S1-1", state: "restored", off_at: at("12:00"), on_at: at("15:50"), verified: false });
  assert.equal(phaseOf(inferred, seen).phase, "to_verify");
  assert.equal(steps(inferred).find((s) => s.name === "restored").at, null);
});

test("no data is never on, whatever else is known", () => {
  for (const given of [on({ silent: true }), on({ silent: true, plan: plan() }), on({ heard_at: null })]) {
    assert.equal(phaseOf(given, seen).phase, "no_data");
    assert.equal(phaseOf(given, { ...seen, darkBefore: "S1-1" }).phase, "no_data");
  }
  assert.equal(phaseOf(on(), { ...seen, lost: true }).phase, "no_data");
});

test("an outage stays one on a page that lost its line", () => {
  assert.equal(phaseOf(premises({ etr: etr("19:00") }), { ...seen, lost: true }).phase, "confirmed");
});

test("a window is rounded outward to half hours, to quarters on site, and never a minute", () => {
  const clock = (ms) => wall(ms, ZONE).slice(11);
  const window = windowOf({ ...premises().status, etr: etr("18:47", { earliest: at("17:05") }) }, ZONE);
  assert.deepEqual(window.map(clock), ["17:00", "19:00"]);
  const site = windowOf({ ...premises().status, progress: done(["on_site", "16:00"]), etr: etr("18:47", { earliest: at("17:20") }) }, ZONE);
  assert.deepEqual(site.map(clock), ["17:15", "19:00"]);
  const exact = windowOf({ ...premises().status, etr: etr("18:00", { earliest: at("18:00") }) }, ZONE);
  assert.deepEqual(exact.map(clock), ["18:00", "18:30"]);
});

test("the next update is promised for a half hour, and again when there is nothing new", () => {
  const { status } = premises({ updated_at: at("16:40") });
  assert.deepEqual(nextUpdate(status, seen), { by: Date.parse(at("18:00")), passed: null });
  assert.deepEqual(nextUpdate(status, { ...seen, now: Date.parse(at("18:10")) }), { by: Date.parse(at("19:00")), passed: Date.parse(at("18:00")) });
});

test("a step without a time has no tick", () => {
  const found = steps(premises({ progress: done(["assigned", "16:35"]) }));
  assert.deepEqual(found.filter((s) => s.at !== null).map((s) => s.name), ["detected", "confirmed", "assigned"]);
});

test("times are the site's and midnight is never said", () => {
  const zh = times(ZONE, "zh");
  const en = times(ZONE, "en");
  assert.equal(zh.day(NOW), "7月31日周五");
  assert.equal(en.day(NOW), "Fri 31 Jul");
  assert.equal(en.when("2026-07-31T08:42:00Z", NOW), "16:42");
  assert.equal(zh.between(at("17:00"), at("19:00"), NOW), "17:00至19:00");
  assert.equal(en.between(at("22:00"), "2026-07-31T16:00:00Z", NOW), "22:00 to 23:59");
  assert.equal(zh.ahead(NOW, at("19:00"), NOW), "19:00前");
  assert.equal(en.ahead(NOW, at("19:00"), NOW), "by 19:00");
  assert.equal(en.ahead(NOW + 1, at("19:00"), NOW), en.between(NOW + 1, at("19:00"), NOW));
  assert.equal(zh.by("2026-07-31T16:00:00Z", NOW), "23:59");
  assert.equal(zh.span(3 * 3_600_000 + 50 * 60_000), "3小时50分");
  assert.equal(en.span(3 * 3_600_000 + 50 * 60_000), "3 h 50 min");
  assert.equal(zh.count(12_840), "12,840");
  assert.equal(en.count(12_840), "12,840");
});

test("steps of the clock are the site's own, also where it is ahead by three quarters of an hour", () => {
  assert.equal(wall(up(Date.parse("2026-07-31T08:42:00Z"), 30, "Asia/Kathmandu"), "Asia/Kathmandu").slice(11), "14:30");
  assert.equal(wall(down(Date.parse("2026-07-31T08:42:00Z"), 30, "Asia/Kathmandu"), "Asia/Kathmandu").slice(11), "14:00");
  assert.equal(instant("2026-07-31T16:42", ZONE), "2026-07-31T08:42:00.000Z");
  assert.equal(instant("2026-03-29T03:30", "Europe/Berlin"), "2026-03-29T01:30:00.000Z");
});

test("both languages have the same words, and none is missing", () => {
  for (const table of [MINE, BOARD, SHARED]) {
    assert.deepEqual(Object.keys(table.zh).sort(), Object.keys(table.en).sort());
    for (const key of Object.keys(table.zh)) {
      const names = (text) => [...text.matchAll(/\{(\w+)[}:]/g)].map((m) => m[1]).sort();
      assert.deepEqual(names(table.zh[key]), names(table.en[key]), key);
      assert.doesNotMatch(table.zh[key] + table.en[key], /24:00|尽快|马上/, key);
    }
  }
});
