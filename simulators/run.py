"""A world played in real time: devices on MQTT, breakers on Modbus, plans entered, truth logged.

Everything that must survive a kill lies in the folder: when the story began, how far it was told,
what is not committed yet.  A process that starts again on the same folder goes on where the
world's clock is.  A story that is over can be told again, as another episode.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from grid.errors import Refused, Unreachable
from grid.graph import BreakerAddress
from grid.network import Network
from simulators.breakers import Breakers, BreakerSettings
from simulators.chance import Chance
from simulators.duties import Home
from simulators.mqtt_devices import MqttDevices, MqttDeviceSettings
from simulators.people import OnDuty
from simulators.power import NEVER
from simulators.relay import Counts, counted
from simulators.scenario import Scenario
from simulators.shift import Floor, Shift, ShiftSettings
from simulators.story import PlannedWork
from simulators.switchgear import relays
from simulators.telling import tell
from simulators.truth import TRUTH_FILE, EndTruth, StoryTruth, to_line
from simulators.wal import Wal
from simulators.world import World, digest

log = structlog.get_logger(__name__)

Entry = PlannedWork | OnDuty | Home
Enter = Callable[[Entry], Awaitable[None]]
"""Tells the service what people have to enter: planned work, the crews on duty, and wishes."""


class SimulatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a world is played."""

    devices: MqttDeviceSettings = msgspec.field(default_factory=MqttDeviceSettings)
    breakers: BreakerSettings = msgspec.field(default_factory=BreakerSettings)
    shift: ShiftSettings = msgspec.field(default_factory=ShiftSettings)
    lead_s: float = 1.0  # for the connections, before a new story begins
    making_ms: float = 0.1  # a device: how long it takes to make a world, on a busy machine
    enter_retry_s: float = 1.0
    counter_leap: int = 1000  # more than a gateway takes for operations that it missed
    beats_kept: int = 1  # of a time away, the heartbeats of so many periods are told


class Simulators:
    """The field of one network and one scenario.

    The breakers' ports are taken at once, so that others may be told of them before ``run``.
    """

    def __init__(
        self,
        network: Network,
        scenario: Scenario,
        *,
        mqtt_url: str,
        folder: Path,
        now_ms: Callable[[], int],
        enter: Enter | None = None,
        floor: Floor | None = None,
        settings: SimulatorSettings | None = None,
        again: bool = False,
        languages: Mapping[str, str] | None = None,
    ) -> None:
        """Open the folder and take the ports.

        Args:
            network: What the devices are part of.
            scenario: What happens to it.
            mqtt_url: The broker that the devices speak to.
            folder: Where the world survives a kill; one process at a time.
            now_ms: True time.
            enter: Tells the service of crews, plans and wishes; None where somebody else does.
            floor: Where crews say how far they are; None where nobody moves their work orders.
            settings: Limits and patience.
            again: A story that is over is told again from its beginning.
            languages: Who reads which language, by customer: of households that wish for one.

        Raises:
            ConfigError: The scenario does not fit the network, the folder is in use, or no port
                is to be had.
        """
        settings = settings or SimulatorSettings()
        link = msgspec.structs.replace(settings.devices.link, url=mqtt_url)
        devices = msgspec.structs.replace(settings.devices, link=link)
        self._settings = msgspec.structs.replace(settings, devices=devices)
        self._network = network
        self._scenario = scenario
        self._folder = folder
        self._now_ms = now_ms
        self._enter = enter
        self._floor = floor
        self._again = again
        self._languages = languages
        # What does not fit is refused here and now, without making a whole world for it.
        tell(network, scenario, now_ms(), Chance(scenario.seed))
        self._making_ms = round(len(network.places) * self._settings.making_ms)
        self._wal = Wal(folder)
        gear = relays(network, scenario.field, Chance(scenario.seed))
        ports = self._wal.note("ports")
        try:
            self._breakers = Breakers(network, list(gear), settings.breakers, ports)
        except BaseException:
            self._wal.close()
            raise
        self._wal.remember(ports=self._breakers.ports)
        self.world: World | None = None
        self.devices: MqttDevices | None = None

    @property
    def breakers(self) -> Sequence[BreakerAddress]:
        """Where the breakers answer."""
        return self._breakers.addresses

    def close(self) -> None:
        """Let go of folder and ports without having run."""
        self._breakers.close()
        self._wal.close()

    async def run(self) -> None:
        """Play until cancelled.  The story begins now, or goes on where the world's clock is."""
        with self._wal:
            world, cursor_ms = self._begun()
            self.world = world
            longest_ms = max((s.period_ms for s in world.speakers), default=0)
            since_ms = self._now_ms() - self._settings.beats_kept * longest_ms
            feed = world.facts(cursor_ms, beats_from_ms=since_ms)
            self.devices = MqttDevices(world, feed, self._wal, self._settings.devices, self._now_ms)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.devices.run(), name="simulated-devices")
                tasks.create_task(
                    self._breakers.run(world, self._now_ms, self._counts()),
                    name="simulated-breakers",
                )
                entered = _Entered(self._wal)
                if self._enter is not None:
                    people = self._people(world, self._enter, entered)
                    tasks.create_task(people, name="simulated-people")
                for order in world.orders if self._floor is not None else ():
                    work = self._shift(world, entered).move(order)
                    tasks.create_task(work, name=f"simulated-work-{order.of}")

    def _begun(self) -> tuple[World, int]:
        """The world of this folder, and until when its facts are in the store."""
        note = self._wal.note
        name = digest(self._network, self._scenario)
        episode = int(note("episode") or "0")
        if note("story") != name:
            return self._begin(name, episode + 1, None)
        start_ms, before_ms = int(note("start_ms") or "0"), note("before_ms")
        before = self._world(int(before_ms), None) if before_ms else None
        world = self._world(start_ms, before)
        cursor_ms = int(note("cursor_ms") or "0")
        if self._again and self._now_ms() > world.end_ms:
            self._finish(world, cursor_ms)
            return self._begin(name, episode + 1, world)
        log.info("simulated_story_goes_on", episode=episode, at_s=self._at_s(world))
        self._log_truth(world, episode)
        return world, cursor_ms

    def _world(self, start_ms: int, before: World | None) -> World:
        return World(self._network, self._scenario, start_ms, before, self._languages)

    def _begin(self, name: str, episode: int, before: World | None) -> tuple[World, int]:
        lead_ms = round(1000 * self._settings.lead_s) + 2 * self._making_ms
        start_ms = self._now_ms() + lead_ms
        world = self._world(start_ms, before)
        notes = {
            "story": name,
            "episode": str(episode),
            "start_ms": str(start_ms),
            "cursor_ms": str(start_ms - 1),
            "before_ms": str(before.start_ms) if before else "",
            "entered": "[]",
            "counts": msgspec.json.encode(self._counts_after(before)).decode(),
        }
        if before is None:  # what an earlier story's devices kept is not of this network
            self._wal.wipe(**notes)
        else:
            self._wal.remember(**notes)
        self._log_truth(world, episode)
        log.info("simulated_story_begins", episode=episode, name=self._scenario.name)
        return world, start_ms - 1

    def _counts(self) -> dict[str, Counts]:
        """What the relays had counted before this episode."""
        return msgspec.json.decode(self._wal.note("counts") or "{}", type=dict[str, Counts])

    def _counts_after(self, before: World | None) -> dict[str, Counts]:
        """The relays' counters at the end of what came before, so that they never go back."""
        counts = self._counts()
        if self._wal.note("story") is None:
            return counts
        if before is None:  # another story, of which we know nothing: well beyond it
            leap = self._settings.counter_leap
            old = {a.branch_id: counts.get(a.branch_id, Counts()) for a in self.breakers}
            return {
                b: Counts(c.events + leap, c.openings + leap, c.closings + leap)
                for b, c in old.items()
            }
        return {
            b: counted(before.gear.done(b, NEVER), counts.get(b, Counts())) for b in before.relays
        }

    def _finish(self, world: World, cursor_ms: int) -> None:
        """Put what a story that is over still had to say into the devices' store."""
        now_ms = self._now_ms()
        devices = MqttDevices(
            world,
            world.facts(cursor_ms, beats_from_ms=now_ms),
            self._wal,
            self._settings.devices,
            self._now_ms,
        )
        devices.step(now_ms, sending=False)

    def _log_truth(self, world: World, episode: int) -> None:
        """Write the episode's truth, whole, unless the log has it already."""
        path = self._folder / TRUTH_FILE
        log_text = path.read_bytes() if path.exists() else b""
        if to_line(EndTruth(episode=episode)) in log_text:
            return
        truth = world.truth(episode)
        assert isinstance(truth[0], StoryTruth)
        whole, begun, _ = log_text.partition(to_line(truth[0]))
        if begun:  # killed while it was written
            path.write_bytes(whole)
        with path.open("ab") as file:
            file.writelines(to_line(line) for line in truth)

    def _shift(self, world: World, entered: "_Entered") -> Shift:
        assert self._floor is not None
        return Shift(
            self._floor, self._now_ms, until_ms=world.end_ms, story=str(world.start_ms),
            entries=entered, homes=[home.customer_id for home in world.households],
            settings=self._settings.shift,
        )  # fmt: skip

    async def _people(self, world: World, enter: Enter, entered: "_Entered") -> None:
        """Enter what people enter, each once: crews, wishes, and each plan when it is announced,
        also late, as long as it is not over.
        """
        plans = [p for p in world.plans if p.to_ms > self._now_ms()]
        todo: list[tuple[int, str, Entry]] = [
            *((world.start_ms, f"crew {crew.id}", crew) for crew in self._scenario.crew),
            *((world.start_ms, f"wishes {home.customer_id}", home) for home in world.households),
            *((plan.announced_ms, plan.plan_id, plan) for plan in plans),
        ]
        for at_ms, name, what in sorted(todo, key=lambda t: t[0]):
            if name in entered:
                continue
            await asyncio.sleep(max(0.0, (at_ms - self._now_ms()) / 1000))
            await self._entered(what, name, enter)
            entered.add(name)

    async def _entered(self, what: Entry, name: str, enter: Enter) -> None:
        """Enter one thing, however often it takes, unless it is refused."""
        while True:
            try:
                await enter(what)
            except Unreachable as error:
                log.info("simulated_entry_waits", entry=name, reason=error.message)
                await asyncio.sleep(self._settings.enter_retry_s)
            except Refused as error:
                log.warning("simulated_entry_refused", entry=name, reason=error.message)
                return
            else:
                log.info("simulated_entry_made", entry=name)
                return

    def _at_s(self, world: World) -> float:
        return (self._now_ms() - world.start_ms) / 1000


class _Entered:
    """What was entered of a story, remembered with its world."""

    def __init__(self, wal: Wal) -> None:
        self._wal = wal
        self._names = msgspec.json.decode(wal.note("entered") or "[]", type=list[str])

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Remember one more."""
        self._names.append(name)
        self._wal.remember(entered=msgspec.json.encode(self._names).decode())
