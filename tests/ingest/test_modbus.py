"""The specification of the Modbus gateway, with real servers: sound, broken and mute ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from devices.families import FAMILIES
from devices.relay import Sample, SwitchEvent
from grid.drawing import draw
from grid.errors import ConfigError
from grid.graph import BreakerAddress
from grid.reading import Kind
from ingest.metrics import IngestMetrics
from ingest.modbus import ModbusGateway
from ingest.packing import Packer
from ingest.settings import ModbusSettings

CLOSED = Sample(closed=True, amps=(100.0, 100.0, 100.0), volts=(5770.0,) * 3, event_seq=0)
pytestmark = pytest.mark.services

QUICK = {"poll_s": 0.02, "timeout_s": 0.2, "reconnect_s_min": 0.02, "reconnect_s_max": 0.1}


@dataclass
class Relay:
    """A relay of another house's making: a pymodbus server with our datasheet."""

    family: str
    sample: Sample = CLOSED
    port: int = 0
    asked: int = 0
    wrong: ExcCodes | None = None  # answer so
    wire: bytearray = field(default_factory=bytearray)  # everything it was sent
    moments: list[float] = field(default_factory=list)  # of its polls
    poke: Any = None

    def device(self) -> SimDevice:
        family = FAMILIES[self.family]
        tables: list[list[SimData]] = [
            [SimData(60_000, values=[False] * 16, datatype=DataType.BITS)],
            [SimData(60_000, values=[False] * 16, datatype=DataType.BITS)],
            [SimData(60_000, values=[0], datatype=DataType.REGISTERS)],
            [SimData(60_000, values=[0], datatype=DataType.REGISTERS)],
        ]
        for read in family.reads:
            bits = read.function <= 2
            values = [False] * 16 if bits else [0] * read.count
            kind = DataType.BITS if bits else DataType.REGISTERS
            tables[read.function - 1] = [SimData(read.address, values=values, datatype=kind)]

        async def action(
            function: int, start: int, address: int, count: int, registers: list[int], values: Any
        ) -> ExcCodes | None:
            self.asked += 1
            self.moments.append(asyncio.get_running_loop().time())
            await self.poke()
            if self.wrong is not None:
                return self.wrong
            for read, image in zip(family.reads, family.encode(self.sample), strict=True):
                if read.function != function:
                    continue
                if function <= 2:
                    registers[0] = sum(bit << place for place, bit in enumerate(image))
                else:
                    registers[: len(image)] = image
            return None

        return SimDevice(1, tuple(tables), action=action)  # type: ignore[arg-type]

    def trace(self, sending: bool, packet: bytes) -> bytes:
        if not sending:
            self.wire += packet
        return packet


@pytest.fixture
async def relay(
    free_port: Callable[[], int], intake: Any
) -> AsyncIterator[Callable[..., Awaitable[Relay]]]:
    """``await relay("fr100")``: a listening server."""
    servers: list[ModbusTcpServer] = []

    async def start(family: str = "fr100", **fields: Any) -> Relay:
        made = Relay(family, poke=intake.poke, **fields)
        made.port = made.port or free_port()
        server = ModbusTcpServer(
            made.device(), address=("127.0.0.1", made.port), trace_packet=made.trace
        )
        await server.serve_forever(background=True)
        servers.append(server)
        return made

    yield start
    for server in servers:
        await server.shutdown()


class Mischief(asyncio.Protocol):
    """Answers each request of twelve bytes with what it is told to; None hangs up."""

    def __init__(self, answer: Callable[[bytes], bytes | None], made: list["Mischief"]) -> None:
        self._answer = answer
        self._requests = b""
        self.gone = asyncio.Event()
        made.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._requests += data
        while len(self._requests) >= 12:
            reply = self._answer(self._requests[:12])
            self._requests = self._requests[12:]
            if reply is None:
                self.transport.abort()
            else:
                self.transport.write(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """``await raw(answer)``: the port of a server that answers with the bytes it is told."""
    servers: list[asyncio.Server] = []
    made: list[Mischief] = []
    loop = asyncio.get_running_loop()

    async def start(answer: Callable[[bytes], bytes | None]) -> int:
        server = await loop.create_server(lambda: Mischief(answer, made), "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
    for one in made:
        one.transport.abort()
        await one.gone.wait()


@pytest.fixture
async def poll(intake, now_ms) -> AsyncIterator[Callable[..., ModbusGateway]]:
    """``poll({"B1": (port, "fr100")})``: a running gateway."""
    tasks: list[asyncio.Task[None]] = []

    def start(ports: dict[str, tuple[int, str]], **settings: Any) -> ModbusGateway:
        made = ModbusGateway(
            ModbusSettings(**(QUICK | settings)),
            [BreakerAddress(b, "127.0.0.1", port, 1, f) for b, (port, f) in ports.items()],
            Packer(intake.network),
            intake,
            now_ms,
            metrics=IngestMetrics(CollectorRegistry()),
        )
        tasks.append(asyncio.create_task(made.run()))
        return made

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="session")
def city():
    """Twenty feeders, each with its breaker."""
    feeders = "".join(f"  breaker B{i} telemetered\n" for i in range(1, 21))
    return draw(f"source S1\n{feeders}")


def told(intake: Any, breaker: str = "B1") -> list[str]:
    return [kind for device, kind, _ in intake.heard if device == breaker]


@pytest.mark.parametrize("family", ["fr100", "rc20"])
async def test_a_trip_reaches_the_stream_with_the_relays_own_time(
    relay, poll, intake, now_ms, family
) -> None:
    one = await relay(family)
    poll({"B1": (one.port, family)})
    await intake.until(lambda: told(intake) == ["HEARTBEAT"])
    tripped_ms = now_ms() - 40
    one.sample = msgspec.structs.replace(
        CLOSED,
        closed=False,
        event_seq=1,
        events=(SwitchEvent(1, Kind.TRIP, tripped_ms),),
        openings=1,
        opened_ms=tripped_ms,
    )
    await intake.until(lambda: "TRIP" in told(intake))
    row = next(r for p in intake.parcels for r in p.rows if r["kind"] == Kind.TRIP)
    assert (row["happened_ms"], row["on"], row["commanded"]) == (tripped_ms, 0, 0)
    assert row["received_ms"] - tripped_ms < 2000


async def test_silence_before_the_first_polls_is_no_evidence(relay, poll, intake) -> None:
    one = await relay()
    gateway = poll({"B1": (one.port, "fr100")})
    await intake.until(lambda: "caught_up" in intake.words)
    assert intake.said[0][:3] == ("deaf", "modbus", 0)
    assert intake.said[-1] == ("caught_up", "modbus", 0)
    assert intake.words.index("committed") < intake.words.index("caught_up")
    assert gateway.ready


async def test_a_breaker_that_is_away_is_waited_for_only_so_long(free_port, poll, intake) -> None:
    poll({"B1": (free_port(), "fr100")}, caught_up_s_max=0.01, timeout_s=5)
    await intake.until(lambda: "caught_up" in intake.words)


async def test_no_function_code_but_one_to_four_is_ever_sent(relay, poll, intake) -> None:
    ones = [await relay("fr100"), await relay("rc20")]
    poll({f"B{i}": (one.port, one.family) for i, one in enumerate(ones, 1)})
    ones[1].wrong = ExcCodes.DEVICE_BUSY
    await intake.until(lambda: told(intake, "B2") == ["NO_ANSWER"])
    ones[1].wrong = None
    await intake.until(lambda: told(intake, "B2") == ["NO_ANSWER", "HEARTBEAT"])
    for one in ones:
        requests = [bytes(one.wire[i : i + 12]) for i in range(0, len(one.wire), 12)]
        assert len(requests) > 2
        assert {request[7] for request in requests} <= {1, 2, 3, 4}
        assert all(request[2:6] == b"\0\0\0\6" for request in requests)  # so the split is right


def garbage(request: bytes) -> bytes:
    return b"\xde\xad\xbe\xef" * 20


def another_function(request: bytes) -> bytes:
    return request[:4] + b"\0\5" + request[6:7] + b"\x2b\2\0\0"


def half_a_frame(request: bytes) -> bytes:
    return request[:4] + b"\0\x63" + request[6:8] + b"\x60" + bytes(20)


def nothing(request: bytes) -> bytes:
    return b""


def hang_up(request: bytes) -> None:
    return None


def too_few_registers(request: bytes) -> bytes:
    return request[:4] + b"\0\5" + request[6:8] + b"\2\0\0"


def another_device(request: bytes) -> bytes:
    return request[:4] + b"\0\x63" + request[6:8] + b"\x60" + bytes(96)


@pytest.mark.parametrize(
    "answer",
    [garbage, another_function, half_a_frame, nothing, hang_up, too_few_registers, another_device],
)
async def test_a_broken_answer_makes_the_state_unknown_once_and_never_open(
    raw, relay, poll, intake, answer, caplog
) -> None:
    asked = 0

    def counted(request: bytes) -> bytes | None:
        nonlocal asked
        asked += 1
        return answer(request)

    sound = await relay()
    poll({"B1": (await raw(counted), "fr100"), "B2": (sound.port, "fr100")}, timeout_s=0.05)
    await intake.until(lambda: "NO_ANSWER" in told(intake))
    polls = sound.asked
    await intake.until(lambda: asked >= 6 and sound.asked >= polls + 6)  # some more rounds
    assert told(intake) == ["NO_ANSWER"]
    assert set(told(intake, "B2")) == {"HEARTBEAT"}
    assert caplog.records == []  # nothing for the event loop to complain about


async def test_a_relay_that_hangs_does_not_delay_its_neighbours(raw, relay, poll, intake) -> None:
    ports = {f"B{i}": (await raw(nothing), "fr100") for i in range(1, 20)}
    sound = await relay()
    poll(ports | {"B20": (sound.port, "fr100")}, poll_s=0.05, timeout_s=20)
    await intake.until(lambda: told(intake, "B20"))
    asked = sound.asked
    await intake.until(lambda: sound.asked >= asked + 10)
    assert told(intake) == []  # of the nineteen that hang none is given up yet


async def test_a_relay_that_comes_back_says_its_state(relay, poll, intake, free_port) -> None:
    port = free_port()
    poll({"B1": (port, "fr100")})
    await intake.until(lambda: told(intake) == ["NO_ANSWER"])
    await relay(port=port)
    await intake.until(lambda: told(intake) == ["NO_ANSWER", "HEARTBEAT"])


async def test_polls_are_spread_over_the_period(relay, poll, intake) -> None:
    ones = [await relay() for _ in range(10)]
    poll({f"B{i}": (one.port, "fr100") for i, one in enumerate(ones, 1)}, poll_s=0.5)
    await intake.until(lambda: all(len(one.moments) >= 2 for one in ones))
    first = sorted(one.moments[0] for one in ones)
    assert first[-1] - first[0] > 0.3


def test_gateways_share_the_breakers_by_their_names(now_ms, free_port, city) -> None:
    breakers = [BreakerAddress(f"B{i}", "127.0.0.1", free_port(), 1, "fr100") for i in range(1, 21)]
    polled = [
        {one.branch_id for one in _gateway(breakers, f"{number}/3", city, now_ms).breakers}
        for number in (1, 2, 3)
    ]
    assert set.union(*polled) == {one.branch_id for one in breakers}
    assert sum(map(len, polled)) == len(breakers)
    assert all(polled)


def _gateway(breakers, share: str, network, now_ms) -> ModbusGateway:
    settings = ModbusSettings(share=share)
    return ModbusGateway(settings, breakers, Packer(network), None, now_ms)


@pytest.mark.parametrize("share", ["", "1", "0/2", "3/2", "a/b", "1/0"])
def test_a_share_that_is_none_is_refused(share: str, city, now_ms) -> None:
    with pytest.raises(ConfigError, match=r"modbus\.share"):
        _gateway([], share, city, now_ms)


async def test_while_the_stream_is_away_polls_wait_and_nothing_is_lost(
    relay, poll, intake, now_ms
) -> None:
    one = await relay()
    intake.away = 3
    poll({"B1": (one.port, "fr100")}, heartbeat_s=0.0, outstanding_readings_max=4)
    await intake.until(lambda: intake.offered >= 4 and told(intake))
    intake.hold()
    offered = intake.offered
    await intake.until(lambda: intake.offered >= offered + 4)
    asked = one.asked
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):  # twenty-five polls' time
            await intake.until(lambda: one.asked > asked + 6)  # queue, one to send, one to put
    count = len(told(intake))
    intake.release()
    await intake.until(lambda: len(told(intake)) > count + 10)


def test_a_family_that_nobody_knows_is_refused_by_name(intake, now_ms) -> None:
    with pytest.raises(ConfigError, match="B1: unknown family 'toaster'; known: fr100, rc20"):
        ModbusGateway(
            ModbusSettings(),
            [BreakerAddress("B1", "127.0.0.1", 1, 1, "toaster")],
            Packer(intake.network),
            intake,
            now_ms,
        )
