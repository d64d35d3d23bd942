"""Decisions, crews and switches: commands for the engine, and what became of them.

The engine may be in another process.  So a decision is put into the stream of its group, and its
outcome is read from the database, where the engine's commit puts it.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Protocol

import msgspec

from dispatch.workdesk import Answered, NewCrew, NewDecision, NewSwitching
from grid.errors import Refused, Unreachable
from grid.frame import NOT_YET, Command, Decided, SwitchThrown
from grid.network import Network
from grid.public import PublicCall, PublicCrew, PublicDecision
from grid.work import SAID, Action
from store.postgres import Store

UNSEEN = SAID | {Action.UNDO, Action.ACKNOWLEDGE, Action.VERIFY}
"""What no customer is told of."""
LOOK_AGAIN_S = (0.02, 0.5)  # the first pause, and the longest


class Stream(Protocol):
    """Where commands go."""

    async def command(self, command: Command, group: int | None = None) -> None:
        """Put a command into the stream of a group."""


class ServiceWorkDesk:
    """The ``dispatch.workdesk.WorkDesk`` of one running service."""

    def __init__(self, store: Store, stream: Stream, network: Network, wait_s: float) -> None:
        self._store = store
        self._stream = stream
        self._network = network
        self._wait_s = wait_s

    def replace_network(self, network: Network) -> None:
        """From now on devices are those of another version."""
        self._network = network

    async def decide(self, new: NewDecision) -> Answered:
        """Let the engine decide on it; returns once what became of it is committed.

        Raises:
            Refused: There is no such group, or somebody was told already of what is to be undone.
            Unreachable: Not committed in time; the same ``id`` may be sent again.
        """
        decision_id = new.id or f"d-{secrets.token_hex(8)}"
        before = await self._store.work.decision(decision_id) if new.id else None
        if before is not None and before.outage_id != new.outage_id:
            raise Refused(f"decision {decision_id} was about outage {before.outage_id}")
        if before is None:
            group = self._group_of(new.outage_id)
            if new.action == Action.UNDO:
                await self._require_untold(new)
            before = await self._ask(_command(new, decision_id), decision_id, group)
        outage = await self._store.outage(before.outage_id)
        return Answered(before, outage)

    async def decisions(self, outage_id: str) -> Sequence[PublicDecision]:
        """All decisions about an outage, oldest first."""
        return await self._store.work.decisions(outage_id)

    async def outage_calls(self, outage_id: str) -> Sequence[PublicCall]:
        """Calls of an outage's customers, newest first."""
        return await self._store.work.outage_calls(outage_id)

    async def throw(self, new: NewSwitching) -> PublicDecision:
        """Tell the engine that a device was opened or closed by hand."""
        place = self._network.places.get(new.device_id)
        if place is None:
            raise Refused(f"there is no device {new.device_id!r} in the network")
        decision_id = f"d-{secrets.token_hex(8)}"
        thrown = SwitchThrown(
            at_ms=NOT_YET,
            decision_id=decision_id,
            device_id=self._network.groups[place.group].ids[place.node],
            closed=new.closed,
            when_ms=new.when_ms,
            by=new.by,
            reason=new.reason,
        )
        return await self._ask(thrown, decision_id, place.group)

    def network_version(self) -> str:
        """The version of the network that is in force."""
        return self._network.version

    async def crews(self) -> Sequence[PublicCrew]:
        """All crews by id."""
        return await self._store.work.crews()

    async def put_crew(self, new: NewCrew) -> PublicCrew:
        """Keep a crew."""
        return await self._store.work.put_crew(
            new.id, name=new.name, district=new.district, active=new.active
        )

    def _group_of(self, outage_id: str) -> int:
        slug = outage_id.rpartition("-")[0]
        for group in self._network.groups:
            if group.slug == slug:
                return group.no
        raise Refused(f"no feeder group of the network has an outage {outage_id!r}")

    async def _require_untold(self, new: NewDecision) -> None:
        """Undo until told: what people were told is corrected by another decision, not undone."""
        decisions = await self._store.work.decisions(new.outage_id)
        undone = {d.undoes for d in decisions if d.accepted}
        standing = [d for d in decisions if d.accepted and d.id not in undone]
        wanted = [d for d in standing if new.undoes in (None, d.id) and d.action not in UNSEEN]
        if wanted and await self._store.work.told_since(new.outage_id, wanted[-1].version):
            raise Refused(
                "customers were told of it already; decide anew instead", code="told_already"
            )

    async def _ask(self, command: Command, decision_id: str, group: int) -> PublicDecision:
        """Put a command into the stream and wait for what became of it."""
        await self._stream.command(command, group)
        pause_s, longest_s = LOOK_AGAIN_S
        waited_s = 0.0
        while (done := await self._store.work.decision(decision_id)) is None:
            if waited_s >= self._wait_s:
                raise Unreachable(
                    f"the engine has not answered in {self._wait_s:.0f} s; decision {decision_id} "
                    "may still be taken: look at the outage's decisions"
                )
            await asyncio.sleep(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, longest_s)
        return done


def _command(new: NewDecision, decision_id: str) -> Decided:
    fields = msgspec.structs.asdict(new)
    del fields["id"]
    return Decided(at_ms=NOT_YET, decision_id=decision_id, **fields)
