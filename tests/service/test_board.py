"""The specification of the board: who is dark, which device, how sure, why, and how old it is."""

import io

import pytest
from rich.console import Console

from grid.public import PublicFinding, PublicOutage
from grid.times import from_rfc3339
from service import board
from service.board import Source, View

NOW = from_rfc3339("2026-11-21T03:10:00Z")


def outage(name: str, *, state: str = "confirmed", out: int = 40, version: int = 1) -> PublicOutage:
    return PublicOutage(
        id=name, version=version, state=state, kind="fault", cause=None, device_id=f"T-{name}",
        device_kind="transformer", feeder_id="B1", districts=("north",), phases="ABC",
        probability=0.987, started_at="2026-11-21T03:05:00.000Z",
        detected_at="2026-11-21T03:05:02.000Z", confirmed_at=None, restored_at=None,
        customers_affected=44, customers_out=out, etr=None,
        evidence=("37 of 40 meters silent", "2 gasps", "1 ping says ON"), parent_id=None,
    )  # fmt: skip


def finding(name: str = "F1", until: str | None = None) -> PublicFinding:
    return PublicFinding(
        name, "2026-11-21T03:09:00Z", "comms_loss", "D7", "north",
        "2026-11-21T03:00:00Z", until, "silent, and no power is missing",
    )  # fmt: skip


def view(*outages: PublicOutage, **more: object) -> View:
    return View(at_ms=NOW, service="here", outages=outages, **more)  # type: ignore[arg-type]


def shown(what: View, width: int = 140, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(board.render(what, width=width, height=height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_outage_shows_its_device_probability_and_evidence() -> None:
    text = shown(view(outage("S1-1"), customers=20_000))
    for words in ("40 of 20,000 customers dark", "transformer T-S1-1", "confirmed", "0.99", "40/44",
                  "5 min", "37 of 40 meters silent", "2 gasps"):  # fmt: skip
        assert words in text


def test_each_source_shows_its_age() -> None:
    sources = (
        Source("meters", ready=True, age_s=0.4),
        Source("breakers", ready=True, age_s=300.0),
        Source("database", ready=False, reason="does not answer"),
    )
    text = shown(view(sources=sources))
    assert "● meters 0.4 s" in text
    assert "breakers 5 min" in text
    assert "○ database (does not answer)" in text


def test_comms_loss_is_a_finding_and_no_outage() -> None:
    text = shown(view(findings=(finding(),)))
    assert "No outage." in text
    assert "comms_loss" in text
    assert "silent, and no power is missing" in text


def test_who_is_restored_is_no_longer_dark() -> None:
    assert view(outage("a"), outage("b", state="restored", out=0)).dark == 40


def test_the_largest_come_first_and_the_rest_is_counted() -> None:
    many = [outage(f"o{n:02}", out=n) for n in range(30)]
    text = shown(view(*many), height=24)
    assert text.index("o29") < text.index("o28")
    assert "more running outages" in text
    assert len(text.splitlines()) <= 24


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_it_fits_any_terminal(width: int) -> None:
    text = shown(view(outage("S1-1"), findings=(finding(),), note="old"), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_without_a_terminal_each_news_is_one_line_once() -> None:
    first = view(outage("S1-1"), findings=(finding(),))
    assert [line.split(" ", 1)[1] for line in board.lines(None, first)] == [
        "S1-1 confirmed: fault at transformer T-S1-1, 40 of 44 customers out, probability 0.99 "
        "(37 of 40 meters silent; 2 gasps)",
        "comms_loss D7: silent, and no power is missing",
        "40 customers without power",
    ]
    assert list(board.lines(first, first)) == []
    after = view(outage("S1-1", version=2, out=3), findings=(finding(),))
    assert [line.split()[1] for line in board.lines(first, after)] == ["S1-1", "3"]
    assert [line.split(" ", 1)[1] for line in board.lines(after, view(findings=(finding(),)))] == [
        "S1-1 closed",
        "0 customers without power",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (-3, "0.0 s"), (42, "42 s"), (300, "5 min"), (7500, "2 h 05")],
)
def test_spans_are_for_a_person(seconds: float, text: str) -> None:
    assert board.span(seconds) == text
