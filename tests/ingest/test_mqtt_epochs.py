"""The specification of acknowledgements and connections, with a broker that the test plays.

A packet id means something on its own connection only: MQTT 3.1.1, 2.3.1.  Here the broker forgets
the session, and gives the same packet id to another message.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ingest.packets import Inbound

pytestmark = pytest.mark.services

METER = "lastgasp/v1/meter/M1/event"
DEADLINE_S = 60.0


def gasp(seq: int) -> bytes:
    return b'{"boot":"a","seq":%d,"at":1795262400000,"kind":"last_gasp"}' % seq


class Connection:
    """One client as the broker sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._inbound = Inbound(1 << 16)
        self.packets: list[tuple[int, bytes]] = []
        self.acks: list[int] = []  # packet ids, in order
        self.published: list[tuple[str, bytes]] = []

    async def packet(self, first: int) -> bytes:
        """The next packet of a kind."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for place, (kind, body) in enumerate(self.packets):
                    if kind == first:
                        del self.packets[place]
                        return body
                await self.read()

    async def acked(self, count: int) -> list[int]:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.acks) < count:
                await self.read()
        return self.acks

    async def read(self) -> None:
        chunk = await self._reader.read(65_536)
        if not chunk:
            raise EOFError
        for first, body in self._inbound.feed(chunk):
            if first == 0x40:
                self.acks.append(int.from_bytes(body, "big"))
            else:
                self.packets.append((first, body))
        self.published += [(topic, bytes(body)) for topic, body, _ in self._inbound.messages]
        self._inbound.messages.clear()

    async def welcome(self, *, session_present: bool = False) -> None:
        """Accept the connection and its subscriptions."""
        await self.packet(0x10)
        self._writer.write(b"\x20\x02" + bytes([session_present, 0]))
        subscribe = await self.packet(0x82)
        self._writer.write(b"\x90\x06" + subscribe[:2] + b"\1\1\1\1")

    async def refuse(self, code: int) -> None:
        await self.packet(0x10)
        self._writer.write(b"\x20\x02\x00" + bytes([code]))
        await self.drop()

    def publish(self, mid: int, body: bytes, topic: str = METER) -> None:
        rest = len(topic).to_bytes(2, "big") + topic.encode() + mid.to_bytes(2, "big") + body
        assert len(rest) < 128
        self._writer.write(b"\x32" + bytes([len(rest)]) + rest)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drop(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class Broker:
    """Hands its connections to the test, one after the other."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[Connection] = asyncio.Queue(16)
        self.all: list[Connection] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.all.append(connection)
        await self._arrived.put(connection)

    async def connection(self) -> Connection:
        async with asyncio.timeout(DEADLINE_S):
            return await self._arrived.get()

    async def stop(self) -> None:
        self._server.close()
        for connection in self.all:
            await connection.drop()


@pytest.fixture
async def played(gateway) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    """The gateway's next connection to a broker that the test plays."""
    broker = Broker()
    port = await broker.start()
    await gateway(port, ready=False)
    yield broker.connection
    await broker.stop()


async def test_a_commit_after_the_connection_is_lost_acknowledges_nothing_on_the_next(
    played, intake
) -> None:
    intake.hold()
    first = await played()
    await first.welcome()
    first.publish(1, gasp(1))
    first.publish(2, gasp(2))
    await intake.until(lambda: intake.offered)
    await first.drop()
    second = await played()
    await second.welcome()  # no session: packet id 1 is free again
    second.publish(1, gasp(9))
    await intake.until(lambda: intake.words.count("deaf") == 2)
    intake.release()
    assert await second.acked(1) == [1]
    assert sorted(intake.seqs) == [1, 2, 9]
    second.publish(3, gasp(10))
    assert await second.acked(2) == [1, 3]  # and never 1 or 2 of the first connection
    # the devices are told all the same: what is committed is committed
    assert {body for _, body in second.published} >= {b'{"boot":"a","seq":%d}' % s for s in (1, 9)}


async def test_what_was_not_acknowledged_comes_again_and_is_acknowledged_then(
    played, intake
) -> None:
    intake.hold()
    first = await played()
    await first.welcome()
    first.publish(7, gasp(1))
    await intake.until(lambda: intake.offered)
    await first.drop()
    intake.release()
    second = await played()
    await second.welcome(session_present=True)
    second.publish(7, gasp(1))  # as the session has it
    assert await second.acked(1) == [7]
    assert intake.seqs == [1, 1]  # the second has no effect further on


async def test_a_kept_session_begins_with_its_backlog_and_our_subscription_comes_behind(
    played, intake
) -> None:
    one = await played()
    await one.packet(0x10)
    one.send(b"\x20\x02\x01\x00")
    one.publish(1, gasp(1))
    assert await one.acked(1) == [1]
    assert intake.words[:2] == ["deaf", "deliver"]
    assert intake.said[0][2] == 0  # since before this process
    assert "caught_up" not in intake.words
    subscribe = await one.packet(0x82)
    one.send(b"\x90\x06" + subscribe[:2] + b"\1\1\1\1")
    await intake.until(lambda: "caught_up" in intake.words)


async def test_without_a_session_we_are_deaf_until_we_are_subscribed(played, intake) -> None:
    one = await played()
    await one.packet(0x10)
    one.send(b"\x20\x02\x00\x00")
    subscribe = await one.packet(0x82)
    assert intake.words == []
    one.send(b"\x90\x06" + subscribe[:2] + b"\1\1\1\1")
    await intake.until(lambda: "caught_up" in intake.words)
    assert intake.words[0] == "deaf"


async def test_the_subscriptions_are_the_four_topics_at_qos_1(played) -> None:
    one = await played()
    connect = await one.packet(0x10)
    assert connect[:8] == b"\0\4MQTT\4\0"  # 3.1.1, clean session off, no will, nobody's name
    assert connect.endswith(b"lastgasp-ingest")
    one.send(b"\x20\x02\x00\x00")
    subscribe = await one.packet(0x82)
    expected = b"".join(
        len(topic).to_bytes(2, "big") + topic + b"\1"
        for topic in (
            b"lastgasp/v1/meter/+/event",
            b"lastgasp/v1/terminal/+/event",
            b"lastgasp/v1/breaker/+/event",
            b"lastgasp/v1/dcu/+/events",
        )
    )
    assert subscribe[2:] == expected


async def test_a_broker_that_refuses_is_asked_again(played, intake) -> None:
    for code in (5, 3, 2, 1):  # not authorised, away, bad client id, bad version (3.2.2.3)
        await (await played()).refuse(code)
    one = await played()
    await one.packet(0x10)
    one.send(b"\x20\x02\x00\x00")
    subscribe = await one.packet(0x82)
    one.send(b"\x90\x06" + subscribe[:2] + b"\1\1\x80\1")  # one subscription is refused
    last = await played()
    await last.welcome()
    await intake.until(lambda: "caught_up" in intake.words)
    assert intake.said[0][:3] == ("deaf", "mqtt", 0)  # none of those attempts heard anything


async def test_what_is_no_mqtt_costs_the_connection_and_nothing_else(played, intake) -> None:
    one = await played()
    await one.welcome()
    await intake.until(lambda: "caught_up" in intake.words)
    one.send(b"\x32\xff\xff\xff\xff\xff")
    two = await played()
    await two.welcome()
    two.publish(1, gasp(1))
    assert await two.acked(1) == [1]


async def test_all_acknowledgements_of_a_commit_go_out_in_the_order_of_receipt(
    played, intake
) -> None:
    one = await played()
    await one.welcome()
    intake.hold()
    mids = [5, 3, 65_535, 1, 2]
    for mid in mids:
        one.publish(mid, gasp(mid))
    await intake.until(lambda: intake.offered)
    intake.release()
    assert await one.acked(5) == mids
