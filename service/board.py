"""The board: what is out, which device, how sure, why, and how old our knowledge is.

Pure: a view in, something that rich can print out.  Where there is no terminal, the same things as
lines, each printed once, when it changes.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from grid.outage import RUNNING
from grid.public import PublicFinding, PublicOutage
from grid.times import from_rfc3339, to_rfc3339

STYLE_OF = {
    "predicted": "yellow",
    "verify": "yellow",
    "confirmed": "bold red",
    "partially_restored": "magenta",
    "restored": "green",
}
OLD_S = 60.0  # a source silent for longer is shown in red
EVIDENCE_MAX = 2  # sentences shown of each outage
WIDE = 110  # columns from which there is room for the evidence


class Source(msgspec.Struct, frozen=True):
    """Something that we hear or depend on; ``age_s`` since its last word, if it has one."""

    name: str
    ready: bool
    age_s: float | None = None
    reason: str | None = None


class View(msgspec.Struct, frozen=True):
    """What the board shows at a moment."""

    at_ms: int
    service: str  # its address
    outages: Sequence[PublicOutage] = ()
    findings: Sequence[PublicFinding] = ()
    sources: Sequence[Source] = ()
    customers: int | None = None  # served by the network, None where unknown
    note: str = ""  # why the view may be old
    hint: str = ""  # what else there is to do, at the foot

    @property
    def dark(self) -> int:
        """Customers without power now."""
        return sum(o.customers_out for o in self.outages if o.state in RUNNING)


def render(view: View, *, width: int, height: int) -> RenderableType:
    """The board for a terminal of that many columns and lines."""
    running = sorted(
        (o for o in view.outages if o.state in RUNNING), key=lambda o: (-o.customers_out, o.id)
    )
    over = sorted(
        (o for o in view.outages if o.state not in RUNNING),
        key=lambda o: (o.restored_at or "", o.id),
        reverse=True,
    )
    foot = 1 + len(view.hint.splitlines()) if view.hint else 0
    room = max(3, height - 9 - foot)
    findings = view.findings[: max(1, room // 3)]
    each = 2 if width >= WIDE else 1  # lines of a running one
    outages = running[: max(1, (room - len(findings)) // each)]
    rest = over[: max(0, room - len(findings) - each * len(outages))]
    parts: list[RenderableType] = [_head(view), _sources(view.sources), Text("")]
    if outages or rest:
        parts.append(_outages(outages, rest, view.at_ms, width))
    else:
        parts.append(Text("No outage.", style="green"))
    parts += _more(len(running) - len(outages), "running outages")
    parts += _more(len(over) - len(rest), "restored ones")
    if findings:
        parts += [Text(""), _findings(findings, view.at_ms)]
    parts += _more(len(view.findings) - len(findings), "findings")
    if view.note:
        parts.append(Text(view.note, style="bold yellow"))
    if view.hint:
        parts += [Text(""), Text(view.hint, style="dim", no_wrap=True, overflow="ellipsis")]
    return Group(*parts)


def _more(count: int, what: str) -> list[RenderableType]:
    return [Text(f"and {count} more {what}", style="dim")] if count > 0 else []


def lines(before: View | None, now: View) -> Iterator[str]:
    """What changed since the view before, a line each, for who has no terminal."""
    known = {o.id: o for o in before.outages} if before else {}
    seen = {f.id: f for f in before.findings} if before else {}
    clock = to_rfc3339(now.at_ms)
    for outage in now.outages:
        old = known.get(outage.id)
        if old is None or old.version != outage.version:
            yield f"{clock} {outage_line(outage)}"
    still = {o.id for o in now.outages}
    yield from (f"{clock} {one.id} closed" for one in known.values() if one.id not in still)
    for finding in now.findings:
        if seen.get(finding.id) != finding:
            yield f"{clock} {finding.kind} {finding.device_id}: {finding.reason}"
    if before is None or before.dark != now.dark:
        yield f"{clock} {now.dark} customers without power"
    yield from _source_lines(before, now, clock)


def outage_line(outage: PublicOutage) -> str:
    """One outage in one line."""
    why = "; ".join(_why(outage))
    return (
        f"{outage.id} {outage.state}: {outage.kind} at {outage.device_kind} {outage.device_id}, "
        f"{outage.customers_out} of {outage.customers_affected} customers out, "
        f"probability {outage.probability:.2f}" + (f" ({why})" if why else "")
    )


def span(seconds: float) -> str:
    """A time span for a person: ``0.4 s``, ``12 s``, ``5 min``, ``2 h 05``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(int(seconds // 60), 60)
    return f"{hours} h {minutes:02d}"


def _head(view: View) -> Text:
    of = f" of {view.customers:,}" if view.customers else ""
    running = sum(o.state in RUNNING for o in view.outages)
    clock = to_rfc3339(view.at_ms)[:19].replace("T", " ")
    return Text.assemble(
        ("Lastgasp", "bold"),
        (f"  {clock}Z  {view.service}   ", "dim"),
        (f"{view.dark:,}{of} customers dark", "bold red" if view.dark else "bold green"),
        f"   {running} {'outage' if running == 1 else 'outages'}",
    )


def _sources(sources: Sequence[Source]) -> Text:
    text = Text()
    for source in sources:
        age = "" if source.age_s is None else f" {span(source.age_s)}"
        old = source.age_s is not None and source.age_s > OLD_S
        mark, style = ("●", "green") if source.ready else ("○", "red")
        text.append(f"{mark} ", "yellow" if source.ready and old else style)
        text.append(f"{source.name}{age}", "red" if old or not source.ready else "")
        text.append(f" ({source.reason})  " if source.reason and not source.ready else "  ")
    return text


def _outages(
    running: Sequence[PublicOutage], over: Sequence[PublicOutage], at_ms: int, width: int
) -> Table:
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("outage", no_wrap=True, max_width=20)
    table.add_column("state", no_wrap=True, min_width=9)
    table.add_column("device", no_wrap=True, overflow="ellipsis", ratio=None if wide else 1)
    for name, least in (("dark", 9), ("p", 4), ("for", 5)):
        table.add_column(name, justify="right", no_wrap=True, min_width=least)
    if wide:
        table.add_column("evidence", ratio=1, overflow="ellipsis", no_wrap=True)
    for outage in (*running, *over):
        ended = outage.restored_at if outage not in running else None
        until = from_rfc3339(ended) if ended else at_ms
        why = _why(outage) if outage in running else [f"since {ended}" if ended else ""]
        cells: list[RenderableType] = [
            Text(outage.id, style="dim"),
            Text(_state(outage), style=STYLE_OF.get(outage.state, "")),
            f"{outage.device_kind} {outage.device_id}",
            f"{outage.customers_out}/{outage.customers_affected}",
            f"{outage.probability:.2f}",
            span((until - from_rfc3339(outage.started_at)) / 1000),
        ]
        table.add_row(*cells, *(["\n".join(why)] if wide else []))
    return table


def _state(outage: PublicOutage) -> str:
    """The state, and the pool it is from where that is no fault: ``confirmed, planned``."""
    return outage.state if outage.kind == "fault" else f"{outage.state}, {outage.kind}"


def _why(outage: PublicOutage) -> list[str]:
    """What speaks for it; the probability has a column of its own."""
    return [one for one in outage.evidence if not one.startswith("probability")][:EVIDENCE_MAX]


def _findings(findings: Sequence[PublicFinding], at_ms: int) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    for name in ("finding", "device", "for"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1, overflow="ellipsis", no_wrap=True)
    for finding in findings:
        until = from_rfc3339(finding.until) if finding.until else at_ms
        since = (until - from_rfc3339(finding.since)) / 1000
        style = "dim" if finding.until else ""
        table.add_row(finding.kind, finding.device_id, span(since), finding.reason, style=style)
    return table


def _source_lines(before: View | None, now: View, clock: str) -> Iterator[str]:
    old: Mapping[str, bool] = {s.name: s.ready for s in before.sources} if before else {}
    for source in now.sources:
        if old.get(source.name) != source.ready:
            word = "ready" if source.ready else f"not ready: {source.reason}"
            yield f"{clock} {source.name} {word}"
    if now.note and (before is None or before.note != now.note):
        yield f"{clock} {now.note}"
