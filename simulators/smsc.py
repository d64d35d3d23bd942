"""An SMS centre that sends nothing: it takes texts, writes them down, and gives receipts for them.

The protocol is smpp34's (a Rust core of another house), so what it takes is what a gateway would.
Its log is append-only, a JSON object a line: ``taken`` with number and text, ``refused``,
``receipt``, ``reply``.  It can be overrun, silent, early, late and say things twice.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import IO, Any

import msgspec
import smpp34
import smsutil

THROTTLED = 0x58  # ESME_RTHROTTLED
REFERENCE = 0x0204  # user_message_reference
RECEIPT = 0x04
UDHI = 0x40
UCS2 = 0x08
PENDING_MAX = 100_000  # receipts for somebody who is away; the oldest goes first


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Shares of the texts that something happens to, 0 to 1; and times in seconds."""

    throttled: float = 0.0  # refused with ESME_RTHROTTLED
    silent: float = 0.0  # taken, and never answered
    early: float = 0.0  # its receipt comes before the answer
    twice: float = 0.0  # its receipt comes twice
    lost: float = 0.0  # UNDELIV
    mute: float = 0.0  # no receipt at all
    receipt_s: float = 0.2  # from the answer to the receipt
    per_s: int = 0  # more texts a second are throttled; 0: no limit
    seed: int = 1


class Taken(msgspec.Struct, frozen=True):
    """A text as it arrives on a phone."""

    at_ms: int
    message_id: str
    source: str
    number: str
    text: str
    reference: int | None
    part: str  # "1/1"


class Smsc:
    """One SMS centre on ``host:port``."""

    def __init__(
        self, port: int, log: Path, now_ms: Callable[[], int], faults: Faults | None = None,
        host: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        self.taken = 0
        self._counted = 0  # by those before us
        self._address = (host, port)
        self._path = log
        self._now_ms = now_ms
        self.faults = faults or Faults()
        self._dice = Random(self.faults.seed)  # noqa: S311  a drawing, no secret
        self._sessions: dict[str, smpp34.Esme] = {}
        self._pending: dict[int, dict[str, Any]] = {}
        self._receipts = 0
        self._held: list[smpp34.SubmitSmEvent] = []  # unanswered: dropping one would answer it
        self._second = (0, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._log: IO[bytes] | None = None

    async def run(self) -> None:
        """Take texts, for ever."""
        host, port = self._address
        server = smpp34.Server(host, port, system_id="lastgasp-sim")
        self._remember()
        with self._path.open("ab") as log:
            self._log = log
            await server.start()
            try:
                while True:
                    await self._event(await server.next())
            finally:
                for task in self._tasks:
                    task.cancel()
                await server.stop()

    def _remember(self) -> None:
        """Receipts that were owed when the process before this one ended are owed still."""
        lines = read_log(self._path)
        self._counted = sum(line["what"] == "taken" for line in lines)
        given = {line["message_id"] for line in lines if line["what"] == "receipt"}
        for line in lines:
            if line["what"] == "taken" and line["message_id"] not in given:
                fields = {name: line[name] for name in Taken.__struct_fields__}
                self._owe(Taken(**fields), lost=False)

    async def _event(self, event: Any) -> None:
        if isinstance(event, smpp34.Esme):
            self._sessions[event.session_id] = event
            for number in list(self._pending):  # what it missed while it was away
                self._beside(self._deliver(number, 0.0))
        elif isinstance(event, smpp34.Unbound):
            self._sessions.pop(event.session_id, None)
        elif isinstance(event, smpp34.SubmitSmEvent):
            self._submitted(event)

    def _submitted(self, event: "smpp34.SubmitSmEvent") -> None:
        dice, faults = self._dice.random, self.faults
        if dice() < faults.throttled or self._overrun():
            self._write("refused", number=event.destination_addr, why="throttled")
            event.reject(THROTTLED)
            return
        text = self._take(event)
        receipts = 0 if dice() < faults.mute else 2 if dice() < faults.twice else 1
        numbers = [self._owe(text, lost=dice() < faults.lost) for _ in range(receipts)]
        early, silent = dice() < faults.early, dice() < faults.silent
        if silent:
            self._held.append(event)
        elif not early:
            event.accept(text.message_id)
        for number in numbers:
            self._beside(self._deliver(number, 0.0 if early else faults.receipt_s))
        if early and not silent:
            self._beside(self._accept_late(event, text.message_id))

    async def _accept_late(self, event: "smpp34.SubmitSmEvent", message_id: str) -> None:
        await asyncio.sleep(0.05)
        event.accept(message_id)

    def _overrun(self) -> bool:
        second = self._now_ms() // 1000
        self._second = (second, self._second[1] + 1 if self._second[0] == second else 1)
        return bool(self.faults.per_s) and self._second[1] > self.faults.per_s

    def _take(self, event: "smpp34.SubmitSmEvent") -> Taken:
        self.taken += 1
        body, part = event.short_message, "1/1"
        if event.esm_class & UDHI:
            part = f"{body[5]}/{body[4]}"
            body = body[body[0] + 1 :]
        ucs2 = event.data_coding & 0x0C == UCS2
        text = body.decode("utf-16-be") if ucs2 else str(smsutil.decode(body))
        references = [t.as_int() for t in event.tlvs if t.tag == REFERENCE]
        taken = Taken(
            self._now_ms(), f"{self._counted + self.taken:08x}", event.source_addr,
            event.destination_addr, text, references[0] if references else None, part,
        )  # fmt: skip
        self._write("taken", **msgspec.structs.asdict(taken))
        return taken

    # -- receipts and replies ----------------------------------------------------------------------

    def _owe(self, text: Taken, *, lost: bool) -> int:
        stat = "UNDELIV" if lost else "DELIVRD"
        said = f"id:{text.message_id} sub:001 dlvrd:00{int(not lost)} stat:{stat} err:000 text:"
        tlvs = []
        if text.reference is not None:
            value = text.reference.to_bytes(2, "big")
            tlvs.append(smpp34.Tlv(REFERENCE, value))
        self._receipts += 1
        self._pending[self._receipts] = {
            "destination_addr": text.source, "source_addr": text.number,
            "esm_class": RECEIPT, "short_message": said.encode(), "tlvs": tlvs,
        }  # fmt: skip
        while len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        return self._receipts

    async def _deliver(self, number: int, after_s: float) -> None:
        """Deliver a receipt; it stays owed until it is acknowledged."""
        await asyncio.sleep(after_s)
        owed = self._pending.get(number)
        session = next(reversed(self._sessions.values()), None)
        if owed is None or session is None:
            return
        with contextlib.suppress(smpp34.SmppError, RuntimeError, ConnectionError):
            answer = await session.deliver_sm(**owed)
            if answer.is_success:
                self._pending.pop(number, None)
                message_id = owed["short_message"].split()[0].decode().removeprefix("id:")
                self._write("receipt", number=owed["source_addr"], message_id=message_id)

    async def reply(self, number: str, text: str, to: str = "95598") -> bool:
        """Send what a customer typed; whether it was taken."""
        session = next(reversed(self._sessions.values()), None)
        if session is None:
            return False
        coding, body = (0, text.encode()) if text.isascii() else (UCS2, text.encode("utf-16-be"))
        answer = await session.deliver_sm(
            destination_addr=to, source_addr=number, short_message=body, data_coding=coding
        )
        self._write("reply", number=number, text=text)
        return answer.is_success

    def _beside(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write(self, what: str, **fields: Any) -> None:
        assert self._log is not None
        line = {"what": what, "at_ms": self._now_ms(), **fields}
        self._log.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._log.flush()


def read_log(log: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last one that is being written is left out."""
    if not log.exists():
        return []
    body = log.read_bytes()
    return [json.loads(line) for line in body[: body.rfind(b"\n") + 1].splitlines()]


def main(now_ms: Callable[[], int]) -> None:
    """``PORT LOG [FAULTS]``: an SMS centre as a process of its own, until it is killed."""
    faults = msgspec.json.decode(sys.argv[3], type=Faults) if len(sys.argv) > 3 else Faults()
    asyncio.run(Smsc(int(sys.argv[1]), Path(sys.argv[2]), now_ms, faults).run())
