"""One relay over Modbus TCP: connect, read a poll's registers, say plainly when it fails.

Function codes 1 to 4 and no other: this service never writes to the field.  What is sent and what
comes in passes a guard here, because pymodbus hands broken answers to its decoder, whose errors
end up in the event loop instead of with the caller.
"""

from collections.abc import Awaitable, Callable, Mapping

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from devices.relay import (
    READ_COILS,
    READ_DISCRETE_INPUTS,
    READ_HOLDING_REGISTERS,
    READ_INPUT_REGISTERS,
    Family,
    Read,
)
from grid.errors import Unreachable
from grid.graph import BreakerAddress

_BIT_READS = frozenset({READ_COILS, READ_DISCRETE_INPUTS})
_FUNCTIONS = _BIT_READS | {READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS}


class RelayClient:
    """A connection that is opened when it is needed and closed at the first failure."""

    def __init__(self, address: BreakerAddress, family: Family, timeout_s: float) -> None:
        self._address = address
        self._family = family
        self._timeout_s = timeout_s
        self._client: AsyncModbusTcpClient | None = None
        self._asking = False

    async def poll(self) -> list[list[int]]:
        """The registers, or bits, of each read of the family.

        Raises:
            Unreachable: No connection, no answer in time, an exception answer, or a broken one.
        """
        try:
            if self._client is None:
                self._client = await self._connect()
            return [await self._read(self._client, read) for read in self._family.reads]
        except (ModbusException, OSError) as error:
            raise Unreachable(f"the relay does not answer: {error}") from error

    def close(self) -> None:
        """Drop the connection, if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connect(self) -> AsyncModbusTcpClient:
        client = AsyncModbusTcpClient(
            self._address.host,
            port=self._address.port,
            name=self._address.branch_id,
            reconnect_delay=0,  # the gateway tries again, with jitter; here it would be in step
            reconnect_delay_max=10,
            timeout=self._timeout_s,
            retries=0,  # a second try is the next poll
            trace_packet=self._guard,
            trace_connect=self._on_connection,
        )
        if not await client.connect():
            client.close()
            raise Unreachable("the relay does not accept a connection")
        return client

    async def _read(self, client: AsyncModbusTcpClient, read: Read) -> list[int]:
        methods: Mapping[int, Callable[..., Awaitable[ModbusPDU]]] = {
            READ_COILS: client.read_coils,
            READ_DISCRETE_INPUTS: client.read_discrete_inputs,
            READ_HOLDING_REGISTERS: client.read_holding_registers,
            READ_INPUT_REGISTERS: client.read_input_registers,
        }
        self._asking = True
        try:
            answer = await methods[read.function](
                read.address, count=read.count, device_id=self._address.unit
            )
        finally:
            self._asking = False
        if answer.isError():
            raise Unreachable(f"the relay answers with an exception: {answer}")
        if read.function in _BIT_READS:
            return [int(bit) for bit in answer.bits[: read.count]]
        if len(answer.registers) != read.count:
            raise Unreachable("the relay answers with another number of registers")
        return list(answer.registers)

    def _guard(self, sending: bool, packet: bytes) -> bytes:
        """See to it that only reads go out, and that nothing broken gets to the decoder."""
        if sending:
            assert packet[7] in _FUNCTIONS, "this service never writes to the field"
        elif len(packet) > 8 and _is_broken(packet):
            self._give_up("a broken answer")
            return b""
        return packet

    def _on_connection(self, connected: bool) -> None:
        if not connected:
            self._give_up("the connection is lost")

    def _give_up(self, reason: str) -> None:
        """Wait no longer for the answer to what was asked, if anything was."""
        if self._client is not None and self._asking:
            waiting = self._client.ctx.response_future
            if not waiting.done():
                waiting.set_exception(ModbusIOException(reason))


def _is_broken(packet: bytes) -> bool:
    """Whether the beginning of an answer is none (Modbus messaging on TCP/IP V1.0b, 3.1.3)."""
    protocol, length = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[4:6], "big")
    function = packet[7]
    if protocol != 0 or not 3 <= length <= 254:
        return True
    if function & 0x80:
        return length != 3 or function & 0x7F not in _FUNCTIONS
    if function not in _FUNCTIONS or packet[8] != length - 3:
        return True
    return function not in _BIT_READS and packet[8] % 2 == 1
