"""The truth log: what really happened, as JSON lines.

Times are RFC 3339 UTC, steps are those of the API, so that a line can be laid beside an outage of
``/api/outages/{id}``.  The line's ``type`` tells the struct.
"""

from collections.abc import Iterable, Sequence

import msgspec

from grid.errors import ConfigError

TRUTH_FILE = "truth.jsonl"  # in the folder of the field


class TrueStep(msgspec.Struct, frozen=True):
    """Customers who were without power from ``off_at`` to ``on_at``, null where they stay so."""

    off_at: str
    on_at: str | None
    customers: tuple[str, ...]


class Stage(msgspec.Struct, frozen=True):
    """From here on it is this device that keeps the rest of an outage dark."""

    at: str
    device_id: str


class StoryTruth(msgspec.Struct, frozen=True, kw_only=True, tag="story", tag_field="type"):
    """The beginning of a story in the log."""

    episode: int  # counts the stories told in one folder from 1
    name: str
    seed: int
    network: str  # version
    started_at: str
    ends_at: str


class OutageTruth(msgspec.Struct, frozen=True, kw_only=True, tag="outage", tag_field="type"):
    """A failed or opened device and every customer behind it who lost power by it.

    Customers of a part left behind are in its own line and in that of the outage it lies in.
    """

    id: str  # name of the event
    device_id: str
    device_kind: str
    kind: str  # of the outage pool: fault, planned ...
    cause: str
    momentary: bool
    nested_in: str | None
    off_at: str
    on_at: str | None
    stages: tuple[Stage, ...]  # empty where it is one device all the time
    steps: tuple[TrueStep, ...]
    customers: tuple[str, ...]
    phases: str = ""  # that failed, where it was not all of them: who has no other lost power


class CommsLossTruth(msgspec.Struct, frozen=True, kw_only=True, tag="comms_loss", tag_field="type"):
    """A concentrator or a breaker's unit that could not be heard, with or without an outage."""

    device_id: str
    from_at: str
    until_at: str
    meters: int


class PhaseLossTruth(msgspec.Struct, frozen=True, kw_only=True, tag="phase_loss", tag_field="type"):
    """One phase of a device gone; ``customers`` are those it leaves without any."""

    id: str
    device_id: str
    phase: str
    from_at: str
    until_at: str
    customers: tuple[str, ...]


class FalseGaspTruth(msgspec.Struct, frozen=True, kw_only=True, tag="false_gasp", tag_field="type"):
    """A meter with power that said it has none."""

    device_id: str
    at: str


class FalseAlarmTruth(
    msgspec.Struct, frozen=True, kw_only=True, tag="false_alarm", tag_field="type"
):
    """A device behind which meters said that power failed, and were then not heard; it had not."""

    id: str
    device_id: str
    from_at: str
    until_at: str
    customers: tuple[str, ...]


class HouseholdTruth(msgspec.Struct, frozen=True, kw_only=True, tag="household", tag_field="type"):
    """A customer who wishes to be told every phase, in this language; behind the event's device."""

    customer_id: str
    language: str
    of: str


class ClockTruth(msgspec.Struct, frozen=True, kw_only=True, tag="clock_jump", tag_field="type"):
    """A meter whose clock jumped."""

    device_id: str
    at: str
    by_s: float


class EndTruth(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="type"):
    """The last line of a story: what is before it is complete."""

    episode: int


Truth = (
    StoryTruth
    | OutageTruth
    | CommsLossTruth
    | PhaseLossTruth
    | FalseGaspTruth
    | FalseAlarmTruth
    | HouseholdTruth
    | ClockTruth
    | EndTruth
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Truth).decode


def to_line(truth: Truth) -> bytes:
    """One line of the log, its end included."""
    return _encode(truth) + b"\n"


def from_lines(lines: Iterable[bytes | str]) -> list[Truth]:
    """The log read back.

    Raises:
        ConfigError: A line that is none of ours, by number.
    """
    read: list[Truth] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            read.append(_decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"truth log, line {number}: {error}") from None
    return read


def last_story(log: Sequence[Truth]) -> list[Truth]:
    """The latest story of a log that holds several."""
    begins = [number for number, line in enumerate(log) if isinstance(line, StoryTruth)]
    return list(log[begins[-1] :]) if begins else list(log)
