"""The specification of refusals in Chinese: no sentence of engine or API is left in English."""

import ast
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from dispatch.answers import RefusalCode

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "dispatch" / "pages" / "js"
WHERE = (
    "detectors/asking.py", "detectors/decisions.py", "detectors/placing.py", "detectors/work.py",
    "dispatch/access.py", "dispatch/deciding.py", "dispatch/intake.py", "dispatch/workroutes.py",
    "dispatch/peopleroutes.py", "service/desk.py", "service/workdesk.py",
)  # fmt: skip
REFUSE = {"Refused", "BadPayload", "Denied", "Unreachable", "problem"}
FOUND = [
    "12 of 20 meters behind the concentrator are overdue and nothing comes through it: comms loss, "
    "no sign of an outage",
    "M1 reports power while B1 says that it is open: fed from elsewhere, or drawn in the wrong "
    "place",
    "M1 and 3 more report power while B1 says that it is open: fed from elsewhere, or drawn in the "
    "wrong place",
    "B1 does not answer: its position is unknown",
    "phase B below the limit while another is live: phase loss",
    "its clock is 90 s ahead of ours: its times are brought to ours",
    "phase A has 180 V, less than 187 V, for 5 minutes",
    "phase C carries 500 A of 400 A, for 5 minutes",
    "its phases carry 10, 20, 90 A: 89 % apart, for 5 minutes",
    "3 last gasps within 60 minutes, and power after each: they count for nothing until it is calm",
    "4 momentary interruptions within 7 days",
    "21 outages run at once: single meters are not asked, devices with more behind them come first",
    "2 of 40 meters behind it never spoke: M1, M2",
]


def sentences() -> Iterator[tuple[str, str]]:
    """Every sentence that refuses, with a number in each of its gaps, and the code that it comes
    with.
    """
    for name in WHERE:
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") != "get":
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if called in REFUSE:
                    codes = [said(k.value) for k in node.keywords if k.arg == "code"]
                    for part in node.args[:2]:
                        yield said(part), (codes or [""])[0]


def said(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return part.value if isinstance(part.value, str) else ""
    if isinstance(part, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in part.values)
    return ""


def in_chinese(
    tool: Callable[[str], str], function: str, asked: list[tuple[str, str]]
) -> list[str]:
    script = (
        f"import {{ {function} }} from {json.dumps((PAGES / 'board' / 'refused.js').as_uri())};"
        f"import {{ BOARD }} from {json.dumps((PAGES / 'words' / 'board.js').as_uri())};"
        f"import {{ words }} from {json.dumps((PAGES / 'i18n.js').as_uri())};"
        "const say = words('zh', BOARD);"
        f"console.log(JSON.stringify({json.dumps(asked)}"
        f".map(([s, c]) => {function}(s, {'say, ' if function == 'whyNot' else ''}'zh', c))))"
    )  # fmt: skip
    ran = subprocess.run(
        [tool("node"), "--input-type=module", "-e", script], capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    found: list[str] = json.loads(ran.stdout)
    return found


@pytest.mark.services
def test_every_refusal_has_chinese_words(tool: Callable[[str], str]) -> None:
    asked = sorted({one for one in sentences() if " " in one[0]})
    assert len(asked) > 60
    told = in_chinese(tool, "whyNot", asked)
    assert [a for (a, _), t in zip(asked, told, strict=True) if a in t] == []
    assert [t for t in told if "undefined" in t or "[" in t] == []


@pytest.mark.services
def test_every_finding_has_chinese_words(tool: Callable[[str], str]) -> None:
    told = in_chinese(tool, "finding", [(sentence, "") for sentence in FOUND])
    assert [a for a, t in zip(FOUND, told, strict=True) if a == t] == []


@pytest.mark.services
def test_every_code_has_chinese_words_for_a_sentence_that_nobody_knows(
    tool: Callable[[str], str],
) -> None:
    codes = list(get_args(RefusalCode))
    told = in_chinese(tool, "whyNot", [("a new sentence", code) for code in codes])
    assert [
        code for code, words in zip(codes, told, strict=True) if words == "a new sentence"
    ] == []
