"""What meters and terminals say, and when it gets through.

A meter believes that power has failed after its hold-off: shorter dips pass unsaid.  The ``at`` of
a last gasp is the moment at which power failed, by the device's clock; the message leaves after
the hold-off.  A device without power cannot repeat itself: a gasp that found nobody is told by
``off_at`` of the power-up.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from grid.network import PHASE_BITS, Network, Place
from grid.reading import Kind, Reading
from simulators.chance import normal
from simulators.fact import Fact
from simulators.power import NEVER, Dark, Power
from simulators.scene import Scene
from simulators.speakers import SINGLE_PHASES, Speaker
from simulators.story import FalseOne, Jump, PhaseGone, Silence, Story
from simulators.tables import Span

LATENCY_MS_MAX = 60_000  # what takes longer is a retry, and the devices' stores do those
_WOBBLE_V = 0.005  # standard deviation of the voltage between readings, per unit of nominal
_PHASE_WORD_MS = 2000  # a device looks for so long before it speaks of one phase
_TERMINAL_WAY_S: Span = (0.05, 0.4)  # terminals have a line of their own


class Word(NamedTuple):
    """What a device wants to say.  Times are true ones; its clock comes in when it speaks."""

    kind: Kind
    at_ms: int
    leaves_ms: int
    on: bool = True
    phases: int = 0
    off_ms: int = 0
    backup_ms: int = NEVER  # how long the device can go on trying; for ever while it has power


class Speech:
    """The words of one story's devices."""

    def __init__(self, scene: Scene, story: Story, power: Power) -> None:
        self._field = field = scene.field
        self._power = power
        self._chance = scene.chance
        self._network = scene.network
        self._start_ms = scene.start_ms
        self._silences: defaultdict[str, list[Silence]] = defaultdict(list)
        for silence in story.dcu_silences:
            self._silences[silence.device_id].append(silence)
        self._jumps: defaultdict[Place, list[Jump]] = defaultdict(list)
        for jump in story.jumps:
            self._jumps[jump.place].append(jump)
        self._phases_gone = story.phases_gone
        self._false_alarms = story.false_alarms
        self._batch_ms = max(1, round(field.batch_s * 1000))
        self._batch_phases: dict[str, int] = {}  # as many as there are concentrators

    def of_darkness(self, speaker: Speaker) -> Iterator[Fact]:
        """Gasps and power-ups of all the dark intervals of a device, and its word on phases."""
        if not speaker.solar:
            for number, dark in enumerate(self._power.dark(speaker.place)):
                yield from self._of_interval(speaker, number, dark)
        for gone in self._phases_gone:
            if self._sees(speaker, gone):
                yield from self._of_phase(speaker, gone)

    def false_gasp(self, speaker: Speaker, at_ms: int) -> Iterator[Fact]:
        """A gasp without a failure."""
        hold_s = self._chance.between(self._field.holdoff_s, "false", speaker.id)
        word = Word(Kind.LAST_GASP, at_ms, at_ms + round(1000 * hold_s), on=False)
        yield from self._way(speaker, word)

    def late(self, speaker: Speaker) -> Iterator[Fact]:
        """What a meter that was not heard in a false alarm measured meanwhile, and measures now."""
        for alarm in self._false_alarms:
            if not _behind(alarm, speaker.place, self._network):
                continue
            wait_s = self._chance.between(self._field.power_up_s, "late", speaker.id)
            leaves_ms = alarm.until_ms + round(1000 * wait_s)
            for at_ms in ((alarm.at_ms + alarm.until_ms) // 2, leaves_ms):
                if self._power.at(speaker.place, at_ms):
                    yield from self._way(speaker, Word(Kind.VOLTAGE, at_ms, leaves_ms))

    def heartbeat(self, speaker: Speaker, at_ms: int) -> Iterator[Fact]:
        """One heartbeat; none where its device has no power."""
        if speaker.solar or self._power.at(speaker.place, at_ms):
            yield from self._way(speaker, Word(Kind.HEARTBEAT, at_ms, at_ms))

    def revived(self, speaker: Speaker, off_ms: int) -> Iterator[Fact]:
        """The power-up of a device that was dark when the story began."""
        wait_s = self._chance.between(self._field.power_up_s, "revived", speaker.id)
        at_ms = self._start_ms
        if not speaker.solar and self._power.at(speaker.place, at_ms):
            leaves_ms = at_ms + round(1000 * wait_s)
            yield from self._way(speaker, Word(Kind.POWER_UP, at_ms, leaves_ms, off_ms=off_ms))

    def hello(self, speaker: Speaker, at_ms: int) -> Iterator[Fact]:
        """A first word out of turn: a voltage, so that nobody takes it for part of the rhythm."""
        if speaker.solar or self._power.at(speaker.place, at_ms):
            yield from self._way(speaker, Word(Kind.VOLTAGE, at_ms, at_ms))

    def answer(self, speaker: Speaker, asked_ms: int) -> Iterator[Fact]:
        """The answer to a ping, under the meter's own topic and without boot and seq."""
        one, wait, other, _ = self._chance.four("ping", speaker.id, asked_ms)
        at_ms = asked_ms + round(1000 * _within(self._field.ping_s, wait))
        alive = speaker.solar or self._power.at(speaker.place, at_ms)
        alive &= not self._unheard(speaker, at_ms)
        if alive and one < self._field.ping_reply and not self._cut_off(speaker, at_ms):
            word = Word(Kind.PING_REPLY, at_ms, at_ms)
            yield Fact(at_ms, speaker.cls, speaker.id, self._reading(speaker, word, other, None))

    def _of_interval(self, speaker: Speaker, number: int, dark: Dark) -> Iterator[Fact]:
        field, terminal = self._field, speaker.cls == "terminal"
        heard, hold, wait, back = self._chance.four("dark", speaker.cls, speaker.id, number)
        holdoff_s = field.terminal_s if terminal else field.holdoff_s
        leaves_ms = dark.off_ms + round(1000 * _within(holdoff_s, hold))
        if dark.on_ms <= leaves_ms:
            return  # a dip, too short to be noticed
        if heard < (field.terminal_delivery if terminal else field.delivery):
            backup_s = field.terminal_backup_s if terminal else field.capacitor_s
            backup_ms = round(1000 * backup_s)
            gasp = Word(Kind.LAST_GASP, dark.off_ms, leaves_ms, on=False, backup_ms=backup_ms)
            yield from self._way(speaker, gasp)
        wait_s = field.terminal_s if terminal else field.power_up_s
        speaks_ms = dark.on_ms + round(1000 * _within(wait_s, wait))
        if dark.on_ms == NEVER or not self._power.at(speaker.place, speaks_ms):
            return
        if terminal or back < field.power_up:
            word = Word(Kind.POWER_UP, dark.on_ms, speaks_ms, off_ms=dark.off_ms)
            yield from self._way(speaker, word)

    def _sees(self, speaker: Speaker, gone: PhaseGone) -> bool:
        """Whether a device has the lost phase and others to live on."""
        place, group = speaker.place, self._network.groups[gone.place.group]
        below = group.below(gone.place.node)
        return (
            place.group == gone.place.group
            and below.start <= place.node < below.stop
            and bool(speaker.phases & PHASE_BITS[gone.phase])
            and speaker.phases not in SINGLE_PHASES
        )

    def _of_phase(self, speaker: Speaker, gone: PhaseGone) -> Iterator[Fact]:
        phases = PHASE_BITS[gone.phase]
        for kind, at_ms in ((Kind.PHASE_LOSS, gone.off_ms), (Kind.PHASE_OK, gone.on_ms)):
            if self._power.at(speaker.place, at_ms):
                word = Word(kind, at_ms, at_ms + _PHASE_WORD_MS, phases=phases)
                yield from self._way(speaker, word)

    def _way(self, speaker: Speaker, word: Word) -> Iterator[Fact]:
        """The word as it gets through, if it does."""
        field = self._field
        if word.kind is not Kind.LAST_GASP and self._unheard(speaker, word.leaves_ms):
            return
        draws = self._chance.four(
            speaker.cls, speaker.id, int(word.kind), word.at_ms - self._start_ms
        )
        due_ms = word.leaves_ms + self._latency(speaker, draws)
        expires_ms = NEVER if word.backup_ms == NEVER else due_ms + word.backup_ms
        via: str | None = None
        if speaker.dcu is not None:
            silence = self._silence(speaker.dcu, due_ms)
            if silence is not None:
                if not silence.keeps:
                    return
                due_ms = silence.until_ms + round(1000 * field.batch_s * draws[3])
            if field.batches:  # a concentrator has a battery and a store of its own
                via, expires_ms = speaker.dcu, NEVER
                due_ms = self._sent_with_batch(speaker.dcu, due_ms)
        if due_ms >= expires_ms:
            return
        reading = self._reading(speaker, word, draws[0], via)
        cls, name = (speaker.cls, speaker.id) if via is None else ("dcu", via)
        yield Fact(due_ms, cls, name, reading, expires_ms, self._again(due_ms, draws))

    def _reading(self, speaker: Speaker, word: Word, draw: float, via: str | None) -> Reading:
        return Reading(
            device_id=speaker.id,
            kind=word.kind,
            happened_ms=self._clock(speaker, word.at_ms),
            via=via,
            volts=self._volts(speaker, word, draw),
            phases=word.phases,
            on=word.on,
            off_at_ms=self._clock(speaker, word.off_ms) if word.off_ms else 0,
        )

    def _clock(self, speaker: Speaker, at_ms: int) -> int:
        """What the device's own clock shows."""
        jumps = self._jumps.get(speaker.place, ())
        return at_ms + speaker.skew_ms + sum(j.by_ms for j in jumps if j.at_ms <= at_ms)

    def _volts(self, speaker: Speaker, word: Word, draw: float) -> tuple[float, ...]:
        count = 1 if speaker.phases in SINGLE_PHASES else 3
        if not word.on:
            return (0.0,) * count
        volt = round(speaker.base_v * (1 + _WOBBLE_V * (2 * draw - 1)), 1)
        if count == 1:
            return (volt,)
        lost = sum(
            PHASE_BITS[gone.phase]
            for gone in self._phases_gone
            if gone.off_ms <= word.at_ms < gone.on_ms and self._sees(speaker, gone)
        )
        return tuple(0.0 if lost & bit else volt for bit in PHASE_BITS.values())

    def _latency(self, speaker: Speaker, draws: tuple[float, float, float, float]) -> int:
        field = self._field
        if speaker.cls == "terminal":
            return round(1000 * _within(_TERMINAL_WAY_S, draws[0]))
        way_s = field.latency_s * math.exp(field.latency_sigma * normal(draws[0], draws[1]))
        if draws[2] < field.reorder:
            way_s += field.reorder_s * draws[2] / field.reorder
        return min(round(1000 * way_s), LATENCY_MS_MAX)

    def _again(self, due_ms: int, draws: tuple[float, float, float, float]) -> int:
        """When the same message comes a second time; 0 if it does not."""
        field, draw = self._field, draws[3]
        if draw < field.repeats:
            return due_ms + 1 + round(2000 * field.latency_s * draw / field.repeats)
        if draw < field.repeats + field.stale:
            return due_ms + round(1000 * field.stale_s * (0.5 + draws[1]))
        return 0

    def _sent_with_batch(self, dcu: str, due_ms: int) -> int:
        """When the concentrator next sends what it has collected."""
        phase_ms = self._batch_phases.get(dcu)
        if phase_ms is None:
            phase_ms = int(self._chance.one("batch", dcu) * self._batch_ms)
            self._batch_phases[dcu] = phase_ms
        return due_ms + (self._start_ms + phase_ms - due_ms) % self._batch_ms

    def _silence(self, dcu: str, at_ms: int) -> Silence | None:
        silences = self._silences.get(dcu, ())
        return next((s for s in silences if s.from_ms <= at_ms < s.until_ms), None)

    def _unheard(self, speaker: Speaker, at_ms: int) -> bool:
        return any(
            a.at_ms <= at_ms < a.until_ms and _behind(a, speaker.place, self._network)
            for a in self._false_alarms
        )

    def _cut_off(self, speaker: Speaker, at_ms: int) -> bool:
        return speaker.dcu is not None and self._silence(speaker.dcu, at_ms) is not None


def _within(span: Span, draw: float) -> float:
    return span[0] + (span[1] - span[0]) * draw


def _behind(alarm: FalseOne, place: Place, network: Network) -> bool:
    below = network.groups[alarm.place.group].below(alarm.place.node)
    return place.group == alarm.place.group and below.start <= place.node < below.stop
