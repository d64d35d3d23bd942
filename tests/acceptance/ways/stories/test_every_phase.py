"""The specification of the demo's phone and pages: every phase is told, in both languages.

Two households wish to be told everything.  Their phones have each phase of their outage and of the
false alarm before it, by the SMS centre's own log, and the statuses that were committed for them
and the lines of the dispatch feed are put through the pages' own code, which has a headline for
each.  Nobody acts: the story's crews move their orders over the API.  (tests/pages/live looks at
the same in a real Chromium.)
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulators.city import city
from simulators.truth import FalseAlarmTruth, HouseholdTruth, OutageTruth

pytestmark = [pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[4]
PAGES = ROOT / "dispatch" / "pages" / "js"
SAID = {
    "zh": {
        "detected": "疑似停电，正在核实", "cancelled": "更正：.*未发现停电",
        "confirmed": "起停电，",
        "crew_assigned": "已派抢修人员", "on_site": "抢修人员.*已到现场",
        "partially_restored": "部分用户已来电，您家尚未恢复", "etr_changed": "预计恢复改为.*（原",
        "restored": "恢复供电，停电",
    },
    "en": {
        "detected": "may be off since", "cancelled": "correction: no outage found",
        "confirmed": "outage at [^:]* since", "crew_assigned": "a crew is assigned",
        "on_site": "crew on site since", "partially_restored": "neighbours have power again",
        "etr_changed": "power back now expected .* \\(was ", "restored": "power is back at",
    },
}  # fmt: skip
IN_ORDER = ("detected", "cancelled", "confirmed", "crew_assigned", "on_site", "partially_restored",
            "restored")  # fmt: skip
ON_THE_PAGE = {"detected", "cancelled", "no_etr", "assigned", "on_site", "partly", "etr_changed",
               "restored"}  # fmt: skip
PHONES = {c.customer_id: c.phone.lstrip("+") for c in city(6000, 1).customers}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("tales", id="in process", marks=pytest.mark.services),
        pytest.param("cluster_tales", id="on a cluster", marks=pytest.mark.soak),
    ],
)
def demo(request: pytest.FixtureRequest) -> Any:
    """The demo told to its end."""
    return request.getfixturevalue(request.param)["demo"].result()


def homes_of(demo: Any) -> list[HouseholdTruth]:
    return [line for line in demo.truth() if isinstance(line, HouseholdTruth)]


def behind(demo: Any, name: str) -> tuple[str, ...]:
    named = [t for t in demo.truth() if isinstance(t, OutageTruth | FalseAlarmTruth)]
    return next(t.customers for t in named if t.id == name)


def test_the_households_live_where_everything_happens(demo: Any) -> None:
    homes = homes_of(demo)
    assert [home.language for home in homes] == ["zh", "en"]
    for home in homes:
        assert home.customer_id in behind(demo, "alarm")
        assert home.customer_id in behind(demo, "cable")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_their_phones_have_every_phase_once_and_in_order(demo: Any, language: str) -> None:
    (home,) = [home for home in homes_of(demo) if home.language == language]
    texts = [t["text"] for t in demo.texts() if t["number"] == PHONES[home.customer_id]]
    assert len(set(texts)) == len(texts), "nothing is texted twice"
    told = [
        next((name for name, words in SAID[language].items() if re.search(words, text)), text)
        for text in texts
    ]
    assert [one for one in told if one in IN_ORDER] == list(IN_ORDER), texts
    # estimates are what crew and engine think, and how often that changes is theirs
    assert "etr_changed" in told[told.index("confirmed") : told.index("restored")], texts


def test_the_customers_page_has_a_headline_for_each(demo: Any, tool: Callable[[str], str]) -> None:
    for home in homes_of(demo):
        asked = (
            "SELECT body::jsonb FROM feed_log WHERE channel = "
            f"'customer:{home.customer_id}' ORDER BY \"offset\""
        )
        statuses = [row[0] for row in demo.sql(asked)]
        assert set(phases(tool, statuses)) >= ON_THE_PAGE, phases(tool, statuses)


def test_the_board_has_a_word_for_each(demo: Any) -> None:
    asked = "SELECT body::jsonb FROM feed_log WHERE channel = 'dispatch' AND type = 'change'"
    heard = [body["outage"] for (body,) in demo.sql(f'{asked} ORDER BY "offset"')]
    (cable,) = [t for t in demo.truth() if isinstance(t, OutageTruth) and t.id == "cable"]
    (alarm,) = [t for t in demo.truth() if isinstance(t, FalseAlarmTruth)]
    of_cable = ever_at(heard, cable.device_id)
    assert {o["state"] for o in of_cable} >= {"confirmed", "partially_restored", "restored"}
    assert {o["stage"] for o in of_cable} >= {
        "assigned", "en_route", "on_site", "cause_found", "repaired", "verified",
    }  # fmt: skip
    assert any(o["etr"] and o["etr"]["source"] == "crew" for o in of_cable)
    assert {o["state"] for o in ever_at(heard, alarm.device_id)} == {"predicted", "rejected"}


def ever_at(heard: list[dict[str, Any]], device_id: str) -> list[dict[str, Any]]:
    """What was heard of the outages that were ever put at a device."""
    ids = {outage["id"] for outage in heard if outage["device_id"] == device_id}
    return [outage for outage in heard if outage["id"] in ids]


def phases(tool: Callable[[str], str], statuses: list[dict[str, Any]]) -> list[str]:
    """The phases that the page shows for statuses one after the other, as its own code has it."""
    script = (
        f"import {{ phaseOf }} from {json.dumps((PAGES / 'mine' / 'phase.js').as_uri())};"
        f"let dark = null, was = null; const shown = [];"
        f"for (const status of {json.dumps(statuses)}) {{"
        "const now = Date.parse(status.updated_at);"
        "const etr_before = status.etr && was && was.at !== status.etr.at ? was : null;"
        "const premises = { status, etr_before, heard_at: status.updated_at, silent: false,"
        " calls: [], plan: null };"
        "const seen = { now, zone: 'Asia/Shanghai', arrivalMin: 45, lost: false,"
        " darkBefore: dark };"
        "shown.push(phaseOf(premises, seen).phase);"
        "dark = status.power === 'off' ? status.outage_id : dark; was = status.etr ?? was; }"
        "console.log(JSON.stringify(shown))"
    )
    ran = subprocess.run(
        [tool("node"), "--input-type=module", "-e", script], capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    found: list[str] = json.loads(ran.stdout)
    return found
