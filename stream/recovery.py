"""An engine as it was at its last commit: its snapshot, then the recorded stream after it.

Each frame is numbered by a version of the network; where the version changes, the engine is
carried over, and last of all to the version that is to run.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from detectors.engine import Engine
from detectors.moving import moved
from detectors.settings import EngineSettings
from detectors.snapshot import opened, restore
from grid.errors import BadPayload
from grid.frame import Frame
from grid.network import Group

log = structlog.get_logger()

Recorded = Callable[[int], AsyncIterator[Frame]]
"""The frames of a group after a position, in order."""

GroupOf = Callable[[str], Awaitable[Group]]
"""The group in a version of the network."""


async def recover(
    group: Group,
    version: str,
    settings: EngineSettings,
    *,
    snapshot: bytes | None,
    recorded: Recorded,
    group_of: GroupOf,
) -> Engine:
    """Bring an engine to the end of its recorded stream, over ``version`` of its network.

    A snapshot that cannot be read is not used: the stream is gone through from its beginning.
    """
    engine = await _begin(settings, snapshot, group_of)
    async for frame in recorded(0 if engine is None else engine.position):
        if engine is None:
            engine = Engine(await group_of(frame.network), settings)
        elif frame.network != engine.network:
            engine = moved(engine, await group_of(frame.network))
        engine.apply(frame)
    if engine is None:
        return Engine(group, settings)
    return engine if engine.network == version else moved(engine, group)


async def _begin(
    settings: EngineSettings, snapshot: bytes | None, group_of: GroupOf
) -> Engine | None:
    if snapshot is None:
        return None
    try:
        body = opened(snapshot)
        return restore(await group_of(body.network), body)
    except BadPayload as bad:
        log.warning("snapshot_unreadable", reason=bad.message)
        return None
