"""The admin step of a cluster: topics with equal partition counts, tables, and the network.

Harmless to repeat.  It is the only one that makes topics: one that a client makes by the way would
have another number of partitions, and a Faust worker would hang on it (reliability.md, fact 3).
"""

import asyncio
from typing import Any

import structlog
from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

from grid.errors import ConfigError
from service import stored
from service.clock import now_ms
from service.role_run import RoleRun
from store.postgres import Store
from stream.kafka_clients import TOPICS, Credentials, options_of, reached, topic_of
from stream.settings import BusSettings

HOUR_MS = 3_600_000

log = structlog.get_logger()


async def set_up(run: RoleRun, store: Store, credentials: Credentials) -> None:
    """Make what is missing.

    Raises:
        ConfigError: A topic is there with another number of partitions, or there is no network.
        Unreachable: Kafka is away.
    """
    await asyncio.to_thread(reached, lambda: make_topics(run.settings.kafka, credentials))
    if run.network is not None:
        await stored.network_of(store, run.network, now_ms(), lambda said: log.info(said))


def make_topics(settings: BusSettings, credentials: Credentials) -> None:
    """Make the topics, or see that they are as they should be.

    Raises:
        ConfigError: One has another number of partitions: what is in it would go elsewhere.
    """
    client = KafkaAdminClient(**options_of(settings, credentials))
    try:
        for name in TOPICS:
            _make(client, topic_of(settings, name), settings, _configs(name, settings))
    finally:
        client.close()


def _configs(name: str, settings: BusSettings) -> dict[str, str]:
    """Time is the broker's, and nothing is compacted: every record counts until it is too old."""
    hours = settings.keep_commands_hours if name == "commands" else settings.keep_frames_hours
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(hours * HOUR_MS),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(settings.record_bytes_max + (64 << 10)),
        "min.insync.replicas": str(max(1, settings.replication - 1)),
    }


def _make(client: Any, topic: str, settings: BusSettings, configs: dict[str, str]) -> None:
    wanted = {
        "num_partitions": settings.partitions,
        "replication_factor": settings.replication,
        "configs": configs,
    }
    try:
        client.create_topics({topic: wanted})
        log.info("topic_made", topic=topic, partitions=settings.partitions)
    except TopicAlreadyExistsError:
        (found,) = client.describe_topics([topic])
        there = len(found["partitions"])
        if there != settings.partitions:
            raise ConfigError(
                f"topic {topic} has {there} partitions and kafka.partitions says "
                f"{settings.partitions}; a feeder group's records must not move: set it to {there}"
            ) from None
