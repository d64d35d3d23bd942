"""What workers say to a gateway or desk: the topic ``commands``, read from now on.

Words that were said before this process began were for another one: what they answered is sent
again by its device.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
CLOSE_MS = 1000
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
        """A consumer bears one thread at a time: in its own it is opened, polled and closed, so the
        close of who is cancelled in the middle of a poll comes after that poll.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-words")
        opening = thread.submit(self._open)
        try:
            consumer = await asyncio.wrap_future(opening)
            self.ready.set()
            while True:
                polling = thread.submit(consumer.poll, timeout_ms=POLL_MS)
                for records in (await asyncio.wrap_future(polling)).values():
                    for record in records:
                        self._take(record)
        finally:
            thread.submit(lambda: opening.result().close(timeout_ms=CLOSE_MS))
            thread.shutdown(wait=False)

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
