"""Whether the rows of a graph fit together: kinds, ids and references, before any path is walked.

Knows no files: where a row stands is asked of the caller, table and row number in hand.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from grid.graph import (
    BRANCH_KINDS,
    ISOLATING,
    NODE_KINDS,
    PRIORITIES,
    Branch,
    Graph,
    Node,
    Problem,
    Severity,
)
from grid.network import PHASE_BITS

Locate = Callable[[str, int], str]  # ("branches.csv", row from 0) -> "branches.csv:17"

NEUTRAL = frozenset("Nn")  # utilities write ABCN; the neutral is no phase of its own
TOPIC_SIGNS = frozenset("/+#")  # they end or match a level of an MQTT topic


def check(graph: Graph, locate: Locate) -> list[Problem]:
    """All that is wrong with single rows and with references between them, table by table."""
    return [
        *_kinds(graph, locate),
        *_ids(graph, locate),
        *_topic_ids(graph, locate),
        *_ends(graph, locate),
        *_customers(graph, locate),
        *_comms(graph, locate),
        *_breakers(graph, locate),
    ]


def by_where(graph: Graph) -> Locate:
    """Places as ``graph.where`` has them, and the id itself where it has none."""
    where = graph.where

    def locate(table: str, row: int) -> str:
        if table == "nodes.csv":
            name = graph.nodes[row].id
        elif table == "branches.csv":
            name = graph.branches[row].id
        elif table == "customers.csv":
            return f"customer {graph.customers[row].customer_id}"
        elif table == "comms.csv":
            return f"comms of {list(graph.comms)[row]}"
        else:
            return f"address of {graph.breakers[row].branch_id}"
        return where.get(name, name)

    return locate


def phase_bits(text: str) -> int | None:
    """Bits of ``PHASE_BITS`` for text like ``ABC`` or ``bn``; all three if blank, None if none."""
    bits = 0
    for letter in text:
        if letter in NEUTRAL:
            continue
        bit = PHASE_BITS.get(letter.upper())
        if bit is None:
            return None
        bits |= bit
    return bits or (None if text else 7)


def error(where: str, message: str, fix: str) -> Problem:
    """A problem for which the network is refused."""
    return Problem(Severity.ERROR, where, message, fix)


def notice(where: str, message: str, fix: str) -> Problem:
    """A problem that is told and lived with."""
    return Problem(Severity.NOTICE, where, message, fix)


def _rows(graph: Graph) -> tuple[tuple[str, Sequence[Node | Branch]], ...]:
    """The two tables whose ids are one name space."""
    return (("nodes.csv", graph.nodes), ("branches.csv", graph.branches))


def _kinds(graph: Graph, locate: Locate) -> Iterator[Problem]:
    for table, rows in _rows(graph):
        known = NODE_KINDS if table == "nodes.csv" else BRANCH_KINDS
        if {row.kind for row in rows} <= known:
            continue
        for i, row in enumerate(rows):
            if row.kind not in known:
                yield _unknown(locate(table, i), row.id, f"kind {row.kind!r}", known)
    for i, customer in enumerate(graph.customers):
        if customer.priority not in PRIORITIES:
            found = f"priority {customer.priority!r}"
            yield _unknown(locate("customers.csv", i), customer.customer_id, found, PRIORITIES)
    good = {text for text in {b.phases for b in graph.branches} if phase_bits(text) is not None}
    for i, branch in enumerate(graph.branches):
        if branch.phases not in good:
            yield error(
                locate("branches.csv", i),
                f"{branch.id} has phases {branch.phases!r}",
                "write the letters it carries, like ABC or B",
            )


def _unknown(where: str, name: str, found: str, known: Iterable[str]) -> Problem:
    return error(where, f"{name} has the unknown {found}", f"use one of {', '.join(sorted(known))}")


def _ids(graph: Graph, locate: Locate) -> Iterator[Problem]:
    """Ids that are blank or given twice, over nodes and branches together."""
    first: dict[str, tuple[str, int]] = {}
    for table, rows in _rows(graph):
        for i, row in enumerate(rows):
            if not row.id:
                yield error(locate(table, i), "a row has no id", "give it one, or delete the row")
            elif (before := first.setdefault(row.id, (table, i))) != (table, i):
                yield error(
                    locate(table, i),
                    f"the id {row.id} is taken: {locate(*before)}",
                    "ids are unique over nodes and branches together; rename one of the two",
                )


def _topic_ids(graph: Graph, locate: Locate) -> Iterator[Problem]:
    for table, rows in _rows(graph):
        for i, row in enumerate(rows):
            if not TOPIC_SIGNS.isdisjoint(row.id):
                yield notice(
                    locate(table, i),
                    f"the id {row.id} has one of / + # in it and cannot be part of an MQTT topic",
                    "rename it if the device is to report by MQTT",
                )


def _ends(graph: Graph, locate: Locate) -> Iterator[Problem]:
    nodes = {node.id for node in graph.nodes}
    for i, branch in enumerate(graph.branches):
        for end in (branch.from_id, branch.to_id):
            if end not in nodes:
                yield error(
                    locate("branches.csv", i),
                    f"{branch.id} ends at {end or 'nothing'}, which is no node",
                    "correct the end, or add the node to nodes.csv",
                )
        if branch.from_id == branch.to_id:
            yield error(
                locate("branches.csv", i),
                f"{branch.id} joins {branch.from_id} to itself",
                "correct one end, or delete the branch",
            )


def _customers(graph: Graph, locate: Locate) -> Iterator[Problem]:
    kinds = {node.id: node.kind for node in graph.nodes}
    seen: dict[str, int] = {}
    for i, customer in enumerate(graph.customers):
        name = customer.customer_id
        if not name:
            yield error(
                locate("customers.csv", i), "a customer has no id", "give it one, or delete the row"
            )
        elif (before := seen.setdefault(name, i)) != i:
            yield error(
                locate("customers.csv", i),
                f"the customer {name} is listed twice: {locate('customers.csv', before)}",
                "keep one row a customer, or give each its own id",
            )
        if kinds.get(customer.meter_id) != "meter":
            where = locate("customers.csv", i)
            yield _no_meter(where, f"customer {name}", customer.meter_id, kinds)


def _no_meter(where: str, who: str, meter: str, kinds: dict[str, str]) -> Problem:
    found = f"a {kinds[meter]}" if meter in kinds else "not in nodes.csv"
    return error(
        where,
        f"{who} hangs on the meter {meter or '(blank)'}, which is {found}",
        "correct meter_id, or add the meter to nodes.csv",
    )


def _comms(graph: Graph, locate: Locate) -> Iterator[Problem]:
    kinds = {node.id: node.kind for node in graph.nodes}
    for i, (meter, dcu) in enumerate(graph.comms.items()):
        if kinds.get(meter) != "meter":
            yield _no_meter(locate("comms.csv", i), f"concentrator {dcu}", meter, kinds)
        if not dcu:
            yield error(
                locate("comms.csv", i),
                f"meter {meter} has a blank dcu_id",
                "name its concentrator, or delete the row",
            )


def _breakers(graph: Graph, locate: Locate) -> Iterator[Problem]:
    if not graph.breakers:
        return
    kinds = {branch.id: branch.kind for branch in graph.branches}
    seen: dict[str, int] = {}
    for i, address in enumerate(graph.breakers):
        name = address.branch_id
        if kinds.get(name) not in ISOLATING:
            found = f"is a {kinds[name]}" if name in kinds else "is not in branches.csv"
            yield error(
                locate("breakers.csv", i),
                f"the address of {name} has nothing to poll: it {found}",
                "correct branch_id, or delete the row",
            )
        elif (before := seen.setdefault(name, i)) != i:
            yield error(
                locate("breakers.csv", i),
                f"{name} has two addresses: {locate('breakers.csv', before)}",
                "keep one row a branch",
            )
