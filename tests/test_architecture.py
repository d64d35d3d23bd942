"""The specification of the house: what may import what, where things are, what never gets in.

Prose and code drift apart when nobody looks; here a machine looks.
"""

import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = (
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/detection.md",
    "docs/feeds.md",
    "docs/notices.md",
    "docs/operations.md",
    "docs/protocols.md",
    "docs/scenarios.md",
)
LINES_MAX = 400
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
# Spelled so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?:^|[^A-Za-z0-9_.-])/(?:wor[k]|far[m]|roo[t])/")
REGISTRY_HOST = re.compile(
    r"pyp[i]\.org|pythonhoste[d]|registry\.npmj[s]|deb\.debia[n]|maven\.apach[e]|repo1\.mave[n]"
    r"|crates\.i[o]|proxy\.golan[g]|archive\.ubunt[u]"
)
# no number of anybody's: examples begin with 100, which no mobile number in China does
MOBILE_NUMBER = re.compile(r"(?<![\w.])(?:\+?86[- ]?)?1[3-9]\d{9}(?![\w.])")
CONFLICT = re.compile(r"^[<>]{7} .*$", re.M)
PATH_IN_PROSE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@cache
def tracked() -> tuple[Path, ...]:
    """The files that git has, or would have."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return tuple(sorted(ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()))


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Name and text of every file that is text."""
    found = []
    for path in tracked():
        body = path.read_bytes()
        if b"\0" not in body:
            found.append((str(path.relative_to(ROOT)), body.decode()))
    return tuple(found)


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def packages() -> list[str]:
    return list(pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


def test_imports_point_inwards_and_the_core_is_pure() -> None:
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert linted.returncode == 0, linted.stdout


def test_every_package_is_linted_typed_and_shipped() -> None:
    have = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    tools = pyproject()["tool"]
    assert sorted(packages()) == sorted(set(have) - {"bench"})
    assert tools["mypy"]["packages"] == packages()
    assert tools["importlinter"]["root_packages"] == packages()


def test_no_python_file_is_longer_than_a_reader_bears() -> None:
    long = {name: text.count("\n") for name, text in texts() if name.endswith(".py")}
    assert {name: lines for name, lines in long.items() if lines > LINES_MAX} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    names = [Path(name) for name, _ in texts()]
    assert [n for n in names if FORBIDDEN_NAMES & {*n.parts[:-1], n.stem}] == []


def test_tests_have_no_packages_for_pytest_to_confuse() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("paths of one machine", MACHINE_PATH),
        ("hosts of package registries", REGISTRY_HOST),
        ("numbers that could be somebody's mobile phone", MOBILE_NUMBER),
        ("what a merge left undecided", CONFLICT),
    ],
    ids=["machine paths", "registry hosts", "phone numbers", "conflict marks"],
)
def test_no_file_holds(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group().strip()}"
        for name, text in texts()
        for match in pattern.finditer(text)
    ]
    assert found == [], what


@pytest.mark.parametrize("name", DOCS)
def test_what_a_page_names_is_there(name: str) -> None:
    """In backticks: a path with a slash in it, or a file of the repository's root.  And links."""
    page = ROOT / name
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    paths = [p for p in PATH_IN_PROSE.findall(prose) if _is_ours(p)]
    missing = [p for p in paths if not (ROOT / p).exists()]
    links = [link for link in LINK.findall(prose) if "://" not in link]
    assert missing == []
    assert [link for link in links if not (page.parent / link).exists()] == []


def _is_ours(text: str) -> bool:
    """A path into the repository, by its first part, or a file by its name."""
    first = text.split("/")[0]
    folders = {*packages(), "tests", "bench", "docs", "scripts", ".ci"}
    return first in folders if "/" in text else text.endswith((".md", ".py", ".sql"))


def test_the_front_page_and_the_architecture_name_every_room() -> None:
    architecture = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    assert [
        p for p in (*packages(), "tests", "bench", "docs") if f"`{p}/" not in architecture
    ] == []


def test_both_front_pages_give_the_same_commands() -> None:
    english, chinese = (_blocks(n) for n in ("README.md", "README.zh-CN.md"))
    assert english == chinese != []


def _blocks(name: str) -> list[str]:
    """The fenced commands of a page, without their comments."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / name).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [
        re.sub(r"\s*#.*", "", line) for b in blocks for line in b.splitlines() if line[0] != "#"
    ]


@pytest.mark.parametrize("name", DOCS)
def test_every_command_that_a_page_shows_exists(name: str) -> None:
    page = (ROOT / name).read_text("utf-8")
    shown = set(re.findall(r"(?:^|[`$/] ?)lastgasp ([a-z]+)", page, re.MULTILINE))
    assert shown - _commands() == set()


def _commands() -> set[str]:
    import typer.main

    from service.cli import app

    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_csv_folder_is_documented_column_by_column() -> None:
    from grid.graph import BRANCH_KINDS, NODE_KINDS, PRIORITIES

    page = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    columns = (
        "id,kind,x,y", "id,from,to,kind,normally_open,phases,telemetered", "meter_id,dcu_id",
        "customer_id,meter_id,name,phone,language,priority", "branch_id,host,port,unit,family",
    )  # fmt: skip
    assert [c for c in columns if c not in page] == []
    assert [w for w in (*NODE_KINDS, *BRANCH_KINDS, *PRIORITIES) if w not in page] == []


def test_every_kind_of_event_on_the_wire_is_documented() -> None:
    from grid.reading import KINDS_OF_THE_WIRE

    page = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    assert [kind for kind in KINDS_OF_THE_WIRE if f"`{kind}`" not in page] == []


@pytest.mark.services
def test_the_wheel_has_what_the_service_reads_beside_its_code(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", tmp_path, ROOT], check=True
    )
    (wheel,) = tmp_path.glob("lastgasp-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = set(opened.namelist())
    beside = {p.relative_to(ROOT) for p in tracked() if p.suffix in {".sql", ".toml", ".json"}}
    wanted = {str(p) for p in beside if p.parts[0] in packages()} | {"store/schema.sql"}
    wanted |= {str(p.relative_to(ROOT)) for p in tracked() if _is_module(p)}
    assert wanted - inside == set()
    assert not [name for name in inside if name.startswith(("tests/", "bench/", "build/"))]


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" and path.relative_to(ROOT).parts[0] in packages()
