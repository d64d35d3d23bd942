"""Faust around a worker: which partitions are ours, and their records as they come.

Faust is kept to what it is good at.  No tables, no windows, no transactions; raw values; one event
at a time (``concurrency=1``: with more, faust-streaming 0.15.3 loses events, its issue 606).  The
offsets that count are the database's: at an assignment its recovery asks the consumer to seek to
what was committed, and that call is answered here (``tables/recovery.py``, ``perform_seek``; what
is sought in ``on_partitions_assigned`` it would undo).  Kafka's own commit, which follows the
transaction, is for the tools that show a lag.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.holding import Incoming
from stream.kafka_clients import Credentials, brokers_of, tls_of, topic_of
from stream.settings import BusSettings
from stream.worker import Worker

Beside = Callable[[Callable[[BaseException], Awaitable[None]]], AbstractAsyncContextManager[None]]
"""What is open while the app runs; it is given a way to end the app with an error."""


class StoredOffsets(driver.Consumer):
    """A consumer that begins where the database says."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Have the partitions taken over, and seek to where each is; asked at every assignment."""
        transport = self.transport
        assert isinstance(transport, StoredTransport)
        ours = {tp for tp in self.assignment() if tp.topic in transport.topics}
        await super().seek_to_committed()
        # A rebalance meanwhile drops this call; the assignment goes on, and the next one waits.
        offsets = await asyncio.shield(
            asyncio.ensure_future(transport.worker.assign((tp.topic, tp.partition) for tp in ours))
        )
        earliest = await self.earliest_offsets(*ours)
        found = {}
        for tp in ours:
            offset = offsets[tp.topic, tp.partition]
            found[tp] = earliest[tp] if offset is None else max(offset, earliest[tp])
            await self.seek_wait({tp: found[tp]})
        return found


class KnownPartitions(PartitionAssignor):
    """Gives out the partitions that the topics have by our settings.

    Faust's own goes by what its client knows of the cluster, which after a restart of Kafka is
    nothing for a moment: it would ignore the topics and give nobody anything, for good.
    """

    partitions: int

    @classmethod
    def _get_copartitioned_groups(cls, topics: Any, _cluster: Any, subscriptions: Any) -> Any:
        known = _Cluster(cls.partitions)
        return super()._get_copartitioned_groups(topics, known, subscriptions)


class _Cluster:
    def __init__(self, partitions: int) -> None:
        self._partitions = set(range(partitions))

    def partitions_for_topic(self, _topic: str) -> set[int]:
        """As of aiokafka's ClusterMetadata."""
        return self._partitions


class StoredTransport(driver.Transport):
    """The transport of one app, which knows whose offsets to ask for."""

    Consumer = StoredOffsets

    worker: Worker
    topics: frozenset[str]


log = structlog.get_logger()


class WorkerApp(faust.App):
    """An app that opens what stands beside it before it consumes, and closes it last.

    ``leaving`` is called when it is told to stop.
    """

    beside: Beside
    leaving: Callable[[], None]

    async def on_first_start(self) -> None:
        """Open it."""
        await super().on_first_start()
        self.opened = self.beside(self.crash)
        try:
            await self.opened.__aenter__()
        except BaseException:
            log.exception("worker_not_started")  # Faust would end without a word
            raise

    async def on_stop(self) -> None:
        """Stop consuming, then close it."""
        self.leaving()
        await super().on_stop()
        await self.opened.__aexit__(None, None, None)


def make_app(
    worker: Worker,
    settings: BusSettings,
    credentials: Credentials,
    *,
    client_id: str,
    folder: Path,
    beside: Beside,
    leaving: Callable[[], None],
) -> faust.App:
    """The app of a worker; ``faust worker`` runs it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    app = WorkerApp(
        f"{settings.prefix}worker",
        broker=[f"kafka://{broker}" for broker in brokers_of(settings)],
        broker_client_id=client_id,
        broker_credentials=_credentials(settings, credentials),
        broker_session_timeout=settings.session_s,
        broker_heartbeat_interval=settings.session_s / 4,
        broker_request_timeout=max(90.0, 2 * settings.session_s),
        broker_commit_every=1000,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=settings.record_bytes_max,
        stream_buffer_maxsize=settings.waiting_records_max,
        stream_wait_empty=False,
        PartitionAssignor=type("Assignor", (KnownPartitions,), {"partitions": settings.partitions}),
        cython_optimizations=True,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        datadir=str(folder),  # Faust makes it, and keeps nothing there: there are no tables
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
    )
    app.beside, app.leaving = beside, leaving
    transport = StoredTransport(app.conf.broker_consumer, app, app.loop)
    transport.worker = worker
    names = [topic_of(settings, "frames"), topic_of(settings, "quarantine")]
    transport.topics = frozenset(names)
    app.transport = transport
    app.on_partitions_assigned.connect(_without_any(worker, transport.topics), weak=False)
    for name in names:
        topic = app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")
        app.agent(topic, concurrency=1, name=f"take-{name}")(_taker(worker))
    return app


def _without_any(worker: Worker, topics: frozenset[str]) -> Any:
    """Faust does not seek where there is nothing to: then what was held is let go here."""

    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        if not any(tp.topic in topics for tp in assigned):
            await worker.assign(())

    return assigned


def _taker(worker: Worker) -> Any:
    async def take(stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            await worker.take(
                (message.topic, message.partition),
                Incoming(message.offset, int(message.timestamp * 1000), message.value, event.ack),
            )

    return take


def _credentials(settings: BusSettings, credentials: Credentials) -> Any:
    context = tls_of(settings)
    if settings.security.startswith("SASL"):
        return faust.SASLCredentials(
            username=credentials.username,
            password=credentials.password,
            ssl_context=context,
            mechanism=settings.sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context is not None else None
