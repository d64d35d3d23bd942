"""What chance adds to a story: concentrators that go mute, meters that cry wolf."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from grid.network import NodeKind, Place
from simulators.power import Power
from simulators.scene import Scene
from simulators.story import Silence, Story

_QUIET_SHARE = 0.1  # how much less often a concentrator goes mute with all its customers supplied


def with_mischance(story: Story, scene: Scene, power: Power) -> Story:
    """The story with the shares ``dcu_loss`` and ``false_gasp`` of its field."""
    mute = tuple(_gone_mute(story, scene, power))
    wolves = sorted(
        (*story.false_gasps, *_wolves(scene, power)),
        key=lambda wolf: (wolf[0], wolf[1].group, wolf[1].node),  # several may gasp at once
    )
    return replace(story, dcu_silences=story.dcu_silences + mute, false_gasps=tuple(wolves))


def _gone_mute(story: Story, scene: Scene, power: Power) -> Iterator[Silence]:
    """Concentrators that hear nothing for a while, from when their first customers go dark."""
    field, groups = scene.field, scene.network.groups
    if not field.dcu_loss:
        return
    struck = min((h.off_ms for h in story.happenings), default=scene.start_ms)
    hold_ms = field.holdoff_s[0] * 1000
    for dcu, places in sorted(scene.network.dcu_places.items()):
        darks = [
            dark.off_ms
            for no, index in places.items()
            for node in np.flatnonzero(groups[no].dcu == index).tolist()
            for dark in power.dark(Place(no, node))
            if dark.on_ms - dark.off_ms > hold_ms
        ]
        share = field.dcu_loss if darks else field.dcu_loss * _QUIET_SHARE
        if scene.chance.one("mute", dcu) < share:
            from_ms = min(darks, default=struck)
            until_ms = from_ms + round(field.dcu_loss_s * 1000)
            yield Silence(dcu, from_ms, until_ms, keeps=False)


def _wolves(scene: Scene, power: Power) -> Iterator[tuple[int, Place]]:
    """Meters that have power and say that it failed, each once at most."""
    if not scene.field.false_gasp:
        return
    for group in scene.network.groups:
        for node in np.flatnonzero(group.kind == NodeKind.METER).tolist():
            one, when, _, _ = scene.chance.four("wolf", group.ids[node])
            at_ms = scene.start_ms + int(when * (scene.end_ms - scene.start_ms))
            place = Place(group.no, node)
            if one < scene.field.false_gasp and power.at(place, at_ms):
                yield at_ms, place
