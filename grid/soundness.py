"""What keeps a graph from being radial: loops, joined substations, islands."""

from collections.abc import Iterator, Mapping, Sequence

from grid.checks import error
from grid.graph import ISOLATING, Branch, Graph, Node, Problem
from grid.tracing import Walk, Wires, loop_through, path_up, walk

TOLD_MAX = 100  # loops, or islands, each with a message of its own; the rest are counted
NAMED_MAX = 12  # ids listed in one message


def unsound(
    graph: Graph, rows: Sequence[int], rank: Mapping[str, int], wires: Wires, walked: Walk
) -> list[Problem]:
    """Errors of form.  ``rows`` are the nodes' rows by rank."""
    return [
        *_joined(graph, rows, wires, walked),
        *_loops(graph, wires, walked),
        *_islands(graph, rows, rank, wires, walked),
    ]


def _where(graph: Graph, name: str) -> str:
    return graph.where.get(name, name)


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _rest(problems: Iterator[Problem], count: int, what: str) -> Iterator[Problem]:
    for told, problem in enumerate(problems):
        if told == TOLD_MAX:
            yield error("network", f"there are {count} {what} in all", "mend those listed first")
            return
        yield problem


def _to_open(path: Sequence[Branch]) -> Branch:
    """What of a closed path is most likely open in the field: a switch far from both ends."""

    def unlikely(place: int) -> tuple[int, int]:
        kind = path[place].kind
        far = abs(2 * place - len(path) + 1)
        return 0 if kind == "switch" else 1 if kind in ISOLATING else 2, far

    return path[min(range(len(path)), key=unlikely)]


def _cut(branch: Branch) -> str:
    return f"set normally_open of the branch that is open in the field, for instance {branch.id}"


def _joined(graph: Graph, rows: Sequence[int], wires: Wires, walked: Walk) -> Iterator[Problem]:
    for node in walked.joined:
        path = path_up(wires, walked.via, node)
        branches = [graph.branches[wires.branch[w]] for w in path]
        name, other = graph.nodes[rows[node]].id, graph.nodes[rows[walked.root_of[node]]].id
        yield error(
            _where(graph, name),
            f"substations {other} and {name} are joined by a closed path: "
            + _named([b.id for b in branches]),
            _cut(_to_open(branches)),
        )


def _loops(graph: Graph, wires: Wires, walked: Walk) -> Iterator[Problem]:
    def told() -> Iterator[Problem]:
        for extra in walked.extra:
            loop = loop_through(wires, walked.via, extra)
            branches = [graph.branches[wires.branch[w]] for w in loop]
            best = _to_open(branches)
            yield error(
                _where(graph, best.id),
                f"closed loop of {len(loop)} branches: {_named([b.id for b in branches])}",
                _cut(best),
            )

    yield from _rest(told(), len(walked.extra), "loops")


def _islands(
    graph: Graph, rows: Sequence[int], rank: Mapping[str, int], wires: Wires, walked: Walk
) -> Iterator[Problem]:
    lost = [v for v, root in enumerate(walked.root_of) if root < 0]
    if not lost:
        return
    apart = walk(wires, lost, len(rows))
    bridges = _bridges(graph, rank, walked, apart)

    def told() -> Iterator[Problem]:
        for order in apart.orders:
            nodes = [graph.nodes[rows[v]] for v in order]
            yield _island(graph, nodes, bridges.get(order[0]))

    yield from _rest(told(), len(apart.orders), "islands")


def _island(graph: Graph, nodes: Sequence[Node], bridge: str | None) -> Problem:
    meters = [node for node in nodes if node.kind == "meter"]
    place = _where(graph, (meters or nodes)[0].id)
    held = f" with {_count(meters, 'meter')}" if meters else ""
    fix = f"close {bridge} (normally_open = 0), or " if bridge else ""
    return error(
        place,
        f"island of {_count(nodes, 'node')}{held} without a closed path to a substation: "
        + _named([node.id for node in nodes]),
        fix + "add the missing branch, or delete the nodes",
    )


def _bridges(graph: Graph, rank: Mapping[str, int], walked: Walk, apart: Walk) -> dict[int, str]:
    """Island -> a normally open branch from it to what is fed."""
    found: dict[int, str] = {}
    for branch in graph.branches:
        if not branch.normally_open:
            continue
        a, b = rank[branch.from_id], rank[branch.to_id]
        if walked.root_of[a] >= 0 > walked.root_of[b]:
            found.setdefault(apart.root_of[b], branch.id)
        elif walked.root_of[b] >= 0 > walked.root_of[a]:
            found.setdefault(apart.root_of[a], branch.id)
    return found
