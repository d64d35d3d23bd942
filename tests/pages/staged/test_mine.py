"""The specification of the customer's page on a phone: every phase, both languages, both themes."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dispatch.mapdesk import Premises
from grid.public import CustomerProgress, CustomerStatus, PublicEtr, PublicPlan

Show = Callable[..., Any]
pytestmark = pytest.mark.services
WHO = "C000001"
OWN_BYTES = 100_000
# The next answer of the premises is read and waits for `release()`; the ones after it do not.
HOLD_THE_NEXT_READ = """() => {
  const asked = window.fetch;
  window.fetch = async (path, ...more) => {
    const held = path.endsWith("/premises");
    if (held) window.fetch = asked;
    const answer = await asked(path, ...more);
    if (held) {
      const said = await answer.json();
      answer.json = async () => said;
      await new Promise(go => { window.release = go });
    }
    return answer;
  };
}"""


@pytest.fixture
def premises(minutes_ago: Show) -> Show:
    """Premises without power for half an hour; what is given is changed."""

    def make(*, before: Any = None, silent: bool = False, plan: Any = None, **changes: Any) -> Any:
        status = CustomerStatus(
            WHO, "off", "S1-1", "confirmed", "fault", None, minutes_ago(30), None, True, None,
            minutes_ago(1), "none", (), minutes_ago(29), minutes_ago(20), 420, 100,
        )  # fmt: skip
        heard = changes.pop("heard_at", minutes_ago(31))
        status = msgspec.structs.replace(status, **changes)
        return Premises(status, before, heard, silent, plan, ())

    return make


@pytest.fixture
def phases(premises: Show, minutes_ago: Show) -> dict[str, Premises]:
    """Premises in each phase of the table, by its name."""

    def etr(minutes: float, **more: Any) -> PublicEtr:
        at, early = minutes_ago(-minutes), minutes_ago(-minutes / 2)
        return PublicEtr(at, "history", 0.8, early, minutes_ago(5), more.get("reason"))

    def done(*stages: str) -> tuple[CustomerProgress, ...]:
        return tuple(CustomerProgress(stage, minutes_ago(15 - i)) for i, stage in enumerate(stages))

    on: dict[str, Any] = {"power": "on", "outage_id": None, "state": None, "kind": None,
                          "off_at": None, "detected_at": None, "confirmed_at": None}  # fmt: skip
    begin, end = minutes_ago(-3 * 1440), minutes_ago(-3 * 1440 - 480)
    plan = PublicPlan("p", "T1", ("centre",), begin, end, "planned", "", "anna", begin, None)
    off = msgspec.structs.replace(plan, cancelled_at=minutes_ago(60))
    back = {"state": "restored", "on_at": minutes_ago(3)}
    return {
        "detected": premises(state="predicted", confirmed_at=None, detected_at=minutes_ago(2)),
        "confirmed": premises(etr=etr(120)),
        "no_etr": premises(),
        "assigned": premises(progress=done("assigned", "en_route"), etr=etr(120)),
        "on_site": premises(progress=done("assigned", "en_route", "on_site"), etr=etr(90)),
        "etr_changed": premises(etr=etr(240, reason="tree"), before=etr(120)),
        "missed": premises(etr=etr(-5)),
        "partly": premises(state="partially_restored", etr=etr(60)),
        "to_verify": premises(power="unknown", verified=False, **back),
        "restored": premises(power="on", heard_at=minutes_ago(3), **back),
        "planned": premises(plan=plan, heard_at=minutes_ago(1), **on),
        "planned_off": premises(plan=off, heard_at=minutes_ago(1), **on),
        "yours": premises(kind="customer_owned"),
        "no_data": premises(silent=True, **on),
        "on": premises(heard_at=minutes_ago(1), **on),
    }


@pytest.fixture
def mine(stage: Any, visit: Show, premises: Show) -> Show:
    """The page of a customer, signed in."""

    def show(
        given: Premises | None = None, size: tuple[int, int] = (390, 844), **options: Any
    ) -> Any:
        stage.tell(given or premises())
        reader = visit(stage.link("customer", WHO, "/mine"), size=size, **options)
        reader.until("!!document.body.dataset.phase", "the page to say something")
        return reader

    return show


def text(reader: Any, name: str) -> str:
    return str(reader.do(f"document.getElementById('{name}').innerText"))


def test_every_phase_is_said_seen_at_once_and_right_for_assistive_technology(
    stage: Any, mine: Show, phases: dict[str, Premises], looks: dict[str, Any]
) -> None:
    wrong: list[str] = []
    for language in ("zh", "en"):
        reader = mine(language=language)
        for name, given in phases.items():
            reader.do("lastgaspMine.memory = null")
            stage.tell(given)
            wanted = "planned" if name == "planned_off" else name
            reader.until(f"document.body.dataset.phase === '{wanted}'", f"phase {name}")
            for look in reader.seen_in(looks[language]):
                wrong += [f"{language} {name} {look}: {x}" for x in reader.axe()]
            low = reader.do("document.getElementById('next').getBoundingClientRect().bottom")
            assert low < 844, "state, until and next update are above the fold"
            words = reader.do("document.body.innerText")
            assert "[" not in words, f"a word is missing: {words}"
            assert text(reader, "until"), f"{name} has no until line"
            if name in ("detected", "no_etr", "missed"):
                assert text(reader, "next") == "", "the next word is promised once"
        assert reader.complaints == []
    assert wrong == []


def test_never_restored_without_the_meters_word_and_never_on_without_data(
    stage: Any, mine: Show, phases: dict[str, Premises]
) -> None:
    reader = mine(phases["to_verify"])
    assert "已恢复供电" not in text(reader, "headline")
    assert text(reader, "headline") == "应已来电，待电表确认"
    stage.tell(phases["no_data"])
    reader.until("document.body.dataset.phase === 'no_data'")
    assert "有电" not in text(reader, "now")


def test_the_page_says_what_its_reader_has_seen(
    stage: Any, mine: Show, phases: dict[str, Premises]
) -> None:
    reader = mine(phases["detected"])
    stage.tell(phases["confirmed"])
    reader.until("document.body.dataset.phase === 'confirmed'")
    top = stage.log._tops[f"customer:{WHO}"]
    reader.wait(lambda: (WHO, top) in stage.seen, "the page to acknowledge", 30)


def test_what_was_told_and_was_wrong_is_corrected(
    stage: Any, mine: Show, phases: dict[str, Premises]
) -> None:
    reader = mine(phases["detected"])
    stage.tell(phases["on"])
    reader.until("document.body.dataset.phase === 'cancelled'")
    assert text(reader, "headline") == "未发现您家停电"
    assert "此前提示有误" in text(reader, "until")


def test_an_answer_that_the_feed_has_overtaken_is_not_shown(
    stage: Any, mine: Show, phases: dict[str, Premises]
) -> None:
    reader = mine(phases["detected"])
    reader.do(HOLD_THE_NEXT_READ)
    reader.do("lastgaspMine.read()")
    reader.until("!!window.release", "the old answer on its way")
    stage.tell(phases["on"])
    reader.until("document.body.dataset.phase === 'cancelled'")
    reader.do("async () => { release(); await new Promise(done => setTimeout(done)) }")
    assert text(reader, "headline") == "未发现您家停电"


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_phone_needs_no_scrolling_sideways(
    mine: Show, phases: dict[str, Premises], width: int
) -> None:
    reader = mine(phases["etr_changed"], size=(width, 700), language="en")
    assert reader.do("document.documentElement.scrollWidth <= innerWidth")
    assert reader.do(
        "[...document.querySelectorAll('#buttons button')].every(b => b.offsetHeight >= 48)"
    )
    assert reader.do(
        "[...document.querySelectorAll('h1 span, #until, #steps li, button')]"
        ".every(n => n.scrollWidth <= n.clientWidth + 1 || n.clientWidth === 0)"
    ), "nothing is clipped"


def test_the_first_view_is_light(mine: Show) -> None:
    reader = mine()
    sizes = reader.do(
        "performance.getEntriesByType('resource').filter(e => !e.name.includes('/api/'))"
        ".reduce((sum, e) => sum + e.decodedBodySize, 0)"
        " + performance.getEntriesByType('navigation')[0].decodedBodySize"
    )
    assert 10_000 < sizes < OWN_BYTES
    names = reader.do("performance.getEntriesByType('resource').map(e => e.name)")
    assert not [n for n in names if "maplibre" in n]
    assert all(n.startswith("http://127.0.0.1:") for n in names)


def test_the_buttons_become_calls(stage: Any, mine: Show) -> None:
    reader = mine()
    reader.page.get_by_role("button", name="我家仍无电").click()
    reader.until("/已收到：您家无电/.test(document.getElementById('answer').innerText)")
    reader.page.get_by_role("button", name="我家有电").click()
    reader.until("/已收到：您家有电/.test(document.getElementById('answer').innerText)")
    assert [(c.customer_id, c.kind, c.entered_by) for c in stage.desk.calls] == [
        (WHO, "no_power", "customer"), (WHO, "restored", "customer"),
    ]  # fmt: skip


def test_a_line_that_breaks_is_said_and_made_good(
    stage: Any, mine: Show, phases: dict[str, Premises]
) -> None:
    reader = mine(phases["confirmed"])
    stage.silence()
    reader.until("!document.getElementById('stale').hidden")
    assert text(reader, "stale").startswith("数据停在")
    assert text(reader, "headline") == "您家停电了"
    stage.tell(phases["restored"])
    stage.speak()
    reader.until("document.body.dataset.phase === 'restored'", within_s=40)
    reader.until("document.getElementById('stale').hidden", within_s=40)


def test_a_sign_in_that_ends_leaves_the_page(stage: Any, mine: Show) -> None:
    reader = mine()
    reader.page.context.clear_cookies()
    reader.page.get_by_role("button", name="我家仍无电").click()
    reader.until("!!document.querySelector('.sign-in')")
    assert text(reader, "headline") == "您家停电了"
    reader.page.locator(".sign-in input").fill(stage.link("customer", WHO))
    reader.page.keyboard.press("Enter")
    reader.until("!document.querySelector('.sign-in')")


def test_nobody_sees_anothers_premises(stage: Any, mine: Show) -> None:
    reader = mine()
    status = reader.do(
        "fetch('/api/customers/C000002/premises', {headers: {'X-Lastgasp-As': 'customer'}})"
        ".then(a => a.status)"
    )
    assert status == 403
