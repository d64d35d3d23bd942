"""Sending to Kafka from an event loop: idempotent, acknowledged by all replicas, bounded.

The client of kafka-python has a thread of its own for the network; what may block in it (a full
buffer, unknown metadata) is called in another thread, one call at a time, so the order of calls is
the order in a partition.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from grid.errors import Refused, Unreachable
from stream.kafka_clients import Credentials, options_of, reached
from stream.settings import BusSettings

log = structlog.get_logger()


@asynccontextmanager
async def open_producer(
    settings: BusSettings, credentials: Credentials
) -> AsyncIterator["Producer"]:
    """A producer while the block runs; what is not answered at its end is given up.

    Raises:
        Unreachable: Kafka is away.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-producer")
    loop = asyncio.get_running_loop()
    client = await loop.run_in_executor(thread, reached, lambda: _client(settings, credentials))
    try:
        yield Producer(client, thread, settings)
    finally:
        await loop.run_in_executor(thread, _close, client, settings.request_s / 4)
        thread.shutdown(wait=False)


def _close(client: Any, within_s: float) -> None:
    try:
        client.close(timeout=within_s)
    except KafkaError as error:  # its sender has them still
        log.warning("records_given_up", reason=repr(error))


def _client(settings: BusSettings, credentials: Credentials) -> Any:
    return KafkaProducer(
        **options_of(settings, credentials),
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=int(settings.delivery_s * 1000),
        max_block_ms=int(settings.request_s * 1000),
        max_request_size=settings.record_bytes_max + (64 << 10),
        batch_size=256 << 10,
        linger_ms=0,  # records are gathered before they come here
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


class Producer:
    """Sends records.  While ``in_flight_bytes_max`` are unanswered, who sends waits."""

    def __init__(self, client: Any, thread: ThreadPoolExecutor, settings: BusSettings) -> None:
        self._client = client
        self._thread = thread
        self._limit = settings.in_flight_bytes_max
        self._in_flight = 0
        self._room = asyncio.Condition()
        self.trouble: str | None = None  # why the last record did not get through

    @property
    def in_flight_bytes(self) -> int:
        """Sent and not answered."""
        return self._in_flight

    async def send(self, topic: str, partition: int, key: str, value: bytes) -> None:
        """Return once all replicas have it.

        Raises:
            Unreachable: Not known to be there; send it again, which may be once too often.
            Refused: Kafka will never take it.
        """
        answered = await self.begin(topic, partition, key, value)
        await answered

    async def begin(
        self, topic: str, partition: int, key: str, value: bytes
    ) -> "asyncio.Future[None]":
        """Send; what is returned is done once all replicas have it, and raises as ``send``."""
        async with self._room:
            await self._room.wait_for(
                lambda: self._in_flight == 0 or self._in_flight + len(value) <= self._limit
            )
            self._in_flight += len(value)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._settle, answered, len(value), error)

        def hand_over() -> None:
            try:
                future = self._client.send(
                    topic, value=value, key=key.encode(), partition=partition
                )
            except (KafkaError, AssertionError, ValueError) as error:
                settle(error)
                return
            future.add_both(lambda result: settle(result if future.failed() else None))

        await loop.run_in_executor(self._thread, hand_over)
        return answered

    def _settle(
        self, answered: "asyncio.Future[None]", size: int, error: BaseException | None
    ) -> None:
        self._in_flight -= size
        wake = asyncio.ensure_future(self._wake())
        wake.add_done_callback(lambda done: done.exception())
        self.trouble = None if error is None else f"Kafka did not take a record: {error!r}"
        if answered.done():
            return
        if error is None:
            answered.set_result(None)
        elif isinstance(error, MessageSizeTooLargeError):
            answered.set_exception(Refused(f"Kafka will never take this record: {error}"))
        else:
            answered.set_exception(Unreachable(self.trouble or ""))

    async def _wake(self) -> None:
        async with self._room:
            self._room.notify_all()
