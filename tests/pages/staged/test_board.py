"""The specification of the board, as somebody sits in front of it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dispatch.mapdesk import Source
from grid.public import PublicCrew, PublicEtr, PublicFinding
from grid.times import to_rfc3339

Show = Callable[..., Any]
pytestmark = pytest.mark.services
ROWS = "document.querySelectorAll('#list tr[data-id]').length"
ORDER = "[...document.querySelectorAll('#list tr[data-id]')].map(r => r.dataset.id)"


@pytest.fixture
def busy(stage: Any, outage: Show, minutes_ago: Show) -> Any:
    """A stage with an outage of every state and kind."""
    crew = PublicCrew("crew-1", "抢修一班", "centre", True, True, ("S1-2",))
    stage.desk.crews_ = (crew, PublicCrew("crew-2", "Crew two", "centre", True, False, ()))
    soon = PublicEtr(minutes_ago(-60), "crew", 0.8, minutes_ago(-30), minutes_ago(5), None)
    late = PublicEtr(minutes_ago(5), "history", 0.8)
    stage.put(
        outage(1, device_id="S1-F01", device_kind="breaker", customers_out=300),
        outage(2, crew="crew-1", stage="en_route", etr=soon),
        outage(3, state="predicted", confirmed_at=None, probability=0.71),
        outage(4, state="partially_restored", customers_out=11, etr=late),
        outage(5, state="restored", restored_at=minutes_ago(2), customers_out=0),
        outage(6, state="verify", cause="cable_fault"),
        outage(7, kind="planned", cause="replacement of a switch"),
    )
    at = minutes_ago(3)
    stage.find(PublicFinding("f-1", at, "comms_loss", "D1", "centre", at, None, "D1 is silent"))
    return stage


def test_nothing_is_wrong_for_assistive_technology_in_any_state(
    busy: Any, board: Show, looks: dict[str, Any]
) -> None:
    states = {
        "list": "lastgaspBoard.back()",
        "detail": "lastgaspBoard.open('S1-4')",
        "suppressed": "lastgaspBoard.back(); lastgaspBoard.tab('suppressed')",
        "tree": "lastgaspBoard.tab('all'); document.getElementById('tree-button').click()",
        "alarms": "document.getElementById('tree-button').click(); lastgaspBoard.bell.toggle(true)",
        "dialog": "lastgaspBoard.bell.toggle(false); void lastgaspBoard.acts.act('etr', "
        "lastgaspBoard.model.outages.get('S1-2'))",
        "help": "document.getElementById('dialog').close(); lastgaspBoard.keys['?']()",
    }
    wrong: list[str] = []
    for language in ("zh", "en"):
        reader = board(language=language, drawn=True)
        assert reader.do("document.documentElement.lang") == {"zh": "zh-CN", "en": "en"}[language]
        for name, script in states.items():
            reader.do(script)
            for look in reader.seen_in(looks[language]):
                wrong += [f"{language} {name} {look}: {x}" for x in reader.axe()]
            words = reader.do("document.body.innerText")
            assert "[" not in words.replace("[?]", ""), f"a word is missing: {words}"
        assert reader.complaints == []
    assert wrong == []


def test_fifteen_rows_and_everything_else_are_seen_at_once(
    stage: Any, board: Show, outage: Show
) -> None:
    stage.put(*(outage(n) for n in range(30)))
    reader = board()
    seen = reader.do(
        "[...document.querySelectorAll('#list tr[data-id]')].filter(r => {"
        "const b = r.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight}).length"
    )
    assert seen >= 15
    assert reader.do("document.documentElement.scrollHeight <= innerHeight")


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_the_board_without_scrolling_sideways(
    busy: Any, board: Show, width: int
) -> None:
    reader = board(size=(width, 844), language="en")
    assert reader.do("document.documentElement.scrollWidth <= innerWidth")
    reader.do("lastgaspBoard.open('S1-4')")
    assert reader.do("document.documentElement.scrollWidth <= innerWidth")


def test_the_map_says_what_the_list_says(busy: Any, board: Show, town: Any) -> None:
    drawn = town[1]
    transformer = next(i for i, kind in enumerate(drawn.kind) if kind == 5)
    below = range(transformer + 1, transformer + drawn.size[transformer])
    meters = [n for n in below if drawn.kind[n] == 6]
    busy.desk.dark["S1-1"] = meters
    name = drawn.ids[transformer]
    reader = board(drawn=True)
    reader.until(f"lastgaspBoard.map.stateOf('{name}') === 'out'")
    drawn_ids = reader.do(
        "lastgaspBoard.map.map.querySourceFeatures('bubbles').map(f => f.properties.id)"
    )
    assert set(drawn_ids) <= set(reader.do(ORDER))
    assert reader.do("document.getElementById('fig-dark').innerText").split()[1] == "471"


def test_the_order_is_who_needs_somebody_first(busy: Any, board: Show) -> None:
    reader = board()
    needs = reader.do(
        "[...document.querySelectorAll('#list td.state .under')].map(n => n.innerText)"
    )
    ranks = {"未确认": 2, "超时": 3, "待派单": 4, "待核实": 5, "处理中": 6, "待验证": 7}
    assert [ranks[n] for n in needs] == sorted(ranks[n] for n in needs)


def test_with_the_keyboard_a_row_is_opened_and_left_again(busy: Any, board: Show) -> None:
    reader = board()
    reader.page.keyboard.press("j")
    reader.page.keyboard.press("ArrowDown")
    chosen = reader.do("document.activeElement.dataset.id")
    reader.page.keyboard.press("Enter")
    reader.until("!document.getElementById('detail').hidden")
    assert reader.do("document.activeElement.id") == "detail"
    assert f"open={chosen}" in reader.do("location.search")
    reader.page.keyboard.press("Escape")
    assert reader.do("document.activeElement.dataset.id") == chosen
    assert reader.do(
        "(() => { const b = document.activeElement.getBoundingClientRect();"
        "return b.top >= 0 && b.bottom <= innerHeight })()"
    )
    reader.page.keyboard.press("/")
    assert reader.do("document.activeElement.id") == "f-text"
    reader.page.keyboard.type("a2c")
    assert reader.do("document.getElementById('dialog').open") is False, "typing does nothing else"


def test_regions_are_one_key_apart(busy: Any, board: Show) -> None:
    reader = board(drawn=True)
    seen = []
    for _ in range(3):
        reader.page.keyboard.press("F6")
        seen.append(reader.do("document.activeElement.closest('#head,#pool,#map-panel').id"))
    assert sorted(seen) == ["head", "map-panel", "pool"]


def test_nothing_moves_under_a_hand_and_r_lets_it_in(busy: Any, board: Show, outage: Show) -> None:
    reader = board()
    reader.page.keyboard.press("j")
    before = reader.do(ORDER)
    busy.put(outage(9, customers_out=999))
    reader.until("document.getElementById('new-slot').classList.contains('has')")
    assert reader.do(ORDER) == before
    assert reader.do("document.getElementById('new-button').innerText").startswith("1条新停电")
    reader.page.keyboard.press("r")
    assert "S1-9" in reader.do(ORDER)


def test_two_hundred_changes_disturb_nobody(stage: Any, board: Show, outage: Show) -> None:
    stage.put(*(outage(n) for n in range(60)))
    reader = board()
    reader.throttle(6)
    reader.watch_shifts()
    reader.do(
        "() => { window.polite = 0; new MutationObserver(() => { window.polite += 1 }).observe("
        "document.getElementById('polite'), {childList: true, characterData: true, subtree: true});"
        "for (let i = 0; i < 30; i++) lastgaspBoard.move(1); }"
    )
    before = reader.do(
        "[document.activeElement.dataset.id, document.getElementById('list').scrollTop]"
    )
    assert before[1] > 0
    for n in range(200):
        stage.put(outage(n % 80, version=2 + n, customers_out=41 + n % 7, probability=0.9))
    reader.until("lastgaspBoard.model.outages.get('S1-39')?.version > 100")
    reader.until("lastgaspBoard.model.outages.size === 80")
    reader.page.wait_for_timeout(300)
    after = reader.do(
        "[document.activeElement.dataset.id, document.getElementById('list').scrollTop]"
    )
    assert after == before
    assert reader.do("lastgaspBoard.list.selected") == before[0]
    total, said = reader.shifts()
    assert total <= 0.01, said
    assert reader.do("window.polite") <= 2, "at most one polite text in ten seconds"


def test_no_news_moves_what_somebody_is_reading(
    stage: Any, board: Show, outage: Show, minutes_ago: Show
) -> None:
    """Every cell gains and loses its words, figures gain digits, the feed goes and comes."""
    stage.put(*(outage(n) for n in range(30)))
    reader = board()
    reader.throttle(6)
    reader.watch_shifts()
    etr = PublicEtr(minutes_ago(5), "crew", 0.8)
    stage.desk.aged[0] = Source("a gateway of a longer name", False, 4000.0, "no subscription")
    stage.put(
        outage(1, version=2, device_kind="breaker", device_id="S1-F01", customers_out=12_840),
        outage(2, version=2, crew="crew-1", stage="en_route", etr=etr),
        outage(3, version=2, state="partially_restored", cause="cable_fault", customers_out=9),
        outage(4, version=2, state="restored", restored_at=minutes_ago(1), customers_out=0),
        *(outage(n, state="predicted", feeder_id=None) for n in range(100, 190)),
    )
    reader.until("lastgaspBoard.model.outages.size === 120")
    reader.until("lastgaspBoard.model.sources.some(s => s.name.startsWith('a gateway'))")
    reader.until("document.getElementById('alarm-button').dataset.level === '1'")
    stage.silence()
    reader.until("document.body.classList.contains('lost')")
    stage.put(outage(1, version=3, customers_out=40))
    stage.speak()
    reader.until("lastgaspBoard.model.outages.get('S1-1').version === 3", within_s=40)
    total, said = reader.shifts()
    assert total <= 0.01, said


def test_a_storm_is_a_window_of_rows(stage: Any, board: Show, outage: Show) -> None:
    stage.put(*(outage(n) for n in range(1000)))
    reader = board()
    reader.until(f"{ROWS} === 300")
    assert reader.do("document.querySelector('.pool').getAttribute('aria-rowcount')") == "1001"
    reader.page.get_by_role("button", name="后 300 行").click()
    reader.until(
        "document.querySelector('#list tr[data-id]').getAttribute('aria-rowindex') === '302'"
    )
    reader.page.get_by_role("button", name="按线路分组").click()
    reader.until("document.querySelectorAll('#list tr.group').length === 1")


def test_a_feed_that_breaks_says_so_stops_the_editing_and_comes_back(
    busy: Any, board: Show, outage: Show
) -> None:
    reader = board()
    reader.do("lastgaspBoard.open('S1-1')")
    reader.until("document.getElementById('act-etr')?.disabled === false")
    busy.silence()
    reader.until("document.body.classList.contains('lost')")
    reader.until("document.getElementById('act-etr').disabled")
    assert reader.do("document.getElementById('slot').innerText").startswith("数据停在")
    assert reader.axe() == []
    busy.put(outage(8), outage(1, version=9, customers_out=77, device_kind="breaker"))
    busy.speak()
    reader.until("!document.body.classList.contains('lost')", within_s=40)
    reader.until("lastgaspBoard.model.outages.size === 8")
    assert reader.do("lastgaspBoard.model.outages.get('S1-1').customers_out") == 77
    reader.until("document.getElementById('act-etr').disabled === false")


def test_without_webgl_list_and_table_stay(busy: Any, board: Show) -> None:
    reader = board()
    assert reader.do("document.body.dataset.map") == "none"
    reader.until(f"{ROWS} === 7")
    assert reader.do("document.querySelectorAll('#tree tbody tr').length") >= 1
    reader.page.locator("#tree button[aria-expanded=false]").first.click()
    reader.until("document.querySelectorAll('#tree tbody tr').length > 3")
    assert reader.axe() == []


def test_a_sign_in_that_ends_in_mid_shift_leaves_the_view(busy: Any, board: Show) -> None:
    reader = board()
    reader.page.context.clear_cookies()
    reader.do("lastgaspBoard.askPower()")
    reader.until("!!document.querySelector('.sign-in')")
    assert reader.do(ROWS) == 7
    assert reader.axe() == []
    reader.page.locator(".sign-in input").fill("code-none")
    reader.page.keyboard.press("Enter")
    reader.until("/已用过或已过期/.test(document.querySelector('.sign-in p').innerText)")
    reader.page.locator(".sign-in input").fill(busy.link())
    reader.page.keyboard.press("Enter")
    reader.until("!document.querySelector('.sign-in')")
    assert reader.do(ROWS) == 7


def test_a_link_is_good_once_and_leaves_the_address(busy: Any, visit: Show) -> None:
    link = busy.link()
    reader = visit(link)
    reader.until("location.pathname === '/board' && location.hash === ''")
    other = visit(link)
    other.until("!!document.querySelector('.sign-in.page')")
    assert other.axe() == []


def test_a_customer_is_shown_the_way_to_their_own_page(busy: Any, visit: Show) -> None:
    reader = visit(busy.link("customer", "C000001", "/board"))
    reader.until("location.pathname === '/mine'")


def test_times_are_the_sites_and_not_the_browsers(stage: Any, board: Show, outage: Show) -> None:
    stage.put(outage(1, started_at="2026-07-31T08:42:00Z", detected_at="2026-07-31T08:42:00Z"))
    zh = board(zone="America/New_York")
    zh.until("document.querySelector('td.since').title === '7月31日周五 16:42'")
    assert zh.do("document.querySelector('td.since').innerText").startswith("7月31日")
    en = board(zone="America/New_York", language="en")
    en.until("document.querySelector('td.since').title === 'Fri 31 Jul, 16:42'")
    assert "Shanghai" in en.do("document.getElementById('clock').innerText")


def test_who_wants_no_motion_gets_none(busy: Any, board: Show) -> None:
    reader = board(reduced_motion="reduce")
    reader.page.keyboard.press("j")
    reader.page.keyboard.press("Enter")
    assert reader.do("document.getAnimations().length") == 0


def test_an_empty_board_says_how_many_have_data(stage: Any, board: Show) -> None:
    stage.desk.silent[:] = [5, 6, 7]
    reader = board()
    reader.until("document.querySelector('#list .empty')?.innerText === '无停电，597/600户有数据'")
    assert reader.do("document.getElementById('fig-silent').innerText").split()[1] == "3"
    assert reader.axe() == []


def test_a_view_can_be_sent_to_a_colleague(busy: Any, board: Show) -> None:
    reader = board(page="/board?tab=planned&open=S1-7")
    reader.until(f"{ROWS} === 1")
    reader.until("!document.getElementById('detail').hidden")
    reader.page.keyboard.press("Escape")
    reader.page.keyboard.press("0")
    reader.until(f"{ROWS} === 7")
    assert reader.do("location.search") == ""


def test_alarms_ring_are_counted_and_can_be_put_aside(
    stage: Any, board: Show, outage: Show
) -> None:
    stage.desk.aged.append(Source("mqtt", False, None, "no subscription"))
    stage.put(outage(1, device_kind="breaker", device_id="S1-F01"))
    reader = board()
    reader.until("/S1-F01/.test(document.getElementById('urgent').textContent)")
    reader.page.locator("#alarm-button").click()
    reader.until("document.querySelectorAll('#alarm-panel li').length === 2")
    reader.page.locator("#alarm-panel li", has_text="mqtt").get_by_role(
        "button", name="搁置"
    ).click()
    reader.page.locator("#alarm-panel form:visible input[name=reason]").fill("检修")
    reader.page.keyboard.press("Enter")
    reader.until("document.querySelectorAll('#alarm-panel li').length === 1")


def test_what_was_suppressed_takes_the_place_of_the_list(busy: Any, board: Show) -> None:
    reader = board()
    reader.page.locator("#list tr[data-id]").first.hover()
    reader.page.get_by_role("tab", name="已抑制").click()
    reader.page.locator("#head").hover()
    reader.until("/D1/.test(document.getElementById('suppressed').innerText)")
    assert not reader.page.locator("#list .pool").is_visible()
    reader.page.keyboard.press("1")
    assert reader.page.locator("#list .pool").is_visible()


def test_what_was_suppressed_and_is_over_is_there_for_whoever_comes_later(
    busy: Any, board: Show, minutes_ago: Show
) -> None:
    since, until = minutes_ago(30), minutes_ago(20)
    over = PublicFinding("f-2", until, "comms_loss", "D2", "centre", since, until, "D2 was mute")
    busy.find(over)
    reader = board(language="en")
    reader.page.get_by_role("tab", name="Held").click()
    rows = reader.page.locator("#suppressed tbody tr")
    reader.until("document.querySelectorAll('#suppressed tbody tr').length === 2")
    assert [row.locator("td").first.inner_text() for row in rows.all()] == ["D1", "D2"]
    assert [row.locator("td").nth(2).inner_text() == "–" for row in rows.all()] == [True, False]
    assert reader.page.locator("#tab-suppressed .count").inner_text() == "1", "goes on"


def test_planned_work_is_entered_on_the_board(busy: Any, board: Show, town: Any) -> None:
    reader = board(language="en")
    reader.page.locator("#enter-plan").click()
    device = reader.page.get_by_label("Device")
    assert reader.axe() == []
    device.fill("no such thing")
    reader.page.keyboard.press("Control+Enter")
    reader.until("/no such thing/.test(document.getElementById('toast').innerText)")
    assert busy.desk.planned == []
    reader.page.locator("#enter-plan").click()
    device.fill(town[1].ids[1])
    reader.page.get_by_label("From").fill("2026-11-28T08:00")
    reader.page.get_by_label("To", exact=True).fill("2026-11-28T16:00")
    reader.page.get_by_label("Reason").fill("new cable")
    reader.page.keyboard.press("Control+Enter")
    reader.until("/Planned work entered/.test(document.getElementById('toast').innerText)")
    [plan] = busy.desk.planned
    assert (plan.device_id, plan.kind, plan.reason) == (town[1].ids[1], "planned", "new cable")
    times = [to_rfc3339(ms)[:16] for ms in (plan.from_ms, plan.to_ms)]
    assert times == ["2026-11-28T00:00", "2026-11-28T08:00"], "the site's clock, UTC+8"


def test_calls_are_entered_on_the_board(busy: Any, board: Show) -> None:
    reader = board()
    reader.page.locator("#enter-call").click()
    reader.page.locator("#dialog input").fill("C000007")
    reader.page.keyboard.press("Enter")
    reader.until("/C000007/.test(document.getElementById('toast').innerText)")
    assert [(c.customer_id, c.kind) for c in busy.desk.calls] == [("C000007", "no_power")]
    assert msgspec.json.encode(busy.desk.calls[0])
