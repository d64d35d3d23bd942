"""A shift with the keyboard alone, on a running service: acknowledge, assign, estimate, close.

The engine, the database and the feeds are the real ones; the meters are this test's.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.clock import now_ms

pytestmark = pytest.mark.services
VILLAGE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "village"
SETTINGS = """
[engine]
close_after_s = 3600.0
ping_wait_s = 1.0
"""


@pytest.fixture(scope="module")
def service(lastgasp_up: Callable[..., Any], tmp_path_factory: Any) -> Iterator[Any]:
    """A service on the village, nothing simulated."""
    config = tmp_path_factory.mktemp("shift") / "settings.toml"
    config.write_text(SETTINGS)
    running = lastgasp_up("--network", str(VILLAGE), "--config", str(config)).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def meters(service: Any, tool: Callable[[str], str]) -> Callable[..., None]:
    """What meters say: ``meters("last_gasp", "M1", "M2")``."""
    said = iter(range(1, 1000))

    def say(kind: str, *names: str) -> None:
        for name in names:
            event = {"boot": "a1", "seq": next(said), "at": now_ms(), "kind": kind}
            subprocess.run(
                [tool("mosquitto_pub"), "-p", str(service.mqtt), "-q", "1",
                 "-t", f"lastgasp/v1/meter/{name}/event", "-m", json.dumps(event)],
                check=True, timeout=30,
            )  # fmt: skip

    return say


def link(service: Any, role: str, subject: str) -> str:
    return str(service.command("token", "--role", role, "--subject", subject, "--link")).strip()


@pytest.fixture
def asked(service: Any) -> Iterator["subprocess.Popen[str]"]:
    """A listener that ends with the topic of the first ping that a meter gets."""
    with subprocess.Popen(
        ["mosquitto_sub", "-p", str(service.mqtt), "-t", "lastgasp/v1/meter/+/ping",
         "-C", "1", "-W", "120", "-F", "%t"],
        stdout=subprocess.PIPE, text=True,
    ) as listener:  # fmt: skip
        yield listener
        listener.kill()


def test_a_shift_with_the_keyboard_alone(
    service: Any,
    meters: Callable[..., None],
    visit: Callable[..., Any],
    asked: "subprocess.Popen[str]",
) -> None:
    board = visit(link(service, "dispatcher", "anna"), language="en")
    board.until("location.pathname === '/board'")
    mine = visit(link(service, "customer", "C1"), language="en", size=(390, 844))
    board.until("window.lastgaspBoard?.loaded === true", within_s=60)
    mine.until("!!document.body.dataset.phase", within_s=60)
    press, outage = board.page.keyboard.press, "[...lastgaspBoard.model.outages.values()][0]"

    meters("last_gasp", "M1", "M2", "M3")
    board.until("document.querySelectorAll('#list tr[data-id]').length === 1")
    board.until(f"{outage}.state === 'confirmed'", within_s=60)  # else one has to look again
    mine.until("['detected', 'no_etr', 'confirmed'].includes(document.body.dataset.phase)")

    press("j")
    press("a")
    board.until(f"{outage}.acknowledged?.by === 'anna'")

    press("c")
    board.until("document.getElementById('dialog').open")
    board.page.locator("#dialog input").last.focus()
    board.page.keyboard.type("Crew 7")
    press("Enter")
    board.until(f"{outage}.crew === 'Crew 7' && {outage}.stage === 'assigned'")

    press("e")
    board.until("document.getElementById('dialog').open")
    board.page.locator("#dialog textarea").focus()
    board.page.keyboard.type("cable joint to be replaced")
    press("Control+Enter")
    board.until(f"{outage}.etr?.source === 'crew'")
    mine.until("/ to /.test(document.getElementById('facts').innerText)")

    press("p")
    board.until("/Meters pinged|Not recorded/.test(document.getElementById('toast').innerText)")
    told = board.do("document.getElementById('toast').innerText")
    assert "Meters pinged" in told, told
    assert re.fullmatch(r"lastgasp/v1/meter/M[123]/ping\n", asked.communicate(timeout=30)[0])

    assert board.do("document.activeElement.dataset.id") == board.do(f"{outage}.id")
    meters("power_up", "M1", "M2", "M3")
    mine.until("document.body.dataset.phase === 'restored'")
    board.until(f"{outage}.state === 'restored'")
    press("v")
    board.until(f"{outage}.stage === 'verified'")
    press("Enter")
    board.until("document.getElementById('act-close')?.disabled === false")
    board.page.locator("#act-close").focus()
    press("Enter")
    board.until("lastgaspBoard.model.outages.size === 0")
    assert board.axe() == []
    lines = service.log.read_text()
    assert "#code=" not in lines.replace(f"http://127.0.0.1:{service.http}/#code=", "", 1)


def a_board_with_an_outage(
    service: Any, meters: Callable[..., None], visit: Callable[..., Any]
) -> Any:
    board = visit(link(service, "dispatcher", "anna"), language="en")
    board.until("window.lastgaspBoard?.loaded === true", within_s=60)
    meters("last_gasp", "M4", "M5", "M6")
    board.until("document.querySelectorAll('#list tr[data-id]').length >= 1")
    return board


def test_a_stale_decision_shows_the_outage_as_it_is(
    service: Any, meters: Callable[..., None], visit: Callable[..., Any]
) -> None:
    anna = a_board_with_an_outage(service, meters, visit)
    told = anna.do(
        "(async () => { const [o] = lastgaspBoard.model.outages.values();"
        " await lastgaspBoard.acts.send(o.id, {version: o.version + 7, action: 'acknowledge'});"
        " return document.getElementById('toast').innerText })()"
    )
    assert "Somebody else has just changed this outage" in told
    assert anna.do("[...lastgaspBoard.model.outages.values()][0].acknowledged") is None


def test_a_decision_is_told_again_while_only_meters_have_changed(
    service: Any, meters: Callable[..., None], visit: Callable[..., Any]
) -> None:
    anna = a_board_with_an_outage(service, meters, visit)
    first = "[...lastgaspBoard.model.outages.values()][0]"
    anna.until(f"{first}.state === 'confirmed'", within_s=60)  # which is more than of meters
    told = anna.do(
        "(async () => { const [o] = lastgaspBoard.model.outages.values(), {acts} = lastgaspBoard;"
        " await acts.send(o.id, {version: o.version, action: 'note', reason: 'looked at'});"
        " await acts.send(o.id, {version: o.version, action: 'note', reason: 'again'});"
        " return document.getElementById('toast').innerText })()"
    )
    assert told == "Recorded: Note", "the first note made a new version of it"


def test_of_two_dispatchers_on_one_outage_one_is_told_of_the_other(
    service: Any, meters: Callable[..., None], visit: Callable[..., Any]
) -> None:
    anna, bob = (visit(link(service, "dispatcher", who), language="en") for who in ("anna", "bob"))
    for reader in (anna, bob):
        reader.until("window.lastgaspBoard?.loaded === true", within_s=60)
    meters("last_gasp", "M4", "M5", "M6")
    unseen = "[...lastgaspBoard.model.outages.values()].find(o => !o.acknowledged)"
    for reader in (anna, bob):
        reader.until(f"!!(window.theirs = {unseen})")
    for reader in (anna, bob):  # neither waits for the other, nor for the feed
        reader.do(
            "() => { const {id, version} = theirs;"
            " void lastgaspBoard.acts.send(id, {version, action: 'acknowledge'}) }"
        )
    said = "document.getElementById('toast').innerText"
    for reader in (anna, bob):
        reader.until(f"{said} !== ''")
    told = sorted(str(reader.do(said)).partition(":")[0] for reader in (anna, bob))
    assert told[0] in ("Not recorded", "Recorded", "Somebody else has just changed this outage")
    assert [one.startswith("Recorded") for one in told].count(True) == 1, told


def test_a_service_that_restarts_is_found_again(service: Any, visit: Callable[..., Any]) -> None:
    board = visit(link(service, "dispatcher", "anna"), language="en")
    board.until("window.lastgaspBoard?.loaded && lastgaspBoard.live()", within_s=60)
    service.kill()
    board.until("document.body.classList.contains('lost')")
    assert board.do("document.getElementById('slot').innerText").startswith("Data as of")
    service.start()
    board.until("lastgaspBoard.live() && !document.body.classList.contains('lost')", within_s=90)
    counted = len(service.get("/api/outages")["outages"])
    board.until(f"lastgaspBoard.model.outages.size === {counted}")
    assert board.do("!document.querySelector('.sign-in')"), "the sign-in outlives the process"
