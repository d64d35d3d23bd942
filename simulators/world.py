"""A world: a network, a scenario and a seed, and so everything that happens and who would say what.

Deterministic and without I/O.  All times are epoch milliseconds of true time; the same scenario
begun at another moment is the same world, later.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from grid.network import Network, Place
from grid.times import to_rfc3339
from simulators.chance import Chance
from simulators.chronicle import chronicle
from simulators.duties import households, orders
from simulators.fact import Fact
from simulators.feed import Feed, Rhythm, beats_from
from simulators.mischance import with_mischance
from simulators.power import NEVER, Power
from simulators.scenario import Scenario
from simulators.scene import Scene
from simulators.speakers import speakers
from simulators.speech import Speech
from simulators.story import PlannedWork
from simulators.switchgear import BreakerState, Switchgear
from simulators.telling import tell
from simulators.truth import EndTruth, HouseholdTruth, StoryTruth, Truth


class World:
    """What happens from ``start_ms`` on.  After ``end_ms`` nothing more does; devices live on."""

    def __init__(
        self,
        network: Network,
        scenario: Scenario,
        start_ms: int,
        before: "World | None" = None,
        languages: Mapping[str, str] | None = None,
    ) -> None:
        """Tell the story.

        Args:
            network: What it happens to.
            scenario: What happens.
            start_ms: When it begins.
            before: The same world, told earlier: what it left in the dark has power again, and
                says so.
            languages: Who reads which language, by customer, as far as it is known.

        Raises:
            ConfigError: The scenario asks for a device that the network has not.
        """
        chance = Chance(scenario.seed)
        self.network = network
        self.scenario = scenario
        self.start_ms = start_ms
        self.end_ms = start_ms + round(scenario.duration_s * 1000)
        told = tell(network, scenario, start_ms, chance)
        self.power = Power(network, told.openings)
        scene = Scene(network, scenario.field, chance, start_ms, self.end_ms)
        self.story = with_mischance(told, scene, self.power)
        self.speakers = tuple(speakers(network, scenario.field, chance))
        self._by_id = {s.id: s for s in self.speakers if s.cls == "meter"}
        self.orders = tuple(orders(scenario.work, scenario.event, self.story, network, start_ms))
        self.households = tuple(
            households(
                scenario.household, self.story, network, self._by_id, chance, languages or {}
            )
        )
        self._speech = Speech(scene, self.story, self.power)
        self._gear = Switchgear(scene, self.story, self.power)
        self._events = sorted(self._said(chance, before), key=lambda fact: fact.due_ms)
        periods = sorted({s.period_ms for s in self.speakers})
        self._rhythms = [
            Rhythm(p, (s for s in self.speakers if s.period_ms == p), start_ms) for p in periods
        ]

    @property
    def plans(self) -> tuple[PlannedWork, ...]:
        """The plans that must be entered, each at its ``announced_ms``."""
        return self.story.plans

    @property
    def relays(self) -> tuple[str, ...]:
        """Branch ids of the switchgear that answers for itself."""
        return tuple(self._gear.places)

    @property
    def gear(self) -> Switchgear:
        """The breakers as their relays see them."""
        return self._gear

    def facts(self, after_ms: int, *, beats_from_ms: int | None = None) -> Feed:
        """What gets through after a moment, in order.

        ``beats_from_ms`` leaves out heartbeats that happened before it: of a long time away a
        device keeps the latest only.
        """
        early_ms = beats_from(after_ms, self.start_ms)
        return Feed(
            self._events,
            self._rhythms,
            self._speech.heartbeat,
            after_ms=after_ms,
            beats_from_ms=early_ms if beats_from_ms is None else max(early_ms, beats_from_ms),
        )

    def answer(self, meter_id: str, asked_ms: int) -> Fact | None:
        """What a meter answers when it is asked; None where it does not."""
        speaker = self._by_id.get(meter_id)
        if speaker is None:
            return None
        return next(iter(self._speech.answer(speaker, asked_ms)), None)

    def powered(self, device_id: str, at_ms: int) -> bool:
        """Whether a device has power."""
        return self.power.at(self.network.places[device_id], at_ms)

    def breaker(self, branch_id: str, at_ms: int) -> BreakerState:
        """What a breaker's relay knows at a moment."""
        return self._gear.state(branch_id, at_ms)

    def truth(self, episode: int = 1) -> list[Truth]:
        """The whole truth of the story, known before it begins."""
        story = StoryTruth(
            episode=episode,
            name=self.scenario.name,
            seed=self.scenario.seed,
            network=self.network.version,
            started_at=to_rfc3339(self.start_ms),
            ends_at=to_rfc3339(self.end_ms),
        )
        told = chronicle(self.network, self.story, self.power)
        homes = [HouseholdTruth(customer_id=h.customer_id, language=h.language, of=h.of)
                 for h in self.households]  # fmt: skip
        return [story, *told, *homes, EndTruth(episode=episode)]

    def _said(self, chance: Chance, before: "World | None") -> Iterable[Fact]:
        """Everything that is said but the regular heartbeats."""
        hello_ms = self.scenario.field.hello_s * 1000
        false_at: dict[Place, list[int]] = {}
        for at_ms, place in self.story.false_gasps:
            false_at.setdefault(place, []).append(at_ms)
        for speaker in self.speakers:
            for dark in before.power.dark(speaker.place) if before else ():
                if dark.on_ms == NEVER:
                    yield from self._speech.revived(speaker, dark.off_ms)
            yield from self._speech.of_darkness(speaker)
            if hello_ms:
                at_ms = self.start_ms + int(chance.one("hello", speaker.id) * hello_ms)
                yield from self._speech.hello(speaker, at_ms)
            if speaker.cls == "meter":
                for at_ms in false_at.get(speaker.place, ()):
                    yield from self._speech.false_gasp(speaker, at_ms)
                yield from self._speech.late(speaker)


def digest(network: Network, scenario: Scenario) -> str:
    """The identity of a story, without the moment at which it begins."""
    body = msgspec.msgpack.encode((network.version, scenario))
    return hashlib.sha256(body).hexdigest()[:16]
