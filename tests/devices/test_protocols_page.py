"""The specification of docs/protocols.md: its examples are understood, its tables are right."""

import re
from pathlib import Path

import msgspec
import pytest

from devices import fr100, rc20
from devices.families import FAMILIES
from devices.mqtt_v1 import Topic, decode, decode_ack, parse_topic
from grid.reading import KINDS_OF_THE_WIRE

PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")


def test_the_event_on_the_page_is_one() -> None:
    (example,) = re.findall(r'^\{"boot".*$', PAGE, re.MULTILINE)
    (reading,) = decode(Topic("meter", "M1", "event"), example.encode())
    assert (reading.boot, reading.seq, reading.on) == ("a1", 12, False)


def test_the_command_line_on_the_page_sends_one() -> None:
    ((topic, body),) = re.findall(r"mosquitto_pub -t (\S+) .*-m '(.*)'", PAGE)
    assert decode(parse_topic(topic), body.encode())[0].device_id == "M1"


def test_the_acknowledgements_on_the_page_are_some() -> None:
    found = re.findall(r'ack`.*`(\{"boot": "\w+", "seq": \d+\})`', PAGE)
    assert [decode_ack(body.encode()).seq for body in found] == [12, 340]


def test_the_recorded_line_on_the_page_is_one() -> None:
    (example,) = re.findall(r'^\{"received_at".*$', PAGE, re.MULTILINE)
    line = msgspec.json.decode(example)
    body = msgspec.json.encode(line["payload"])
    assert decode(parse_topic(line["topic"]), body)[0].device_id == "M1"


@pytest.mark.parametrize("word", [*KINDS_OF_THE_WIRE, *FAMILIES])
def test_every_kind_and_every_family_is_on_the_page(word) -> None:
    assert f"`{word}`" in PAGE


def test_the_identities_and_blocks_of_the_families_are_on_the_page() -> None:
    assert f"`0x{fr100.IDENTITY:04X}`" in PAGE
    assert f"`0x{rc20.IDENTITY:04X}`" in PAGE
    assert f"Function 4, address 0, {fr100.READ.count} registers" in PAGE
    assert f"Function 2, address 0, {rc20.READ_CONTACTS.count} discrete inputs" in PAGE
    assert f"Function 3, address 100, {rc20.READ_RECORD.count} holding registers" in PAGE
