"""The specification of the commands about people: wishes, export, erase, staff, previews."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from grid.build import build
from grid.drawing import draw_graph
from service import cli
from service.place import keys_of
from store.postgres import open_store
from store.sealing import Keys
from store.settings import StoreSettings

pytestmark = pytest.mark.services

PHONE = "10000138000"
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Say:  # fmt: skip
    """Run a command on a database with one customer: exit code, output, error."""
    data = tmp_path / "data"
    made = keys_of(data)
    graph = draw_graph("source S1\n  breaker B1\n    transformer T1\n      meter M1")
    (customer,) = graph.customers
    known = replace(customer, name="Wang", phone=PHONE, address="Lane 7", priority="vulnerable")
    graph = replace(graph, customers=(known,))
    network = build(graph).network
    assert network is not None

    async def move_in() -> None:
        keys = Keys(made.phone, made.index)
        async with open_store(postgres_url, keys, StoreSettings()) as store:
            await store.save_network(graph, network, 0, "drawn")

    asyncio.run(move_in())
    capsysbinary.readouterr()  # its log

    def run(*words: str) -> tuple[int, str, str]:
        where = ["--data", str(data), "--database", postgres_url]
        monkeypatch.setattr(sys, "argv", ["lastgasp", *words, *where])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsysbinary.readouterr()
        return int(ended.value.code or 0), said.out.decode(), said.err.decode()

    return run


def test_a_customers_wishes_are_kept_shown_exported_and_erased(say: Say) -> None:
    code, out, _ = say("customer", "wish", "C-M1", "--language", "en", "--quiet", "21:00-08:00",
                       "--phases", "confirmed, restored", "--opt-out")  # fmt: skip
    assert code == 0
    told: dict[str, Any] = json.loads(out)
    assert (told["language"], told["quiet"]) == ("en", ["21:00", "08:00"])
    assert told["phases"] == ["confirmed", "restored"]
    shown = json.loads(say("customer", "show", "C-M1")[1])
    assert shown["wishes"]["opted_out_at"]
    assert [(c["wanted"], c["by"]) for c in shown["consents"]] == [(False, "command")]
    assert PHONE not in json.dumps(shown)
    whole = json.loads(say("customer", "export", "C-M1")[1])
    assert (whole["phone"], whole["name"], whole["address"]) == (PHONE, "Wang", "Lane 7")
    assert say("customer", "erase", "C-M1")[0] != 0
    assert say("customer", "erase", "C-M1", "--yes")[0] == 0
    left = json.loads(say("customer", "export", "C-M1")[1])
    assert (left["phone"], left["name"], left["address"]) == ("", "", "")


NONSENSE = (
    "customer show C-9", "customer wish C-9", "customer erase C-9 --yes", "staff remove li",
    "customer wish C-M1 --language fr", "customer wish C-M1 --channels pigeon",
    "customer wish C-M1 --quiet noon", "staff set li --district north --phone none",
    "text hello", "text confirmed --outage S1-9", "text confirmed --customer C-9",
    "customer wish C-M1 --address pigeon=loft", "customer wish C-M1 --address email", "why C-9",
)  # fmt: skip


def test_what_makes_no_sense_is_refused_in_a_sentence(say: Say) -> None:
    for words in NONSENSE:
        code, out, error = say(*words.split())
        assert (code != 0, out) == (True, ""), words
        assert error.startswith("lastgasp: "), words


def test_why_says_who_it_is_about_and_where_nothing_was_decided_yet(say: Say) -> None:
    code, out, _ = say("why", "C-M1")
    assert (code, out.splitlines()) == (0, [
        "C-M1, vulnerable, zh: sms 100****8000; times of Asia/Shanghai",
        "nothing was decided for them yet",
    ])  # fmt: skip
    say("customer", "erase", "C-M1", "--yes")
    assert "no number and no address" in say("why", "C-M1")[1]


def test_an_address_on_a_channel_of_the_sites_own_is_kept_and_masked(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTGASP_CHANNELS", "hook json://127.0.0.1:9/{address}")
    _, out, _ = say("customer", "wish", "C-M1", "--channels", "hook,sms", "--address",
                    "hook=wang@example.org")  # fmt: skip
    told = json.loads(out)
    assert (told["channels"], list(told["contacts"])) == (["hook", "sms"], ["hook"])
    assert "wang@example.org" not in out
    assert list(json.loads(say("customer", "wish", "C-M1")[1])["contacts"]) == ["hook"]
    assert json.loads(say("customer", "export", "C-M1")[1])["contacts"] == {
        "hook": "wang@example.org"
    }


def test_staff_and_texts_are_shown_before_anything_goes(say: Say) -> None:
    added = say("staff", "set", "li", "--district", "north", "--phone", "100 0000 0007")
    assert json.loads(added[1])[0]["phone"] == "100****0007"
    assert say("staff", "remove", "li")[0] == 0
    assert json.loads(say("staff", "list")[1]) == []
    _, out, _ = say("text", "planned", "--customer", "C-M1")
    zh, budget, en, _ = out.splitlines()
    assert "Lane 7" in en
    assert "计划停电" in zh
    assert budget.endswith("1 of UCS-2")
