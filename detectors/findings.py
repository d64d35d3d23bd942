"""What is noticed and is no outage: a mute concentrator, an unknown breaker, a lost phase, power
where none should be.

Each has one deterministic id from its beginning to its end, so "why was this not an outage?" has an
answer.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from detectors.evidence import Evidence
from detectors.moments import NEVER
from detectors.positions import Position
from detectors.scene import Scene
from detectors.tree import places
from grid.english import form, meters
from grid.network import Bools, Group, phase_letters
from grid.outage import Finding

COMMS_OVERDUE = 2  # meters of a concentrator that must be overdue before it is called mute


@dataclass(slots=True, eq=False)
class Findings:
    """The open findings of one group, by what they are about."""

    group: Group
    open: dict[str, Finding] = field(default_factory=dict)
    said: list[Finding] = field(default_factory=list)

    def begin(
        self, kind: str, about: str, node: int, *, since_ms: int, now_ms: int, reason: str
    ) -> None:
        """Open a finding, unless it is open."""
        key = f"{kind}/{about}"
        if key in self.open:
            return
        finding = Finding(
            id=f"{self.group.slug}/{key}/{since_ms}",
            at_ms=now_ms,
            group=self.group.no,
            kind=kind,
            device_id=about,
            district=self.group.district[node],
            since_ms=since_ms,
            until_ms=None,
            reason=reason,
        )
        self.open[key] = finding
        self.said.append(finding)

    def restate(self, kind: str, about: str, *, now_ms: int, reason: str) -> None:
        """Say an open finding again, if its reason has changed."""
        finding = self.open[f"{kind}/{about}"]
        if finding.reason != reason:
            finding = msgspec.structs.replace(finding, at_ms=now_ms, reason=reason)
            self.open[f"{kind}/{about}"] = finding
            self.said.append(finding)

    def end(self, kind: str, about: str, *, now_ms: int) -> None:
        """Close a finding, if it is open."""
        finding = self.open.pop(f"{kind}/{about}", None)
        if finding is not None:
            self.said.append(msgspec.structs.replace(finding, at_ms=now_ms, until_ms=now_ms))

    def page(self) -> tuple[Finding, ...]:
        """What was said since the last page."""
        said, self.said = tuple(self.said), []
        return said


def note_comms(findings: Findings, evidence: Evidence, held: Bools, now_ms: int) -> None:
    """A concentrator whose meters are all overdue, and who are not in the dark: comms loss."""
    group = findings.group
    open_now = {k.split("/", 1)[1] for k in findings.open if k.startswith("comms_loss/")}
    if not evidence.mute_dcu.any() and not open_now:
        return
    mute: set[str] = set()
    for dcu in places(evidence.mute_dcu).tolist():
        members = places((group.dcu == dcu) & ~held)
        late = members[evidence.overdue[members] | evidence.pending[members]]
        if len(late) < COMMS_OVERDUE:
            continue
        mute.add(group.dcus[dcu])
        last = int(evidence.heard_ms[members].max())
        findings.begin(
            "comms_loss",
            group.dcus[dcu],
            int(members[0]),
            since_ms=last,
            now_ms=now_ms,
            reason=f"{len(late)} of {meters(len(members))} behind the concentrator "
            f"{form(len(late), 'is', 'are')} overdue and nothing comes through it: comms loss, "
            "no sign of an outage",
        )
    for name in sorted(open_now - mute):
        findings.end("comms_loss", name, now_ms=now_ms)


def note_verdict(findings: Findings, scene: Scene, held: Bools) -> None:
    """What a verdict shows that is no outage."""
    note_comms(findings, scene.evidence, held, scene.now_ms)
    for node, position in sorted(scene.positions.items()):
        _note_back_feed(findings, scene, node, is_open=position.closed is False)


def _note_back_feed(findings: Findings, scene: Scene, node: int, *, is_open: bool) -> None:
    """Meters that report power while the device above them says that it is open."""
    name = findings.group.ids[node]
    meters = scene.book.meters_below(node) if is_open else np.zeros(0, np.int64)
    powered = meters[scene.powered(node, meters)]
    if len(powered) == 0:
        findings.end("back_feed", name, now_ms=scene.now_ms)
        return
    first = findings.group.ids[int(powered[0])]
    verb = f"and {len(powered) - 1} more report" if len(powered) > 1 else "reports"
    reason = (
        f"{first} {verb} power while {name} says that it is open: fed from elsewhere, "
        "or drawn in the wrong place"
    )
    since = int(scene.evidence.heard_ms[powered].min())
    findings.begin("back_feed", name, node, since_ms=since, now_ms=scene.now_ms, reason=reason)


def note_position(findings: Findings, node: int, position: Position, now_ms: int) -> None:
    """A breaker whose position is unknown is said to be unknown, never open."""
    name = findings.group.ids[node]
    if position.closed is None:
        how = "says that it is neither open nor closed" if position.contrary else "does not answer"
        reason = f"{name} {how}: its position is unknown"
        since = position.heard_ms
        findings.begin("breaker_unknown", name, node, since_ms=since, now_ms=now_ms, reason=reason)
    else:
        findings.end("breaker_unknown", name, now_ms=now_ms)


class PhaseWord(NamedTuple):
    """What a row changed about a device's phases."""

    row: int
    node: int
    lost: int  # bits of phases
    back: int  # of those that it had lost and has again
    since_ms: int  # device clock: its last word that it has power
    at_ms: int  # stream time


def note_phases(findings: Findings, word: PhaseWord) -> None:
    """A device with dead and live phases has a phase loss (断相), which is no outage."""
    name = findings.group.ids[word.node]
    if not word.lost:
        findings.end("phase_loss", name, now_ms=word.at_ms)
        return
    reason = f"phase {phase_letters(word.lost)} below the limit while another is live: phase loss"
    since = word.since_ms if word.since_ms != NEVER else word.at_ms
    findings.begin("phase_loss", name, word.node, since_ms=since, now_ms=word.at_ms, reason=reason)
