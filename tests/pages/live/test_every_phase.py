"""The specification of the demo as a person sees it: every phase on the customer's page, the phone
and the board, in both languages, with nobody acting.  Four minutes; tests/acceptance says the same
of the texts and the pages' code in every CI.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.services, pytest.mark.soak, pytest.mark.timeout(600)]

STORY_S = 260.0
ON_THE_PAGE = {"detected", "cancelled", "no_etr", "assigned", "on_site", "partly", "etr_changed",
               "restored"}  # fmt: skip
ON_THE_PHONE = {
    "zh": ("疑似停电", "未发现停电", "起停电，", "已派抢修人员", "已到现场", "您家尚未恢复",
           "预计恢复改为", "恢复供电"),
    "en": ("may be off", "no outage found", " since ", "a crew is assigned", "crew on site",
           "you do not yet", "now expected", "power is back at"),
}  # fmt: skip
ON_THE_BOARD = {
    "zh": ("疑似", "停电", "部分恢复", "已恢复", "已派单", "在途", "已到达", "已查明", "已修复"),
    "en": ("Predicted", "Out", "Partly", "Restored", "Assigned", "En route", "On site",
           "Cause found", "Repaired"),
}  # fmt: skip
TEXTS = "document.getElementById('texts').innerText"
ROWS = "document.getElementById('list').innerText"


def test_every_phase_is_seen_in_both_languages(
    lastgasp_up: Callable[..., Any], visit: Callable[..., Any]
) -> None:
    service = lastgasp_up("--demo").start()
    told = (service.data / "field" / "truth.jsonl").read_bytes().splitlines()
    homes = [one for one in map(json.loads, told) if one["type"] == "household"]

    def link(role: str, subject: str) -> str:
        said = service.command("token", "--role", role, "--subject", subject, "--link")
        return str(said).strip()

    pages: dict[tuple[str, str], Any] = {}
    for home in homes:
        language = home["language"]
        mine = link("customer", home["customer_id"])
        pages["mine", language] = visit(mine, language=language, size=(390, 844))
        phone = link("dispatcher", "duty").replace("/#", "/phone#")
        pages["phone", language] = visit(phone, language=language)
        pages["board", language] = visit(link("dispatcher", "duty"), language=language)
    seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    deadline = time.monotonic() + STORY_S

    def all_seen() -> bool:
        for (page, language), reader in pages.items():
            if page == "mine":
                seen[page, language].add(reader.do("document.body.dataset.phase"))
                continue
            words, script = (ON_THE_PHONE, TEXTS) if page == "phone" else (ON_THE_BOARD, ROWS)
            said = reader.do(script)
            seen[page, language] |= {word for word in words[language] if word in said}
        return missing(seen) == {} or time.monotonic() > deadline

    service.wait(all_seen, STORY_S + 30, "the story to be told")
    assert missing(seen) == {}
    assert service.stop() == 0


def missing(seen: dict[tuple[str, str], set[str]]) -> dict[tuple[str, str], set[str]]:
    """What has not been seen yet, by page and language."""
    left = {}
    for language in ("zh", "en"):
        left["mine", language] = ON_THE_PAGE - seen["mine", language]
        left["phone", language] = set(ON_THE_PHONE[language]) - seen["phone", language]
        left["board", language] = set(ON_THE_BOARD[language]) - seen["board", language]
    return {which: words for which, words in left.items() if words}
