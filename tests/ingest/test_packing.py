"""The specification of how readings become rows: whose they are, when they happened."""

import math
import zlib

import pytest

from grid.drawing import draw
from grid.frame import READING
from grid.reading import Kind, Quality, Reading
from ingest.packing import Packer

NOON = 1_795_262_400_000
HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture(scope="module")
def network():
    return draw("""
source S1
  breaker B1
    recloser R1
      transformer T1
        meter M1 [dcu=D1]
        meter M2
source S2
  breaker B2
    transformer T2
      meter M3 [dcu=D2]
""")


@pytest.fixture
def pack(network):
    """The row of one reading, received at noon."""

    def one(reading: Reading):
        rows, refused = Packer(network).pack([reading], NOON)
        assert refused == []
        return rows[0]

    return one


def test_a_reading_keeps_what_it_says(pack, network) -> None:
    said = Reading(
        "M3", Kind.POWER_UP, NOON - 7, "a", 5,
        volts=(1.0, 2.0, 3.0), amps=(4.0, 5.0, 6.0), power_kw=7.5, phases=5,
        on=True, commanded=False, valid=True, off_at_ms=NOON - HOUR,
    )  # fmt: skip
    row = pack(said)
    place = network.places["M3"]
    assert (row["group"], row["node"]) == (place.group, place.node)
    assert row["kind"] == Kind.POWER_UP
    assert (row["phases"], row["on"], row["commanded"], row["quality"]) == (5, 1, 0, 0)
    assert (row["boot"], row["seq"], row["dcu"]) == (zlib.crc32(b"a"), 5, -1)
    assert (row["happened_ms"], row["received_ms"], row["stream_ms"]) == (NOON - 7, NOON, 0)
    assert row["off_at_ms"] == NOON - HOUR
    assert row["volts"].tolist() == [1, 2, 3]
    assert row["amps"].tolist() == [4, 5, 6]
    assert row["power_kw"] == 7.5


def test_what_a_reading_does_not_say_is_marked_so(pack) -> None:
    row = pack(Reading("M1", Kind.HEARTBEAT, NOON))
    assert (row["on"], row["commanded"], row["seq"], row["boot"], row["off_at_ms"]) == (
        -1, -1, -1, 0, 0,
    )  # fmt: skip
    assert all(math.isnan(x) for x in [*row["volts"], *row["amps"], row["power_kw"]])


def test_one_number_stands_for_all_phases_and_a_missing_third_is_not_measured(pack) -> None:
    assert pack(Reading("M1", Kind.VOLTAGE, NOON, volts=(230.0,)))["volts"].tolist() == [230] * 3
    two = pack(Reading("M1", Kind.VOLTAGE, NOON, volts=(230.0, 231.0)))["volts"]
    assert two[:2].tolist() == [230, 231]
    assert math.isnan(two[2])


@pytest.mark.parametrize(
    ("off_by_ms", "kept", "quality"),
    [
        (0, True, 0),
        (-DAY, True, 0),
        (-DAY - 1, False, Quality.CLOCK),
        (1, True, Quality.FUTURE),
        (DAY, True, Quality.FUTURE),
        (DAY + 1, False, Quality.CLOCK),
        (-NOON, False, Quality.CLOCK),  # 1970
        (2**62, False, Quality.CLOCK),
        (-(2**62), False, Quality.CLOCK),
    ],
)
def test_a_clock_off_by_more_than_a_day_is_replaced_by_ours(pack, off_by_ms, kept, quality) -> None:
    row = pack(Reading("M1", Kind.LAST_GASP, NOON + off_by_ms))
    assert row["happened_ms"] == (NOON + off_by_ms if kept else NOON)
    assert row["quality"] == quality


def test_an_event_that_its_device_calls_invalid_is_kept_and_flagged(pack) -> None:
    row = pack(Reading("M1", Kind.LAST_GASP, 0, valid=False))
    assert row["quality"] == Quality.INVALID | Quality.CLOCK


@pytest.mark.parametrize(
    ("off_at_ms", "kept"),
    [(NOON - 1, True), (NOON - 31 * DAY, True), (NOON, False), (NOON + 5, False), (5, False)],
)
def test_a_power_failure_is_believed_if_it_was_before_and_not_ages_ago(
    pack, off_at_ms, kept
) -> None:
    row = pack(Reading("M1", Kind.POWER_UP, NOON, off_at_ms=off_at_ms))
    assert row["off_at_ms"] == (off_at_ms if kept else 0)


def test_a_boot_whose_digest_is_zero_is_still_a_boot(pack) -> None:
    assert zlib.crc32(b"boot560Uddg") == 0
    assert pack(Reading("M1", Kind.HEARTBEAT, NOON, "boot560Uddg", 1))["boot"] == 1


def test_a_concentrator_is_known_by_its_place_in_the_meters_group(pack) -> None:
    assert pack(Reading("M1", Kind.HEARTBEAT, NOON, "d", 1, via="D1"))["dcu"] == 0


def test_an_unknown_concentrators_numbers_do_not_pass_for_the_meters_own(pack) -> None:
    own = pack(Reading("M1", Kind.HEARTBEAT, NOON, "a", 1))
    through = pack(Reading("M1", Kind.HEARTBEAT, NOON, "a", 1, via="D9"))
    elsewhere = pack(Reading("M1", Kind.HEARTBEAT, NOON, "a", 1, via="D2"))  # of another group
    assert through["dcu"] == elsewhere["dcu"] == -1
    assert len({int(row["boot"]) for row in (own, through, elsewhere)}) == 3


def test_whoever_is_not_registered_is_refused_and_the_rest_is_taken(network) -> None:
    ghost = Reading("M9", Kind.HEARTBEAT, NOON)
    rows, refused = Packer(network).pack(
        [Reading("M1", Kind.HEARTBEAT, NOON), ghost, Reading("M2", Kind.HEARTBEAT, NOON)], NOON
    )
    assert rows["node"].tolist() == [network.places[m].node for m in ("M1", "M2")]
    assert refused == [(ghost, "nobody registered device 'M9'")]


@pytest.mark.parametrize(("device", "taken"), [("B1", 1), ("R1", 1), ("T1", 0), ("M1", 0)])
def test_only_a_switching_device_trips(network, device, taken) -> None:
    rows, refused = Packer(network).pack([Reading(device, Kind.TRIP, NOON)], NOON)
    assert (len(rows), len(refused)) == (taken, 1 - taken)


def test_nothing_makes_no_rows(network) -> None:
    rows, refused = Packer(network).pack([], NOON)
    assert rows.dtype == READING
    assert (len(rows), refused) == (0, [])
