"""The specification of simulated breakers: what their registers say, to us and to others."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from pymodbus.client import AsyncModbusTcpClient

from devices.families import FAMILIES
from devices.relay import READ_DISCRETE_INPUTS, READ_HOLDING_REGISTERS, Sample
from grid.drawing import draw
from grid.errors import ConfigError
from grid.graph import BreakerAddress
from grid.network import Network
from grid.reading import Kind
from simulators.addresses import addresses
from simulators.breakers import Breakers, BreakerSettings
from simulators.relay import Counts
from simulators.world import World

MakeWorld = Callable[..., World]
FAULT = """
[[event]]
kind = "fault"
at_s = 100
device = "B1"
recloses = 1
restore_s = 200
[[event]]
kind = "breaker_silence"
at_s = 300
device = "B2"
duration_s = 10
"""


@dataclass
class Clock:
    """True time, as a test wants it."""

    ms: int


@pytest.fixture
def serve() -> Callable[..., contextlib.AbstractAsyncContextManager[tuple[Breakers, Clock]]]:
    """Breakers of a world, answering while the block runs."""

    @contextlib.asynccontextmanager
    async def serving(
        world: World,
        *,
        settings: BreakerSettings | None = None,
        counts: Mapping[str, Counts] | None = None,
    ) -> AsyncIterator[tuple[Breakers, Clock]]:
        breakers = Breakers(world.network, world.relays, settings or BreakerSettings())
        clock = Clock(world.start_ms)
        task = asyncio.create_task(breakers.run(world, lambda: clock.ms, counts or {}))
        try:
            yield breakers, clock
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return serving


async def poll(address: BreakerAddress) -> Sample:
    """What one poll of the family's datasheet gives."""
    family = FAMILIES[address.family]
    registers: list[Sequence[int]] = []
    async with AsyncModbusTcpClient(address.host, port=address.port) as client:
        assert client.connected
        for read in family.reads:
            ask = {2: client.read_discrete_inputs, 3: client.read_holding_registers}.get(
                read.function, client.read_input_registers
            )
            answer = await ask(read.address, count=read.count, device_id=address.unit)
            assert not answer.isError(), answer
            registers.append(answer.bits if read.function == 2 else answer.registers)
    return family.decode(registers)


async def test_a_poll_tells_the_story_of_a_fault(
    make_world: MakeWorld, serve: Callable[..., object]
) -> None:
    world = make_world(FAULT)
    async with serve(world) as (breakers, clock):
        b1, b2 = breakers.addresses
        assert (b1.branch_id, b1.family) == ("B1", "fr100")
        before = await poll(b1)
        assert (before.closed, before.event_seq, before.events) == (True, 0, ())
        assert min(before.amps) > 0
        assert min(before.volts) > 5000

        clock.ms = world.start_ms + 150_000
        out = await poll(b1)
        assert (out.closed, out.lockout, out.commanded) == (False, True, False)
        assert out.amps == (0, 0, 0)
        told = [(e.seq, e.kind, e.at_ms - world.start_ms) for e in out.events]
        assert told == [
            (1, Kind.TRIP, 100_000),
            (2, Kind.CLOSE, 100_600),
            (3, Kind.TRIP, 100_800),
            (4, Kind.LOCKOUT, 100_900),
        ]
        assert (await poll(b2)).closed

        clock.ms = world.start_ms + 301_000
        back = await poll(b1)
        assert (back.closed, back.lockout, back.event_seq) == (True, False, 5)


async def test_a_silent_unit_answers_with_an_exception_and_its_neighbour_as_ever(
    make_world: MakeWorld, serve: Callable[..., object]
) -> None:
    world = make_world(FAULT)
    async with serve(world) as (breakers, clock):
        b1, b2 = breakers.addresses
        clock.ms = world.start_ms + 305_000
        async with AsyncModbusTcpClient(b2.host, port=b2.port) as client:
            answer = await client.read_input_registers(0, count=48, device_id=b2.unit)
        assert answer.isError()
        assert (await poll(b1)).closed
        clock.ms = world.start_ms + 310_000
        assert (await poll(b2)).closed


async def test_nothing_can_be_written_and_nothing_else_be_read(
    make_world: MakeWorld, serve: Callable[..., object]
) -> None:
    async with serve(make_world()) as (breakers, _):
        b1 = breakers.addresses[0]
        async with AsyncModbusTcpClient(b1.host, port=b1.port) as client:
            for answer in (
                await client.write_register(1, 0, device_id=b1.unit),
                await client.write_registers(1, [0, 0], device_id=b1.unit),
                await client.write_coil(0, True, device_id=b1.unit),
                await client.read_holding_registers(0, count=1, device_id=b1.unit),
                await client.read_input_registers(48, count=1, device_id=b1.unit),
                await client.read_input_registers(0, count=48, device_id=99),
            ):
                assert answer.isError(), answer
        assert (await poll(b1)).closed


RECLOSERS = """
source S1
  breaker B1
    recloser R1 telemetered
      transformer T1
        meter M1..M5
"""


async def test_a_recloser_speaks_its_own_family_and_counts_on(
    serve: Callable[..., object], make_world_of: Callable[[Network, str], World]
) -> None:
    event = '[[event]]\nkind = "fault"\nat_s = 10\ndevice = "R1"\nrecloses = 2\nrestore_s = 60'
    world = make_world_of(draw(RECLOSERS), event)
    async with serve(world, counts={"R1": Counts(7, 3, 4)}) as (breakers, clock):
        (r1,) = breakers.addresses
        assert (r1.branch_id, r1.family) == ("R1", "rc20")
        clock.ms = world.start_ms + 30_000
        out = await poll(r1)
        assert (out.closed, out.lockout, out.openings, out.closings) == (False, True, 6, 6)
        assert out.opened_ms == world.start_ms + 11_600
        async with AsyncModbusTcpClient(r1.host, port=r1.port) as client:
            bits = await client.read_discrete_inputs(0, count=4, device_id=r1.unit)
        assert bits.bits[:4] == [False, True, True, False]
        assert {read.function for read in FAMILIES["rc20"].reads} == {
            READ_DISCRETE_INPUTS,
            READ_HOLDING_REGISTERS,
        }


def test_ports_are_taken_at_once_and_again(town: Network) -> None:
    settings = BreakerSettings(units_per_port=1)
    first = Breakers(town, ["B1", "B2"], settings)
    assert len({a.port for a in first.addresses}) == 2
    first.close()
    second = Breakers(town, ["B1", "B2"], settings, first.ports)
    assert second.addresses == first.addresses
    third = Breakers(town, ["B1", "B2"], settings, first.ports)  # taken: others will do
    assert not {a.port for a in third.addresses} & {a.port for a in first.addresses}
    second.close()
    third.close()


def test_without_a_word_nobody_listens_beyond_this_machine(town: Network) -> None:
    """Modbus has no credentials: who wants it in a network of its own has to say so."""
    with pytest.raises(ConfigError, match="--insecure-listen"):
        Breakers(town, ["B1"], BreakerSettings(host="0.0.0.0"))
    Breakers(town, ["B1"], BreakerSettings(host="0.0.0.0", insecure_listen=True)).close()


def test_where_a_real_device_answers_nothing_is_simulated() -> None:
    said = BreakerAddress("B1", "192.0.2.1", 5020, 1, "fr100")
    network = draw("source S1\n  breaker B1 telemetered")
    network = Network(**{f: getattr(network, f) for f in network.__slots__} | {"breakers": (said,)})
    with pytest.raises(ConfigError, match="a real device has that address"):
        Breakers(network, ["B1"], BreakerSettings(insecure_listen=True))


def test_addresses_told_beforehand_are_those_that_answer(
    town: Network, free_port: Callable[[], int]
) -> None:
    port = free_port()
    told = addresses(town, "127.0.0.1", port)
    network = Network(**{f: getattr(town, f) for f in town.__slots__} | {"breakers": told})
    breakers = Breakers(network, [a.branch_id for a in told], BreakerSettings())
    assert breakers.addresses == told
    assert (told[0].port, told[0].unit, told[1].unit) == (port, 1, 2)
    breakers.close()


def test_addresses_of_the_network_are_kept_to_the_letter(free_port: Callable[[], int]) -> None:
    said = BreakerAddress("B2", "127.0.0.1", free_port(), 17, "rc20")
    network = draw("source S1\n  breaker B1 telemetered\n  breaker B2")
    network = Network(**{f: getattr(network, f) for f in network.__slots__} | {"breakers": (said,)})
    breakers = Breakers(network, ["B1", "B2"], BreakerSettings())
    assert {a.branch_id: a for a in breakers.addresses}["B2"] == said
    with pytest.raises(ConfigError, match=rf"127.0.0.1:{said.port}"):
        Breakers(network, ["B2"], BreakerSettings())
    breakers.close()
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with contextlib.closing(probe):
        probe.bind((said.host, said.port))  # the refusal above gave back what it had


@pytest.mark.services
async def test_mbpoll_reads_a_breaker(
    make_world: MakeWorld, serve: Callable[..., object], tool: Callable[[str], str]
) -> None:
    program = tool("mbpoll")
    world = make_world(FAULT)
    async with serve(world) as (breakers, clock):
        b1 = breakers.addresses[0]
        clock.ms = world.start_ms + 150_000
        arguments = ["-m", "tcp", "-p", str(b1.port), "-a", str(b1.unit), "-t", "3", "-0"]
        ran = await asyncio.to_thread(
            subprocess.run,
            [program, *arguments, "-r", "0", "-c", "4", "-1", "-q", b1.host],
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert ran.returncode == 0, ran.stderr
    values = [line.split(":")[1].split() for line in ran.stdout.splitlines() if line[:1] == "["]
    assert [int(value[0]) for value in values] == [0x4652, 0x5, 4, 4]
