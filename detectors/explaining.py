"""Why an outage is believed: evidence for it and against it, in words, codes and numbers."""

import numpy as np

from detectors.currents import currents_of
from detectors.inference import Declared
from detectors.moments import NEVER
from detectors.running import Running
from detectors.scene import Scene
from detectors.tree import TRANSFORMER, above, among, how_many
from detectors.weighing import GUARD_MS
from grid.english import count, form, meters
from grid.network import ALL_PHASES, phase_letters
from grid.reasons import Evidence
from grid.times import to_rfc3339


def evidence_of(scene: Scene, outage: Running, found: Declared) -> tuple[Evidence, ...]:
    """All that speaks for an outage, then what speaks against it, and what it comes to."""
    lines = [*_people(scene, outage), *_device(scene, outage)]
    lines += currents_of(scene, outage)
    lines += [*_silence(scene, outage, found), *_against(scene, outage, found)]
    probability = round(found.probability, 2)
    text = f"probability {found.probability:.2f}"
    return (*lines, Evidence(code="probability", text=text, for_=None, p=probability))


def sentences(lines: tuple[Evidence, ...]) -> tuple[str, ...]:
    """What speaks for it, and the probability, as sentences."""
    return tuple(line.text for line in lines if line.for_ is not False)


def _people(scene: Scene, outage: Running) -> list[Evidence]:
    name = scene.book.group.ids[outage.node]
    lines = []
    if outage.placed_by is not None:
        text = f"{outage.placed_by} put it at {name}"
        at = to_rfc3339(outage.placed_ms)
        lines.append(Evidence(code="placed", text=text, device_id=name, at=at))
    if outage.vouched_by is not None:
        lines.append(Evidence(code="vouched", text=f"{outage.vouched_by} confirmed it"))
    return lines


def _device(scene: Scene, outage: Running) -> list[Evidence]:
    """The word of the device itself, and of the one above it."""
    group, positions = scene.book.group, scene.positions
    name, position = group.ids[outage.node], positions.get(outage.node)
    lines = []
    if position is not None and position.closed is False:
        how = "opened by command" if position.commanded else "tripped"
        code, at = "commanded" if position.commanded else "tripped", to_rfc3339(position.since_ms)
        lines.append(Evidence(code=code, text=f"{name} {how} at {at}", device_id=name, at=at))
    stale_ms = scene.limits.telemetry_stale_s * 1000
    for node in above(group.parent, outage.node):
        upper = positions.get(node)
        if upper is not None and upper.closed and scene.now_ms - upper.heard_ms <= stale_ms:
            text = f"{group.ids[node]} above says that it is closed"
            lines.append(Evidence(code="closed_above", text=text, device_id=group.ids[node]))
    return lines


def _silence(scene: Scene, outage: Running, found: Declared) -> list[Evidence]:
    group, evidence = scene.book.group, scene.evidence
    below = group.below(found.node)
    gasps = evidence.gasp_ms[below] >= found.since_ms - GUARD_MS
    terminals = how_many(gasps & (group.kind[below] == TRANSFORMER))
    all_, own = len(outage.members), found.gasps - terminals - found.lost
    lines = []
    if terminals:
        which = count(terminals, "transformer terminal reports", "transformer terminals report")
        text = f"{which} no voltage"
        lines.append(Evidence(code="terminals", text=text, n=terminals))
    if found.lost:
        letters = phase_letters(found.phases)
        which = count(found.lost, "device of three phases has", "devices of three phases have")
        kept = form(found.lost, "keeps", "keep")
        text = f"{which} lost phase {letters} and {kept} another"
        lines.append(Evidence(code="phase_lost", text=text, n=found.lost))
    if own > 0:
        text = f"{own} of {meters(all_)} sent a last gasp"
        lines.append(Evidence(code="gasps", text=text, n=own, of=all_))
    if found.overdue:
        text = f"{count(found.overdue, 'heartbeat was', 'heartbeats were')} due and did not come"
        lines.append(Evidence(code="overdue", text=text, n=found.overdue, of=all_))
    if found.unanswered:
        text = f"{count(found.unanswered, 'meter was', 'meters were')} asked and did not answer"
        lines.append(Evidence(code="unanswered", text=text, n=found.unanswered, of=all_))
    if outage.parent is not None:
        text = "dark since before the power above came back"
        lines.append(Evidence(code="left_behind", text=text))
    return lines


def _against(scene: Scene, outage: Running, found: Declared) -> list[Evidence]:
    """Meters that report power, gasps that did not come, and whose concentrator is mute."""
    book, evidence = scene.book, scene.evidence
    members = book.meters_on(found.node, found.phases)
    others = members[~among(members, outage.members)]
    heard = evidence.heard_ms[others] > found.since_ms + GUARD_MS
    powered = how_many(heard & (evidence.gasp_ms[others] == NEVER))
    out = outage.members[outage.out]
    quiet = how_many(evidence.gasp_ms[out] == NEVER)
    relay = book.group.dcu[out]
    mute = how_many(evidence.mute_dcu[relay[relay >= 0]])
    lines = _other_phases(scene, found)
    if powered:
        report = form(powered, "reports", "report")
        text = f"{powered} of {meters(len(members))} behind it {report} power"
        lines.append(
            Evidence(code="report_power", text=text, for_=False, n=powered, of=len(members))
        )
    if quiet:
        text = f"{quiet} of {meters(len(out))} sent no last gasp"
        lines.append(Evidence(code="no_gasp", text=text, for_=False, n=quiet, of=len(out)))
    if mute:
        are = form(mute, "is", "are")
        text = f"{mute} of {meters(len(out))} {are} behind a concentrator that is mute"
        lines.append(Evidence(code="mute", text=text, for_=False, n=mute, of=len(out)))
    return lines


def _other_phases(scene: Scene, found: Declared) -> list[Evidence]:
    """Who is behind the device and lives on the other phases: that is why it is one alone."""
    if found.phases == ALL_PHASES:
        return []
    book = scene.book
    below = book.meters_below(found.node)
    others = below[book.tree.phases[below] & np.uint8(found.phases) == 0]
    live = how_many(scene.evidence.heard_ms[others] > found.since_ms + GUARD_MS)
    letters = phase_letters(ALL_PHASES & ~found.phases)
    report = form(live, "reports", "report")
    text = f"{live} of {meters(len(others))} on phase {letters} {report} power"
    line = Evidence(code="phase_live", text=text, for_=None, n=live, of=len(others))
    return [line] if live else []
