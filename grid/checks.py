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
    wrong = {text for text in {b.phases for b in graph.branches} if phase_bits(text) is None}
    for i, branch in enumerate(graph.branches):
        if branch.phases in wrong:
            yield error(
                locate("branches.csv", i),
                f"{branch.id} has phases {branch.phases!r}",
                "write the letters it carries, like ABC or B",
            )


def _unknown(where: str, name: str, found: str, known: Iterable[str]) -> Problem:
    return error(where, f"{name} has the unknown {found}", f"use one of {', '.join(sorted(known))}")


def _ids(graph: Graph, locate: Locate) -> Iterator[Problem]:
    """Ids that are blank or given twice, over nodes and branches together."""
    places = [(table, i) for table, rows in _rows(graph) for i in range(len(rows))]
    names = [row.id for _, rows in _rows(graph) for row in rows]
    for i in _blank(names):
        yield error(locate(*places[i]), "a row has no id", "give it one, or delete the row")
    for i, before in _repeated(names):
        yield error(
            locate(*places[i]),
            f"the id {names[i]} is taken: {locate(*places[before])}",
            "ids are unique over nodes and branches together; rename one of the two",
        )


def _blank(names: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if not name] if "" in names else []


def _repeated(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of names that came before, and where they first did; blank ones aside."""
    if len(set(names)) == len(names):
        return
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if name and (before := first.setdefault(name, i)) != i:
            yield i, before


def _topic_ids(graph: Graph, locate: Locate) -> Iterator[Problem]:
    for table, rows in _rows(graph):
        if TOPIC_SIGNS.isdisjoint("".join([row.id for row in rows])):
            continue
        for i, row in enumerate(rows):
            if not TOPIC_SIGNS.isdisjoint(row.id):
                yield notice(
                    locate(table, i),
                    f"the id {row.id} has one of / + # in it and cannot be part of an MQTT topic",
                    "rename it if the device is to report by MQTT",
                )


def _ends(graph: Graph, locate: Locate) -> Iterator[Problem]:
    nodes = {node.id for node in graph.nodes}
    ends = [(branch.from_id, branch.to_id) for branch in graph.branches]
    for i, (start, end) in enumerate(ends):
        if start in nodes and end in nodes and start != end:
            continue
        where, name = locate("branches.csv", i), graph.branches[i].id
        for wrong in {start, end} - nodes:
            found = f"{name} ends at {wrong or 'nothing'}, which is no node"
            yield error(where, found, "correct the end, or add the node to nodes.csv")
        if start == end:
            found = f"{name} joins {start} to itself"
            yield error(where, found, "correct one end, or delete the branch")


def _customers(graph: Graph, locate: Locate) -> Iterator[Problem]:
    names = [customer.customer_id for customer in graph.customers]
    for i in _blank(names):
        where = locate("customers.csv", i)
        yield error(where, "a customer has no id", "give it one, or delete the row")
    for i, before in _repeated(names):
        yield error(
            locate("customers.csv", i),
            f"the customer {names[i]} is listed twice: {locate('customers.csv', before)}",
            "keep one row a customer, or give each its own id",
        )
    kinds = {node.id: node.kind for node in graph.nodes}
    for i, customer in enumerate(graph.customers):
        if kinds.get(customer.meter_id) != "meter":
            where = locate("customers.csv", i)
            yield _no_meter(where, f"customer {names[i]}", customer.meter_id, kinds)


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
    names = [address.branch_id for address in graph.breakers]
    for i, name in enumerate(names):
        if kinds.get(name) not in ISOLATING:
            found = f"is a {kinds[name]}" if name in kinds else "is not in branches.csv"
            yield error(
                locate("breakers.csv", i),
                f"the address of {name or '(blank)'} has nothing to poll: it {found}",
                "correct branch_id, or delete the row",
            )
    for i, before in _repeated(names):
        found = f"{names[i]} has two addresses: {locate('breakers.csv', before)}"
        yield error(locate("breakers.csv", i), found, "keep one row a branch")
