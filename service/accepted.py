"""A graph that is good enough to run on, or a refusal in one sentence."""

from grid.build import build
from grid.errors import ConfigError
from grid.graph import Graph, Problem, Severity
from grid.network import Network


def accepted(graph: Graph, source: str, problems: tuple[Problem, ...] = ()) -> Network:
    """The network of a graph.

    Raises:
        ConfigError: It has errors; the sentence has the first of them.
    """
    errors = [p for p in problems if p.severity is Severity.ERROR]
    built = None if errors else build(graph)
    if built is not None and built.network is not None:
        return built.network
    errors += [p for p in built.problems if p.severity is Severity.ERROR] if built else []
    raise ConfigError(
        f"network {source} has {len(errors)} errors, the first at {errors[0].where}: "
        f"{errors[0].message}; {errors[0].fix} (all of them: lastgasp network check {source})"
    )
