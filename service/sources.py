"""Where a network comes from: a CSV folder, a pandapower file, SimBench, or an invented city."""

import warnings
from pathlib import Path

from grid.checks import error
from grid.csvfolder import parse
from grid.errors import ConfigError
from grid.graph import Graph, Problem
from grid.pandapower_net import graph_of
from service.pandapower_tables import tables_of

FORMS = (
    "a folder with nodes.csv, branches.csv and customers.csv, a pandapower .json file, "
    "simbench:CODE or city:METERS:SEED"
)


def load_graph(source: str) -> tuple[Graph, tuple[Problem, ...]]:
    """Read a source; with an error among the problems, do not build.

    Raises:
        ConfigError: The source cannot be read at all.
    """
    scheme, _, rest = source.partition(":")
    if scheme == "city":
        return _city(source, rest), ()
    if scheme == "simbench":
        return _simbench(rest)
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".json" and path.is_file():
        return _pandapower(path)
    found = "is neither folder nor .json file" if path.exists() else "does not exist"
    raise ConfigError(f"network {source} {found}; give {FORMS}")


def _folder(path: Path) -> tuple[Graph, tuple[Problem, ...]]:
    texts, unreadable = {}, []
    for file in sorted(path.glob("*.csv")):
        try:
            texts[file.name] = file.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as wrong:
            texts[file.name] = ""
            line = file.read_bytes().count(b"\n", 0, wrong.start) + 1
            fix = "save it as CSV UTF-8"
            unreadable.append(error(f"{file.name}:{line}", f"{file.name} is not UTF-8", fix))
        except OSError as wrong:
            raise ConfigError(f"cannot read {file}: {wrong.strerror}; check its rights") from None
    if not texts:
        raise ConfigError(f"there is no .csv file in {path}; give {FORMS}")
    graph, problems = parse(texts)
    return graph, (*unreadable, *problems)


def _city(source: str, rest: str) -> Graph:
    from simulators.city import city

    numbers = rest.split(":")
    if len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise ConfigError(f"cannot read {source}; write city:METERS:SEED, for instance city:4000:7")
    return city(int(numbers[0]), int(numbers[1]))


def _simbench(code: str) -> tuple[Graph, tuple[Problem, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas speaks to the authors of simbench
        try:
            import simbench
        except ModuleNotFoundError as missing:
            raise _extra(missing, "simbench") from None
        if code not in simbench.collect_all_simbench_codes():
            raise ConfigError(
                f"SimBench has no network {code!r}; try simbench:1-MVLV-urban-all-0-sw, "
                "or see simbench.collect_all_simbench_codes()"
            )
        return graph_of(tables_of(simbench.get_simbench_net(code)))


def _pandapower(path: Path) -> tuple[Graph, tuple[Problem, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pandapower
        except ModuleNotFoundError as missing:
            raise _extra(missing, "pandapower") from None
        try:
            net = pandapower.from_json(str(path))
        except (ValueError, KeyError, TypeError, AttributeError, ImportError, UserWarning) as wrong:
            raise ConfigError(f"{path} is no pandapower net: {wrong}; save it by to_json") from None
        if not isinstance(net, pandapower.pandapowerNet):
            raise ConfigError(
                f"{path} is JSON but no pandapower net; save it by pandapower.to_json"
            )
        return graph_of(tables_of(net))


def _extra(missing: ModuleNotFoundError, extra: str) -> ConfigError:
    return ConfigError(
        f"the Python module {missing.name} is missing; pip install 'lastgasp[{extra}]'"
    )
