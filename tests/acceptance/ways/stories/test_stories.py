"""The specification of the demo: five stories, as the truth log has them, in every place.

The shipped scenario in a smaller city, in one process and on a cluster: the database, the API and
the feed say what the simulators know to have happened.
"""

import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest

from service.clock import now_ms
from simulators.truth import CommsLossTruth, OutageTruth
from simulators.verdict import spoken

pytestmark = pytest.mark.timeout(1200)


UNASKED = "[engine]\npings_per_minute = 0.0"
IN_OUR_TIME = (
    pytest.param("tales", id="in process", marks=pytest.mark.services),
    pytest.param("cluster_tales", id="on a cluster", marks=pytest.mark.soak),
    pytest.param("in_the_city", id="in the city", marks=pytest.mark.soak),
)
HURRIED = pytest.param("hurried", id="hurried on a cluster", marks=pytest.mark.services)


@pytest.fixture(scope="module")
def in_the_city(play: Callable[..., Any]) -> Any:
    """The demo as it is shipped."""
    text = (resources.files("simulators") / "scenarios" / "demo.toml").read_text()
    story = play("city:20000:1", text, config="").begin()
    story.wait_until_over(900)
    return story


@pytest.fixture(scope="module")
def hurried(
    cluster_of: Callable[..., Any], day_on_the_bus: Callable[..., Any],
    demo_text: tuple[str, str, str], story_of: Callable[..., Any],
) -> Iterator[Any]:  # fmt: skip
    """The demo on a cluster in its own time: minutes are seconds.  Nobody is texted, and nobody is
    asked: on a recorded day no meter answers, whether it has power or not.
    """
    network, scenario, config = demo_text
    cluster = cluster_of(network, config=config.replace("[engine]", UNASKED))
    scenario = scenario.replace("duration_s = 200", "duration_s = 260")
    just_over_ms = (now_ms() // 1000 - 265) * 1000  # what is old would be let go
    day = day_on_the_bus(cluster, scenario, begin_ms=just_over_ms)
    day.next()
    cluster.wait(day.committed, 120, "the whole day")
    cluster.begin("push")
    cluster.begin("dispatch")
    cluster.wait_ready()
    story = story_of(cluster, day.truth)
    ((epoch,),) = story.sql("SELECT epoch FROM feed_epoch")
    story.listen(since={"epoch": epoch, "offset": 0})
    ((lines,),) = story.sql("SELECT top FROM feed_channels WHERE channel = 'dispatch'")
    cluster.wait(lambda: len(story.listener.heard) == lines, 60, "the feed")
    yield story
    story.leave()


def lived_through(request: pytest.FixtureRequest) -> Any:
    told = request.getfixturevalue(request.param)
    return told["demo"].result() if request.param.endswith("tales") else told


@pytest.fixture(scope="module", params=[*IN_OUR_TIME, HURRIED])
def demo(request: pytest.FixtureRequest) -> Any:
    """The demo told to its end."""
    return lived_through(request)


@pytest.fixture(scope="module", params=IN_OUR_TIME)
def texted(request: pytest.FixtureRequest) -> Any:
    """The same, where customers are texted."""
    return lived_through(request)


def outage_of(demo: Any, name: str) -> OutageTruth:
    (found,) = [t for t in demo.true_outages() if t.id == name]
    return found


def found_at(demo: Any, device_id: str) -> list[dict[str, Any]]:
    return [o for o in demo.found() if o["device_id"] == device_id and o["steps"]]


def test_what_was_found_is_what_happened(demo: Any) -> None:
    verdict = demo.verdict()
    assert verdict.perfect, spoken(verdict)


def test_the_cable_fault_locks_its_breaker_out_and_comes_back_in_steps(demo: Any) -> None:
    truth = outage_of(demo, "cable")
    ends = {step["on_at"] for o in demo.found() for step in o["steps"]
            if set(step["customers"]) & set(truth.customers)}  # fmt: skip
    assert len(truth.steps) >= 2
    assert len(ends) >= 2


def test_the_part_left_behind_is_an_outage_of_its_own(demo: Any) -> None:
    truth = outage_of(demo, "cable/left-1")
    (nested,) = found_at(demo, truth.device_id)
    assert nested["parent_id"] is not None
    assert {c for s in nested["steps"] for c in s["customers"]} == set(truth.customers)


def test_the_silent_concentrator_is_a_finding_and_no_outage(demo: Any) -> None:
    (silence,) = [t for t in demo.truth() if isinstance(t, CommsLossTruth)]
    rows = demo.sql("SELECT device_id FROM findings WHERE kind = 'comms_loss'")
    assert (silence.device_id,) in rows


def test_planned_work_alarms_nobody(demo: Any) -> None:
    truth = outage_of(demo, "works")
    kinds = {o["kind"] for o in demo.found() if o["device_id"] == truth.device_id}
    assert kinds <= {"planned"}
    assert demo.sql("SELECT 1 FROM findings WHERE kind = 'planned'") or kinds == {"planned"}


def test_the_database_the_api_and_the_feed_say_the_same(demo: Any) -> None:
    in_api = {o["id"]: (o["state"], o["version"], o["device_id"]) for o in demo.listed()}
    rows = demo.sql("SELECT id, state, version, device_id FROM outages")
    assert {row[0]: row[1:] for row in rows} == in_api
    last = {}
    for message in demo.listener.heard:
        if message["type"] == "change":
            outage = message["data"]["outage"]
            last[outage["id"]] = (outage["state"], outage["version"], outage["device_id"])
    assert last == in_api


NUMBER = re.compile(r"(?<!\d)(?:86)?100\d{8}(?!\d)")  # of the simulated city; nobody has one
HOLDERS = {
    "smsc.jsonl",
    "network.msgpack",
    "scenario.toml",
}  # the world's own: its phones, its plan
IN_TABLE = "(^|[^0-9])(86)?100[0-9]{8}([^0-9]|$)"
AS_TEXT = """
    SELECT table_name, string_agg(CASE data_type
        WHEN 'bytea' THEN format('encode(%I, ''escape'')', column_name)  -- hex has digits by chance
        ELSE format('%I::text', column_name) END, ', ')
    FROM information_schema.columns JOIN pg_tables ON tablename = table_name
    WHERE table_schema = 'public' AND schemaname = 'public' GROUP BY table_name
"""


def test_no_log_has_a_customers_number_in_it(texted: Any) -> None:
    texts = (texted.service.data / "field" / "smsc.jsonl").read_text()
    assert NUMBER.search(texts), "nobody was texted, so nothing is shown by this"
    logs = [
        path
        for path in texted.service.data.parent.rglob("*")
        if path.is_file() and path.suffix in (".log", ".jsonl", ".json", ".toml", ".txt")
        and path.name not in HOLDERS and "pg_" not in str(path)
    ]  # fmt: skip
    assert {"field.log"} <= {path.name for path in logs}
    shown = {path.name for path in logs if NUMBER.search(path.read_text("utf-8", "replace"))}
    assert shown == set()


def test_no_table_feed_or_answer_has_a_customers_number_in_it(texted: Any) -> None:
    with_number = {
        name
        for name, said in texted.sql(AS_TEXT)
        if texted.sql(f"SELECT FROM {name} WHERE concat_ws(' ', {said}) ~ '{IN_TABLE}' LIMIT 1")
    }
    assert with_number == set()
    answers = [texted.service.get(f"/api/outages/{o['id']}/notices") for o in texted.listed()]
    assert any(answer["notices"] for answer in answers)
    for said in (answers, texted.listener.heard):
        assert not NUMBER.search(json.dumps(said))
