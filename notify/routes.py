"""On which channels somebody is told, the first first.  Pure.

The site has an order of channels, and a customer may have their own.  What falls through all of
them is called by the desk, for those whose life may hang on it.
"""

from collections.abc import Collection

from grid.notice import DESK, LIFE_SAFETY, SMS, Phase, Recipient, Wishes
from grid.outbox import Unreached
from notify.settings import NoticeSettings

USUAL = Wishes()


def ways(
    phase: Phase, who: Recipient, settings: NoticeSettings, opened: Collection[str]
) -> tuple[str, ...]:
    """The channels on which somebody can be told of a phase.

    ``opened`` are those that are set up.  Who opted out is told on none; the desk calls them where
    a life may hang on it.
    """
    wishes = who.wishes or USUAL
    known = {*wishes.contacts, SMS} if who.reachable else set(wishes.contacts)
    wanted = settings.channels if wishes.channels is None else wishes.channels
    found = [c for c in dict.fromkeys(wanted) if c in known and c in opened and c != DESK]
    if wishes.opted_out:
        found = []
    if who.priority in LIFE_SAFETY and phase.value in settings.desk_phases:
        found.append(DESK)
    return tuple(found)


def after(missed: Unreached, settings: NoticeSettings, opened: Collection[str]) -> str | None:
    """The channel to be tried next, if there is one."""
    found = ways(missed.phase, missed.who, settings, opened)
    if missed.channel not in found:  # they wished otherwise in the meantime
        return found[0] if found else None
    later = found[found.index(missed.channel) + 1 :]
    return later[0] if later else None
