"""The engine of one feeder group: frames in, changes and a wake-up out.

Entries of the stream are taken in one by one; verdicts are given at whole seconds of stream time,
within a tenth of one where a terminal is dead, and at once when a telemetered device moves.  So how
it is cut into frames changes nothing.

While a source's backlog is coming in, entries are only kept.  When it is in, they are gone through
in the order of the devices' own clocks, second by second from where we went deaf to now: what began
and ended meanwhile is found too.
"""

import numpy as np

from detectors.asking import Asking
from detectors.book import NOBODY, Book
from detectors.bound import contradict, pins
from detectors.currents import weighed
from detectors.decisions import Decisions, decide, throw
from detectors.estimating import estimate, learn
from detectors.etr import History
from detectors.evidence import Ear, Evidence, gather
from detectors.findings import Findings, note_position, note_verdict
from detectors.glancing import Glance, glance
from detectors.hearing import Hearing, hear_live, silence
from detectors.intake import before_answer, calm, hear, switchgear
from detectors.lifecycle import close, explain, switched
from detectors.listening import Listening
from detectors.loads import Load, read_load
from detectors.moments import NEVER
from detectors.phases import take_words, with_phases
from detectors.placing import fed_elsewhere
from detectors.planning import Planned, expected, match_plan
from detectors.positions import Moved, Position, Switching, read_position
from detectors.priors import priors_of
from detectors.rates import Rates, calm_from, count_gasps, storms, teaches
from detectors.reconcile import reconcile
from detectors.relays import Relays
from detectors.repeats import Memory, blank, take
from detectors.restoration import finish, follow, hear_back, restoring, settle_times
from detectors.scene import Scene
from detectors.settings import EngineSettings
from detectors.transfer import arrive
from detectors.tree import places, tree_of
from detectors.waking import TICK_MS, Waking
from detectors.watched import Watched, note_gasps, watch
from detectors.weak import note_weak
from detectors.weighing import Priors
from detectors.work import verify
from grid.frame import (
    CaughtUp,
    Command,
    Deaf,
    Decided,
    FedElsewhere,
    Frame,
    NetworkChanged,
    PingSent,
    PlanCancelled,
    PlanEntered,
    Rows,
    SettingsChanged,
    SourceLost,
    SwitchThrown,
    first_ms,
    joined,
)
from grid.network import Group
from grid.outage import ENDED, Change, Outcome, Ping

KEPT_ROWS_MAX = 1_000_000  # of a backlog; at the limit it is gone through as far as it is in
NO_BACKLOG = 1 << 60


class Engine:
    """State over one group's nodes.  ``position`` counts the frames taken."""

    def __init__(self, group: Group, settings: EngineSettings) -> None:
        self.group = group
        self.tree = tree_of(group)
        self.limits = settings
        self.position = 0
        self.network = ""  # version of the last frame
        self.clock_ms = 0  # stream time up to which everything is decided
        self.hearing: Hearing = silence(len(group.ids))
        self.memory: Memory = blank(len(group.ids))
        self.positions: dict[int, Position] = {}
        self.loads: dict[int, Load] = {}
        self.plans: dict[str, PlanEntered] = {}
        nodes = len(group.ids)
        self.book = Book(group, self.tree, np.full(nodes, NOBODY), self.hearing.ended_ms)
        self.findings = Findings(group)
        self.decisions = Decisions()
        self.history = History()
        self.waking = Waking()
        self.listening = Listening()
        self.meters = int(self.tree.meters.sum())
        self.catching_up: dict[str, int] = {}  # source -> since when it was not heard
        self.relays = Relays()
        self.backlog_from_ms = NO_BACKLOG  # what is kept may have happened since
        self.kept: list[Rows] = []
        self.rates = Rates()
        self._at_ms: int | None = None  # when what is gone through late is said
        self.asking = Asking()
        self.watched = Watched()
        self._changes: list[Change] = []
        self._pings: list[Ping] = []
        self._nodes: dict[str, int | None] = {}

    def apply(self, frame: Frame) -> Outcome:
        """Take a frame in.  Frames of one group come in order of ``position``, none twice."""
        assert frame.position == self.position + 1, (frame.position, self.position)
        self.position = frame.position
        self.network = frame.network
        if self.clock_ms == 0:
            self.clock_ms = first_ms(frame)
        new = take(self.memory, frame.rows)
        kept = places(new)
        rows = frame.rows if len(kept) == len(new) else frame.rows.take(kept)
        begin = 0
        for command in frame.commands:
            end = int(np.searchsorted(rows["stream_ms"], command.at_ms, "left"))
            self._rows(rows[begin:end])
            begin = end
            self._advance(command.at_ms)
            self._command(command)
        self._rows(rows[begin:])
        self._advance(frame.until_ms)
        changes, self._changes = tuple(self._changes), []
        pings, self._pings = tuple(self._pings), []
        return Outcome(
            changes=changes,
            findings=self.findings.page(),
            pings=pings,
            wake_ms=None if self.catching_up else self.waking.next_ms(self.clock_ms),
            repeat_rows=tuple(places(~new).tolist()),
            decisions=self.decisions.page(),
        )

    def _rows(self, rows: Rows) -> None:
        if len(rows) == 0:
            return
        if self.catching_up:
            self.kept.append(rows)
            if sum(map(len, self.kept)) >= KEPT_ROWS_MAX:
                self._go_through(int(rows["stream_ms"][-1]))
            return
        rows = np.ascontiguousarray(rows)
        there = glance(rows, self.group.kind)
        stream = rows["stream_ms"]
        begin, last = 0, int(stream[-1])
        while begin < len(rows):
            self._advance(int(stream[begin]))
            boundary = self.waking.boundary(int(stream[begin]), last)
            end = len(rows) if boundary > last else int(np.searchsorted(stream, boundary))
            if boundary > int(stream[begin]) // TICK_MS * TICK_MS + TICK_MS:
                end = self._until_urgent(rows, begin, end)
            if there.terminals:
                end = begin + before_answer(self.book, rows[begin:end], self.limits)
            self._fold(rows[begin:end], there)
            begin = end

    def _until_urgent(self, rows: Rows, begin: int, end: int) -> int:
        """While all is calm, rows of many seconds are taken in together, up to the first alarm."""
        alarm = begin + calm(self.book, rows[begin:end], self.limits)
        if alarm == end:
            return end
        stream = rows["stream_ms"]
        second = max(int(stream[alarm]) // TICK_MS, int(stream[begin]) // TICK_MS + 1)
        return min(end, int(np.searchsorted(stream, second * TICK_MS, "left")))

    def _fold(self, rows: Rows, there: Glance) -> None:
        """Take in rows between two verdicts; a telemetered move is a verdict of its own."""
        if not there.switchgear:
            self._hear(rows, there)
            return
        device = switchgear(self.book, rows)
        begin = 0
        for i in places(device).tolist():
            event = read_position(rows, i, self.positions.get(int(rows["node"][i])))
            if event is None:
                continue
            self.positions[event.node] = event.position
            if event.position.closed:
                hear_live(self.hearing, rows, i, self.limits)
                load = read_load(rows, i, self.loads.get(event.node), self.limits)
                self.loads |= {} if load is None else {event.node: load}
            if event.moved is not Moved.NOTHING:
                self._hear(rows[begin : i + 1].take(places(~device[begin : i + 1])), there)
                begin = i + 1
                self._switch(event, int(rows["stream_ms"][i]))
        self._hear(rows[begin:].take(places(~device[begin:])), there)

    def _hear(self, rows: Rows, there: Glance) -> None:
        if len(rows) == 0:
            return
        heard = hear(self.book, self.hearing, rows, self.limits, asks=self.asking.asks, there=there)
        if there.gasps:
            note_gasps(self.watched, rows, self.limits)
            if heard.urgent_ms is not None:
                self.rates.hear_gasps(rows, self.tree.meters, self.hearing)
        note_weak(self.watched, self.findings, rows, self.limits, there=there)
        take_words(self.findings, self.book, self.hearing, heard.phases)
        self.waking.heard(int(rows["stream_ms"][0]))
        if heard.urgent_ms is not None:
            self.waking.alarmed(heard.urgent_ms)
        if heard.soon_ms is not None:
            self.waking.at_once(heard.soon_ms)

    def _switch(self, event: Switching, now_ms: int) -> None:
        note_position(self.findings, event.node, event.position, now_ms)
        switched(self._look(now_ms), event)
        self._decide(now_ms)
        self.waking.alarmed(now_ms)

    def _advance(self, to_ms: int) -> None:
        """Let stream time pass, with a verdict at each whole second that needs one."""
        if self.catching_up:
            return
        while (at := self.waking.due(self.clock_ms, to_ms)) is not None:
            self.clock_ms = at
            self._decide(at)
        self.clock_ms = max(self.clock_ms, to_ms)

    def _ear(self, now_ms: int) -> Ear:
        running = [o for o in self.book.running.values() if teaches(o, now_ms)]
        relays = self.relays.gaps(self.group.dcu)
        return Ear(
            now_ms=now_ms,
            gaps=self.listening.gaps,
            relays=relays,
            gasping=self.rates.gasping(running, self.limits),
            false_gasp=self.rates.false_gasp(self.meters, self.limits),
            comms_loss=self.rates.comms_loss(running, self.relays, self.group, self.limits),
            calm_ms=calm_from(self.book.running.values()),
            asked=self.asking.waiting(now_ms, self.limits, self.hearing.void_ms, relays),
            dark=self.book.owner >= 0,
            dismissed_ms=self.book.dismissed_ms,
            muted=self.watched.muted(),
        )

    def _look(self, now_ms: int) -> Scene:
        return self._scene(gather(self.group, self.hearing, self._ear(now_ms), self.limits), now_ms)

    def _scene(self, evidence: Evidence, now_ms: int) -> Scene:
        return Scene(
            self.book,
            self.hearing,
            evidence,
            self.positions,
            now_ms=now_ms,
            said_ms=now_ms if self._at_ms is None else self._at_ms,
            limits=self.limits,
            loads=self.loads,
        )

    def _priors(self, scene: Scene) -> Priors:
        priors = priors_of(
            self.group,
            self.positions,
            expected=expected(self._planned(), scene.now_ms),
            storms=storms(self.book.running.values()),
            tripped=[o.node for o in self.book.running.values() if o.telemetered],
            pinned=pins(self.book),
            restoring=restoring(self.book),
            failed=self.history.failed,
            now_ms=scene.now_ms,
            limits=self.limits,
        )
        return weighed(scene, priors)

    def _planned(self) -> list[Planned]:
        return [(plan, self._node(plan.device_id)) for plan in self.plans.values()]

    def _node(self, device_id: str) -> int | None:
        """The node of a device that a plan names; None where it is not of this group."""
        if device_id not in self._nodes:
            ids = self.group.ids
            self._nodes[device_id] = ids.index(device_id) if device_id in ids else None
        return self._nodes[device_id]

    def _decide(self, now_ms: int) -> None:
        """One verdict: who is back, who is out, and what that changes."""
        alive = hear_back(self.book, self.hearing, self.limits, now_ms)
        self.relays.swallowed(alive, self.group.dcu, self.hearing)
        ear = self._ear(now_ms)  # with what that expects of the others
        evidence = gather(self.group, self.hearing, ear, self.limits)
        self.rates.learn_spells(self.relays.mute, evidence, self.group.dcu, now_ms)
        if self.relays.note(evidence, self.group, now_ms):
            ear = self._ear(now_ms)
            evidence = gather(self.group, self.hearing, ear, self.limits)
        scene = self._scene(evidence, now_ms)
        contradict(scene)
        known = (self.book, self.findings, self.hearing)
        verdict = with_phases(known, evidence, self._priors(scene), now_ms)
        held = reconcile(scene, verdict.declared)
        self.rates.learn_false(evidence, self.hearing, verdict, held, now_ms=now_ms)
        by_node = {found.node: found for found in verdict.declared}
        plans = self._planned()
        for outage in list(self.book.running.values()):
            found = by_node.get(outage.node)
            if found is not None and outage.back_ms is None and outage.dark:
                count_gasps(outage, self.hearing, self.group.dcu, ear.gasping, self.limits)
                explain(scene, outage, found)
            match_plan(scene, outage, plans)
            follow(self.book, outage, self.hearing, ear=ear, limits=self.limits, held=held)
            if outage.state not in ENDED:
                finish(self.book, outage, now_ms)
                close(scene, outage)
                verify(scene, outage)
                estimate(scene, outage, self.history, self.plans)
            learn(scene, outage, self.history)
            if outage.sequence in self.book.reasons:
                settle_times(self.book, outage, self.hearing)
            self.rates.learn_delivery(outage, self.clock_ms)
        note_verdict(self.findings, scene, held)
        watch(self.watched, self.findings, scene)
        deaf = self._at_ms is not None or bool(self.listening.lost)
        self._pings += self.asking.ask(scene, verdict, deaf=deaf, storm=self.watched.storm)
        self._changes += self.book.page(scene.said_ms)
        self.waking.decided(
            now_ms, evidence, running=list(self.book.running.values()), limits=self.limits
        )
        self.waking.expect(self.asking.due_ms(now_ms, self.limits))

    def _command(self, command: Command) -> None:
        match command:
            case SourceLost():
                self.listening.lose(command.source, command.at_ms)
                self.asking.clear()
            case Deaf():
                self.asking.clear()
                self.backlog_from_ms = min(self.backlog_from_ms, command.from_ms)
                gap = (command.from_ms, command.until_ms)
                self.catching_up[command.source] = self.listening.find(command.source, gap)
            case CaughtUp():
                self.listening.answered(self.catching_up.pop(command.source, None), command)
                if not self.catching_up:
                    self._go_through(command.at_ms)
            case PlanEntered():
                self.plans[command.plan_id] = command
                self.waking.alarmed(command.at_ms)
            case SettingsChanged():
                self.limits = EngineSettings(**command.settings)
            case _:
                self._rare(command)

    def _rare(self, command: Command) -> None:
        match command:
            case PlanCancelled():
                self.plans.pop(command.plan_id, None)
            case Decided() | SwitchThrown():
                self._person(command)
            case FedElsewhere():
                fed_elsewhere(self._look(command.at_ms), np.array(command.nodes, np.int64))
                self._changes += self.book.page(command.at_ms)
            case NetworkChanged():
                arrive((self.hearing, self.memory, self.watched), self.group, command.came)
                self.waking.alarmed(command.at_ms)
            case PingSent():
                node = self._node(command.device_id)
                if node is not None and self.hearing.on_ms.of(node) != NEVER:
                    self.asking.sent(node, command.at_ms)
                    self.waking.alarmed(command.at_ms)

    def _person(self, command: Decided | SwitchThrown) -> None:
        if isinstance(command, Decided):
            ping = self.asking.by_hand(self._pings, lost=[*self.catching_up, *self.listening.lost])
            self._changes += decide(
                self._look(command.at_ms), self.decisions, command, self.history, ping=ping
            )
            self.waking.alarmed(command.at_ms)
            return
        event, word = throw(self.group, command, self.positions, self.limits)
        self.decisions.said.append(word)
        if event is not None:
            self.positions[event.node] = event.position
            self._switch(event, command.at_ms)

    def _go_through(self, now_ms: int) -> None:
        """Take in what was kept, by the devices' clocks brought to ours, as if heard then."""
        waiting, self.catching_up = self.catching_up, {}
        rows, self.kept = joined(self.kept), []
        if len(rows):
            node = rows["node"].astype(np.int64)
            lag = np.minimum(self.hearing.lag(node), rows["received_ms"] - rows["happened_ms"])
            begin = min(self.clock_ms, self.backlog_from_ms)
            at = np.clip(rows["happened_ms"] + lag, begin, now_ms)
            order = np.argsort(at, kind="stable")
            rows = rows[order]
            rows["stream_ms"] = at[order]
            if at[order[0]] < self.clock_ms:
                self.clock_ms = int(at[order[0]])
                self.waking.rewound(self.clock_ms)
            self._at_ms = now_ms
            self._rows(rows)
        self._at_ms = now_ms
        self._advance(now_ms)
        self._at_ms, self.catching_up = None, waiting
        if not waiting:
            self.backlog_from_ms = NO_BACKLOG
