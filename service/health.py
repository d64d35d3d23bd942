"""Whether the service works, part by part: what ``/livez`` and ``/readyz`` answer.

Ready means: a message published now will be acted on.  So the parts that count are the database,
the engine, the MQTT subscription with its backlog in, and the feeds.
"""

from collections.abc import Callable, Mapping

import structlog

from dispatch.desk import Component
from grid.times import to_rfc3339

log = structlog.get_logger()

Probe = Callable[[], str | None]
"""Why a part is not ready, as a sentence; None when it is."""


class Health:
    """The parts by name, each asked when somebody wants to know, and since when it is as it is."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._probes: dict[str, Probe] = {}
        self._last: dict[str, tuple[bool, int]] = {}

    def watch(self, name: str, probe: Probe) -> None:
        """Count a part in."""
        self._probes[name] = probe

    def ready(self) -> Mapping[str, Component]:
        """Each part now."""
        return {name: self._ask(name, probe) for name, probe in self._probes.items()}

    def all_ready(self) -> bool:
        """Whether a message published now will be acted on."""
        return bool(self._probes) and all(part.ready for part in self.ready().values())

    def _ask(self, name: str, probe: Probe) -> Component:
        reason = probe()
        now = (reason is None, self._now_ms())
        last = self._last.get(name)
        if last is None:
            self._last[name] = last = now
        elif last[0] != now[0]:
            self._last[name] = last = now
            if reason is None:
                log.info("part_ready", part=name)
            else:
                log.warning("part_not_ready", part=name, reason=reason)
        return Component(ready=now[0], since=to_rfc3339(last[1]), reason=reason)
