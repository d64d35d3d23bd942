"""Why an outage is believed, and why it changed: a code with numbers beside the English sentence,
so that others can say it in their language.
"""

import msgspec


class Evidence(msgspec.Struct, frozen=True, kw_only=True, rename={"for_": "for"}):
    """One line of evidence.  ``for_``: it speaks for the outage, against it, or for neither.

    Which of the numbers a code carries is in docs/protocols.md (Evidence and reasons).
    """

    code: str
    text: str
    for_: bool | None = True
    n: int | None = None
    of: int | None = None
    device_id: str | None = None
    at: str | None = None  # RFC 3339
    p: float | None = None  # a probability


class Why(msgspec.Struct, frozen=True):
    """One reason of a change: ``fields`` are the numbers and names of its sentence."""

    code: str
    text: str
    fields: dict[str, str | int | float | None] = {}
