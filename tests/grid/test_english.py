"""The specification of counts in sentences: one of a thing is not many."""

import ast
import re
from pathlib import Path

import pytest

from grid.english import count, form, meters

DETECTORS = Path(__file__).resolve().parents[2] / "detectors"
MANY = re.compile(r" (more )?(meters|heartbeats|devices|terminals|transformer terminals) ")


@pytest.mark.parametrize(
    ("n", "said"), [(0, "0 meters"), (1, "1 meter"), (2, "2 meters"), (11, "11 meters")]
)
def test_one_of_a_thing_is_not_many(n: int, said: str) -> None:
    assert meters(n) == said
    assert count(n, "meter is", "meters are").split()[:2] == said.split()
    assert form(n, "is", "are") == ("is" if n == 1 else "are")


def test_no_sentence_of_the_engine_counts_without_it() -> None:
    said = [
        f"{path.name}:{value.lineno}: {after.value}"
        for path in sorted(DETECTORS.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr)
        for value, after in zip(node.values, node.values[1:], strict=False)
        if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant)
        and isinstance(after.value, str) and MANY.match(after.value)
    ]  # fmt: skip
    assert said == []
