"""A real Kafka for a benchmark, and what its bare client does."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.ports import free_port

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "kafka.sh"
READY_S = 60.0


@dataclass(frozen=True)
class Kafka:
    """One broker."""

    bootstrap: str

    def produce(self, topic: str, records: Sequence[tuple[int, bytes]]) -> None:
        """Send records, each to its partition, and wait until Kafka has them."""
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", batch_size=256 << 10, linger_ms=5
        )
        for partition, body in records:
            producer.send(topic, value=body, key=b"bench", partition=partition)
        producer.flush()
        producer.close()

    def ends(self, topic: str, partitions: int) -> dict[int, int]:
        """The offset after the last record, by partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None)
        found = consumer.end_offsets([TopicPartition(topic, p) for p in range(partitions)])
        consumer.close()
        return {tp.partition: offset for tp, offset in found.items()}

    def bare_consumer(self, topic: str, begins: dict[int, int], records: int) -> float:
        """Seconds in which kafka-python reads so many records and does nothing with them."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=None, max_partition_fetch_bytes=4 << 20
        )
        consumer.assign([TopicPartition(topic, p) for p in begins])
        for partition, offset in begins.items():
            consumer.seek(TopicPartition(topic, partition), offset)
        began = time.perf_counter()
        seen = 0
        while seen < records:
            polled = consumer.poll(timeout_ms=1000, max_records=500)
            seen += sum(len(found) for found in polled.values())
        took_s = time.perf_counter() - began
        consumer.close()
        return took_s


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(folder: Path) -> Iterator[Kafka]:
    """A broker while the block runs.

    Raises:
        RuntimeError: It does not start.
    """
    port = free_port()  # the one above it is the controller's
    subprocess.run([SCRIPT, "format", str(folder), str(port)], check=True, timeout=60)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([SCRIPT, "run", str(folder)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + READY_S
        while not _listens(port):
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"Kafka does not start: {folder / 'log.txt'}")
            time.sleep(0.1)
        yield Kafka(f"127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(10)
