"""The specification of the simulated city's phones: every text as it arrives, and answers."""

from collections.abc import Callable
from typing import Any

import pytest

Show = Callable[..., Any]
pytestmark = pytest.mark.services
OUT = "【幸福供电】幸福路11号于16:02起停电，约240户。初步预计17:00至19:00恢复，17:30前再告知。"
BACK = (
    "[Lastgasp Power] power is back at 12 Lane since 18:52, after 3 h 50 min. Still off? Reply OFF."
)


@pytest.fixture
def phone(stage: Any, visit: Show) -> Show:
    """The phones, signed in and looked at."""

    def show(**options: Any) -> Any:
        reader = visit(stage.link(page="/phone"), **options)
        reader.until("!!document.querySelector('main:not([aria-busy])')")
        return reader

    return show


def test_nothing_is_wrong_for_assistive_technology(
    stage: Any, phone: Show, looks: dict[str, Any]
) -> None:
    wrong: list[str] = []
    for language in ("zh", "en"):
        reader = phone(language=language)
        for state in ("empty", "texts", "away"):
            if state == "texts":
                stage.phones.text(1, OUT, minutes=9)
                stage.phones.text(2, BACK)
                stage.phones.text(1, "1", mine=True)
                reader.until("document.querySelectorAll('#texts li').length >= 2")
            if state == "away":
                reader.page.context.set_offline(True)
                reader.until("!document.getElementById('stale').hidden")
            for look in reader.seen_in(looks[language]):
                assert reader.do("document.documentElement.scrollWidth <= innerWidth")
                wrong += [f"{language} {state} {look}: {x}" for x in reader.axe()]
            words = reader.do("document.body.innerText")
            assert "[" not in words.replace("[Lastgasp", ""), f"a word is missing: {words}"
        stage.phones.arrived.clear()
    assert wrong == []


def test_a_phone_answers_and_the_newest_is_followed(stage: Any, phone: Show) -> None:
    stage.phones.text(1, OUT)
    reader = phone()
    reader.until("document.querySelectorAll('#texts li').length === 1")
    reader.page.locator("#words").fill("1")
    reader.page.keyboard.press("Enter")
    reader.until("document.getElementById('answer').innerText === '已发送'")
    assert stage.phones.replies == [(1, "1")]
    stage.phones.text(2, BACK)
    reader.until("document.getElementById('number').innerText.includes('8002')")
    assert reader.do("document.querySelectorAll('#boxes li').length") == 2


def test_the_household_that_reads_this_language_is_shown_until_another_is_picked(
    stage: Any, phone: Show
) -> None:
    stage.phones.text(1, BACK, household="en")
    stage.phones.text(2, OUT, household="zh")
    stage.phones.text(3, OUT)
    number = "document.getElementById('number').innerText"
    for language, box in (("zh", "8002"), ("en", "8001")):
        reader = phone(language=language)
        reader.until(f"{number}.includes('{box}')")
        boxes = reader.do("[...document.querySelectorAll('#boxes .home')].length")
        assert boxes == 2, "both are named"
        first = reader.do("document.querySelector('#boxes li').innerText")
        assert box in first
        assert reader.axe() == []
    reader.page.locator("#newest").click()
    reader.until(f"{number}.includes('8003')")
    stage.phones.text(1, OUT, household="en")
    reader.until(f"{number}.includes('8001')")
