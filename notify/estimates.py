"""An estimate of the engine or a crew as the window that people are told.  Pure."""

from grid.notice import Window
from grid.outage import Etr
from notify.settings import NoticeSettings

CREW = "crew"


def window(etr: Etr | None, settings: NoticeSettings) -> Window | None:
    """From when to when power may be back (P20 to P80); the same estimate gives the same window."""
    if etr is None:
        return None
    earliest_ms = etr.earliest_ms
    if earliest_ms is None:
        earliest_ms = etr.at_ms - round(settings.window_s * 1000)
    return Window(min(earliest_ms, etr.at_ms), etr.at_ms, etr.source == CREW)
