"""Counts in English sentences: 1 meter is, 2 meters are.  Pure.

Chinese has one form; its words are made from the numbers beside the sentence (docs/protocols.md).
"""


def form(n: int, one: str, many: str) -> str:
    """The word that goes with a number: ``is`` with 1, ``are`` with any other."""
    return one if n == 1 else many


def count(n: int, one: str, many: str) -> str:
    """The number and what goes with it: ``1 meter``, ``2 meters``."""
    return f"{n} {form(n, one, many)}"


def meters(n: int) -> str:
    """``1 meter``, ``2 meters``."""
    return count(n, "meter", "meters")
