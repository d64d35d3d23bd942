/** The board: where its parts are wired together. */

import { attribute, byId, debounce, el, text } from "../dom.js";
import { Feed } from "../feed.js";
import { fill, language, words } from "../i18n.js";
import { SignedOut, Turns, ask, feedToken } from "../session.js";
import { askForCode, enterAs } from "../signin.js";
import { times as timesOf } from "../times.js";
import { BOARD } from "../words/board.js";
import { SHARED } from "../words/shared.js";
import { Acts, actionsOf } from "./act.js";
import { Alarms } from "./alarms.js";
import { Bell } from "./bell.js";
import { drawOptions, drawTabs, wireControls } from "./controls.js";
import { drawDetail } from "./detail.js";
import { NONE, passes, read, write } from "./filters.js";
import { drawFigures, drawHead } from "./head.js";
import { help, listen } from "./keys.js";
import { List } from "./list.js";
import { GridMap } from "./map.js";
import { Model } from "./model.js";
import { ordered, verifying } from "./order.js";
import { bones, drawSuppressed, empty, grouped } from "./pool.js";
import { whyNot } from "./refused.js";
import { cells } from "./rows.js";
import { Tasks } from "./tasks.js";
import { Teller } from "./tell.js";
import { Tree } from "./tree.js";

const TICK_MS = 1_000;
const SLOW_MS = 10_000; // elapsed times in the list, and the order that depends on them
const SOURCES_MS = 5_000;
const POWER_MS = 400;
const BEFORE_MS = 900_000;

class Board {
  constructor(session) {
    this.session = session;
    this.offset = Date.parse(session.server_time) - Date.now();
    this.say = words(language(), SHARED, BOARD);
    this.times = timesOf(session.time_zone, language());
    this.model = new Model();
    this.alarms = new Alarms();
    this.teller = new Teller();
    this.link = { state: "connecting" };
    this.heardAt = this.now();
    this.filters = read(location.search);
    this.before = null;
    this.memo = new Map();
    this.opened = null;
    this.loaded = false;
    this.redraw = debounce(() => this.draw(), 100);
    this.powerTurns = new Turns();
    this.crewTurns = new Turns();
    this.askPower = debounce(() => this.#power(), POWER_MS);
    this.askDetail = debounce(() => this.#detail(), 250);
  }

  now = () => Date.now() + this.offset;
  live = () => this.link.state === "live" || this.link.state === "catching_up";

  /** Make the parts and begin. */
  start() {
    const { say, times, model, alarms, now } = this;
    document.title = `${say("title")} · Lastgasp`;
    fill(document, say);
    this.list = new List({ say, onOpen: (id) => this.open(id), onSelect: (id) => this.select(id), onWaiting: (ids) => this.#waiting(ids) });
    this.map = new GridMap({ say, onOpen: (id) => this.open(id) });
    this.tree = new Tree({ say, times });
    this.acts = new Acts({ say, times, model, now, session: this.session, live: this.live, onChanged: (o) => this.#changed(o), onSignedOut: () => this.#signedOut(), backToRow: () => this.list.focus() });
    this.bell = new Bell({ say, times, alarms, now, onSee: (alarm) => this.see(alarm), onOpen: (id) => this.open(id) });
    this.tasks = new Tasks({ say, times, now, live: this.live, toast: (words) => this.acts.toast(words), whyNot: (why, code) => whyNot(why, say, times.language, code),
      onOpen: (id) => this.open(id), onNew: (n) => this.#called(n), again: () => this.#tasks(), onSignedOut: () => this.#signedOut() });
    wireControls(this);
    listen(this);
    this.feed = new Feed({ url: this.session.feeds_url, channel: "dispatch", token: feedToken,
      onSnapshot: (data) => this.#snapshot(data), onPub: (pub) => this.#pub(pub),
      onLink: (link) => this.#linked(link), onSignedOut: () => this.#signedOut() });
    this.feed.start();
    this.list.body.replaceChildren(...bones());
    this.#network();
    this.#sources();
    this.#crews();
    this.#tasks();
    this.#history();
    setInterval(() => this.tick(), TICK_MS);
    setInterval(() => this.draw(), SLOW_MS);
    setInterval(() => this.#sources(), SOURCES_MS);
    setInterval(() => this.#tasks(), SLOW_MS);
    setInterval(() => { this.#history(); this.askPower(); }, 60_000);
    this.tick();
  }

  // -- what comes in ----------------------------------------------------------------------------

  #snapshot(data) {
    this.model.snapshot(data);
    this.loaded = true;
    this.heardAt = this.now();
    this.memo.clear();
    this.draw();
    this.askPower();
    if (this.filters.open && !this.opened) this.open(this.filters.open, false);
    this.#noticed();
  }

  #pub(pub) {
    this.heardAt = this.now();
    const before = this.model.take(pub);
    if (pub.type === "change") {
      this.teller.note(before, pub.data.outage);
      this.#touched(pub.data.outage);
      if (before?.crew !== pub.data.outage.crew || before?.stage !== pub.data.outage.stage) this.#crews();
    }
    this.redraw();
  }

  #changed(outage) {
    this.#touched(outage);
    this.draw();
    this.#crews();
  }

  #touched(outage) {
    this.askPower();
    if (this.opened === outage.id) { this.openedOutage = outage; this.askDetail(); }
  }

  #linked(link) {
    const was = this.live();
    this.link = link.retryAt ? { ...link, retryAt: link.retryAt + this.offset } : link;
    if (was !== this.live()) this.draw();
    if (this.live()) this.askPower();
    this.tick();
  }

  async #signedOut() {
    this.link = { state: "lost", reason: "signed_out" };
    this.tick();
    if (document.querySelector(".sign-in")) return;
    await askForCode(this.say);
    this.feed.start();
    this.#sources();
  }

  /** Ask the service; what fails leaves what is there as it was. */
  async #ask(path) {
    try {
      return await ask(path);
    } catch (error) {
      if (error instanceof SignedOut) this.#signedOut();
      return null;
    }
  }

  async #network() {
    text(byId("map-note"), this.say("map.wait"));
    const network = await this.#ask("/api/network");
    if (!network) { setTimeout(() => this.#network(), 5_000); return; }
    this.model.setNetwork(network);
    this.drawn = await this.map.draw(network);
    if (!this.drawn) this.showTree(true);
    document.body.dataset.map = this.drawn ? "drawn" : "none";
    this.#powered();
  }

  async #power() {
    const turn = this.powerTurns.ask();
    const power = await this.#ask("/api/power");
    if (!power || !this.powerTurns.take(turn)) return;
    if (this.model.network && power.version !== this.model.network.version) await this.#network();
    this.model.setPower(power);
    this.#powered();
  }

  #powered() {
    this.memo.clear();
    if (this.drawn && this.model.power) this.map.show(this.model.power, this.model.outages);
    this.tree.draw(this.model.network, this.model.power);
    this.draw();
  }

  async #sources() {
    const found = await this.#ask("/api/sources");
    if (found) { this.model.sources = found.sources; this.tick(); }
  }

  async #crews() {
    const turn = this.crewTurns.ask();
    const found = await this.#ask("/api/crews");
    if (found && this.crewTurns.take(turn)) { this.model.crews = found.crews; this.memo.clear(); this.redraw(); }
  }

  /** Whom to call; a service that keeps no such tasks has no button for them. */
  async #tasks() {
    const found = await this.#ask("/api/tasks");
    if (found) byId("task-button").hidden = false;
    this.tasks.take(found);
  }

  #called(n) {
    this.bell.tone();
    text(byId("polite"), this.say("tasks.new", { n }));
  }

  /** What was noticed and has ended, too: the feed's state has what goes on. */
  async #noticed() {
    const found = await this.#ask("/api/findings?all=true");
    if (found) { this.model.noticed(found.findings); this.redraw(); }
  }

  async #history() {
    const at = new Date(this.now() - BEFORE_MS).toISOString();
    const found = await this.#ask(`/api/outages?at=${encodeURIComponent(at)}`);
    if (found) this.before = found.outages.filter((o) => o.restored_at === null).reduce((sum, o) => sum + o.customers_out, 0);
  }

  async #detail() {
    const id = this.opened;
    if (!id) return;
    const path = `/api/outages/${encodeURIComponent(id)}`;
    const [detail, decisions, calls, notices] = await Promise.all([this.#ask(path), this.#ask(`${path}/decisions`), this.#ask(`${path}/calls`), this.#ask(`${path}/notices`)]);
    if (this.opened !== id) return;
    this.opens = { detail, decisions: decisions?.decisions ?? [], calls: calls?.calls ?? [], notices };
    if (detail) this.openedOutage = { ...detail, ...(this.model.outages.get(id) ?? {}) };
    this.#drawDetail();
  }

  // -- what is drawn ----------------------------------------------------------------------------

  /** Everything that depends on outages. */
  draw() {
    const all = [...this.model.outages.values()];
    const now = this.now();
    const passing = all.filter((o) => passes(o, this.filters, now, this.session.subject));
    const wanted = ordered(passing, (id) => this.model.dark(id), now, this.session.arrival_min);
    const suppressed = this.filters.tab === "suppressed";
    this.list.put(!suppressed);
    drawSuppressed(suppressed ? [...this.model.findings.values()] : null, this, now);
    if (this.loaded && !suppressed) {
      this.list.draw(wanted, (id) => this.#cells(id, now), { group: this.filters.group ? grouped(this) : null, empty: empty(this, all.length) });
    }
    drawTabs(this, all);
    drawOptions(this, all);
    if (this.opened && this.opens) this.#drawDetail();
    this.tick();
  }

  #cells(id, now) {
    const outage = this.model.outages.get(id) ?? this.gone?.get(id);
    if (!outage) return this.memo.get(id)?.cells ?? {};
    const stamp = `${outage.version}|${Math.floor(now / SLOW_MS)}`;
    const kept_ = this.memo.get(id);
    if (kept_?.stamp === stamp) return kept_.cells;
    const made = cells(outage, { say: this.say, times: this.times, now, dark: this.model.dark(id), crews: this.model.crews,
      arrivalMin: this.session.arrival_min, calls: this.model.power?.calls?.[id], told: this.model.power?.told?.[id] });
    this.memo.set(id, { stamp, cells: made });
    return made;
  }

  #drawDetail() {
    const outage = this.openedOutage;
    if (!outage) return;
    drawDetail({ outage, crews: this.model.crews, decisions: [], calls: [], notices: null, ...this.opens },
      { say: this.say, times: this.times, model: this.model, now: this.now(), close: () => this.back(), open: (id) => this.open(id), actions: (o) => this.#actions(o) });
  }

  #actions(outage) {
    const { near, more } = actionsOf(outage);
    if (!near.length) return null;
    const off = !this.live();
    const button = (action) => el("button", { id: `act-${action}`, type: "button", disabled: off, class: action === near[0] ? "main" : null, onclick: () => this.acts.act(action, outage) }, this.say(`act.${action}`));
    const rest = el("select", { id: "act-more", "aria-label": this.say("act.more"), disabled: off }, el("option", { value: "" }, `${this.say("act.more")}…`), ...more.map((a) => el("option", { value: a }, this.say(`act.${a}`))));
    rest.addEventListener("change", () => { const chosen = rest.value; rest.value = ""; if (chosen) this.acts.act(chosen, outage); });
    return el("div", { class: "actions" }, ...near.map(button), rest);
  }

  /** Once a second: what depends on the clock alone. */
  tick() {
    const { say, times, model, alarms, session, link } = this;
    const now = this.now();
    drawHead({ say, times, now, session, link, model, heardAt: this.heardAt });
    const found = drawFigures({ say, times, now, model, before: this.before });
    const raised = this.loaded ? alarms.look(model, now, session.arrival_min) : [];
    this.bell.ring(raised);
    this.bell.draw();
    const urgent = raised.filter((a) => a.level === 1).map((a) => this.bell.words(a));
    if (urgent.length) text(byId("urgent"), say("live.p1", { what: urgent.slice(0, 3).join("; ") }));
    const sum = this.teller.due(now);
    if (sum) text(byId("polite"), say("live.sum", { ...sum, dark: times.count(found.dark) }));
  }

  // -- what a person does -----------------------------------------------------------------------

  /** Open an outage: the detail covers the map, the list stays. */
  open(id, focus = true) {
    this.list.select(id);
    this.opened = id;
    this.opens = null;
    this.openedOutage = this.model.outages.get(id) ?? null;
    const box = byId("detail");
    box.hidden = false;
    if (this.openedOutage) this.#drawDetail();
    else box.replaceChildren(el("p", { class: "empty" }, this.say("detail.wait")));
    if (focus) box.focus({ preventScroll: true });
    this.filter({ open: id });
    this.#detail();
  }

  /** Back to the row that was left. */
  back() {
    if (!byId("alarm-panel").hidden) { this.bell.toggle(false); return; }
    if (!byId("task-panel").hidden) { this.tasks.toggle(false); return; }
    if (!byId("detail").hidden) {
      byId("detail").hidden = true;
      this.opened = null;
      this.filter({ open: "" });
      this.list.focus();
    } else if (document.activeElement?.id === "f-text") this.list.focus();
  }

  select(id) {
    const outage = this.model.outages.get(id);
    if (outage && this.drawn) this.map.follow(outage.device_id);
  }

  see(alarm) {
    this.alarms.see(alarm.id, this.now());
    if (alarm.outage && !this.model.outages.get(alarm.outage)?.acknowledged) this.acts.act("acknowledge", this.model.outages.get(alarm.outage));
  }

  move(by) { this.list.move(by); }

  tab(name) {
    if (!name) return;
    this.filter({ tab: name });
  }

  get chosen() {
    const id = this.opened ?? this.list.selected;
    return this.model.outages.get(id) ?? (this.opened ? this.openedOutage : null);
  }

  keys = {
    j: () => this.move(1), k: () => this.move(-1), "/": () => byId("f-text").focus(),
    a: () => this.acts.act("acknowledge", this.chosen), c: () => this.acts.act("assign", this.chosen),
    e: () => this.acts.act("etr", this.chosen), n: () => this.acts.act("note", this.chosen),
    p: () => this.acts.act("ping", this.chosen), v: () => this.#verify(), d: () => { if (!byId("task-button").hidden) this.tasks.toggle(); },
    m: () => { if (this.opened) this.back(); (this.map.map?.getCanvas() ?? byId("tree-button")).focus(); },
    t: () => { if (!this.opened && this.chosen) this.open(this.chosen.id); byId("timeline")?.focus(); },
    r: () => this.list.refresh(true), 0: () => this.filter({ ...NONE, open: this.filters.open }), "?": () => help(this.say),
  };

  #verify() {
    const action = this.chosen && verifying(this.chosen);
    if (action) this.acts.act(action, this.chosen);
    else if (this.chosen) this.acts.toast(this.say("said.sure"));
  }

  /** Change what the list shows, in the address too. */
  filter(changes) {
    this.filters = { ...this.filters, ...changes };
    history.replaceState(null, "", location.pathname + write(this.filters, location.search));
    if (Object.keys(changes).some((name) => name !== "open")) { this.list.shown = []; this.list.page = 0; this.draw(); }
  }

  #waiting(ids) {
    const button = byId("new-button");
    byId("new-slot").classList.toggle("has", ids.length > 0);
    if (!ids.length) return;
    const urgent = ids.map((id) => this.model.outages.get(id)).filter((o) => o && this.alarms.all.get(`key:${o.id}`)).map((o) => o.device_id);
    text(button, `${this.say("pool.new", { n: ids.length })}${urgent.length ? ` · ${urgent.slice(0, 2).join(", ")}` : ""} · ${this.say("pool.apply")}`);
  }

  /** The table in the map's place, or the map. */
  showTree(on) {
    byId("tree").hidden = !on;
    byId("map").hidden = on;
    attribute(byId("tree-button"), "aria-pressed", String(on));
    this.tree.draw(this.model.network, this.model.power);
  }

}

/** Sign in by the address's code, by the cookie, or by asking. */
async function begin() {
  const say = words(language(), SHARED, BOARD);
  const session = await enterAs("dispatcher", say);
  if (!session) return;
  const board = new Board(session);
  window.lastgaspBoard = board; // for the tests: what the map says must be what the list says
  board.start();
}

begin();
