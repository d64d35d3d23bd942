"""Decisions on the work: who takes care, which crew, how far it is, the cause, the estimate.

The ladder is ``grid.work.Stage``; it is climbed, steps may be left out, and only another crew
begins it anew.  The last step is the meters': restored after it was repaired.
"""

from detectors.running import NOT_EXPLAINED, Running
from detectors.scene import Scene
from grid.english import meters
from grid.errors import Refused
from grid.frame import Decided
from grid.outage import Etr, OutageKind, State
from grid.times import to_rfc3339
from grid.work import LADDER, Acknowledged, Progress, Stage

CREW_SURE = 0.9  # how sure a crew's estimate is taken to be where it does not say


def acknowledge(scene: Scene, outage: Running, command: Decided) -> None:
    """Somebody has seen it and takes care of it."""
    if outage.acknowledged is not None:
        raise Refused(f"{outage.acknowledged.by} has acknowledged it already")
    outage.acknowledged = Acknowledged(scene.said_ms, command.by)
    text = f"acknowledged by {command.by}"
    scene.book.note(outage, text, code="acknowledged", by=command.by)


def confirm(scene: Scene, outage: Running, command: Decided) -> None:
    """A person vouches for it: it is not withdrawn for want of evidence."""
    if outage.vouched_by is not None:
        raise Refused(f"{outage.vouched_by} has confirmed it already")
    if outage.state is State.RESTORED:
        raise Refused("it is restored already")
    outage.vouched_by = command.by
    if outage.state in (State.PREDICTED, State.VERIFY):
        outage.state = State.CONFIRMED
    if outage.confirmed_ms is None:
        outage.confirmed_ms = scene.said_ms
    _name(outage, command)
    outage.counted = NOT_EXPLAINED
    out = outage.members[outage.out]
    text = f"confirmed by {command.by}: {command.reason}"
    scene.book.note(outage, text, out, code="confirmed_by", by=command.by, reason=command.reason)


def note(scene: Scene, outage: Running, command: Decided) -> None:
    """A line in the log."""
    text = f"note by {command.by}: {command.reason}"
    scene.book.note(outage, text, code="note", by=command.by, reason=command.reason)


def cause(scene: Scene, outage: Running, command: Decided) -> None:
    """What did it; found by a crew on site it is a stage of the work, too."""
    here = outage.stage is Stage.ON_SITE
    if not here and outage.cause == command.cause and command.kind in (None, outage.kind):
        raise Refused(f"its cause is {outage.cause} already")
    _require_crew(outage, command)
    _name(outage, command)
    text = f"cause {command.cause}, says {command.by}"
    scene.book.note(outage, text, code="cause", cause=command.cause, by=command.by)
    if here:
        _reach(scene, outage, Stage.CAUSE_FOUND, command)


def etr(scene: Scene, outage: Running, command: Decided) -> None:
    """When power will be back, by who is there or speaks to them: no machine overwrites it."""
    assert command.etr_ms is not None
    _require_crew(outage, command)
    if command.etr_ms <= scene.now_ms:
        raise Refused("that time has passed already")
    if outage.state is State.RESTORED:
        raise Refused("it is restored already")
    before = outage.etr
    sure = CREW_SURE if command.confidence is None else command.confidence
    earliest = command.earliest_ms
    outage.etr = Etr(command.etr_ms, "crew", sure, earliest, scene.said_ms, command.reason or None)
    at = to_rfc3339(command.etr_ms)
    scene.book.note(
        outage,
        f"expected back by {at}, says {command.by}: {command.reason}",
        code="etr",
        at=at,
        before=to_rfc3339(before.at_ms) if before else None,
        source="crew",
        by=command.by,
        reason=command.reason,
    )


def assign(scene: Scene, outage: Running, command: Decided) -> None:
    """A work order for a crew; another one than before begins the ladder anew."""
    if outage.crew == command.crew:
        raise Refused(f"crew {outage.crew} has it already")
    before = outage.crew
    outage.crew, outage.stage = command.crew, Stage.NONE
    outage.progress = ()
    instead = f" instead of {before}" if before else ""
    text = f"crew {command.crew}{instead} assigned by {command.by}"
    scene.book.note(outage, text, code="assigned", crew=command.crew, before=before, by=command.by)
    outage.stage = Stage.ASSIGNED
    outage.progress = (Progress(Stage.ASSIGNED, scene.said_ms, command.by),)


def en_route(scene: Scene, outage: Running, command: Decided) -> None:
    """The crew is on its way."""
    _climb(scene, outage, Stage.EN_ROUTE, command)


def on_site(scene: Scene, outage: Running, command: Decided) -> None:
    """The crew is there."""
    _climb(scene, outage, Stage.ON_SITE, command)


def repaired(scene: Scene, outage: Running, command: Decided) -> None:
    """The crew has done its work; whether that brought power back, the meters say."""
    _require_climb(outage, Stage.REPAIRED, command)
    if command.cause is not None:
        _name(outage, command)
        text = f"cause {command.cause}, says {command.by}"
        scene.book.note(outage, text, code="cause", cause=command.cause, by=command.by)
    _reach(scene, outage, Stage.REPAIRED, command)


def verify(scene: Scene, outage: Running) -> None:
    """A repair is verified once everybody is back and at least one meter said so itself."""
    if outage.stage is not Stage.REPAIRED or outage.state is not State.RESTORED:
        return
    own = int((~outage.inferred).sum())
    if own == 0:
        return
    outage.stage = Stage.VERIFIED
    outage.progress += (Progress(Stage.VERIFIED, scene.said_ms, "meters"),)
    scene.book.note(outage, f"verified by {meters(own)}", code="verified", n=own)


def verify_by_hand(scene: Scene, outage: Running, command: Decided) -> None:
    """A person made sure that power is back; what a customer is told, their meter says."""
    if outage.state is not State.RESTORED:
        raise Refused("power is not back yet; only what is restored can be verified")
    if outage.stage is Stage.VERIFIED:
        raise Refused("it is verified already")
    outage.stage = Stage.VERIFIED
    outage.progress += (Progress(Stage.VERIFIED, scene.said_ms, command.by),)
    text = f"verified by {command.by}"
    text += f": {command.reason}" if command.reason else ""
    scene.book.note(outage, text, code="verified_by", by=command.by, reason=command.reason)


def _climb(scene: Scene, outage: Running, stage: Stage, command: Decided) -> None:
    _require_climb(outage, stage, command)
    _reach(scene, outage, stage, command)


def _require_climb(outage: Running, stage: Stage, command: Decided) -> None:
    if outage.crew is None:
        raise Refused("no crew is assigned; assign one first")
    _require_crew(outage, command)
    if LADDER.index(stage) <= LADDER.index(outage.stage):
        raise Refused(f"crew {outage.crew} is {outage.stage.replace('_', ' ')} already")


def _require_crew(outage: Running, command: Decided) -> None:
    if command.role == "crew" and command.by != outage.crew:
        raise Refused(f"it is not crew {command.by}'s work order")


def _reach(scene: Scene, outage: Running, stage: Stage, command: Decided) -> None:
    """A stage is reached, no earlier than the one before it."""
    at = scene.said_ms if command.when_ms is None else command.when_ms
    at = max([at, *(p.at_ms for p in outage.progress)])
    outage.stage = stage
    outage.progress += (Progress(stage, at, command.by),)
    word = stage.value.replace("_", " ")
    when = to_rfc3339(at)
    text = f"crew {outage.crew} {word} at {when}, says {command.by}"
    scene.book.note(outage, text, code=stage.value, crew=outage.crew, at=when, by=command.by)


def _name(outage: Running, command: Decided) -> None:
    if command.cause is not None:
        outage.cause = command.cause
    if command.kind is not None:
        outage.kind = OutageKind(command.kind)
