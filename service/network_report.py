"""A network read, judged and told: what the ``network`` commands print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import msgspec
import typer

from grid.errors import ConfigError
from grid.graph import Graph, Problem, Severity

if TYPE_CHECKING:  # numpy takes its time, and `lastgasp --help` should not wait for it
    from grid.network import Network

TOLD_MAX = 50  # problems printed; JSON has them all


class Verdict(msgspec.Struct, frozen=True):
    """What a source holds, and whether it is accepted; the object that ``--json`` prints."""

    source: str
    accepted: bool
    version: str | None
    substations: int
    feeders: int
    transformers: int
    meters: int
    customers: int
    problems: tuple[Problem, ...]


def read(source: str) -> "tuple[Graph, Network | None, Verdict]":
    """Read and build a source.

    Raises:
        ConfigError: It cannot be read at all.
    """
    from service.sources import load_graph

    graph, problems = load_graph(source)
    network, verdict = judge(source, graph, problems)
    return graph, network, verdict


def judge(
    source: str, graph: Graph, problems: tuple[Problem, ...]
) -> "tuple[Network | None, Verdict]":
    """Build what was read, if it was read without errors."""
    from grid.build import build
    from grid.network import NodeKind

    network = None
    if all(problem.severity is not Severity.ERROR for problem in problems):
        built = build(graph)
        network = built.network
        problems += built.problems
    groups = network.groups if network else ()
    kinds = [kind for group in groups for kind in group.kind.tolist()]
    verdict = Verdict(
        source=source,
        accepted=network is not None,
        version=network.version if network else None,
        substations=len(groups),
        feeders=sum(len(_feeders(group.parent.tolist(), group.kind.tolist())) for group in groups),
        transformers=kinds.count(NodeKind.TRANSFORMER),
        meters=kinds.count(NodeKind.METER),
        customers=network.customer_count if network else 0,
        problems=problems,
    )
    return network, verdict


def _feeders(parent: Sequence[int], kind: Sequence[int]) -> list[int]:
    """Nodes right below the substation, but for meters that hang on its busbar."""
    from grid.network import NodeKind

    return [v for v, above in enumerate(parent) if above == 0 and kind[v] != NodeKind.METER]


def refuse(verdict: Verdict, *, json: bool) -> NoReturn:
    """Tell the problems; the error says the first in a sentence.

    Raises:
        ConfigError: Always.
    """
    tell(verdict, json=json, to_stderr=not json)
    errors = [p for p in verdict.problems if p.severity is Severity.ERROR]
    count = "one error" if len(errors) == 1 else f"{len(errors)} errors"
    first = errors[0]
    raise ConfigError(
        f"{verdict.source} is refused for {count}; "
        f"first at {first.where}: {first.message}; {first.fix}"
    )


def tell(verdict: Verdict, *, json: bool, to_stderr: bool = False) -> None:
    """Print the problems and what the network holds."""
    if json:
        typer.echo(msgspec.json.encode(verdict).decode())
        return
    for problem in verdict.problems[:TOLD_MAX]:
        line = f"{problem.where}: {problem.severity.value}: {problem.message}; {problem.fix}"
        typer.echo(line, err=to_stderr)
    if (more := len(verdict.problems) - TOLD_MAX) > 0:
        typer.echo(f"and {more} more: --json lists them all", err=to_stderr)
    if verdict.accepted:
        typer.echo(
            f"{verdict.source}: substations {verdict.substations}, feeders {verdict.feeders}, "
            f"transformers {verdict.transformers}, meters {verdict.meters}, "
            f"customers {verdict.customers}; version {verdict.version}"
        )
    elif not to_stderr:
        typer.echo(f"{verdict.source} would be refused")


class FeederLine(msgspec.Struct, frozen=True):
    """A feeder in ``network show``."""

    id: str
    kind: str
    substation: str
    devices: int
    transformers: int
    meters: int
    customers: int
    districts: tuple[str, ...]


def show(network: "Network", *, json: bool) -> None:
    """Print the substations and their feeders."""
    lines = _feeder_lines(network)
    if json:
        typer.echo(
            msgspec.json.encode(
                {
                    "version": network.version,
                    "substations": [group.name for group in network.groups],
                    "customers": network.customer_count,
                    "feeders": lines,
                }
            ).decode()
        )
        return
    for group in network.groups:
        typer.echo(f"{group.name}: {len(group.customer_ids)} customers")
        for line in lines:
            if line.substation == group.name:
                typer.echo(
                    f"  {line.kind} {line.id}: {line.devices} devices, "
                    f"{line.transformers} transformers, {line.customers} customers; "
                    + ", ".join(line.districts)
                )
    typer.echo(f"version {network.version}, {network.customer_count} customers in all")


def _feeder_lines(network: "Network") -> list[FeederLine]:
    from grid.network import NodeKind

    lines = []
    for group in network.groups:
        for v in _feeders(group.parent.tolist(), group.kind.tolist()):
            below = group.below(v)
            kinds = group.kind[below].tolist()
            meters = kinds.count(NodeKind.METER)
            lines.append(
                FeederLine(
                    id=group.ids[v],
                    kind=NodeKind(int(group.kind[v])).word,
                    substation=group.name,
                    devices=len(kinds) - meters,
                    transformers=kinds.count(NodeKind.TRANSFORMER),
                    meters=meters,
                    customers=len(group.customers_below(v)),
                    districts=tuple(sorted(set(group.district[below]))),
                )
            )
    return lines
