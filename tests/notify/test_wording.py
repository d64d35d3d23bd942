"""The specification of the words of a text: what is said, how long it is, what it never says."""

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import ConfigError
from grid.notice import Facts, Phase, Window
from grid.times import from_rfc3339
from notify.wording import LANGUAGES, PLACE_MAX, Reader, Wording

ZONE = ZoneInfo("Asia/Shanghai")
SIGNATURES = {"zh": "【幸福供电】", "en": "[Lastgasp Power] "}
WORDING = Wording(ZONE, signatures=SIGNATURES, hotline="95598")
TOLD = tuple(phase for phase in Phase if phase is not Phase.TO_VERIFY)


def at(clock: str, day: int = 25) -> int:
    """Epoch milliseconds of a time on the site's clock."""
    return from_rfc3339(f"2026-11-{day}T{clock}:00+08:00")


NOW = at("15:20")
FACTS = Facts(
    NOW,
    off_ms=at("15:02"),
    on_ms=at("18:52"),
    cause="cable fault",
    homes=327,
    etr=Window(at("17:10"), at("18:40")),
    was=Window(at("16:10"), at("16:40")),
    next_ms=at("16:30"),
    arrive_ms=at("15:40"),
    from_ms=at("08:00", 26),
    to_ms=at("16:00", 26),
)
ZH, EN = Reader("zh", "幸福里12号"), Reader("en", "12 Willow Lane")


def say(phase: Phase, reader: Reader, now_ms: int = NOW, **facts: object) -> str:
    body = WORDING.write(phase, _with(**facts), reader, now_ms).body
    assert body.startswith(SIGNATURES[reader.language])
    return body.removeprefix(SIGNATURES[reader.language])


def _with(**facts: object) -> Facts:
    import msgspec

    return msgspec.structs.replace(FACTS, **facts)


@pytest.mark.parametrize(
    ("phase", "facts", "zh", "en"),
    [
        (
            Phase.DETECTED, {},
            "幸福里12号于15:02起疑似停电，正在核实，16:30前告知结果。若仅您家无电，请先查空气开关。",
            "power at 12 Willow Lane may be off since 15:02. We are checking; result by 16:30. "
            "Only you? Check your main switch.",
        ),
        (
            Phase.CONFIRMED, {},
            "幸福里12号于15:02起停电，电缆故障，约330户。初步预计17:00至19:00恢复，16:30前再告知。",
            "outage at 12 Willow Lane since 15:02 (cable fault), about 330 homes. "
            "Power back 17:00 to 19:00 (first estimate). Next text by 16:30.",
        ),
        (
            Phase.CONFIRMED, {"etr": None},
            "幸福里12号于15:02起停电，约330户，原因查找中。恢复时间待查明，最迟16:30前再告知。",
            "outage at 12 Willow Lane since 15:02, about 330 homes. Cause not found yet, so no "
            "time yet. Next text by 16:30.",
        ),
        (
            Phase.CREW_ASSIGNED, {},
            "幸福里12号停电：已派抢修人员，15:45前到达。初步预计17:00至19:00恢复。",
            "outage at 12 Willow Lane: a crew is assigned, there by 15:45. "
            "Power back 17:00 to 19:00 (first estimate).",
        ),
        (
            Phase.ON_SITE, {"site_ms": at("15:38")},
            "幸福里12号停电：抢修人员15:38已到现场查找故障。预计17:00至18:45恢复，查明后再告知。",
            "outage at 12 Willow Lane: crew on site since 15:38, finding the fault. "
            "Power back 17:00 to 18:45; we text changes.",
        ),
        (
            Phase.ETR_CHANGED, {},
            "幸福里12号停电：预计恢复改为17:00至19:00（原16:00至17:00），因电缆故障。抱歉。",
            "outage at 12 Willow Lane: power back now expected 17:00 to 19:00 (was 16:00 to 17:00) "
            "because of a cable fault. Sorry.",
        ),
        (
            Phase.PARTIALLY_RESTORED, {},
            "幸福里12号：同一故障部分用户已来电，您家尚未恢复，仍在抢修，预计17:00至19:00恢复。",
            "12 Willow Lane: some neighbours have power again, you do not yet. "
            "We are still working. Power back 17:00 to 19:00.",
        ),
        (
            Phase.RESTORED, {},
            "幸福里12号已于18:52恢复供电，停电3小时50分。若您家仍无电，请回复1或拨95598。",
            "power is back at 12 Willow Lane since 18:52, after 3 h 50 min. "
            "Still off? Reply OFF or call 95598.",
        ),
        (
            Phase.CANCELLED, {},
            "更正：经核实幸福里12号未发现停电，此前停电通知作废。若您家无电，请回复1或拨95598。",
            "correction: no outage found at 12 Willow Lane; ignore our outage text. "
            "If you are off, reply OFF or call 95598.",
        ),
        (
            Phase.PLANNED, {},
            "计划停电：11月26日（周四）08:00至16:00，幸福里12号，线路检修。家有医疗用电设备请拨95598。",
            "planned outage Thu 26 Nov, 08:00 to 16:00, 12 Willow Lane, line work. "
            "Medical device at home? Call 95598.",
        ),
        (
            Phase.DAY_BEFORE, {},
            "提醒：幸福里12号明天08:00至16:00计划停电。可能提前来电，请勿触碰线路设备。",
            "reminder: planned outage tomorrow 08:00 to 16:00, 12 Willow Lane. "
            "Power may return early; never touch lines.",
        ),
        (
            Phase.PLAN_CANCELLED, {},
            "幸福里12号原定11月26日（周四）08:00至16:00的计划停电已取消，当日正常供电。",
            "the planned outage Thu 26 Nov, 08:00 to 16:00 at 12 Willow Lane is cancelled. "
            "Power stays on.",
        ),
    ],
    ids=lambda value: value.value if isinstance(value, Phase) else "",
)  # fmt: skip
def test_each_phase_says_this(phase: Phase, facts: dict[str, object], zh: str, en: str) -> None:
    assert say(phase, ZH, **facts) == zh
    assert say(phase, EN, **facts) == en


@given(
    st.sampled_from(TOLD),
    st.sampled_from(LANGUAGES),
    st.text(max_size=60),
    st.integers(0, 10_000_000),
    st.none()
    | st.sampled_from(["cable fault", "外力破坏", "a cause nobody has heard of before", "x"]),
    st.tuples(*[st.integers(-(10**9), 10**9) for _ in range(6)]),
)
def test_whatever_it_has_to_say_it_is_one_segment(
    phase: Phase, language: str, place: str, homes: int, cause: str | None, moves: tuple[int, ...]
) -> None:
    off, on, etr, wide, was, now = moves
    facts = _with(
        off_ms=NOW + off, on_ms=NOW + on, homes=homes, cause=cause,
        etr=Window(NOW + etr, NOW + etr + abs(wide)), was=Window(NOW + was, NOW + was + 1),
    )  # fmt: skip
    sms = WORDING.write(phase, facts, Reader(language, place, firm=True), NOW + now)
    assert len(sms.parts) == len(smsutil.split(sms.body).parts) == 1
    assert "None" not in sms.body
    assert "{" not in sms.body.replace(place[:PLACE_MAX], "")


def test_what_is_too_long_loses_the_count_then_the_cause_never_place_state_or_time() -> None:
    long = Reader("en", "12 Willow Court Gardens"[:PLACE_MAX])
    slow = "the fault is bigger"
    wide = Window(at("22:00", 26), at("02:00", 27))
    assert "about" in say(Phase.CONFIRMED, EN)
    without = say(Phase.CONFIRMED, long, etr=wide, cause=slow)
    assert "about" not in without
    for kept in ("12 Willow Court Gard", "outage", "15:02", "Thu 22:00 to Fri 02:00", "16:30"):
        assert kept in without


@pytest.mark.parametrize("phase", TOLD)
@pytest.mark.parametrize("reader", [ZH, EN], ids=["zh", "en"])
def test_with_nothing_known_it_says_less_and_never_half_a_sentence(
    phase: Phase, reader: Reader
) -> None:
    sms = WORDING.write(phase, Facts(NOW), Reader(reader.language), NOW)
    assert sms.bare or phase is Phase.CANCELLED or phase is Phase.PARTIALLY_RESTORED
    home = "您家" if reader.language == "zh" else "your home"
    assert home in sms.body or phase is Phase.CANCELLED
    assert sms.body.rstrip()[-1] in "。."
    for half in ("None", "  ", "，，", "：。", "by .", "since .", "前再"):
        assert half not in sms.body


def test_fewer_than_five_homes_are_not_counted() -> None:
    assert "户" not in say(Phase.CONFIRMED, ZH, homes=4)
    assert "约5户" in say(Phase.CONFIRMED, ZH, homes=5)


def test_a_firm_is_no_home() -> None:
    sms = WORDING.write(Phase.RESTORED, FACTS, Reader("zh", "", firm=True), NOW)
    assert "您家" not in sms.body
    assert "贵单位" in sms.body


def test_a_cause_that_has_no_word_in_the_language_is_not_said() -> None:
    assert "外力破坏" in say(Phase.CONFIRMED, ZH, cause="外力破坏")
    assert "外力" not in say(Phase.CONFIRMED, EN, cause="外力破坏")
    assert "gremlins" not in say(Phase.CONFIRMED, ZH, cause="gremlins")


def test_a_first_estimate_changes_nothing_that_was_said() -> None:
    assert "改为" not in say(Phase.ETR_CHANGED, ZH, was=None, cause=None)
    first = say(Phase.ETR_CHANGED, EN, was=None, cause=None)
    assert first == "outage at 12 Willow Lane: power back expected 17:00 to 19:00 (first estimate)."
    crew = Window(at("17:10"), at("18:40"), crew=True)
    assert "first" not in say(Phase.ETR_CHANGED, EN, was=None, cause=None, etr=crew)
    named = say(Phase.ETR_CHANGED, EN, was=None, etr=crew)
    assert named == "outage at 12 Willow Lane (cable fault): power back expected 17:00 to 19:00."
    assert "停电（电缆故障）：预计17:00至19:00恢复。" in say(
        Phase.ETR_CHANGED, ZH, was=None, etr=crew
    )


def test_of_a_window_that_has_begun_its_end_is_said() -> None:
    begun = Window(at("15:10"), at("18:40"))
    assert "初步预计19:00前恢复" in say(Phase.CONFIRMED, ZH, etr=begun)
    assert "Power back by 19:00 (first estimate)." in say(Phase.CONFIRMED, EN, etr=begun)
    changed = say(Phase.ETR_CHANGED, ZH, etr=begun)
    assert "预计恢复改为19:00前（原16:00至17:00）" in changed


def test_sooner_is_no_reason_to_be_sorry() -> None:
    sooner = say(Phase.ETR_CHANGED, EN, was=Window(at("20:00"), at("21:00")), cause=None)
    assert (
        sooner
        == "outage at 12 Willow Lane: power back now expected 17:00 to 19:00 (was 20:00 to 21:00)."
    )


def test_a_crew_is_believed_without_first() -> None:
    crew = Window(at("17:10"), at("18:40"), crew=True)
    assert "初步" not in say(Phase.CONFIRMED, ZH, etr=crew)
    assert "first estimate" not in say(Phase.CONFIRMED, EN, etr=crew)


def test_what_has_passed_while_it_waited_is_not_promised() -> None:
    late = say(Phase.CONFIRMED, ZH, now_ms=at("19:30"))
    assert "恢复时间待查明，最迟20:30前再告知" in late
    sms = WORDING.write(Phase.CONFIRMED, FACTS, ZH, at("19:30"))
    assert sms.next_ms == at("20:30")


def test_a_text_is_in_gsm_where_it_can_and_in_ucs_where_it_must() -> None:
    assert WORDING.write(Phase.RESTORED, FACTS, EN, NOW).gsm
    assert not WORDING.write(Phase.RESTORED, FACTS, ZH, NOW).gsm


# -- templates of one's own ------------------------------------------------------------------------


def own(folder: Path, language: str, old: str, new: str) -> Wording:
    source = Path(__file__).resolve().parents[2] / "notify" / "texts"
    for name in LANGUAGES:
        text = (source / f"{name}.toml").read_text("utf-8")
        assert name != language or old in text
        (folder / f"{name}.toml").write_text(
            text.replace(old, new) if name == language else text, "utf-8"
        )
    return Wording(UTC, signatures=SIGNATURES, hotline="95598", folder=folder)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("正在核实，", "正在核实，" * 9, r"zh.toml: the text of detected may need 2 segments"),
        ("[on_site]", "[on_sight]", "lacks on_site"),
        ("{{p}}停电：抢修人员{{at}}", "{{p}停电：{{at}}", r"\[on_site\] is no template"),
        ('place = "您家"', "place = ", "is not TOML"),
        ('bare = "{{p}}的计划停电已取消。"', "", r"\[plan_cancelled\] needs text and bare"),
    ],
    ids=["too long", "a phase missing", "no template", "no TOML", "no bare form"],
)
def test_texts_that_are_wrong_are_refused_when_they_are_loaded(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        own(tmp_path, "zh", old, new)


def test_a_field_that_nobody_knows_makes_the_text_fall_back_and_says_so(tmp_path: Path) -> None:
    wording = own(tmp_path, "en", "since {{t}}", "since {{teatime}}")
    sms = wording.write(Phase.RESTORED, FACTS, EN, NOW)
    assert sms.bare
    assert sms.body.endswith("power is back at 12 Willow Lane. Still off? Reply OFF or call 95598.")


def test_a_template_cannot_reach_beyond_its_values(tmp_path: Path) -> None:
    wording = own(tmp_path, "en", "since {{t}}", "{{p.__class__.__mro__}}")
    assert wording.write(Phase.RESTORED, FACTS, EN, NOW).bare
