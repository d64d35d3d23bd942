"""Breakers and reclosers as Modbus TCP servers: many units behind a few ports, live from a world.

A request is answered with the registers of that moment.  Nothing can be written: a client that
tries is told that there is no such function.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec
import structlog
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from devices.families import FAMILIES
from devices.relay import READ_COILS, READ_DISCRETE_INPUTS, Family, Read
from grid.errors import ConfigError
from grid.graph import BreakerAddress
from grid.network import Network, NodeKind
from simulators.relay import Counts, sample_of
from simulators.world import World

log = structlog.get_logger(__name__)

Registers = list[int]
_BITS = 16  # a register of pymodbus holds so many coils or discrete inputs
_TABLES = 4  # coils, discrete inputs, holding registers, input registers: functions 1 to 4
_NOWHERE = 65_520  # of the tables that a family has not


class BreakerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the simulated relays answer, unless breakers.csv says it."""

    host: str = "127.0.0.1"
    units_per_port: int = 32
    insecure_listen: bool = False  # Modbus has neither TLS nor users: loopback only, unless said
    breaker_family: str = "fr100"
    other_family: str = "rc20"  # of reclosers and switches


class Breakers:
    """The relays of a network; their ports are taken when it is made."""

    def __init__(
        self,
        network: Network,
        branch_ids: Sequence[str],
        settings: BreakerSettings,
        ports: str | None = None,
    ) -> None:
        """Take the ports.

        Args:
            network: Its breakers.csv, if it has one, says where who answers.
            branch_ids: The devices that have a relay.
            settings: Where those answer that it does not name.
            ports: What ``ports`` was in an earlier run: taken again if they are free.

        Raises:
            ConfigError: A port is taken, a host is not this machine, a family is unknown.
        """
        said = {a.branch_id: a for a in network.breakers if a.branch_id in branch_ids}
        unsaid = [_found(network, settings, b) for b in branch_ids if b not in said]
        before = msgspec.json.decode(ports or "[]", type=list[int])
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        try:
            for where in sorted({(a.host, a.port) for a in said.values()}):
                self._sockets[where] = _bound(*where, insecure=settings.insecure_listen)
            free = self._free(settings, len(unsaid), before)
            found = [
                BreakerAddress(
                    branch_id,
                    settings.host,
                    free[number // settings.units_per_port],
                    1 + number % settings.units_per_port,
                    family,
                )
                for number, (branch_id, family) in enumerate(unsaid)
            ]
            self.addresses: tuple[BreakerAddress, ...] = (*said.values(), *found)
            _check_families(self.addresses)
        except BaseException:
            self.close()
            raise
        self.ports = msgspec.json.encode(free).decode()

    def _free(self, settings: BreakerSettings, units: int, before: list[int]) -> list[int]:
        """Ports for so many units, those of an earlier run first."""
        count = -(-units // settings.units_per_port)
        ports: list[int] = []
        for number in range(count):
            wanted = before[number] if number < len(before) else 0
            insecure = settings.insecure_listen
            try:
                bound = _bound(settings.host, wanted, insecure=insecure)
            except ConfigError:
                bound = _bound(settings.host, 0, insecure=insecure)
            ports.append(int(bound.getsockname()[1]))
            self._sockets[settings.host, ports[-1]] = bound
        return ports

    def close(self) -> None:
        """Give the ports back."""
        for bound in self._sockets.values():
            bound.close()

    async def run(
        self, world: World, now_ms: Callable[[], int], counts: Mapping[str, Counts]
    ) -> None:
        """Answer until cancelled.  ``counts``: what the relays had counted before this story."""
        servers: list[ModbusTcpServer] = []
        loop = asyncio.get_running_loop()
        try:
            for where, bound in self._sockets.items():
                here = [a for a in self.addresses if (a.host, a.port) == where]
                units = [
                    _unit(a, _Answer(a, world, now_ms, counts.get(a.branch_id, Counts())))
                    for a in here
                ]
                server = ModbusTcpServer(units, address=where)
                server.call_create = partial(
                    loop.create_server, server.handle_new_connection, sock=bound
                )
                await server.serve_forever(background=True)
                servers.append(server)
            log.info("simulated_breakers_listen", units=len(self.addresses), ports=len(servers))
            await loop.create_future()  # until cancelled
        finally:
            for server in servers:
                await server.shutdown()  # type: ignore[no-untyped-call]
            self.close()


class _Answer:
    """What one unit's registers are when they are asked for."""

    def __init__(
        self, address: BreakerAddress, world: World, now_ms: Callable[[], int], counts: Counts
    ) -> None:
        self._branch_id = address.branch_id
        self._family = FAMILIES[address.family]
        self._world = world
        self._now_ms = now_ms
        self._counts = counts

    async def __call__(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: Registers,
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Bring the registers up to date before pymodbus reads them."""
        if values is not None or function not in {read.function for read in self._family.reads}:
            return ExcCodes.ILLEGAL_FUNCTION
        at_ms = self._now_ms()
        if self._world.gear.silent(self._branch_id, at_ms):
            return ExcCodes.GATEWAY_NO_RESPONSE
        sample = sample_of(self._world.gear, self._branch_id, at_ms, self._counts)
        images = self._family.encode(sample)
        for read, image in zip(self._family.reads, images, strict=True):
            if read.function == function:
                packed = _packed(image) if read.function <= READ_DISCRETE_INPUTS else image
                first = _first_register(read) - start
                registers[first : first + len(packed)] = packed
        return None


def _unit(address: BreakerAddress, answer: _Answer) -> SimDevice:
    """A unit with the tables of its family and none of the others."""
    tables: list[list[SimData]] = [
        _table(FAMILIES[address.family], f) for f in range(1, _TABLES + 1)
    ]

    async def action(
        function: int,
        start: int,
        address: int,
        count: int,
        registers: Registers,
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:  # pymodbus takes plain coroutine functions only
        return await answer(function, start, address, count, registers, values)

    return SimDevice(address.unit, (tables[0], tables[1], tables[2], tables[3]), action=action)


def _table(family: Family, function: int) -> list[SimData]:
    """The registers that a family has under one function."""
    bits = function <= READ_DISCRETE_INPUTS
    reads = [read for read in family.reads if read.function == function]
    if not reads:
        empty = [False] * _BITS if bits else 0
        return [SimData(_NOWHERE, values=empty, datatype=_type(bits))]
    return [
        SimData(
            read.address,
            values=[False] * _rounded(read.count) if bits else [0] * read.count,
            datatype=_type(bits),
        )
        for read in reads
    ]


def _type(bits: bool) -> DataType:
    return DataType.BITS if bits else DataType.REGISTERS


def _first_register(read: Read) -> int:
    return (
        read.address // _BITS
        if read.function in (READ_COILS, READ_DISCRETE_INPUTS)
        else read.address
    )


def _rounded(bits: int) -> int:
    return -(-bits // _BITS) * _BITS


def _packed(bits: Iterable[int]) -> Registers:
    """Bits as pymodbus keeps them: sixteen to a register, the first one lowest."""
    registers: Registers = []
    for number, bit in enumerate(bits):
        if number % _BITS == 0:
            registers.append(0)
        registers[-1] |= int(bool(bit)) << number % _BITS
    return registers


def _check_families(addresses: Iterable[BreakerAddress]) -> None:
    for address in addresses:
        if address.family not in FAMILIES:
            raise ConfigError(
                f"breakers.csv: {address.branch_id}: there is no family {address.family!r}; "
                f"give one of {', '.join(FAMILIES)}"
            )


def _found(network: Network, settings: BreakerSettings, branch_id: str) -> tuple[str, str]:
    """A device without an address, and the family that suits it."""
    place = network.places[branch_id]
    breaker = network.groups[place.group].kind[place.node] == NodeKind.BREAKER
    return branch_id, settings.breaker_family if breaker else settings.other_family


def _bound(host: str, port: int, *, insecure: bool) -> socket.socket:
    """A socket that holds a port; who connects now is answered once the breakers run."""
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise ConfigError(f"breakers.csv: the host {host!r} is unknown here") from None
    family, kind, proto, _, where = info[0]
    _refuse_open_door(host, str(where[0]), insecure=insecure)
    bound = socket.socket(family, kind, proto)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(where)
        bound.listen()  # else a second process could bind it, too
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"a simulated breaker cannot listen on {host}:{port} ({error.strerror}); change "
            "breakers.csv, or stop what holds the port; where a real device has that address, "
            "simulate on a copy of the network without breakers.csv"
        ) from None
    return bound


def _refuse_open_door(host: str, address: str, *, insecure: bool) -> None:
    """Modbus knows no credentials: beyond loopback only where somebody says that it may."""
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return
    if not insecure:
        raise ConfigError(
            f"a simulated breaker would listen on {host}, beyond this machine, without "
            "credentials; use 127.0.0.1 in breakers.csv, or say --insecure-listen in a network "
            "of its own"
        )
    log.warning("simulated_breakers_listen_insecurely", host=host)
