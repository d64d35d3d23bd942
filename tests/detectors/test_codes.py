"""The specification of codes: each that the engine gives is one that docs/protocols.md explains."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"""\bcode(?:"\s*:|=)\s*"(\w+)"|"(?:tripped|commanded)" if""")
PLACED = re.compile(r'_put\(.*"(\w+)"\)')


def test_every_code_of_a_reason_is_documented() -> None:
    given: set[str] = set()
    for path in (ROOT / "detectors").glob("*.py"):
        text = path.read_text("utf-8")
        given |= {code for code in CODE.findall(text) if code}
        given |= set(PLACED.findall(text))
    page = (ROOT / "docs" / "protocols.md").read_text("utf-8").partition("## Evidence and")[2]
    explained = set(re.findall(r"`(\w+)`", page))
    assert len(given) > 30
    assert sorted(given - explained - {"other"}) == []
