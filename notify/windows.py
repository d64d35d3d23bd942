"""Times as a tired person reads them: windows rounded outward, in the site's own zone.

Rules of the texts: a window and never a minute; no midnight, which is read two ways (23:59 or a
minute past is said instead); the day is named where it is not today.
"""

from datetime import datetime, timedelta, tzinfo

from grid.notice import Window
from grid.times import EPOCH, MS

MINUTE_MS = 60_000
ROUGH_MIN = 30  # what a window is rounded to
FINE_MIN = 15  # the same once the crew is on site
EN_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EN_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
ZH_DAYS = "一二三四五六日"


def outward(window: Window, *, on_site: bool, zone: tzinfo) -> Window:
    """A window rounded outward to half hours, once the crew is on site to quarters."""
    step = FINE_MIN if on_site else ROUGH_MIN
    low, high = down(window.from_ms, step, zone), up(window.to_ms, step, zone)
    return Window(low, max(high, low + step * MINUTE_MS), window.crew)


def down(ms: int, step_min: int, zone: tzinfo) -> int:
    """The last full step of the site's clock at or before a moment."""
    step_ms = step_min * MINUTE_MS
    return ms - (ms + _offset_ms(ms, zone)) % step_ms


def up(ms: int, step_min: int, zone: tzinfo) -> int:
    """The first full step of the site's clock at or after a moment."""
    floor = down(ms, step_min, zone)
    return floor if floor == ms else floor + step_min * MINUTE_MS


def local(ms: int, zone: tzinfo) -> datetime:
    """A moment on the site's clock."""
    return (EPOCH + ms * MS).astimezone(zone)


def _offset_ms(ms: int, zone: tzinfo) -> int:
    offset = local(ms, zone).utcoffset() or timedelta()
    return int(offset / MS)


def clock(ms: int, now_ms: int, language: str, zone: tzinfo, *, until: bool = True) -> str:
    """``15:02``, with the day where it is not today: ``明天15:02``, ``Sat 15:02``.

    ``until``: midnight is the end of a day (23:59), not the beginning of one (00:01).
    """
    at = local(ms, zone)
    if (at.hour, at.minute) == (0, 0):
        at += timedelta(minutes=-1 if until else 1)
    days = (at.date() - local(now_ms, zone).date()).days
    hour = f"{at.hour:02}:{at.minute:02}"
    if days == 0:
        return hour
    if language == "zh":
        named = {-1: "昨天", 1: "明天", 2: "后天"}.get(days, f"{at.month}月{at.day}日")
        return named + hour
    if abs(days) < 7:
        return f"{EN_DAYS[at.weekday()]} {hour}"
    return f"{at.day} {EN_MONTHS[at.month - 1]} {hour}"


def span(window: Window, now_ms: int, language: str, zone: tzinfo) -> str:
    """``17:00至19:00``, ``17:00 to 19:00``; the day of the end only where it is another."""
    begin = clock(window.from_ms, now_ms, language, zone, until=False)
    same = local(window.from_ms, zone).date() == local(window.to_ms - 1, zone).date()
    end = clock(window.to_ms, window.to_ms - 1 if same else now_ms, language, zone)
    return f"{begin}至{end}" if language == "zh" else f"{begin} to {end}"


def ahead(window: Window, now_ms: int, language: str, zone: tzinfo) -> str:
    """A window that is still to come; of one that has begun its end: ``19:00前``, ``by 19:00``."""
    if window.from_ms > now_ms:
        return span(window, now_ms, language, zone)
    end = clock(window.to_ms, now_ms, language, zone)
    return f"{end}前" if language == "zh" else f"by {end}"


def day_and_clock(ms: int, language: str, zone: tzinfo) -> str:
    """``8月3日（周一）08:00``, ``Mon 3 Aug, 08:00``: of planned work, days ahead."""
    at = local(ms, zone)
    hour = f"{at.hour:02}:{at.minute:02}"
    if language == "zh":
        return f"{at.month}月{at.day}日（周{ZH_DAYS[at.weekday()]}）{hour}"
    return f"{EN_DAYS[at.weekday()]} {at.day} {EN_MONTHS[at.month - 1]}, {hour}"


def lasting(ms: int, language: str) -> str:
    """``3小时50分``, ``3 h 50 min``; at least a minute."""
    minutes = max(1, round(ms / MINUTE_MS))
    hours, rest = divmod(minutes, 60)
    words = ("小时", "分", "") if language == "zh" else (" h", " min", " ")
    if not hours:
        return f"{rest}{words[1] if language != 'zh' else '分钟'}"
    return f"{hours}{words[0]}" + (f"{words[2]}{rest}{words[1]}" if rest else "")
