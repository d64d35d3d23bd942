"""Scenario files: what the field is like, and what happens in it (TOML, docs/scenarios.md).

Times are seconds from the beginning of the story, durations are seconds, shares are
probabilities.  With ``time_scale = 10`` every one of them is divided by ten, so that a day written
in field times passes in a tenth of it; what a device's clock is off by stays as written.  Unknown
keys are refused, with the path to them.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from grid.errors import ConfigError
from simulators.people import Household, OnDuty, Work
from simulators.tables import Positive, Seconds, Share, Span, Table

_KEPT = frozenset({"skew_s", "by_s"})  # what clocks are off by is no duration of the story


class Field(Table, frozen=True, kw_only=True):
    """What the field is like: the knobs.  The defaults are a field as domain.md describes it."""

    delivery: Share = 0.9  # a dead meter's last gasp arrives
    false_gasp: Share = 1e-4  # a live meter gasps once in the story
    silent: Share = 0.02  # meters that never speak
    solar: Share = 0.0  # meters whose own sun keeps them alive and talking when the network is dead
    holdoff_s: Span = (
        30.0,
        45.0,
    )  # how long a meter waits before it believes that power has failed
    capacitor_s: Seconds = 5.0  # how long after that it can go on trying to say so
    power_up: Share = 1.0  # a restored meter says so
    power_up_s: Span = (
        1.0,
        30.0,
    )  # how long it waits before it does, so that not all speak at once
    heartbeat_s: Positive = 900.0
    hello_s: Seconds = (
        0.0  # every device is heard once within this time from the beginning; 0 for not
    )
    latency_s: Seconds = 3.0  # median of the way to the broker, log-normal
    latency_sigma: Seconds = 0.8
    repeats: Share = 0.1  # a message is delivered twice
    reorder: Share = 0.0  # a message is held back on its way, and overtaken
    reorder_s: Seconds = 30.0
    stale: Share = 0.0  # a message is sent again long after, with its own old time
    stale_s: Seconds = 120.0
    skew_s: Seconds = 2.0  # standard deviation of a device's clock
    batches: bool = (
        True  # concentrators send arrays; else they relay each message under its meter's own topic
    )
    batch_s: Positive = 1.0  # a concentrator collects for so long before it sends
    dcu_loss: Share = (
        0.0  # a concentrator with customers in the dark goes mute; one without, a tenth as often
    )
    dcu_loss_s: Seconds = 600.0
    terminals: Share = 1.0  # transformers with a terminal
    terminal_delivery: Share = 0.95
    terminal_s: Span = (1.0, 2.0)  # a terminal judges each second, and is believed after this
    terminal_backup_s: Seconds = 120.0  # how long it can go on trying to say so
    terminal_heartbeat_s: Positive = 300.0
    breakers: Share = 1.0  # breakers that answer Modbus
    breaker_heartbeat_s: Positive = 60.0  # in a day written as lines; live breakers are polled
    reclose_s: Seconds = 0.6  # from a trip to the reclosure
    retrip_s: Seconds = 0.2  # from a reclosure onto a fault to the next trip
    ping_reply: Share = 0.97  # a meter with power answers when it is asked
    ping_s: Span = (0.5, 4.0)
    nominal_v: Positive = 220.0


class Pick(Table, frozen=True, kw_only=True):
    """A device by its properties; of several that fit, the seed chooses one."""

    id: str | None = None  # this one and no other
    kind: str | tuple[str, ...] = ()  # words of the CSV folder; any where empty
    customers_min: int = 1
    customers_max: int | None = None
    share: Share | None = (
        None  # rather than by chance: the one nearest to this share of the customers above it
    )
    telemetered: bool | None = None
    under: str | None = None  # below this device, or below the device of the event with this name
    apart: bool = True  # neither inside nor above another event's device


class _Event(Table, frozen=True, kw_only=True, tag_field="kind"):
    """Something that happens to one device, given by id or by its properties."""

    at_s: Seconds
    name: str = ""
    device: str | None = None
    pick: Pick | None = None


class StepBack(Table, frozen=True, kw_only=True):
    """A stage of restoration: everything comes back but what lies behind ``keep``."""

    after_s: Seconds  # from the beginning of the event
    keep: Pick


class LeftBehind(Table, frozen=True, kw_only=True):
    """A part with damage of its own, that stays dark when the rest comes back."""

    pick: Pick
    after_s: Seconds | None = (
        None  # from the beginning of the event to its own repair; never where absent
    )


class Fault(_Event, frozen=True, kw_only=True, tag="fault"):
    """A device fails or is tripped by a fault behind it."""

    recloses: Annotated[int, Meta(ge=0, le=4)] = (
        0  # failed attempts before lockout, of a breaker or recloser
    )
    restore_s: Seconds | None = None  # from the beginning of the event; never where absent
    steps: tuple[StepBack, ...] = ()
    left: tuple[LeftBehind, ...] = ()
    cause: str = ""


class Momentary(_Event, frozen=True, kw_only=True, tag="momentary"):
    """A breaker trips and its reclosure holds."""

    duration_s: Positive = 0.6


class Planned(_Event, frozen=True, kw_only=True, tag="planned"):
    """Work that was announced: the device is opened on command and closed again."""

    duration_s: Positive
    announced_s: Seconds = 60.0  # how long before, the plan is entered
    margin_s: Seconds = 0.0  # the plan's window is wider by this at both ends
    plan_kind: str = "planned"  # of the outage pool: planned, temporary, arrears, curtailment
    reason: str = "planned work"


class Restore(_Event, frozen=True, kw_only=True, tag="restore"):
    """The repair of an earlier fault that had no ``restore_s``."""

    of: str  # name of that event


class DcuSilence(_Event, frozen=True, kw_only=True, tag="dcu_silence"):
    """A concentrator (``device``; else the seed chooses one) is cut off without any outage."""

    duration_s: Positive
    keeps: bool = True  # what it heard meanwhile comes late; else it heard nothing


class BreakerSilence(_Event, frozen=True, kw_only=True, tag="breaker_silence"):
    """A breaker's unit does not answer."""

    duration_s: Positive


class PhaseLoss(_Event, frozen=True, kw_only=True, tag="phase_loss"):
    """One phase of a device is gone: its single-phase meters are dark, the others say so."""

    phase: str = "A"
    duration_s: Positive


class FalseGasp(_Event, frozen=True, kw_only=True, tag="false_gasp"):
    """Meters that have power say that it failed."""

    count: Annotated[int, Meta(ge=1)] = 1


class FalseAlarm(_Event, frozen=True, kw_only=True, tag="false_alarm"):
    """Some meters behind a device that has power say that it failed, and then none of them is heard
    for a while; what they measured meanwhile comes late.
    """

    gasps: Annotated[int, Meta(ge=1)] = 2
    mute_s: Positive = 20.0


class ClockJump(_Event, frozen=True, kw_only=True, tag="clock_jump"):
    """Meters' clocks jump."""

    by_s: float
    count: Annotated[int, Meta(ge=1)] = 1


Event = (
    Fault
    | Momentary
    | Planned
    | Restore
    | DcuSilence
    | BreakerSilence
    | PhaseLoss
    | FalseGasp
    | FalseAlarm
    | ClockJump
)


class Storm(Table, frozen=True, kw_only=True):
    """Many faults at once, none inside another."""

    faults: Annotated[int, Meta(ge=0)]
    at_s: Seconds = 0.0
    spread_s: Seconds = 60.0  # they strike within this time
    kinds: tuple[str, ...] = ("breaker", "switch", "recloser", "fuse", "transformer")  # in turn
    customers_min: Annotated[int, Meta(ge=1)] = 2
    recloses: Annotated[int, Meta(ge=0, le=4)] = 0
    restore_s: Span | None = None  # each is repaired so long after it struck; never where absent
    nested: Share = 0.0  # of those repaired, the share with a part left behind
    nested_s: Seconds | None = (
        None  # how long after the repair that part is repaired too; never where absent
    )
    phase_losses: Annotated[int, Meta(ge=0)] = 0
    phase_kinds: tuple[str, ...] = ("transformer",)  # whose phase is lost, in turn
    phase_loss_s: Positive = 600.0
    momentaries: Annotated[int, Meta(ge=0)] = 0


class Scenario(Table, frozen=True, kw_only=True):
    """A story and the field it happens in."""

    name: str = ""
    seed: int = 1
    duration_s: Positive
    time_scale: Positive = 1.0
    field: Field = msgspec.field(default_factory=Field)
    event: tuple[Event, ...] = ()
    storm: Storm | None = None
    crew: tuple[OnDuty, ...] = ()
    work: tuple[Work, ...] = ()
    household: tuple[Household, ...] = ()


def parse(text: str, where: str = "scenario") -> Scenario:
    """The scenario of a TOML text, its times already divided by ``time_scale``.

    Raises:
        ConfigError: No TOML, an unknown key, a value out of range; the message names the path.
    """
    try:
        scenario = msgspec.toml.decode(text, type=Scenario)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}") from None
    for number, event in enumerate(scenario.event):
        _check(event, f"{where}: $.event[{number}]")
    _check_people(scenario, where)
    scaled = _scaled(scenario, scenario.time_scale)
    assert isinstance(scaled, Scenario)
    return scaled


def load(path: Path) -> Scenario:
    """The scenario of a file; a bare name like ``demo`` is one that ships with us.

    Raises:
        ConfigError: The file cannot be read, or what it says cannot be used.
    """
    if path.suffix == "" and str(path) == path.name and not path.is_file():
        return shipped(path.name)
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def shipped(name: str) -> Scenario:
    """A scenario of our own: ``demo`` or ``storm``.

    Raises:
        ConfigError: There is none of that name.
    """
    folder = resources.files("simulators") / "scenarios"
    file = folder / f"{name}.toml"
    if not file.is_file():
        names = ", ".join(shipped_names())
        raise ConfigError(f"there is no scenario {name!r}; give a file, or one of {names}")
    return parse(file.read_text(encoding="utf-8"), f"{name}.toml")


def shipped_names() -> list[str]:
    """The scenarios that ship with us."""
    folder = resources.files("simulators") / "scenarios"
    files = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def _check(event: Event, where: str) -> None:
    """What types alone cannot say of an event."""
    if event.device is not None and event.pick is not None:
        raise ConfigError(f"{where}: give either device or pick, not both")
    needs_device = not isinstance(event, Restore | DcuSilence | FalseGasp | ClockJump)
    if needs_device and event.device is None and event.pick is None:
        raise ConfigError(f"{where}: give the device by its id, or describe it with pick")
    if isinstance(event, PhaseLoss) and event.phase not in ("A", "B", "C"):
        raise ConfigError(f"{where}.phase: {event.phase!r} is no phase; give A, B or C")
    if isinstance(event, Fault):
        times = [step.after_s for step in event.steps]
        end = event.restore_s if event.restore_s is not None else float("inf")
        if times != sorted(times) or any(t >= end for t in times):
            raise ConfigError(f"{where}.steps: after_s must rise and stay below restore_s")
        if any(part.after_s is not None and part.after_s <= end for part in event.left):
            raise ConfigError(f"{where}.left: after_s must be later than restore_s")


def _check_people(scenario: Scenario, where: str) -> None:
    """That work orders and households are about events of this story, and crews on duty."""
    events = {event.name for event in scenario.event}
    left = {f"{e.name}/left-{n}" for e in scenario.event if isinstance(e, Fault)
            for n, _ in enumerate(e.left, 1)}  # fmt: skip
    crews = {crew.id for crew in scenario.crew}
    for number, work in enumerate(scenario.work):
        if work.of not in events | left:
            raise ConfigError(f"{where}: $.work[{number}].of: no event is called {work.of!r}")
        if work.crew not in crews:
            raise ConfigError(f"{where}: $.work[{number}].crew: no crew has the id {work.crew!r}")
        times = [step.after_s for step in work.steps]
        if times != sorted(times):
            raise ConfigError(f"{where}: $.work[{number}].steps: after_s must rise")
    for number, home in enumerate(scenario.household):
        if home.of not in events:
            raise ConfigError(f"{where}: $.household[{number}].of: no event is called {home.of!r}")


def _scaled(value: Any, scale: float) -> Any:
    """The same table with every duration divided by ``scale``."""
    if isinstance(value, tuple):
        return tuple(_scaled(item, scale) for item in value)
    if not isinstance(value, msgspec.Struct) or scale == 1.0:
        return value
    changes: dict[str, Any] = {}
    for name in value.__struct_fields__:
        old = getattr(value, name)
        if name.endswith("_s") and name not in _KEPT and old is not None:
            new = tuple(x / scale for x in old) if isinstance(old, tuple) else old / scale
        else:
            new = _scaled(old, scale)
        if new is not old:
            changes[name] = new
    return msgspec.structs.replace(value, **changes)
