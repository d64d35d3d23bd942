"""A recorded day through the engine again: the same frames, so the same changes.

Where an engine stood before the day comes from its last snapshot before it; the frames from there
on are gone through, and what is said within the day is given back, as ``lastgasp replay`` says it.
"""

from functools import partial

from detectors.engine import Engine
from detectors.moving import moved
from detectors.settings import EngineSettings
from detectors.snapshot import opened, restore
from grid.errors import BadPayload, Refused
from grid.network import Group, Network
from grid.outage import Change, Outage, Ping
from service import replay, stored
from store.postgres import Store

Said = list[dict[str, object]]


async def rerun(store: Store, from_ms: int, to_ms: int, settings: EngineSettings) -> Said:
    """The lines of a recorded stretch: changes and pings in order, then its outages.

    Raises:
        Refused: Nothing was recorded then, or it was let go already.
    """
    _, network = await stored.network_of(store, None, to_ms, lambda _: None)
    changes: list[Change] = []
    pings: list[Ping] = []
    frames = 0
    for group in network.groups:
        frames += await _group(
            store, network, group, (from_ms, to_ms), settings, changes=changes, pings=pings
        )
    if not frames:
        raise Refused("nothing was recorded between --from and --to; see when the service ran")
    changes.sort(key=lambda change: change.at_ms)
    outages: dict[str, Outage] = {change.outage.id: change.outage for change in changes}
    return [
        *(replay.change_line(change) for change in changes),
        *(replay.ping_line(ping) for ping in sorted(pings, key=lambda ping: ping.at_ms)),
        *(replay.outage_line(outage) for outage in outages.values()),
    ]


async def _group(
    store: Store,
    network: Network,
    group: Group,
    span: tuple[int, int],
    settings: EngineSettings,
    *,
    changes: list[Change],
    pings: list[Ping],
) -> int:
    """One group's part; how many frames of the stretch it has."""
    from_ms, to_ms = span
    before, recorded = await store.recorded_between(group.slug, from_ms, to_ms)
    group_of = partial(stored.group_of, store, network, group.slug)
    engine: Engine | None = None
    if before is not None:
        try:
            body = opened(before.body)
            engine = restore(await group_of(body.network), body)
        except BadPayload as bad:
            raise Refused(f"the engine before --from cannot be read: {bad.message}") from bad
    count = 0
    async for frame in recorded:
        if engine is None:
            engine = Engine(await group_of(frame.network), settings)
        elif frame.network != engine.network:
            engine = moved(engine, await group_of(frame.network))
        outcome = engine.apply(frame)
        count += frame.until_ms >= from_ms
        changes += [change for change in outcome.changes if from_ms <= change.at_ms <= to_ms]
        pings += [ping for ping in outcome.pings if from_ms <= ping.at_ms <= to_ms]
    return count
