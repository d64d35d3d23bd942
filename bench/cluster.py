"""The cluster, end to end: produced frames to committed outages, 1,000 readings a record.

All of it is real: Apache Kafka, ``lastgasp run worker`` (Faust), a database that syncs its log.
Beside it, in the same run and on the same broker: a naive Faust app (a record a reading, a Table of
counters), a bare kafka-python consumer of the same records, a bare binary COPY of the same rows;
the slower of the last two is the limit.  Each of them finds its records in Kafka (or its bytes in
memory) when its clock starts, and so do our workers: they stand still while a backlog is produced.
``while_produced`` is ours as the records come, with their producer on the same cores;
``two_workers_of_one`` a backlog through two workers; ``single`` a backlog of records as meters that
report one by one fill them, which is what ``bench sizing`` reckons with.
``assignment``: of a worker that owns a million meters, from the assignment of its partitions to
engines as committed, and from the start of its process to ready.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import msgspec
import numpy as np
import psycopg
from kafka import KafkaAdminClient

from bench import kafka as brokers
from bench.kafka import Kafka
from bench.ports import free_port
from bench.store import readings
from grid.network import Network, NodeKind
from service.clock import now_ms
from service.postgres import PostgresSettings, embedded
from service.replaying import network_of
from store.copying import READING_COLUMNS, copy_statement, copy_stream
from stream.records import Record, partition_of, read_record, record_bytes

METERS = 80_000  # eight feeder groups: four on each partition, as even as thousands are
RECORDS = 500  # a run
ROWS = 1_000  # a record
SINGLE = 6  # a record, where meters report one by one and kafka.linger_ms is 500
SINGLES = 5_000  # such records
NAIVE = 10_000  # readings
RUNS = 3
PARTITIONS = 2
OWNED = int(os.environ.get("BENCH_OWNED", "1000000"))  # meters; 0 leaves that part out
TOPIC = "lastgasp.frames"
LASTGASP = str(Path(sys.executable).with_name("lastgasp"))
FAUST = str(Path(sys.executable).with_name("faust"))
Records = list[tuple[int, bytes]]


def run() -> dict[str, object]:
    """Ratios of medians over alternating runs."""
    with tempfile.TemporaryDirectory(prefix="lastgasp-cluster-") as name, ExitStack() as opened:
        folder = Path(name)
        folder.chmod(0o755)
        kafka = opened.enter_context(brokers.running(folder / "kafka"))
        url = opened.enter_context(embedded(folder / "data", PostgresSettings())).url
        house = House(folder, kafka, url)
        opened.callback(house.stop)
        source = f"city:{METERS}:3"
        house.admin(source)
        network = network_of(source)
        rates = _rates(house, network)
        live = house.through(records_of(network, 1 + RUNS), standing=False)
        single = house.through(records_of(network, 2 + RUNS, rows=SINGLE))
        house.begin("2")
        two = house.through(records_of(network, 3 + RUNS))
        house.stop()
        middle = {which: median(found) for which, found in rates.items()}
        limit = min(middle["consumer"], middle["copy"])
        pairs = {"of_naive_faust": middle["naive"], "of_limit": limit}
        ours = middle["ours"]
        return {
            "runs": RUNS,
            "ratios": {which: round(ours / other, 4) for which, other in pairs.items()},
            "raw": {which: [round(ours), round(other)] for which, other in pairs.items()},
            "bare": {which: round(middle[which]) for which in ("consumer", "copy")},
            "while_produced": round(live),
            "single": {"readings_a_record": SINGLE, "readings_s": round(single)},
            "two_workers_of_one": round(two / ours, 3),
            "assignment": house.assignment() if OWNED else None,
        }


def _rates(house: "House", network: Network) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {}
    house.begin("1")
    house.make_naive_topics()
    for turn in range(1 + RUNS):  # the first warms up
        records = records_of(network, turn)
        begins = house.kafka.ends(TOPIC, PARTITIONS)
        found = {
            "ours": house.through(records),
            "consumer": RECORDS * ROWS / house.kafka.bare_consumer(TOPIC, begins, RECORDS),
            "copy": house.bare_copy(turn),
            "naive": house.naive(turn),
        }
        for which, rate in found.items() if turn else ():
            rates.setdefault(which, []).append(rate)
    return rates


def records_of(network: Network, turn: int, *, rows: int = ROWS) -> Records:
    """Readings of all meters, a group a record, never heard before."""
    at_ms = now_ms()
    made: Records = []
    for number in range(RECORDS if rows == ROWS else SINGLES):
        group = network.groups[number % len(network.groups)]
        meters = np.flatnonzero(group.kind == NodeKind.METER)
        begin = number // len(network.groups) * rows
        told = readings(rows, at_ms, boot=1 + turn, group=group.no)
        told["node"] = meters[(begin + np.arange(rows)) % len(meters)]
        told["seq"] = begin + np.arange(rows)
        told["happened_ms"] = told["received_ms"] = at_ms + number  # one moment would be one fact
        made.append(_record(network, group.no, told.tobytes(), at_ms + number))
    return made


def _record(network: Network, number: int, rows: bytes, sent_ms: int) -> tuple[int, bytes]:
    slug = network.groups[number].slug
    record = Record(
        sender="mqtt-gateway@bench", sent_ms=sent_ms, network=network.version, group=slug,
        rows=rows, ticket=1,
    )  # fmt: skip
    return partition_of(slug, PARTITIONS), record_bytes(record)


class House:
    """Workers on one broker and one database."""

    def __init__(self, folder: Path, kafka: Kafka, url: str) -> None:
        self.kafka = kafka
        self._folder = folder
        self._url = url
        self._workers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}

    def admin(self, source: str) -> None:
        """Topics, tables, network."""
        command = self._command("admin", "0", free_port())
        log = self._folder / "admin.log"
        with log.open("wb") as file:
            subprocess.run(
                [*command, "--network", source], check=True, env=self._env, timeout=900,
                stdout=file, stderr=file,
            )  # fmt: skip

    def begin(self, instance: str, *, wait_s: float = 120.0) -> float:
        """Start a worker, and return when it has its partitions; after how many seconds."""
        port = free_port()
        began = time.perf_counter()
        with (self._folder / f"worker-{instance}.log").open("wb") as log:
            process = subprocess.Popen(
                self._command("worker", instance, port), env=self._env, stdout=log, stderr=log
            )
        self._workers[instance] = (process, port)
        while time.perf_counter() - began < wait_s:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200:
                    return time.perf_counter() - began
            time.sleep(0.05)
        raise RuntimeError(f"worker {instance} was not ready in {wait_s} s")

    def _tell(self, number: signal.Signals) -> None:
        for process, _ in self._workers.values():
            process.send_signal(number)

    def stop(self) -> None:
        """All workers."""
        for process, _ in self._workers.values():
            process.terminate()
            process.wait(30)
        self._workers.clear()

    def through(self, records: Records, *, standing: bool = True) -> float:
        """Readings a second until the last one is committed: from when all are in Kafka, or, where
        the workers are not ``standing`` until then, from when the first one is produced.

        Raises:
            RuntimeError: Not all of them have become rows, but for a few that say what was said.
        """
        readings_sent = sum(len(read_record(body).readings()) for _, body in records)
        before = self._rows_kept()
        self._tell(signal.SIGSTOP if standing else signal.SIGCONT)
        began = time.perf_counter()
        self.kafka.produce(TOPIC, records)
        ends = {p: end for p, end in self.kafka.ends(TOPIC, PARTITIONS).items() if end}
        if standing:
            began = time.perf_counter()
            self._tell(signal.SIGCONT)
        with closing(psycopg.connect(self._url, autocommit=True)) as connection:
            asked = "SELECT partition, next_offset FROM bus_partitions WHERE topic = %s"
            while True:
                at = dict(connection.execute(asked, (TOPIC,)).fetchall())
                if all((at.get(p) or 0) >= end for p, end in ends.items()):
                    break
                time.sleep(0.02)
            took_s = time.perf_counter() - began
        if (kept := self._rows_kept() - before) < 0.999 * readings_sent:
            raise RuntimeError(f"of {readings_sent} readings {kept} became rows")
        return readings_sent / took_s

    def _rows_kept(self) -> int:
        with closing(psycopg.connect(self._url, autocommit=True)) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM readings").fetchall()
        return int(count)

    def bare_copy(self, turn: int) -> float:
        """Rows a second of a COPY of ready-made bytes into a table like ours."""
        rows = readings(RECORDS * ROWS, now_ms(), boot=turn)
        numbers, none = np.ones(len(rows), "<i4"), np.zeros(len(rows), "<i4")
        parts = list(copy_stream(rows, numbers, none, READING_COLUMNS))
        table = f"bare_{turn}"
        with closing(psycopg.connect(self._url, autocommit=True)) as connection:
            connection.execute(f"CREATE TABLE {table} (LIKE readings INCLUDING ALL)")
            statement = copy_statement(table, READING_COLUMNS)
            began = time.perf_counter()
            with connection.transaction(), connection.cursor().copy(statement) as copy:
                for part in parts:
                    copy.write(part)
            took_s = time.perf_counter() - began
            connection.execute(f"DROP TABLE {table}")
        return len(rows) / took_s

    def naive(self, turn: int) -> float:
        """Readings a second of the naive app, by its own clock, without its start."""
        folder = self._folder / f"naive-{turn}"
        folder.mkdir()
        out = folder / "seconds"
        said = {"at": turn, "kind": "last_gasp", "volts": 229.5}
        self.kafka.produce(
            "naive-readings",
            [
                (0, msgspec.json.encode({"meter": f"M{i}", "transformer": f"T{i % 400}", **said}))
                for i in range(NAIVE)
            ],
        )
        env = {
            **self._env, "NAIVE_BROKER": self.kafka.bootstrap, "NAIVE_OUT": str(out),
            "NAIVE_DATA": str(folder / "data"), "NAIVE_READINGS": str(NAIVE),
        }  # fmt: skip
        process = subprocess.Popen(
            [FAUST, "-q", "-A", "bench.naive_faust", "worker", "-l", "error", "--without-web"],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until = time.monotonic() + 180
            while not (out.exists() and out.read_text()):
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError("the naive app does not come to its end")
                time.sleep(0.1)
        finally:
            process.terminate()
            process.wait(30)
        return NAIVE / float(out.read_text())

    def make_naive_topics(self) -> None:
        """One partition each, as its app wants them."""
        client = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        names = ("naive-readings", "naive-naive-dark-changelog", "naive-__assignor-__leader")
        one: dict[str, Any] = {"num_partitions": 1, "replication_factor": 1}
        client.create_topics(dict.fromkeys(names, one))
        client.close()

    def assignment(self) -> dict[str, float]:
        """Of a worker that owns a million meters: started anew after all of them were heard."""
        source = f"city:{OWNED}:5"
        self.admin(source)
        network = network_of(source)
        self.begin("1", wait_s=600)
        at_ms = now_ms()
        heard: Records = []
        for group in network.groups:
            meters = np.flatnonzero(group.kind == NodeKind.METER)
            rows = readings(len(meters), at_ms, boot=99, group=group.no)
            rows["node"] = meters
            heard.append(_record(network, group.no, rows.tobytes(), at_ms))
        self.through(heard, standing=False)
        self.stop()
        started_s = self.begin("1", wait_s=600)
        _, port = self._workers["1"]
        figures = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
        took = next(x for x in figures if x.startswith("lastgasp_bus_assignment_seconds "))
        self.stop()
        return {
            "meters": OWNED,
            "assigned_s": round(float(took.rsplit(" ", 1)[1]), 2),
            "process_start_to_ready_s": round(started_s, 2),
        }

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "LASTGASP_DATABASE_URL": self._url}

    def _command(self, role: str, instance: str, port: int) -> list[str]:
        config = self._folder / f"{role}-{instance}.toml"
        config.write_text(
            f"""
[kafka]
bootstrap = "{self.kafka.bootstrap}"
partitions = {PARTITIONS}
instance = "{instance}"
[health]
listen = "127.0.0.1:{port}"
"""
        )
        data = str(self._folder / "roles")
        return [LASTGASP, "run", role, "--data", data, "--config", str(config)]
