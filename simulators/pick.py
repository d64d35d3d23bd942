"""Which device of the network an event is about: by id, or by what it is like."""

import numpy as np

from grid.errors import ConfigError
from grid.network import Bools, Network, NodeKind, Place
from simulators.chance import Chance
from simulators.scenario import Pick

_KINDS = {kind.word: kind for kind in NodeKind if kind is not NodeKind.SUBSTATION}


class Picker:
    """Finds devices, and remembers those that something has happened to already."""

    def __init__(self, network: Network, chance: Chance, where: str = "scenario") -> None:
        self._network = network
        self._chance = chance
        self._where = where
        self._named: dict[str, Place] = {}
        self._left = [np.zeros(len(group.ids), np.bool_) for group in network.groups]
        self._taken = [np.zeros(len(group.ids), np.bool_) for group in network.groups]
        self._customers = [
            group.customer_from[np.arange(len(group.ids)) + group.size] - group.customer_from[:-1]
            for group in network.groups
        ]

    def name(self, name: str, place: Place) -> None:
        """Let others say ``under`` of a device, which takes nothing away from them."""
        self._named[name] = place

    def leave(self, name: str, place: Place) -> None:
        """Remember a part that stays dark for longer than what it is in: others keep out of it."""
        self._named[name] = place
        below = self._network.groups[place.group].below(place.node)
        self._left[place.group][below] = True

    def take(self, name: str, place: Place) -> None:
        """Remember that the event ``name`` is about a device: others keep away from its branch."""
        self._named[name] = place
        group = self._network.groups[place.group]
        self._taken[place.group][group.below(place.node)] = True
        self._take_above(place.group, place.node)

    def _take_above(self, no: int, node: int) -> None:
        parent, taken = self._network.groups[no].parent, self._taken[no]
        while node >= 0:
            taken[node] = True
            node = int(parent[node])

    def by_id(self, device_id: str, name: str) -> Place:
        """The place of a device.

        Raises:
            ConfigError: The network has none of that id.
        """
        place = self._network.places.get(device_id)
        if place is None:
            raise ConfigError(
                f"{self._where}: event {name}: the network has no device {device_id!r}"
            )
        return place

    def id_of(self, place: Place) -> str:
        """The id of the device at a place."""
        return self._network.groups[place.group].ids[place.node]

    def customers(self, place: Place) -> int:
        """How many customers a device feeds."""
        return int(self._customers[place.group][place.node])

    def like(self, pick: Pick, name: str, *, under: Place | None = None) -> Place:
        """As ``find``, where there must be one.

        Raises:
            ConfigError: There is none.
        """
        found = self.find(pick, name, under=under)
        if found is None:
            raise ConfigError(f"{self._where}: event {name}: no device fits {_spoken(pick)}")
        return found

    def find(self, pick: Pick, name: str, *, under: Place | None = None) -> Place | None:
        """A device of certain properties, below ``under`` where that is given; None if none fits.

        Raises:
            ConfigError: An id or a kind that does not exist.
        """
        if pick.id is not None:
            return self.by_id(pick.id, name)
        if pick.under is not None:
            under = self._named.get(pick.under) or self.by_id(pick.under, name)
        pool = self._pool(pick, under)
        if not pool:
            return None
        if pick.share is None:
            return self._chance.choose(pool, "pick", name)
        share = pick.share
        return min(pool, key=lambda place: abs(self._share(place, under) - share))

    def concentrator(self, device_id: str | None, name: str) -> str:
        """A concentrator by its id; else one whose meters are away from all other events.

        Raises:
            ConfigError: There is none.
        """
        if device_id is not None:
            if device_id not in self._network.dcu_places:
                raise ConfigError(
                    f"{self._where}: event {name}: no concentrator {device_id!r} in the network"
                )
            return device_id
        pool = [
            dcu
            for dcu, places in sorted(self._network.dcu_places.items())
            if not any(self._touched(no, index) for no, index in places.items())
        ]
        if not pool:
            raise ConfigError(
                f"{self._where}: event {name}: the network has no concentrator away from the rest"
            )
        chosen = self._chance.choose(pool, "pick", name)
        for no, index in self._network.dcu_places[chosen].items():
            for node in np.flatnonzero(self._network.groups[no].dcu == index):
                self._take_above(no, int(node))
        return chosen

    def _touched(self, no: int, index: int) -> bool:
        mine = self._network.groups[no].dcu == index
        return bool((self._taken[no] & mine).any())

    def _share(self, place: Place, under: Place | None) -> float:
        """Its customers as a share of those of ``under``, else of its whole group."""
        counts = self._customers[place.group]
        return float(counts[place.node] / max(1, counts[under.node if under else 0]))

    def _pool(self, pick: Pick, under: Place | None) -> list[Place]:
        groups = range(len(self._network.groups)) if under is None else (under.group,)
        return [
            Place(no, int(node))
            for no in groups
            for node in np.flatnonzero(self._fits(pick, no, under))
        ]

    def _fits(self, pick: Pick, no: int, under: Place | None) -> Bools:
        group, customers = self._network.groups[no], self._customers[no]
        fits: Bools = customers >= pick.customers_min
        fits &= np.isin(group.kind, self._kinds(pick))
        if pick.customers_max is not None:
            fits &= customers <= pick.customers_max
        if pick.telemetered is not None:
            fits &= group.telemetered == pick.telemetered
        if under is not None:
            fits[: under.node + 1] = False
            fits[under.node + int(group.size[under.node]) :] = False
            if pick.apart:
                fits &= ~self._left[no]
        elif pick.apart:
            fits &= ~self._taken[no]
        return fits

    def _kinds(self, pick: Pick) -> list[int]:
        words = (pick.kind,) if isinstance(pick.kind, str) else pick.kind
        for word in words:
            if word not in _KINDS:
                raise ConfigError(
                    f"{self._where}: {word!r} is no kind of device; give one of {', '.join(_KINDS)}"
                )
        return [int(_KINDS[word]) for word in words] or [int(kind) for kind in _KINDS.values()]


def _spoken(pick: Pick) -> str:
    """A pick as a person would say it."""
    kinds = pick.kind if isinstance(pick.kind, str) else " or ".join(pick.kind)
    most = "" if pick.customers_max is None else f" and at most {pick.customers_max}"
    under = "" if pick.under is None else f" below {pick.under}"
    apart = ", away from other events" if pick.apart else ""
    return f"{kinds or 'any kind'} with at least {pick.customers_min}{most} customers{under}{apart}"
