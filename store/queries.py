"""The store's SQL by name.  ``queries.sql`` and the others have each statement under
``-- name: ...`` with a sentence on it.
"""

from collections.abc import Mapping
from importlib import resources

MARK = "-- name: "


def load(text: str) -> Mapping[str, bytes]:
    """The statements of a file by name."""
    found: dict[str, bytes] = {}
    for part in text.split(MARK)[1:]:
        name, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        assert name.strip() not in found, f"{name} is there twice"
        found[name.strip()] = "\n".join(lines).strip().rstrip(";").encode()
    return found


FILES = ("queries.sql", "notices.sql", "wishes.sql")

SQL: Mapping[str, bytes] = load(
    "".join(resources.files("store").joinpath(name).read_text("utf-8") for name in FILES)
)
