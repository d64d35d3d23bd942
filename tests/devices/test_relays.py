"""The specification of the relay families: these registers are these samples, both ways."""

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import fr100, rc20
from devices.families import FAMILIES
from devices.relay import NOT_MEASURED, Sample, SwitchEvent
from grid.errors import BadPayload
from grid.reading import Kind

NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z, 0x6B018D40 seconds

FR100 = Sample(
    closed=False,
    lockout=True,
    commanded=False,
    amps=(0.0, 12.5, NOT_MEASURED),
    volts=(5774.0, NOT_MEASURED, 0.0),
    power_kw=-120.0,
    event_seq=3,
    events=(
        SwitchEvent(2, Kind.TRIP, NOON + 5),
        SwitchEvent(3, Kind.LOCKOUT, NOON + 999),
    ),
)
FR100_REGISTERS = [
    0x4652, 0b0101, 3, 2,
    0, 125, 0xFFFF,
    5774, 0xFFFF, 0,
    0xFF88, 0,
    3, 4, NOON // 1000 >> 16, NOON // 1000 & 0xFFFF, 999, 0,
    2, 1, NOON // 1000 >> 16, NOON // 1000 & 0xFFFF, 5, 0,
    *[0] * 24,
]  # fmt: skip

RC20 = Sample(
    closed=True,
    commanded=True,
    amps=(100.0, 0.5, NOT_MEASURED),
    volts=(5770.0, 0.0, NOT_MEASURED),
    openings=65_535,
    closings=2,
    opened_ms=NOON + 7,
    closed_ms=0,
)
RC20_REGISTERS = (
    [1, 0, 0, 1],
    [
        0x5243, 65_535, 2,
        NOON // 1000 >> 16, NOON // 1000 & 0xFFFF, 7,
        0, 0, 0,
        0x42C8, 0x0000, 0x3F00, 0x0000, 0x7FC0, 0x0000,
        577, 0, 0xFFFF,
    ],
)  # fmt: skip


def test_an_fr100_is_these_registers() -> None:
    assert fr100.encode(FR100) == (FR100_REGISTERS,)
    assert repr(fr100.decode((FR100_REGISTERS,))) == repr(FR100)


def test_an_rc20_is_these_contacts_and_registers() -> None:
    assert rc20.encode(RC20) == RC20_REGISTERS
    assert repr(rc20.decode(RC20_REGISTERS)) == repr(RC20)


@pytest.mark.parametrize("position", [0, 3])
def test_a_double_point_that_is_neither_open_nor_closed_is_not_known(position) -> None:
    registers = [0x4652, position, *FR100_REGISTERS[2:]]
    assert fr100.decode((registers,)).closed is None


@pytest.mark.parametrize("contacts", [(0, 0), (1, 1)])
def test_two_contacts_that_say_the_same_are_not_known(contacts) -> None:
    assert rc20.decode(([*contacts, 0, 0], RC20_REGISTERS[1])).closed is None


def test_the_seventh_event_pushes_out_the_first() -> None:
    events = tuple(SwitchEvent(i, Kind.TRIP, NOON + i) for i in range(7))
    sample = Sample(closed=True, event_seq=6, events=events)
    assert fr100.decode(fr100.encode(sample)).events == events[1:]


def with_register(registers: list[int], place: int, value: int) -> list[int]:
    return [*registers[:place], value, *registers[place + 1 :]]


@pytest.mark.parametrize(
    "registers",
    [
        FR100_REGISTERS[:-1],
        with_register(FR100_REGISTERS, 0, 0),
        with_register(FR100_REGISTERS, 3, 7),
        with_register(FR100_REGISTERS, 13, 9),
        with_register(FR100_REGISTERS, 16, 1000),
    ],
)
def test_registers_that_are_no_fr100_are_refused(registers) -> None:
    with pytest.raises(BadPayload):
        fr100.decode((registers,))


@pytest.mark.parametrize(
    ("contacts", "record"),
    [
        ([1, 0, 0], RC20_REGISTERS[1]),
        ([1, 0, 0, 0], RC20_REGISTERS[1][:-1]),
        ([1, 0, 0, 0], with_register(RC20_REGISTERS[1], 0, 0x4652)),
        ([1, 0, 0, 0], with_register(RC20_REGISTERS[1], 9, 0x7F80)),  # infinite
    ],
)
def test_registers_that_are_no_rc20_are_refused(contacts, record) -> None:
    with pytest.raises(BadPayload):
        rc20.decode((contacts, record))


def test_measurements_out_of_range_stay_within_the_register() -> None:
    sample = Sample(closed=True, amps=(1e9, -5.0, 1.0), volts=(1e9, -1.0, 1.0), power_kw=1e9)
    read = fr100.decode(fr100.encode(sample))
    assert (read.amps, read.volts, read.power_kw) == (
        (6553.4, 0.0, 1.0),
        (65_534.0, 0.0, 1.0),
        32_767.0,
    )
    quiet = msgspec.structs.replace(sample, amps=(0.0, 0.0, 0.0))
    assert rc20.decode(rc20.encode(quiet)).volts == (655_340.0, 0.0, 0.0)


def test_families_go_by_their_names() -> None:
    assert {name: family.name for name, family in FAMILIES.items()} == {
        "fr100": "fr100",
        "rc20": "rc20",
    }


REGISTER = st.integers(0, 0xFFFF)


@given(st.lists(REGISTER, min_size=47, max_size=47))
def test_any_registers_of_an_fr100_are_read_or_refused(rest) -> None:
    try:
        sample = fr100.decode(([0x4652, *rest],))
    except BadPayload:
        return
    assert all(-1e6 < volts < 1e6 or math.isnan(volts) for volts in sample.volts)
    assert fr100.encode(sample)[0][:11] == [
        0x4652,
        rest[0] & 0xF if rest[0] & 3 in (1, 2) else rest[0] & 0xC,
        *rest[1:10],
    ]


@given(
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.lists(REGISTER, min_size=17, max_size=17),
)
def test_any_registers_of_an_rc20_are_read_or_refused(contacts, rest) -> None:
    try:
        sample = rc20.decode((contacts, [0x5243, *rest]))
    except BadPayload:
        assert any(abs(x) > 1e6 for x in struct.unpack(">fff", struct.pack(">6H", *rest[8:14])))
        return
    assert rc20.decode(rc20.encode(sample)).openings == rest[0]
