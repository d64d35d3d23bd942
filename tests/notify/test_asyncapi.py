"""The specification of docs/asyncapi.yaml: what it says is what the code does."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import msgspec
import pytest
import yaml

from devices import mqtt_v1
from devices.event_v1 import CLASSES, Event
from grid.errors import BadPayload
from grid.public import CustomerStatus, PublicChange, PublicFinding
from grid.reading import KINDS_OF_THE_WIRE
from notify import messages
from notify.closing import Closing
from notify.memory import MemoryRow
from notify.settings import FeedSettings
from store.feedlog import DispatchState

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SPECS = ROOT / "build" / "node" / "node_modules" / "@asyncapi" / "specs" / "schemas"
REF = "#/components/schemas/{name}"
ASKED = (
    messages.Auth, messages.Refresh, messages.Subscribe, messages.Unsubscribe, messages.Ack,
    messages.Ping, messages.Pong,
)  # fmt: skip
SAID = (
    messages.Hello, messages.Authenticated, messages.Refreshed, messages.Subscribed,
    messages.Unsubscribed, messages.Pub, messages.Pos, messages.Ping, messages.Pong,
    messages.Error,
)  # fmt: skip
DATA = (PublicChange, PublicFinding, CustomerStatus)
FLOWS = {  # operation -> topic leaf and QoS
    "hearMeter": ("meter", "event"),
    "hearTerminal": ("terminal", "event"),
    "hearBreaker": ("breaker", "event"),
    "hearConcentrator": ("dcu", "events"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return yaml.safe_load((DOCS / "asyncapi.yaml").read_text())


def whole(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A schema that can be validated against, its references within reach."""
    return {**document["components"]["schemas"][name], "components": document["components"]}


@pytest.mark.services
def test_the_document_is_valid_by_the_schema_of_asyncapi_itself(
    document: dict[str, Any], left_out: Callable[[str, str], NoReturn]
) -> None:
    place = SPECS / f"{document['asyncapi']}-without-$id.json"
    if not place.exists():
        left_out("the Node package @asyncapi/specs", "make services")
    validator = jsonschema.Draft7Validator(json.loads(place.read_text()))
    assert [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(document)] == []
    document = {**document, "channels": {**document["channels"], "feed": {"adress": "/"}}}
    assert not validator.is_valid(document)


def test_the_schemas_of_the_feeds_are_those_of_the_structs(document: dict[str, Any]) -> None:
    _, schemas = msgspec.json.schema_components(
        (*ASKED, *SAID, *DATA, DispatchState), ref_template=REF
    )
    schemas = msgspec.json.decode(msgspec.json.encode(schemas))  # a default () is written as []
    refs = {
        "data": [{"$ref": REF.format(name=kind.__name__)} for kind in DATA],
        "snapshot": [
            *({"$ref": REF.format(name=name)} for name in ("DispatchState", "CustomerStatus")),
            {"type": "null"},
        ],
    }
    schemas["Pub"]["properties"]["data"] = {"oneOf": refs["data"]}
    schemas["Subscribed"]["properties"]["snapshot"] = {"oneOf": refs["snapshot"]}
    written = document["components"]["schemas"]
    for name, schema in schemas.items():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        assert written[name] == schema, f"{name} is:\n{yaml.safe_dump({name: schema})}"
    mqtt = {"Event", "EventOfMeter", "DeviceAck", "DevicePing"}
    assert set(written) == set(schemas) | mqtt


@pytest.mark.parametrize(("operation", "kinds"), [("hearClient", ASKED), ("tellClient", SAID)])
def test_each_side_may_say_exactly_what_the_protocol_knows(
    document: dict[str, Any], operation: str, kinds: tuple[type, ...]
) -> None:
    listed = [
        ref["$ref"].rpartition("/")[2] for ref in document["operations"][operation]["messages"]
    ]
    ops = [str(kind.__struct_config__.tag) for kind in kinds]
    assert sorted(listed) == sorted(ops)
    for op, kind in zip(ops, kinds, strict=True):
        message = document["components"]["messages"][op]
        assert message["payload"] == {"$ref": REF.format(name=kind.__name__)}
        assert document["channels"]["feed"]["messages"][op] == {
            "$ref": f"#/components/messages/{op}"
        }


def test_a_real_pub_is_what_the_document_says(document: dict[str, Any]) -> None:
    body = b'{"id":"f","at":"2026-11-21T03:04:05.678Z","kind":"clock","device_id":"M1",'
    body += b'"district":"","since":"2026-11-21T03:04:05.678Z","until":null,"reason":"off"}'
    item = messages.pub("dispatch", "e1", MemoryRow(1, 0, "finding", body), 0)
    for skipped in (0, 12):
        said = json.loads(item.text_after(skipped))
        jsonschema.validate(said, whole(document, "Pub"))
        assert list(said) == list(document["components"]["schemas"]["Pub"]["properties"])
        assert said["skipped"] == skipped


def test_a_pub_put_together_by_hand_has_the_bytes_of_its_message() -> None:
    channel, epoch, key = 'customer:"李"\\\n', 'e"1', 'C-"1"\u2028'
    body = msgspec.json.encode({"customer_id": key, "power": "off"})
    item = messages.pub(channel, epoch, MemoryRow(7, 1_000, 'st"', body), 2_000)
    pub = messages.Pub(
        channel, epoch, 7, f"{epoch}:7", key, 'st"', messages.SCHEMA_V,
        "1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z", msgspec.Raw(body), 0,
    )  # fmt: skip
    assert item.text == messages.write(pub)
    assert (item.channel, item.key, item.offset) == (channel, key, 7)


def test_the_topics_are_those_that_ingest_hears_and_answers_on(document: dict[str, Any]) -> None:
    channels = document["channels"]
    for operation, (cls, leaf) in FLOWS.items():
        name = document["operations"][operation]["channel"]["$ref"].rpartition("/")[2]
        address = channels[name]["address"]
        assert address.replace("{id}", "X") == mqtt_v1.topic_of(cls, "X")
        assert address.replace("{id}", "+") in mqtt_v1.filters()
        assert mqtt_v1.parse_topic(address.replace("{id}", "X")).leaf == leaf
    for leaf in ("ack", "ping"):
        address = channels[leaf]["address"].replace("{id}", "X")
        for cls in document["components"]["parameters"]["class"]["enum"]:
            assert address.replace("{class}", cls) == mqtt_v1.topic_of(cls, "X", leaf)
    assert tuple(document["components"]["parameters"]["class"]["enum"]) == CLASSES


def test_an_event_has_the_fields_and_kinds_that_are_decoded(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    fields = list(Event.__struct_fields__)
    event, meter = schemas["EventOfMeter"]["allOf"]
    assert event == {"$ref": REF.format(name="Event")}
    assert (list(meter["properties"]), meter["required"]) == (["meter"], ["meter"])
    assert sorted(schemas["Event"]["properties"]) == sorted(set(fields) - {"meter"})
    assert tuple(schemas["Event"]["properties"]["kind"]["enum"]) == KINDS_OF_THE_WIRE


def test_the_examples_are_valid_and_are_understood(document: dict[str, Any]) -> None:
    messages_of = document["components"]["messages"]
    for name, topic in (("Event", "meter/M1/event"), ("Events", "dcu/D1/events")):
        schema = {**messages_of[name]["payload"], "components": document["components"]}
        for example in messages_of[name]["examples"]:
            jsonschema.validate(example["payload"], schema)
            parsed = mqtt_v1.parse_topic(f"lastgasp/v1/{topic}")
            assert mqtt_v1.decode(parsed, json.dumps(example["payload"]).encode())
    ack = messages_of["DeviceAck"]["examples"][0]["payload"]
    assert json.loads(mqtt_v1.encode_ack(**ack)) == ack
    ping = messages_of["DevicePing"]["examples"][0]["payload"]
    assert json.loads(mqtt_v1.encode_ping(ping["at"])) == ping


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "last_gasp"}, {"at": 1}, {"at": 1, "kind": "sneeze"}, {"at": None, "kind": "open"}],
)
def test_what_the_document_refuses_is_refused(
    document: dict[str, Any], wrong: dict[str, Any]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, whole(document, "Event"))
    with pytest.raises(BadPayload):
        mqtt_v1.decode(
            mqtt_v1.parse_topic("lastgasp/v1/breaker/B1/event"), json.dumps(wrong).encode()
        )


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            return [
                *([node["$ref"]] if "$ref" in node else []),
                *(ref for value in node.values() for ref in references(value)),
            ]
        return (
            [ref for value in node for ref in references(value)] if isinstance(node, list) else []
        )

    found = references(document)
    assert len(found) > 50
    for ref in found:
        at: Any = document
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]


def test_the_close_codes_in_docs_are_those_of_the_code() -> None:
    text = (DOCS / "feeds.md").read_text()
    rows = re.findall(r"^\| (\d{4}) \| `(\w+)` \| (yes|no) \|", text, re.MULTILINE)
    assert rows == [
        (str(closing.code), closing.word, "yes" if closing.retry else "no") for closing in Closing
    ]


def test_the_limits_in_docs_are_those_of_the_settings() -> None:
    text = (DOCS / "feeds.md").read_text().partition("## Limits")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))
    settings = msgspec.to_builtins(FeedSettings())
    assert set(rows) == set(settings)
    for name, value in settings.items():
        if isinstance(value, int | float):
            said = float(rows[name].strip().replace(",", "").replace(" ", ""))
            assert said == value, name
