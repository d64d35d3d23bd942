"""The specification of a service that is killed while it commits."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.services

ROUNDS = 4
FRAMES, ROWS = 2, 7  # of a batch, of a frame: as in commit_forever.py
COUNTS = """
SELECT p.position,
    (SELECT count(*) FROM recorded_frames),
    (SELECT max(position) FROM recorded_frames),
    (SELECT count(*) FROM readings),
    (SELECT count(*) FROM device_events),
    (SELECT max(seq) FROM readings),
    (SELECT readings FROM sources WHERE source = 'meter'),
    (SELECT count(*) FROM changes),
    (SELECT version FROM outages),
    (SELECT extract(epoch FROM off_at) * 1000 FROM customer_power)::bigint,
    (SELECT count(*) FROM quarantine),
    (SELECT count(*) FROM snapshots)
FROM progress p
"""


def reached(url: str) -> int:
    """The position that is committed; 0 before there is a table."""
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT position FROM progress").fetchone()
            return int(row[0]) if row else 0
    except psycopg.errors.UndefinedTable:
        return 0


def kill_in_the_middle(url: str, more: int) -> None:
    """Start the committer and kill it some frames later, at any point of a batch."""
    script = Path(__file__).with_name("commit_forever.py")
    goal = reached(url) + more
    process = subprocess.Popen([sys.executable, str(script), url], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while reached(url) < goal:
            assert process.poll() is None, f"it ended with {process.returncode}"
            assert time.monotonic() < deadline, "it commits nothing"
    finally:
        process.kill()
        process.wait()


def settled(url: str) -> None:
    """Wait until the server has noticed that its clients are dead."""
    deadline = time.monotonic() + 10
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'lastgasp' AND datname = current_database()"
        ).fetchone() != (0,):
            assert time.monotonic() < deadline, "a dead client's session goes on"


def test_what_is_committed_is_a_whole_number_of_batches(postgres_url) -> None:
    chance = random.Random(7)
    for _ in range(ROUNDS):
        kill_in_the_middle(postgres_url, chance.randrange(1, 30))
        settled(postgres_url)
        with psycopg.connect(postgres_url) as connection:
            (counts,) = connection.execute(COUNTS).fetchall()
            offsets = connection.execute(
                'SELECT channel, count(*), min("offset"), max("offset") FROM feed_log'
                " GROUP BY channel ORDER BY channel"
            ).fetchall()
            tops = connection.execute(
                "SELECT channel, top FROM feed_channels"
                " UNION SELECT 'customer:' || customer_id, feed_top FROM customer_power ORDER BY 1"
            ).fetchall()
        n = counts[0]
        assert n % FRAMES == 0
        assert counts == (
            n, n, n, n * ROWS, n * ROWS, n, n * ROWS, n, n, n, n // FRAMES, n // 10
        )  # fmt: skip
        channels = ("customer:C-M1", "dispatch", "dispatch:East")
        assert offsets == [(channel, n, 1, n) for channel in channels]
        assert tops == [(channel, n) for channel in channels]
