"""Texts, wired: rules and words out of the settings, the senders, and planned work.

``senders`` takes a store and settings and nothing else of a service: they run as a task of ``up``,
or as a process of their own.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import structlog

from grid.errors import ConfigError, Unreachable
from grid.notice import SMS, Decision, Phase, Recipient
from grid.public import PublicPlan
from grid.times import from_rfc3339
from notify import ahead, routes
from notify.phases import Rules, hour, keep_promise
from notify.sender import Replied, Sender
from notify.situations import still_dark
from notify.wording import Wording
from service import carrying
from service.hooks import Hooks
from service.peopledesk import ServicePeopleDesk
from service.replying import Call, replies
from service.settings import Settings
from store.outbox import Outbox
from store.postgres import Store

log = structlog.get_logger(__name__)

TELL_OF = frozenset({"planned", "temporary"})  # plans that customers are told of ahead
KEEP_S = 30.0  # promises are looked at this often, and kept so long before they are due:
LEAD_MS = 300_000
LONG_AGO_MS = 6 * 3_600_000  # nobody waits for a word that was due so long ago
FALL_S = 1.0  # what did not arrive is looked at this often, at most so many at a time:
FALL_MAX = 2_000
DEMO_HOLD_S = 10.0
DEMO_PER_S = 400.0  # what the simulated centre takes: nobody waits for a thousand neighbours' texts
CENTRE_PORTS = range(10_000, 30_000)
"""Of the simulated centre.  No connection goes out from these: one could take the port that was
found, in the seconds until the centre listens."""
OWED_S = 300.0  # the simulated centre gives a receipt for everything; a busy machine is slow to


def rules_of(settings: Settings) -> Rules:
    """When customers are told what.

    Raises:
        ConfigError: A time of day, a phase, a channel or the gateway's address is none.
    """
    notices = settings.notices
    phases = {phase.value for phase in Phase}
    for path, named in (("phases", notices.phases), ("desk_phases", notices.desk_phases)):
        if unknown := set(named) - phases:
            raise ConfigError(f"no phase is called {min(unknown)!r} - at $.notices.{path}")
    opened = carrying.opened(settings)
    if unknown := set(notices.channels) - opened - {SMS}:
        raise ConfigError(
            f"no channel is called {min(unknown)!r} - at $.notices.channels; "
            "those of LASTGASP_CHANNELS and sms are"
        )
    return Rules(
        notices,
        ZoneInfo(settings.site.time_zone),
        hour(notices.quiet_from, "$.notices.quiet_from"),
        hour(notices.quiet_to, "$.notices.quiet_to"),
        opened,
    )


def wording_of(settings: Settings) -> Wording:
    """What texts say.

    Raises:
        ConfigError: A text is too long, or no template.
    """
    notices = settings.notices
    return Wording(
        ZoneInfo(settings.site.time_zone),
        signatures={"zh": notices.signature_zh, "en": notices.signature_en},
        hotline=settings.site.phone,
        folder=Path(notices.templates) if notices.templates else None,
    )


def senders(
    outbox: Outbox, settings: Settings, now_ms: Callable[[], int], replied: Replied
) -> list[Sender]:
    """A sender for each channel that is set up.

    Raises:
        ConfigError: As ``wording_of`` and ``carrying`` say.
    """
    wording = wording_of(settings)
    return [
        Sender(outbox, wording, limits, carrier, now_ms=now_ms, replied=replied, channel=channel)
        for channel, limits, carrier in carrying.carriers(settings, now_ms)
    ]


def sender(
    outbox: Outbox, settings: Settings, now_ms: Callable[[], int], replied: Replied
) -> Sender:
    """The sender of texts alone.

    Raises:
        ConfigError: As ``senders``; or there is no gateway.
    """
    if not settings.sms.url:
        raise ConfigError("there is no SMS gateway; set $.sms.url to smpp://HOST:PORT")
    return senders(outbox, settings, now_ms, replied)[0]


def people(store: Store, settings: Settings, now_ms: Callable[[], int]) -> ServicePeopleDesk:
    """How people are told, for whoever asks the API."""
    country = settings.sms.country
    return ServicePeopleDesk(store, rules_of(settings), wording_of(settings), country, now_ms)


def hooks(store: Store, settings: Settings, now_ms: Callable[[], int], call: Call) -> Hooks | None:
    """Where a gateway over HTTP sends receipts and replies; None where there is none such."""
    named = carrying.dialect_of(settings)
    if named is None:
        return None
    return Hooks(named, store.outbox, replies(store, now_ms, call), now_ms)


async def send(
    some: Sequence[Sender], outbox: Outbox, rules: Rules, now_ms: Callable[[], int]
) -> None:
    """Run senders, wake them when something is queued, keep what was promised, and look for another
    channel for what did not arrive; for ever.
    """
    async with asyncio.TaskGroup() as tasks:
        for one in some:
            tasks.create_task(one.run())
        tasks.create_task(_woken(some, outbox))
        tasks.create_task(_keeping(outbox, rules, now_ms))
        tasks.create_task(_falling(outbox, rules, now_ms))


async def _falling(outbox: Outbox, rules: Rules, now_ms: Callable[[], int]) -> None:
    while True:
        try:
            while await fall_back(outbox, rules, now_ms()) >= FALL_MAX:
                pass
        except Unreachable as away:
            log.warning("fallbacks_wait", reason=away.message)
        await asyncio.sleep(FALL_S)


async def fall_back(outbox: Outbox, rules: Rules, now_ms: int) -> int:
    """Find the next channel for what did not arrive in time; how many went there."""
    settings = rules.settings
    before_ms = (
        now_ms - round(settings.fallback_s * 1000),
        now_ms - round(settings.fallback_safety_s * 1000),
    )
    next_of = partial(routes.after, settings=settings, opened=rules.opened)
    return await outbox.fall_back(now_ms, before_ms, (SMS,), next_of, FALL_MAX)


async def _keeping(outbox: Outbox, rules: Rules, now_ms: Callable[[], int]) -> None:
    while True:
        try:
            await keep_promises(outbox, rules, now_ms())
        except Unreachable as away:
            log.warning("promises_wait", reason=away.message)
        await asyncio.sleep(KEEP_S)


async def keep_promises(outbox: Outbox, rules: Rules, now_ms: int) -> None:
    """The next word to everybody in the dark who was promised one by now."""
    due = await outbox.promised(now_ms + LEAD_MS, now_ms - LONG_AGO_MS)
    for outage, off_ms, customers in due:
        stand = still_dark(outage, off_ms, now_ms, rules.settings)
        people = await outbox.recipients(customers, now_ms)
        decided = [(keep_promise(stand, who, rules), alike) for who, alike in _alike(people)]
        told = [(one, alike) for one, alike in decided if one is not None]
        await outbox.add(outage.id, now_ms, told, outage.version)


async def _woken(some: Sequence[Sender], outbox: Outbox) -> None:
    while True:
        try:
            async for _ in outbox.news():
                for one in some:
                    one.wake()
        except Unreachable as away:
            await asyncio.sleep(away.retry_in_s)  # it looks by itself meanwhile


class Planned:
    """Tells the customers behind a device of planned work, and takes it back."""

    def __init__(self, outbox: Outbox, rules: Rules, now_ms: Callable[[], int]) -> None:
        self._outbox = outbox
        self._rules = rules
        self._now_ms = now_ms

    async def announce(self, plan: PublicPlan, customers: Iterable[str]) -> None:
        """Queue what customers are told ahead."""
        if plan.kind not in TELL_OF:
            return
        now_ms = self._now_ms()
        begin, end = from_rfc3339(plan.from_), from_rfc3339(plan.to)
        people = await self._outbox.recipients(customers, now_ms)
        decided: list[tuple[Decision, Sequence[str]]] = [
            (one, alike)
            for who, alike in _alike(people)
            for one in ahead.announce(begin, end, now_ms, who, self._rules)
        ]
        await self._outbox.add(plan.id, now_ms, decided)

    async def call_off(self, plan: PublicPlan, customers: Iterable[str]) -> None:
        """Take back what waits, and tell whoever was told."""
        now_ms = self._now_ms()
        begin, end = from_rfc3339(plan.from_), from_rfc3339(plan.to)
        if plan.kind not in TELL_OF or end <= now_ms:
            return
        people = await self._outbox.recipients(customers, now_ms)
        decided = [
            (ahead.call_off(plan.id, begin, end, now_ms, who, self._rules), alike)
            for who, alike in _alike(people)
        ]
        await self._outbox.add(plan.id, now_ms, decided)


def _alike(people: dict[str, Recipient]) -> list[tuple[Recipient, tuple[str, ...]]]:
    groups: dict[Recipient, list[str]] = {}
    for customer, who in people.items():
        groups.setdefault(who, []).append(customer)
    return [(who, tuple(some)) for who, some in groups.items()]


def simulated(settings: Settings, *, demo: bool) -> tuple[Settings, int]:
    """Settings for a story: its texts go to an SMS centre that sends nothing, and its port.

    The demo's outages pass in minutes, at whatever hour it is shown.
    """
    replace = msgspec.structs.replace
    notices = settings.notices
    if demo:
        notices = replace(
            notices, hold_s=DEMO_HOLD_S, staff_hold_s=DEMO_HOLD_S, quiet_from="00:00",
            quiet_to="00:00",
        )  # fmt: skip
    if settings.sms.url:  # a gateway of one's own, be it for a story
        return replace(settings, notices=notices), 0
    port = _port_of_centre()
    sms = replace(settings.sms, url=f"smpp://127.0.0.1:{port}", receipt_owed_s=OWED_S)
    if demo:
        sms = replace(sms, per_s=DEMO_PER_S)
    return replace(settings, notices=notices, sms=sms), port


def _port_of_centre() -> int:
    """A free port; beginning at another for each process, for several may look at once.

    Raises:
        ConfigError: None is free.
    """
    begin = os.getpid() % len(CENTRE_PORTS)
    ports: list[int] = [*CENTRE_PORTS[begin:], *CENTRE_PORTS[:begin]]
    for port in ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ConfigError(
        f"no port from {CENTRE_PORTS.start} to {CENTRE_PORTS.stop - 1} is free for a simulated SMS "
        "centre; name a gateway - at $.sms.url"
    )
