"""The specification of a crew's page on its phone: its orders, the way there, and the next step."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

Show = Callable[..., Any]
pytestmark = pytest.mark.services
WHO = "crew-7"
OWN_BYTES = 100_000
ENABLED = "[...document.querySelectorAll('.order button')].filter(b => !b.disabled).length"


@pytest.fixture
def crew(stage: Any, visit: Show) -> Show:
    """The page of a crew, signed in; ``orders`` are theirs, and one is another crew's."""

    def show(*orders: Any, size: tuple[int, int] = (390, 844), **options: Any) -> Any:
        stage.put(*orders)
        reader = visit(stage.link("crew", WHO, "/crew"), size=size, **options)
        reader.until("!!window.lastgaspCrew?.orders && !document.querySelector('[aria-busy]')")
        return reader

    return show


@pytest.fixture
def order(outage: Show) -> Show:
    """Orders of this crew."""

    def make(number: int = 1, **changes: Any) -> Any:
        return outage(number, **{"crew": WHO, "stage": "assigned", **changes})

    return make


@pytest.fixture
def several(order: Show, outage: Show, minutes_ago: Show) -> list[Any]:
    """Orders in all states, the place of one of them unknown."""
    return [
        order(
            1,
            device_kind="breaker",
            device_id="B0001",
            customers_out=312,
            customers_affected=420,
            stage="on_site",
        ),
        order(2, state="predicted", started_at=minutes_ago(4)),
        order(3, state="partially_restored", stage="cause_found", cause="cable_fault", phases="A"),
        order(9, state="restored", stage="repaired", customers_out=0, started_at=minutes_ago(99)),
        outage(5, crew="crew-8", stage="assigned"),
    ]


def text(reader: Any, name: str) -> str:
    return str(reader.do(f"document.getElementById('{name}').innerText"))


def press(reader: Any, name: str) -> None:
    reader.page.get_by_role("button", name=name, exact=True).first.click()


def noted(reader: Any, words: str) -> None:
    reader.until(f"document.getElementById('answer').innerText === {words!r}")


def wrong(reader: Any, name: str, looks: Any) -> list[str]:
    """What is wrong in some themes and sizes; and every word is there and fits."""
    found: list[str] = []
    for look in reader.seen_in(looks):
        found += [f"{name} {look}: {x}" for x in reader.axe()]
    assert "[" not in reader.do("document.body.innerText"), f"a word is missing: {name}"
    assert reader.do("document.documentElement.scrollWidth <= innerWidth"), name
    return found


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_state_is_right_for_assistive_technology(
    stage: Any, crew: Show, order: Show, several: list[Any], language: str, looks: dict[str, Any]
) -> None:
    reader = crew(language=language)
    found = wrong(reader, "none", looks[language])
    assert reader.complaints == []
    stage.put(order())
    reader.until("document.querySelectorAll('.order').length === 1")
    found += wrong(reader, "one", looks[language])
    stage.put(*several)
    reader.until("document.querySelectorAll('.order').length === 4")
    found += wrong(reader, "several", looks[language])
    press(reader, {"zh": "预计恢复", "en": "Power back"}[language])
    reader.until("!!document.querySelector('form')")
    found += wrong(reader, "asking", looks[language])
    press(reader, {"zh": "取消", "en": "Cancel"}[language])
    reader.page.context.set_offline(True)
    reader.until("!document.getElementById('stale').hidden")
    found += wrong(reader, "offline", looks[language])
    assert found == []


def test_a_crew_sees_its_own_orders_and_nothing_of_customers(
    crew: Show, several: list[Any]
) -> None:
    reader = crew(*several)
    shown = reader.do("[...document.querySelectorAll('.order')].map(o => o.dataset.id)")
    assert shown == ["S1-1", "S1-3", "S1-2", "S1-9"], "in the dark first, then the oldest"
    words = reader.do("document.body.innerText")
    assert "312户（共420户）" in words
    assert "C0000" not in words
    reader.until("document.querySelectorAll('.order a').length === 3")
    places = reader.do("[...document.querySelectorAll('.order')]"
                       ".map(o => o.querySelector('a')?.getAttribute('href') ?? null)")  # fmt: skip
    assert places == ["geo:30.25,120.125?q=30.25,120.125"] * 3 + [None]


def test_the_work_goes_from_step_to_step(stage: Any, crew: Show, order: Show) -> None:
    reader = crew(order())
    press(reader, "出发")
    noted(reader, "已记录：出发")
    press(reader, "已到现场")
    noted(reader, "已记录：到达现场")
    press(reader, "原因")
    reader.page.get_by_label("故障原因").select_option("tree")
    press(reader, "送出")
    noted(reader, "已记录：原因")
    press(reader, "预计恢复")
    reader.page.get_by_label("最迟恢复").select_option(index=3)
    press(reader, "送出")
    noted(reader, "已记录：预计恢复")
    press(reader, "已修复")
    press(reader, "确认已修复？再按一次")
    noted(reader, "已记录：已修复")
    asked = stage.desk.asked
    assert [(a.action, a.by, a.role, a.version) for a in asked] == [
        (action, WHO, "crew", number)
        for number, action in enumerate(("en_route", "on_site", "cause", "etr", "repaired"), 1)
    ]
    assert (asked[2].cause, asked[3].reason) == ("tree", "tree")
    assert len({a.id for a in asked}) == 5
    reader.until("!document.querySelector('.order .main')")


def test_an_order_that_changed_is_shown_and_not_decided_over(
    stage: Any, crew: Show, order: Show, looks: dict[str, Any]
) -> None:
    reader = crew(order())
    stage.desk.outages_["S1-1"] = order(version=4, stage="on_site", cause="tree")
    press(reader, "出发")
    reader.until(
        "document.getElementById('answer').innerText === '配变 T0001 已有变化，请看后再定。'"
    )
    assert stage.desk.asked == []
    assert "树障" in reader.do("document.querySelector('.order').innerText")
    assert wrong(reader, "conflict", looks["zh"]) == []


def test_meters_that_come_back_meanwhile_are_no_conflict(
    stage: Any, crew: Show, order: Show
) -> None:
    reader = crew(order())
    stage.desk.outages_["S1-1"] = order(version=6, customers_out=12)
    press(reader, "出发")
    noted(reader, "已记录：出发")
    assert [(a.action, a.version) for a in stage.desk.asked] == [("en_route", 6)]


def test_without_a_signal_it_says_so_sends_nothing_and_comes_back(
    stage: Any, crew: Show, order: Show
) -> None:
    reader = crew(order())
    assert reader.do(ENABLED) == 3
    reader.page.context.set_offline(True)
    reader.until("!document.getElementById('stale').hidden")
    assert text(reader, "stale").startswith("数据停在")
    assert reader.do(ENABLED) == 0
    stage.put(msgspec.structs.replace(order(), customers_out=7), order(2))
    reader.page.context.set_offline(False)
    reader.until("document.querySelectorAll('.order').length === 2")
    reader.until("document.getElementById('stale').hidden")
    assert "7户（共40户）" in reader.do("document.getElementById('orders').innerText")
    noted(reader, "新工单：配变 T0002")


def test_an_order_that_went_to_others_is_said_to_be_gone(
    stage: Any, crew: Show, order: Show
) -> None:
    reader = crew(order())
    stage.desk.outages_["S1-1"] = order(version=2, crew="crew-8")
    press(reader, "出发")
    noted(reader, "S1-1 已不是您的工单。")
    assert text(reader, "headline") == "没有工单"


def test_a_narrow_phone_shows_the_next_step_without_scrolling(crew: Show, order: Show) -> None:
    reader = crew(order())
    for width, height in ((390, 844), (320, 844)):
        reader.page.set_viewport_size({"width": width, "height": height})
        assert reader.do("document.documentElement.scrollWidth <= innerWidth")
        box = "document.querySelector('.order .main').getBoundingClientRect()"
        assert reader.do(f"{box}.bottom") < height
        assert reader.do(f"{box}.height") >= 48


def test_the_page_is_light_and_a_link_leads_to_it(stage: Any, visit: Show) -> None:
    reader = visit(stage.link("crew", WHO), size=(390, 844))
    reader.until("location.pathname === '/crew' && !!window.lastgaspCrew?.orders")
    sizes = reader.do(
        "performance.getEntriesByType('resource').filter(e => !e.name.includes('/api/'))"
        ".reduce((sum, e) => sum + e.decodedBodySize, 0)"
    )
    assert 10_000 < sizes < OWN_BYTES
    assert reader.do("document.cookie") == "", "the sign-in is the browser's alone"
