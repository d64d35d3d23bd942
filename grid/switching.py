"""The network after switching: ties closed, switches opened, lines cut, jumpers laid.

What comes of it is another version of the network; whether it is a tree, ``grid/build.py`` says.
A back-fed section is opened on one side and closed on the other in one step: between the two it
would be a loop, or in the dark.
"""

from collections.abc import Mapping, Sequence

import msgspec

from grid.errors import ConfigError
from grid.graph import ISOLATING, Branch, Graph

JUMPER = "jumper"


class Switching(msgspec.Struct, frozen=True, kw_only=True):
    """What is switched, by branch ids; a jumper by the ids of the two nodes that it joins."""

    closed: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()  # branches that are no switches: taken out of the way
    jumpers: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()  # jumpers that are taken away; cuts are mended by ``closed``

    @property
    def words(self) -> str:
        """What is switched, for the list of versions."""
        parts = [
            *(f"closed {name}" for name in self.closed),
            *(f"opened {name}" for name in self.opened),
            *(f"cut {name}" for name in self.cut),
            *(f"laid {jumper_id(*ends)}" for ends in self.jumpers),
            *(f"removed {name}" for name in self.removed),
        ]
        return "switched: " + ", ".join(parts)


def jumper_id(one: str, other: str) -> str:
    """The branch id of a jumper between two nodes, whichever is named first."""
    return f"{JUMPER} {' '.join(sorted((one, other)))}"


def switched(graph: Graph, switching: Switching) -> Graph:
    """The graph with its branches as they are after the switching.

    Raises:
        ConfigError: A branch or node nobody knows, or one that is so already.
    """
    branches = {branch.id: branch for branch in graph.branches}
    for name in switching.closed:
        branches[name] = _moved(branches, name, open_now=False)
    for name in switching.opened:
        if _known(branches, name).kind not in ISOLATING:
            raise ConfigError(f"{name} is a {branches[name].kind}: it can be cut, not opened")
        branches[name] = _moved(branches, name, open_now=True)
    for name in switching.cut:
        branches[name] = _moved(branches, name, open_now=True)
    for name in switching.removed:
        if not name.startswith(JUMPER) or branches.pop(name, None) is None:
            raise ConfigError(f"there is no jumper {name!r}")
    for one, other in switching.jumpers:
        jumper = _jumper(graph, one, other)
        if jumper.id in branches:
            raise ConfigError(f"{jumper.id} is there already")
        branches[jumper.id] = jumper
    return msgspec.structs.replace(graph, branches=tuple(branches.values()))


def _moved(branches: Mapping[str, Branch], name: str, *, open_now: bool) -> Branch:
    branch = _known(branches, name)
    if branch.normally_open is open_now:
        raise ConfigError(f"{name} is {'open' if open_now else 'closed'} already")
    return msgspec.structs.replace(branch, normally_open=open_now)


def _known(branches: Mapping[str, Branch], name: str) -> Branch:
    branch = branches.get(name)
    if branch is None:
        raise ConfigError(f"the network has no branch {name!r}; give an id of branches.csv")
    return branch


def _jumper(graph: Graph, one: str, other: str) -> Branch:
    nodes: Sequence[str] = [node.id for node in graph.nodes]
    for name in (one, other):
        if name not in nodes:
            raise ConfigError(f"the network has no node {name!r}; give an id of nodes.csv")
    return Branch(jumper_id(one, other), one, other, "line")
