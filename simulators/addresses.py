"""Where simulated relays will answer, told before they do: a breakers.csv for them."""

import msgspec

from grid.graph import BreakerAddress
from grid.network import Network, NodeKind
from simulators.breakers import BreakerSettings
from simulators.chance import Chance
from simulators.scenario import Field
from simulators.switchgear import relays

CHANCE = Chance(0)  # asked, and of no consequence where every device has a relay


def addresses(network: Network, host: str, port: int) -> tuple[BreakerAddress, ...]:
    """An address for every device that can have a relay, on ports from ``port`` on."""
    settings = BreakerSettings()
    everywhere = msgspec.structs.replace(Field(), breakers=1.0)
    return tuple(
        BreakerAddress(
            name,
            host,
            port + number // settings.units_per_port,
            1 + number % settings.units_per_port,
            settings.breaker_family
            if network.groups[place.group].kind[place.node] == NodeKind.BREAKER
            else settings.other_family,
        )
        for number, (name, place) in enumerate(relays(network, everywhere, CHANCE).items())
    )
