"""The specification of times in texts: rounded outward, on the site's clock, never midnight."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.notice import Window
from grid.times import from_rfc3339
from notify.windows import clock, lasting, outward, span, up

SHANGHAI, KATHMANDU = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kathmandu")


def at(clock: str, day: int = 25, offset: str = "+08:00") -> int:
    return from_rfc3339(f"2026-11-{day}T{clock}:00{offset}")


@given(st.integers(0, 4 * 10**12), st.integers(0, 10**8), st.booleans())
def test_a_window_only_grows_and_by_less_than_a_step_at_each_end(
    start: int, wide: int, on_site: bool
) -> None:
    step_ms = (15 if on_site else 30) * 60_000
    said = outward(Window(start, start + wide), on_site=on_site, zone=SHANGHAI)
    assert start - step_ms < said.from_ms <= start
    assert start + wide <= said.to_ms <= start + wide + step_ms
    assert said.from_ms % step_ms == said.to_ms % step_ms == 0
    assert said.from_ms < said.to_ms


def test_it_is_the_sites_clock_that_is_rounded() -> None:
    quarter = at("12:20", offset="+05:45")
    assert clock(up(quarter, 30, KATHMANDU), quarter, "en", KATHMANDU) == "12:30"


@pytest.mark.parametrize(
    ("moment", "zh", "en"),
    [
        (at("15:02"), "15:02", "15:02"),
        (at("08:00", 26), "明天08:00", "Thu 08:00"),
        (at("23:10", 24), "昨天23:10", "Tue 23:10"),
        (at("08:00", 27), "后天08:00", "Fri 08:00"),
        (at("08:00", 30), "11月30日08:00", "Mon 08:00"),
        (at("08:00", 15), "11月15日08:00", "15 Nov 08:00"),
        (at("00:00", 26), "23:59", "23:59"),
    ],
)
def test_the_day_is_named_where_it_is_not_today(moment: int, zh: str, en: str) -> None:
    assert clock(moment, at("15:20"), "zh", SHANGHAI) == zh
    assert clock(moment, at("15:20"), "en", SHANGHAI) == en


@pytest.mark.parametrize(
    ("window", "zh", "en"),
    [
        (Window(at("17:00"), at("19:00")), "17:00至19:00", "17:00 to 19:00"),
        (Window(at("22:00"), at("00:00", 26)), "22:00至23:59", "22:00 to 23:59"),
        (Window(at("00:00", 26), at("02:00", 26)), "明天00:01至02:00", "Thu 00:01 to 02:00"),
        (Window(at("22:30"), at("01:30", 26)), "22:30至明天01:30", "22:30 to Thu 01:30"),
    ],
)
def test_a_window_is_said_like_this(window: Window, zh: str, en: str) -> None:
    assert span(window, at("15:20"), "zh", SHANGHAI) == zh
    assert span(window, at("15:20"), "en", SHANGHAI) == en


@pytest.mark.parametrize(
    ("minutes", "zh", "en"),
    [
        (0, "1分钟", "1 min"),
        (17, "17分钟", "17 min"),
        (60, "1小时", "1 h"),
        (230, "3小时50分", "3 h 50 min"),
    ],
)
def test_a_time_without_power_is_said_like_this(minutes: int, zh: str, en: str) -> None:
    assert (lasting(minutes * 60_000, "zh"), lasting(minutes * 60_000, "en")) == (zh, en)
