"""The specification of the links that a start prints."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dispatch.settings import SiteSettings
from grid.people import Principal, Role
from grid.times import to_rfc3339
from service import signin

NOW = 1_700_000_000_000


def a_run(folder: Path, scenario: str | None = None) -> Any:
    return SimpleNamespace(
        settings=SimpleNamespace(site=SiteSettings()), keys=SimpleNamespace(token=b"k" * 32),
        http_url="http://127.0.0.1:8470", feeds_url="ws://127.0.0.1:8471", data=folder,
        scenario=scenario,
    )  # fmt: skip


def code_of(link: str) -> str:
    return link.partition("#code=")[2]


def test_the_terminal_always_shows_a_link_that_can_still_be_opened(tmp_path: Path) -> None:
    now = [NOW]
    ours = signin.of(a_run(tmp_path), lambda: now[0])
    board, customer = signin.links(a_run(tmp_path), ours)
    assert customer is None
    first = board()
    assert board() == first
    who = ours.codes.trade(code_of(first), now[0])
    assert (who.role, who.subject) == (Role.DISPATCHER, "duty")
    second = board()
    assert second != first, "it was opened"
    now[0] += ours.site.code_s * 1000
    assert board() != second, "its time was over"


def test_a_story_has_a_customer_whose_page_is_worth_a_look(tmp_path: Path) -> None:
    def step(minutes: int, who: str) -> dict[str, Any]:
        on = to_rfc3339(NOW + minutes * 60_000)
        return {"off_at": to_rfc3339(NOW), "on_at": on, "customers": [who]}

    lines = [{"type": "story"}, {"type": "outage", "steps": [step(1, "C1"), step(9, "C2")]},
             {"type": "outage", "steps": [step(5, "C3")]}, {"type": "end"}]  # fmt: skip
    (tmp_path / "field").mkdir()
    truth = tmp_path / "field" / "truth.jsonl"
    truth.write_text("\n".join(map(json.dumps, lines)))
    ours = signin.of(a_run(tmp_path), lambda: NOW)
    _, customer = signin.links(a_run(tmp_path, "demo"), ours)
    assert customer is not None
    assert ours.codes.trade(code_of(customer()), NOW).subject == "C2"
    assert signin.somebody(tmp_path / "none.jsonl") is None


def test_a_cookie_is_a_cookie_and_a_token_a_token(tmp_path: Path) -> None:
    ours = signin.of(a_run(tmp_path), lambda: NOW)
    who = Principal(Role.CUSTOMER, "C1", None, NOW + 60_000)
    assert ours.unseal(ours.seal(who)).subject == "C1"
    assert ours.token(who) != ours.seal(who)
