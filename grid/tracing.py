"""Paths through a graph: which node is fed through which branch, and what is no tree.

Works on numbers: a node is its rank among all node ids (shorter first, then by letter), so that
the order of rows in a file changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grid.checks import phase_bits
from grid.graph import ISOLATING, Branch, Graph
from grid.network import I64


@dataclass(frozen=True, slots=True)
class Wires:
    """Closed connections of two nodes: parallel branches united, normally open ones left out."""

    near: Sequence[int]  # one end, as a rank
    far: Sequence[int]  # the other
    branch: Sequence[int]  # row of the branch that stands for them; it isolates if one of them does
    isolating: Sequence[bool]
    phases: Sequence[int]  # of all of them
    twins: Mapping[int, tuple[int, ...]]  # wire -> rows of the other branches that isolate
    start: Sequence[
        int
    ]  # N + 1: wires at node v are at[start[v] : start[v + 1]], by far end's rank
    at: Sequence[int]

    def other(self, wire: int, node: int) -> int:
        """The end of a wire that is not ``node``."""
        return self.far[wire] if self.near[wire] == node else self.near[wire]


@dataclass(frozen=True, slots=True)
class Walk:
    """How the nodes are reached from the substations, each in preorder."""

    orders: tuple[tuple[int, ...], ...]  # per root that was walked from
    via: Sequence[int]  # wire through which a node was entered, -1 at roots and where nothing leads
    root_of: Sequence[int]  # rank of the substation that feeds it, -1 for none
    extra: tuple[int, ...]  # wires that close a loop
    joined: tuple[int, ...]  # substations that another one reached


def ranked(names: Sequence[str]) -> list[int]:
    """Places of ``names`` in the order in which F2 comes before F10."""
    order = sorted(range(len(names)), key=names.__getitem__)
    order.sort(key=lambda i: len(names[i]))
    return order


def unite(graph: Graph, rank: Mapping[str, int]) -> Wires:
    """The closed branches as wires; ``rank`` numbers the node ids."""
    rows = [i for i, branch in enumerate(graph.branches) if not branch.normally_open]
    branches = [graph.branches[i] for i in rows]
    a = np.array([rank[b.from_id] for b in branches], np.int64)
    b = np.array([rank[b.to_id] for b in branches], np.int64)
    isolating = np.array([b.kind in ISOLATING for b in branches], np.bool_)
    bits = {text: phase_bits(text) or 0 for text in {b.phases for b in branches}}
    phases = np.array([bits[b.phases] for b in branches], np.int64)
    standing = np.empty(len(rows), np.int64)
    standing[ranked([branch.id for branch in branches])] = np.arange(len(rows))
    key = np.minimum(a, b) * len(rank) + np.maximum(a, b)
    order = np.lexsort((standing, ~isolating, key))  # of parallel ones, the first stands for all
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = np.diff(key[order]) != 0
    first = np.flatnonzero(fresh)
    head = order[first]
    united = np.bitwise_or.reduceat(phases[order], first) if len(first) else phases
    start, at = _incidence(a[head], b[head], len(rank))
    row = np.array(rows, np.int64)
    return Wires(
        near=a[head].tolist(),
        far=b[head].tolist(),
        branch=row[head].tolist(),
        isolating=isolating[head].tolist(),
        phases=united.tolist(),
        twins=_twins(row[order], isolating[order], first),
        start=start,
        at=at,
    )


def standing_first(branches: Sequence[Branch]) -> list[Branch]:
    """The branches, with the one that stands for its parallels before the others of them.

    A reader who takes the first of parallel branches then sees what ``unite`` makes of them.
    """
    result = list(branches)
    sides: dict[frozenset[str], list[int]] = {}
    for i, branch in enumerate(branches):
        if not branch.normally_open:
            sides.setdefault(frozenset((branch.from_id, branch.to_id)), []).append(i)
    for rows in sides.values():
        if len(rows) > 1:
            best = min(rows, key=lambda i: _standing(branches[i]))
            result[rows[0]], result[best] = result[best], result[rows[0]]
    return result


def _standing(branch: Branch) -> tuple[bool, int, str]:
    """The order in which parallel branches stand for all: isolating first, then by ``ranked``."""
    return branch.kind not in ISOLATING, len(branch.id), branch.id


def _twins(rows: I64, isolating: np.ndarray, first: I64) -> dict[int, tuple[int, ...]]:
    """Further isolating branches of a wire, which has its rows from ``first`` on."""
    found = {}
    ends = np.append(first[1:], len(rows))
    for wire in np.flatnonzero(ends - first > 1).tolist():
        others = slice(int(first[wire]) + 1, int(ends[wire]))
        twins = tuple(rows[others][isolating[others]].tolist())
        if twins:
            found[wire] = twins
    return found


def _incidence(a: I64, b: I64, nodes: int) -> tuple[list[int], list[int]]:
    """Which wires end at each node, sorted by the rank of the node at the other end."""
    wires = np.arange(len(a))
    node, other, wire = np.append(a, b), np.append(b, a), np.append(wires, wires)
    order = np.lexsort((other, node))
    start = np.searchsorted(node[order], np.arange(nodes + 1))
    return start.tolist(), wire[order].tolist()


def walk(wires: Wires, roots: Sequence[int], nodes: int) -> Walk:
    """Follow the wires from each root; a node belongs to the root that reaches it first."""
    via, root_of = [-1] * nodes, [-1] * nodes
    orders, extra, joined = [], dict[int, None](), []
    for root in roots:
        if root_of[root] >= 0:
            joined.append(root)
        else:
            orders.append(tuple(_follow(wires, root, via, root_of, extra)))
    return Walk(tuple(orders), via, root_of, tuple(extra), tuple(joined))


def _follow(
    wires: Wires, root: int, via: list[int], root_of: list[int], extra: dict[int, None]
) -> Iterator[int]:
    start, at, near, far = wires.start, wires.at, wires.near, wires.far
    root_of[root] = root
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        entered = via[node]
        for i in range(
            start[node + 1] - 1, start[node] - 1, -1
        ):  # so that the first is popped first
            wire = at[i]
            if wire == entered:
                continue
            to = far[wire] if near[wire] == node else near[wire]
            if root_of[to] < 0:
                root_of[to] = root
                via[to] = wire
                todo.append(to)
            else:
                extra[wire] = None


def path_up(wires: Wires, via: Sequence[int], node: int) -> list[int]:
    """Wires from a node up to its root."""
    path = []
    while (wire := via[node]) >= 0:
        path.append(wire)
        node = wires.other(wire, node)
    return path


def loop_through(wires: Wires, via: Sequence[int], extra: int) -> list[int]:
    """The wires of the loop that ``extra`` closes, from where it parts to where it meets again."""
    left = path_up(wires, via, wires.near[extra])
    right = path_up(wires, via, wires.far[extra])
    while left and right and left[-1] == right[-1]:
        left.pop()
        right.pop()
    return [*reversed(left), extra, *right]
