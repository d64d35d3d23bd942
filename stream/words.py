"""What workers say to a gateway or desk: the topic ``commands``, read from now on.

Words that were said before this process began were for another one: what they answered is sent
again by its device.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from grid.errors import BadPayload
from stream.kafka_clients import Credentials, options_of, topic_of
from stream.records import Word, partition_of, read_word
from stream.settings import BusSettings

log = structlog.get_logger()
POLL_MS = 250
AGAIN_S = 1.0


class Words:
    """The words for one sender.  ``run`` it until it is cancelled."""

    def __init__(
        self,
        settings: BusSettings,
        credentials: Credentials,
        *,
        sender: str,
        heard: Callable[[Word], None],
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._key = sender.encode()
        self._heard = heard
        place = partition_of(sender, settings.partitions)
        self._partition = TopicPartition(topic_of(settings, "commands"), place)
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Hear, for ever."""
        while True:
            try:
                await self._listen()
            except (KafkaError, OSError) as error:
                log.warning("words_unheard", reason=str(error), retry_in_s=AGAIN_S)
            await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> None:
        consumer = await asyncio.to_thread(self._open)
        self.ready.set()
        try:
            while True:
                polled = await asyncio.to_thread(consumer.poll, timeout_ms=POLL_MS)
                for records in polled.values():
                    for record in records:
                        self._take(record)
        finally:
            await asyncio.shield(asyncio.to_thread(consumer.close))

    def _open(self) -> Any:
        consumer = KafkaConsumer(
            **options_of(self._settings, self._credentials),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        consumer.assign([self._partition])
        consumer.seek_to_end(self._partition)
        consumer.position(self._partition)  # asks now, so that nothing said from here on is missed
        return consumer

    def _take(self, record: Any) -> None:
        if record.key != self._key:
            return
        try:
            self._heard(read_word(record.value))
        except BadPayload as bad:
            log.warning("word_unreadable", reason=bad.message)
