"""An engine as it was at its last commit: its snapshot, then the recorded stream after it."""

from collections.abc import AsyncIterator, Callable

import structlog

from detectors.engine import Engine
from detectors.settings import EngineSettings
from detectors.snapshot import restore
from grid.errors import BadPayload
from grid.frame import Frame
from grid.network import Group

log = structlog.get_logger()

Recorded = Callable[[int], AsyncIterator[Frame]]
"""The frames of a group after a position, in order."""


async def recover(
    group: Group, settings: EngineSettings, snapshot: bytes | None, recorded: Recorded
) -> Engine:
    """Bring an engine to the end of its recorded stream.

    A snapshot that cannot be read is not used: the stream is gone through from its beginning.
    """
    engine = Engine(group, settings)
    if snapshot is not None:
        try:
            engine = restore(group, snapshot)
        except BadPayload as bad:
            log.warning("snapshot_unreadable", group=group.slug, reason=bad.message)
    async for frame in recorded(engine.position):
        engine.apply(frame)
    return engine
