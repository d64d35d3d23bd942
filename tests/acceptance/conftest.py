"""A told story: a running service, the simulators' truth beside it, and what was said on the feeds.

A story passes in a minute, in field times that are shortened for it; the engine's settings that
are times are shortened in the same way, and nothing else is.
"""

import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from grid.times import from_rfc3339
from simulators.smsc import read_log
from simulators.truth import OutageTruth, StoryTruth, from_lines, last_story
from simulators.verdict import Tolerances, Verdict, compare, found_of

STATES = (
    "predicted", "confirmed", "partially_restored", "restored", "closed", "verify", "rejected",
    "momentary",
)  # fmt: skip
HURRY = """
[engine]
heartbeat_s = {heartbeat_s}
heartbeat_slack_s = 8.0
momentary_scada_s = 6.0
momentary_s = 12.0
close_after_s = 8.0
plan_tolerance_s = 5.0
[notices]
hold_s = 3.0
quiet_to = "22:00"
[sms]
per_s = 400.0
"""
OTHER_CENTRE = """url = "smpp://127.0.0.1:{port}"
lease_s = 3.0
receipt_owed_s = 8.0
"""


@dataclass
class Listener:
    """A client of the dispatch feed; it resumes where it was when the service comes back."""

    port: int
    token: str
    since: dict[str, Any] | None = None
    heard: list[dict[str, Any]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        assert self.thread is not None
        self.stopped.set()
        self.thread.join(10)

    def _listen(self) -> None:
        while not self.stopped.is_set():
            try:
                self._talk()
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                self.stopped.wait(0.2)

    def _talk(self) -> None:
        url = f"ws://127.0.0.1:{self.port}"
        with websockets.sync.client.connect(url, proxy=None, open_timeout=5) as socket:
            socket.send(json.dumps({"op": "auth", "token": self.token}))
            asked = {"op": "subscribe", "channel": "dispatch", "since": self.since}
            socket.send(json.dumps(asked))
            while not self.stopped.is_set():
                try:
                    message = json.loads(socket.recv(timeout=0.5))
                except TimeoutError:
                    continue
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if message["op"] == "subscribed":
            assert self.since is None or message["recovered"], message
        if message["op"] in ("subscribed", "pub"):
            self.since = {"epoch": message["epoch"], "offset": message["offset"]}
        if message["op"] == "pub":
            self.heard.append(message)

    @property
    def changes(self) -> list[tuple[str, int]]:
        """Id and version of each change heard."""
        outages = [m["data"]["outage"] for m in self.heard if m["type"] == "change"]
        return [(o["id"], o["version"]) for o in outages]


@dataclass
class Story:
    """A service on which a scenario is played."""

    service: Any
    told: list[Any] | None = None  # the truth, where no simulator keeps a log of it
    listener: Listener | None = None
    centre_log: Path | None = None  # where its texts go, if not to the simulated centre

    def begin(self) -> "Story":
        """Start it and listen."""
        self.service.start()
        return self.listen()

    def listen(self, since: dict[str, Any] | None = None) -> "Story":
        """Listen to the dispatch feed, from a place in it or from now on."""
        token = self.service.token("dispatcher", "listener")
        self.listener = Listener(self.service.feeds, token, since)
        self.listener.start()
        return self

    def leave(self) -> None:
        """Listen no longer."""
        if self.listener is not None:
            self.listener.stop()

    def truth(self) -> list[Any]:
        """What really happens, as the simulators logged it."""
        if self.told is not None:
            return self.told
        text = (self.service.data / "field" / "truth.jsonl").read_bytes()
        return last_story(from_lines(text.splitlines()))

    def texts(self) -> list[dict[str, Any]]:
        """What the SMS centre has by its own log, in order."""
        log = self.centre_log or self.service.data / "field" / "smsc.jsonl"
        return [line for line in read_log(log) if line["what"] == "taken"]

    def true_outages(self) -> list[OutageTruth]:
        return [t for t in self.truth() if isinstance(t, OutageTruth)]

    def begun_ms(self) -> int:
        (story,) = [t for t in self.truth() if isinstance(t, StoryTruth)]
        return from_rfc3339(story.started_at)

    def listed(self) -> list[dict[str, Any]]:
        """Every outage there ever was, as the API lists it."""
        get = self.service.get
        return [o for state in STATES for o in get("/api/outages", state=state)["outages"]]

    def found(self) -> list[dict[str, Any]]:
        """Every outage with its steps, as the API tells it, but those merged into another."""
        ids = sorted(outage["id"] for outage in self.listed())
        told = [self.service.get(f"/api/outages/{outage_id}") for outage_id in ids]
        return [outage for outage in told if outage["steps"]]

    def verdict(self) -> Verdict:
        """The truth, and what was made of it."""
        tolerances = Tolerances(heard_s=3.0, inferred_s=12.0)
        return compare(self.truth(), found_of(self.found()), tolerances=tolerances)

    def wait_until_over(self, within_s: float) -> None:
        """Until everything found is closed, or ``within_s`` has passed: the verdict says more."""
        must = [t for t in self.true_outages() if t.kind == "fault" and t.customers]
        deadline = time.monotonic() + within_s

        def over() -> bool:
            if time.monotonic() > deadline:
                return True
            ended = [o for o in self.listed() if o["state"] in ("closed", "momentary")]
            return len(ended) >= len(must) and not self.service.get("/api/outages")["outages"]

        self.service.wait(over, within_s + 10, "the story to be over")

    def let_pass(self, seconds: float) -> None:
        """Time goes by; nothing is waited for but that."""
        end_s = time.monotonic() + seconds
        self.service.wait(lambda: time.monotonic() >= end_s, seconds + 5, "time to pass")

    def replays_as_committed(self) -> None:
        """Require that replaying the recorded stream gives the changes that were committed."""
        asked = "SELECT outage_id, version, outage->>'state', reason, customers FROM changes"
        committed = [(*said, sorted(customers)) for *said, customers in self.sql(asked)]
        (span,) = self.sql(
            """SELECT to_char(min(until_at) - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                      to_char(max(until_at) + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
               FROM recorded_frames"""
        )
        said = self.service.command("replay", "--json", "--from", span[0], "--to", span[1])
        lines = [x for x in map(json.loads, said.splitlines()) if x["type"] == "change"]
        replayed = [
            (*(x[key] for key in ("outage", "version", "state", "reason")), sorted(x["customers"]))
            for x in lines
        ]
        assert sorted(replayed) == sorted(committed) != []

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the service's own database."""
        if hasattr(self.service, "sql"):  # a cluster's
            return self.service.sql(query)  # type: ignore[no-any-return]
        note = json.loads((self.service.data / "service.json").read_bytes())
        folder = shlex.split(note["psql"])[2]  # psql -h FOLDER ...
        with psycopg.connect(host=folder, user="lastgasp", dbname="lastgasp") as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def play(
    lastgasp_up: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
    after_stories: Callable[[Callable[[], None]], None],
) -> Callable[..., Story]:
    """Make a story of a network, a scenario's text and a configuration (or the heartbeats' period,
    in seconds, of an engine whose other times are short too); it is not begun yet.
    """

    def make(network: str, scenario: str, config: str | float) -> Story:
        if isinstance(config, float):
            config = HURRY.format(heartbeat_s=config)
        folder = tmp_path_factory.mktemp("story")
        (folder / "scenario.toml").write_text(scenario)
        (folder / "engine.toml").write_text(config)
        service = lastgasp_up(
            "--network", network, "--scenario", str(folder / "scenario.toml"),
            "--config", str(folder / "engine.toml"),
        )  # fmt: skip
        story = Story(service)
        for end in (service.end, story.leave):
            after_stories(end)
        return story

    return make


# -- the stories, told side by side: each waits for time to pass most of the time ------------------


STORM = Path(__file__).with_name("storm.toml").read_text()
KILL_AFTER_S = 31.0  # of the story: all have struck, texts are on their way, none is repaired
# told beside the demo, which takes longer still: time for all texts before power is back
LONG_STORM = STORM.replace("[36, 46]", "[66, 76]").replace("duration_s = 75", "duration_s = 105")
QUIET = """
name = "quiet"
duration_s = 1
[field]
silent = 0.0
hello_s = 2
heartbeat_s = {heartbeat_s}
terminal_heartbeat_s = {heartbeat_s}
latency_s = 0.2
false_gasp = 0.0
"""
DEMO_TIMES = """
[engine]
heartbeat_s = 60.0
heartbeat_slack_s = 20.0
momentary_scada_s = 6.0
momentary_s = 12.0
close_after_s = 10.0
plan_tolerance_s = 10.0
[notices]
hold_s = 3.0
quiet_to = "22:00"
[sms]
per_s = 400.0
"""
NEVER_MIND = """
[engine]
heartbeat_s = {heartbeat_s}
heartbeat_slack_s = {slack_s}
"""


@pytest.fixture(scope="session")
def demo_text() -> tuple[str, str, str]:
    """The demo in a smaller city: network, scenario, configuration."""
    demo = (resources.files("simulators") / "scenarios" / "demo.toml").read_text()
    # who never speaks follows a transformer only after more than a minute: none of them here
    demo = demo.replace("skew_s = 0.5", "skew_s = 0.1").replace("silent = 0.01", "silent = 0.0")
    return "city:6000:1", demo, DEMO_TIMES


def tell(story: Story, within_s: float, kill_after_s: float | None = None) -> Story:
    """From its beginning to its end; with a kill in the middle, so many seconds after it began."""
    story.begin()
    if kill_after_s is not None:
        kill_in_the_middle(story, kill_after_s)
    story.wait_until_over(within_s)
    return story


@pytest.fixture(scope="session")
def told() -> Callable[..., Story]:
    """Tell a story from its beginning to its end: ``told(story, within_s, kill_after_s=None)``."""
    return tell


def kill_in_the_middle(story: Story, after_s: float) -> None:
    """``kill -9`` of the process group, and a new start."""

    def struck() -> bool:
        (now_ms,) = story.sql("SELECT (extract(epoch FROM now()) * 1000)::bigint")[0]
        return bool(now_ms > story.begun_ms() + after_s * 1000)

    story.service.wait(struck, after_s + 60, "the middle of the storm")
    assert story.sql("SELECT count(*) FROM outages WHERE ended_at IS NULL")[0][0] > 0
    story.service.kill()
    story.service.start()


@pytest.fixture(scope="session")
def storm_text() -> tuple[str, str]:
    """The storm's scenario and the engine's hurry, for who plays it another way than in process."""
    return STORM, HURRY.format(heartbeat_s=20.0)


@pytest.fixture(scope="session")
def story_of() -> Callable[[Any], Story]:
    """A story of a service that somebody else has begun."""
    return Story


@dataclass(frozen=True)
class QuietDay:
    """What is left of a day on which nothing happened.  Its service has ended: its city would speak
    on every few seconds, while others tell their stories.
    """

    devices_heard: int
    outages: list[tuple[Any, ...]]
    texts: list[dict[str, Any]]


@pytest.fixture(scope="session")
def quiet_city() -> Callable[..., QuietDay]:
    """A city in which nothing happens, and a service that goes away from it, each way once."""

    def told(
        play: Callable[..., Story], *, heartbeat_s: float, slack_s: float, away_s: float,
        leaves: Sequence[str] = ("stop", "kill"),
    ) -> QuietDay:  # fmt: skip
        quiet = QUIET.format(heartbeat_s=heartbeat_s)
        story = play(
            "city:2000:7", quiet, NEVER_MIND.format(heartbeat_s=heartbeat_s, slack_s=slack_s)
        ).begin()
        story.let_pass(2.5 * heartbeat_s)  # long enough to learn when who is due
        for leave in leaves:
            getattr(story.service, leave)()
            story.let_pass(away_s)
            story.service.start()
            story.let_pass(1.5 * heartbeat_s + slack_s)
        ((heard,),) = story.sql("SELECT count(DISTINCT device_no) FROM readings")
        outages = story.sql("SELECT id, device_id, evidence FROM outages")
        story.leave()
        story.service.stop()
        return QuietDay(heard, outages, story.texts())

    return told


@pytest.fixture(scope="session")
def tales(
    play: Callable[..., Story],
    quiet_city: Callable[..., QuietDay],
    demo_text: tuple[str, str, str],
    other_centre: Callable[[Path], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[Any]]]:
    """The short stories by name, told all at once."""

    def stormy() -> Story:  # its texts go to another house's SMS centre, which owes receipts
        log = tmp_path_factory.mktemp("centre") / "smsc.jsonl"
        texts = OTHER_CENTRE.format(port=other_centre(log))
        hurry = HURRY.format(heartbeat_s=20.0).replace("hold_s = 3.0", "hold_s = 15.0") + texts
        story = play("city:2000:7", LONG_STORM, hurry)
        story.centre_log = log
        return story

    calm, killed = stormy(), stormy()
    stories = play(*demo_text)
    with ThreadPoolExecutor() as pool:
        yield {
            "calm": pool.submit(tell, calm, 180),
            "killed": pool.submit(tell, killed, 180, KILL_AFTER_S),
            "demo": pool.submit(tell, stories, 240),
            "quiet": pool.submit(quiet_city, play, heartbeat_s=5.0, slack_s=4.0, away_s=11.0),
        }
