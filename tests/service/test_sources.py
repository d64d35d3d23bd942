"""The specification of where networks come from."""

import json
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from grid.build import build
from grid.csvfolder import parse, write
from grid.errors import ConfigError
from grid.graph import Severity
from grid.network import Network, NodeKind
from service.sources import load_graph
from simulators.city import city


def network_of(source: str) -> Network:
    graph, problems = load_graph(source)
    assert all(p.severity is Severity.NOTICE for p in problems)
    built = build(graph)
    assert built.network, built.problems
    return built.network


def kinds(network: Network) -> Counter[str]:
    return Counter(NodeKind(k).word for group in network.groups for k in group.kind.tolist())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in write(city(60, 1), contacts=False).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_folder_is_read(folder: Path) -> None:
    assert network_of(str(folder)).version == network_of("city:60:1").version


def test_a_file_saved_by_a_spreadsheet_is_read(folder: Path) -> None:
    nodes = folder / "nodes.csv"
    nodes.write_bytes(b"\xef\xbb\xbf" + nodes.read_bytes().replace(b"\n", b"\r\n"))
    assert network_of(str(folder)).version == network_of("city:60:1").version


def test_a_file_in_another_encoding_is_refused_with_its_line(folder: Path) -> None:
    customers = folder / "customers.csv"
    customers.write_bytes(customers.read_bytes() + "C9,M000001,王,,,\n".encode("gb18030"))
    _, problems = load_graph(str(folder))
    lines = customers.read_bytes().count(b"\n")
    assert (problems[0].where, problems[0].severity) == (f"customers.csv:{lines}", Severity.ERROR)
    assert problems[0].fix == "save it as CSV UTF-8"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("/nowhere", "network /nowhere does not exist; give a folder with nodes.csv"),
        ("city:20000", "cannot read city:20000; write city:METERS:SEED"),
        ("city:many:7", "cannot read city:many:7"),
        ("city:10:7", "a city has 50 to 1000000 meters, not 10"),
        ("simbench:1-nowhere", "SimBench has no network '1-nowhere'; try simbench:1-MVLV-urban"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(source: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", "\\(")):
        load_graph(source)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_text("<net/>")
    (tmp_path / "list.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "torn.json").write_text('{"_module": "pandapower.auxil')
    (tmp_path / "empty").mkdir()
    for name, sentence in {
        "net.xml": "is neither folder nor .json file",
        "list.json": "no pandapower net",
        "torn.json": "no pandapower net",
        "empty": "there is no .csv file",
    }.items():
        with pytest.raises(ConfigError, match=sentence):
            load_graph(str(tmp_path / name))


def test_a_missing_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['simbench'] = None\n"
        "from service.sources import load_graph\n"
        "load_graph('simbench:1-MV-urban--0-sw')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert "pip install 'lastgasp[simbench]'" in run.stderr


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Save one of pandapower's own networks as JSON and return its path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower
        import pandapower.networks

    @cache
    def save(name: str) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net: Any = getattr(pandapower.networks, name)()
            path = str(tmp_path_factory.mktemp("nets") / f"{name}.json")
            pandapower.to_json(net, path)
        return path

    return save


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("mv_oberrhein", {"substation": 2, "breaker": 4, "switch": 171, "meter": 147}),
        ("case33bw", {"substation": 1, "breaker": 1, "meter": 32}),
        (
            "create_kerber_dorfnetz",
            {"substation": 1, "transformer": 1, "fuse": 6, "meter": 57},
        ),
        (
            "ieee_european_lv_asymmetric",
            {"substation": 1, "transformer": 1, "fuse": 1, "meter": 55},
        ),
    ],
)
def test_networks_of_pandapower_come_out_radial(
    saved: Callable[[str], str], name: str, held: dict[str, int]
) -> None:
    network = network_of(saved(name))
    assert kinds(network) == held
    assert network.customer_count == held["meter"]


def test_places_on_the_map_are_kept(saved: Callable[[str], str]) -> None:
    (first, _) = network_of(saved("mv_oberrhein")).groups
    assert 7.0 < float(first.x[1]) < 9.0
    assert 48.0 < float(first.y[1]) < 49.0


def test_a_ring_without_an_open_point_is_refused(saved: Callable[[str], str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower

        path = saved("create_cigre_network_mv")
        net = pandapower.from_json(path)
        net.switch.closed = True
        pandapower.to_json(net, path)
    graph, problems = load_graph(path)
    built = build(graph)
    assert built.network is None
    assert any("closed" in p.message for p in (*problems, *built.problems))


@pytest.mark.services  # for its ten seconds: the data are 381 MB
def test_simbench_urban_has_the_devices_that_were_counted() -> None:
    graph, problems = load_graph("simbench:1-MVLV-urban-all-0-sw")
    assert problems == ()
    built = build(graph)
    assert built.network
    assert built.network.customer_count == 11_542
    assert kinds(built.network) == {
        "substation": 2,
        "breaker": 17,
        "switch": 119,
        "transformer": 133,
        "fuse": 731,
        "meter": 11_542,
    }
    assert len(built.network.dcu_places) == 133
    again, _ = parse(write(graph, contacts=False))
    assert build(again).network.version == built.network.version
