"""The specification of the desk's tasks on the board: whom to call, with keyboard and mouse."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

Show = Callable[..., Any]
pytestmark = pytest.mark.services
LINES = "document.querySelectorAll('#task-list li').length"


@pytest.fixture
def waiting(stage: Any, outage: Show, minutes_ago: Show) -> Any:
    """A stage on which two customers are to be called."""
    stage.put(outage(1))
    [task] = type(stage.people)(0).to_call
    task = msgspec.structs.replace(
        task, outage_id="S1-1", off_at=minutes_ago(20), expires_at=minutes_ago(-100)
    )
    other = msgspec.structs.replace(
        task, id="8", customer_id="C-2", priority="key", language="en", address="", phone=""
    )
    stage.people.to_call[:] = [task, other]
    return stage


def test_whom_to_call_is_told_in_both_languages_and_right_for_assistive_technology(
    waiting: Any, board: Show, looks: dict[str, Any]
) -> None:
    wrong: list[str] = []
    for language, word in (("zh", "待致电 2"), ("en", "To call 2")):
        reader = board(language=language)
        reader.until(f"document.getElementById('task-button').innerText === '{word}'")
        reader.page.keyboard.press("d")
        reader.until(f"{LINES} === 2")
        for look in reader.seen_in(looks[language]):
            wrong += [f"{language} {look}: {x}" for x in reader.axe()]
            assert reader.do("document.documentElement.scrollWidth <= innerWidth")
        words = reader.do("document.getElementById('task-panel').innerText")
        assert "12 Willow Lane" in words
        assert "[" not in words, f"a word is missing: {words}"
        assert reader.complaints == []
    assert wrong == []


def test_with_the_keyboard_a_customer_is_called_and_the_task_closed(
    waiting: Any, board: Show
) -> None:
    reader = board(language="en")
    reader.until("!document.getElementById('task-button').hidden")
    reader.page.keyboard.press("d")
    reader.until("document.activeElement.innerText === 'Show number'")
    reader.page.keyboard.press("Enter")
    reader.until("document.activeElement.href === 'tel:10000000001'")
    reader.page.keyboard.press("Tab")  # the outage
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.type("her daughter answered")
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("Enter")
    reader.until(f"{LINES} === 1")
    [called, other] = waiting.people.to_call
    assert (called.state, called.note, called.ended_by, other.state) == (
        "delivered", "her daughter answered", "anna", "open",
    )  # fmt: skip
    assert reader.do("document.activeElement.closest('li')?.dataset.id") == "8", "the next one"
    reader.page.keyboard.press("Escape")
    assert reader.do("document.getElementById('task-panel').hidden")
    assert reader.do("document.activeElement.id") == "task-button"


def test_a_task_that_somebody_else_has_closed_is_said_in_the_readers_language(
    waiting: Any, board: Show
) -> None:
    reader = board()
    reader.page.locator("#task-button").click()
    reader.until(f"{LINES} === 2")
    [task, other] = waiting.people.to_call
    waiting.people.to_call[:] = [msgspec.structs.replace(task, state="delivered"), other]
    reader.page.locator("#task-list [data-outcome=not_needed]").first.click()
    reader.until("/此任务已由他人处理/.test(document.getElementById('toast').innerText)")
    reader.until(f"{LINES} === 1", "what is left")
    reader.page.locator("#task-list [data-outcome=nobody_answered]").click()
    reader.until("!document.getElementById('task-none').hidden")
    assert waiting.people.to_call[1].state == "undelivered"
