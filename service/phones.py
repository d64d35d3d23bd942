"""The phones of a simulated city, as its SMS centre wrote them down."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dispatch.noticedesk import PhoneText
from grid.graph import Graph
from grid.times import to_rfc3339
from store.masking import masked

LAST = 2_000  # texts shown at once
KEPT = 20_000  # texts that can be answered


class Phones:
    """Reads on in the SMS centre's log each time it is asked."""

    def __init__(
        self, log: Path, reply: Callable[[str, str], None],
        households: Callable[[], Mapping[str, str]] = dict,
    ) -> None:  # fmt: skip
        """``households``: numbers of those who are told every phase, and their language."""
        self._log = log
        self._reply = reply
        self._households = households
        self._at = 0
        self._count = 0
        self._boxes: dict[str, int] = {}
        self._texts: deque[PhoneText] = deque(maxlen=KEPT)
        self._numbers: deque[tuple[int, str]] = deque(maxlen=KEPT)

    def texts(self, after: int) -> Sequence[PhoneText]:
        """Texts after a number, oldest first; at most the last of them."""
        self._read_on()
        newer = [text for text in self._texts if text.no > after]
        return newer[-LAST:]

    def reply(self, no: int, text: str) -> bool:
        """Answer a text from the phone that it came to; false where there is no such text."""
        self._read_on()
        number = next((number for known, number in self._numbers if known == no), None)
        if number is None:
            return False
        self._reply(number, text)
        return True

    def _read_on(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._at)
            body = log.read()
        whole = body[: body.rfind(b"\n") + 1]
        self._at += len(whole)
        households = self._households() if whole else {}
        for line in whole.splitlines():
            self._take(msgspec.json.decode(line), households)

    def _take(self, line: dict[str, Any], households: Mapping[str, str]) -> None:
        if line["what"] not in ("taken", "reply"):
            return
        self._count += 1
        number = line["number"]
        self._numbers.append((self._count, number))
        self._texts.append(
            PhoneText(
                no=self._count,
                at=to_rfc3339(line["at_ms"]),
                box=self._boxes.setdefault(number, len(self._boxes) + 1),
                phone=masked(number),
                source=line.get("source", ""),
                text=line["text"],
                mine=line["what"] == "reply",
                household=households.get(number, ""),
            )
        )


def households_of(truth: Path, graph: Graph) -> Callable[[], Mapping[str, str]]:
    """Numbers of the households of a story, by its truth log; read once there is one."""
    phones = {c.customer_id: c.phone.lstrip("+") for c in graph.customers}
    found: dict[str, str] = {}

    def read() -> Mapping[str, str]:
        if not found and truth.exists():
            told = [msgspec.json.decode(line) for line in truth.read_bytes().splitlines()]
            homes = [line for line in told if line["type"] == "household"]
            found.update({phones.get(h["customer_id"], ""): h["language"] for h in homes})
        return found

    return read
