"""The specification of what people are told by text of stories whose truth is known.

The storms' texts go to an SMS centre of another house (npm smpp), and its log is what counts: who
lost power was told once that it is gone and once that it is back, and nobody else was told
anything.  No number is in any log of ours.
"""

import re
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from grid.times import from_rfc3339
from simulators.city import city

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

NUMBER = re.compile(rb"(?:\+?86)?100\d{8}(?!\d)")
WORDS = {
    "out": re.compile("起停电|停电，正在抢修|outage at .* (since|We are)"),
    "back": re.compile("恢复供电|power is back"),
    "estimate": re.compile("停电(（[^）]*）)?：(初步)?预计|: power (now )?back "),
}
HOLD = timedelta(seconds=15)  # the stories' $.notices.hold_s: what is shorter nobody is told of

NUMBERS = {c.customer_id: c.phone.lstrip("+") for c in city(2000, 7).customers if c.phone}
OVERTAKEN = """
    SELECT customer, coalesce(max(extract(epoch FROM d.at - n.due_at)), 0)::float
    FROM notice_decisions d CROSS JOIN unnest(d.customers) AS customer
    LEFT JOIN notices n ON n.customer_id = customer AND n.outage_id = d.outage_id
                        AND n.phase = 'confirmed'
    WHERE d.phase = 'restored' AND NOT d.send AND d.reason = 'never_told' GROUP BY customer
"""  # for how many seconds their text had been due when power was back: 0 where it was not yet
LONGEST = """
    SELECT coalesce(max(extract(epoch FROM claimed_at - due_at)), 0)::float FROM notices
    WHERE claimed_at IS NOT NULL AND phase = 'confirmed'
"""  # how long a text that left had waited for its turn
WAITING = "SELECT count(*) FROM notices WHERE state IN ('queued', 'sending')"


def subject_of(text: str) -> str:
    """What a text is about; one that is about nothing we know is its own subject."""
    return next((name for name, words in WORDS.items() if words.search(text)), text)


def told(story: Any) -> dict[str, list[str]]:
    """What each number was told, in order, by the SMS centre's own log; new estimates left out,
    for they are what the engine thinks and not what happened.
    """
    subjects: dict[str, list[str]] = {}
    for text in story.texts():
        if (subject := subject_of(text["text"])) != "estimate":
            subjects.setdefault(text["number"], []).append(subject)
    return subjects


def to_be_told(story: Any) -> dict[str, list[str]]:
    """What the truth log calls for: each time in the dark told once, and once its end."""
    dark: dict[str, set[tuple[int, int]]] = {}
    for outage in story.true_outages():
        for step in outage.steps if outage.kind == "fault" else ():
            assert step.on_at is not None, "the storm passes"
            span = (from_rfc3339(step.off_at), from_rfc3339(step.on_at))
            for customer in step.customers:
                dark.setdefault(customer, set()).add(span)
    long_ms = HOLD / timedelta(milliseconds=1)
    return {
        NUMBERS[customer]: ["out", "back"] * sum(on - off > long_ms for off, on in spans)
        for customer, spans in dark.items()
        if customer in NUMBERS and any(on - off > long_ms for off, on in spans)
    }


@pytest.mark.parametrize("name", ["calm", "killed"])
def test_the_dark_were_told_once_and_once_more_when_it_was_over(
    tales: dict[str, Future[Any]], name: str
) -> None:
    story = tales[name].result()
    story.service.wait(lambda: story.sql(WAITING) == [(0,)], 120, "every text to be sent")
    wanted, had = to_be_told(story), told(story)
    assert len(wanted) > 100, "a storm"
    wrong = {n: (wanted.get(n), had.get(n)) for n in wanted.keys() | had.keys()
             if wanted.get(n) != had.get(n)}  # fmt: skip
    # Whom power reached before their text was due, or while it had its turn to wait for, is told
    # nothing, and that is kept as the reason: on a slow machine more, on an idle one nobody.
    waited = {NUMBERS[c]: s for c, s in story.sql(OVERTAKEN) if c in NUMBERS}
    late = waited.keys() & {number for number, (_, texts) in wrong.items() if texts is None}
    ((longest,),) = story.sql(LONGEST)
    assert {number: waited[number] for number in late if waited[number] > longest} == {}
    wrong = {number: each for number, each in wrong.items() if number not in late}
    assert wrong == {}, story.sql("SELECT state, reason, count(*) FROM notices GROUP BY 1, 2")


@pytest.mark.parametrize("name", ["calm", "killed", "demo"])
def test_no_log_has_a_number(tales: dict[str, Future[Any]], name: str) -> None:
    story = tales[name].result()
    folder = story.service.data
    assert story.texts() != [], "else there was nothing to be found"
    logs = [story.service.log, *folder.glob("*.log"), *folder.glob("*.log.*")]
    assert {log.name: NUMBER.findall(log.read_bytes())[:3] for log in logs} == {
        log.name: [] for log in logs
    }
