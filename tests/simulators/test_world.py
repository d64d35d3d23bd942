"""The specification of worlds: what happens, who has power, and what each device says about it."""

from collections import defaultdict
from collections.abc import Callable
from itertools import groupby
from typing import Any

import msgspec
import pytest

from grid.errors import ConfigError
from grid.network import Network
from grid.reading import Kind
from grid.times import from_rfc3339
from simulators.day import day_lines
from simulators.fact import Fact
from simulators.truth import (
    CommsLossTruth,
    FalseGaspTruth,
    OutageTruth,
    PhaseLossTruth,
    from_lines,
    to_line,
)
from simulators.world import World

MakeWorld = Callable[..., World]
LATER_MS = 86_400_000

FAULT = '[[event]]\nkind = "fault"\nname = "f"\nat_s = 100\ndevice = "{}"\nrestore_s = 200\n'
STAGED = """
[[event]]
kind = "fault"
name = "cable"
at_s = 100
device = "B1"
recloses = 1
restore_s = 200
steps = [{after_s = 100, keep = {kind = "switch"}}]
left = [{after_s = 300, pick = {kind = "transformer", customers_min = 20}}]
"""
STORM = """
[storm]
faults = 4
kinds = ["transformer", "fuse"]
at_s = 60
spread_s = 30
restore_s = [100, 200]
nested = 0.7
nested_s = 60
"""


def said(world: World, kind: Kind | None = None) -> list[Fact]:
    facts = world.facts(world.start_ms - 1).until(world.end_ms)
    return [f for f in facts if kind is None or f.reading.kind is kind]


def outages(world: World) -> dict[str, OutageTruth]:
    return {line.id: line for line in world.truth() if isinstance(line, OutageTruth)}


def body(world: World) -> bytes:
    lines = [msgspec.json.encode(line) for line in day_lines(world)]
    return b"\n".join(lines) + b"".join(to_line(line) for line in world.truth())


def test_the_same_seed_gives_the_same_bytes(make_world: MakeWorld) -> None:
    knobs = {"delivery": 0.5, "false_gasp": 0.05, "dcu_loss": 0.5, "repeats": 0.2, "skew_s": 3}
    once, again = (body(make_world(STORM, **knobs)) for _ in range(2))
    assert once == again
    assert body(make_world(STORM, seed=6, **knobs)) != once


def test_asking_step_by_step_or_all_at_once_gives_the_same_facts(make_world: MakeWorld) -> None:
    world = make_world(STORM, delivery=0.5)
    feed = world.facts(world.start_ms - 1)
    steps = [f for ms in range(world.start_ms, world.end_ms + 1, 37) for f in feed.until(ms)]
    assert [f for f in said(world) if f.due_ms <= steps[-1].due_ms] == steps


def test_a_feed_taken_up_in_the_middle_goes_on_where_the_other_ended(make_world: MakeWorld) -> None:
    world = make_world(STORM, delivery=0.5)
    middle_ms = world.start_ms + 150_123
    rest = world.facts(middle_ms).until(world.end_ms)
    whole = [f for f in said(world) if f.due_ms > middle_ms]
    assert sorted(map(repr, rest)) == sorted(map(repr, whole))


def test_the_same_story_at_another_time_is_the_same_but_for_its_times(
    make_world: MakeWorld,
) -> None:
    early, late = (make_world(STORM, start_ms=ms) for ms in (0, LATER_MS))
    assert [(f.due_ms + LATER_MS, f.id) for f in said(early)] == [
        (f.due_ms, f.id) for f in said(late)
    ]


def test_no_meter_speaks_while_it_has_no_power(make_world: MakeWorld) -> None:
    world = make_world(STORM, repeats=0.3)
    for fact in said(world):
        if fact.reading.kind in (Kind.HEARTBEAT, Kind.POWER_UP):
            assert world.powered(fact.reading.device_id, fact.reading.happened_ms), fact


def test_every_dark_customers_meter_gasps_and_comes_back_at_the_times_of_the_truth(
    make_world: MakeWorld, town: Network
) -> None:
    world = make_world(STORM)
    gasps = {f.reading.device_id: f.reading.happened_ms for f in said(world, Kind.LAST_GASP)}
    ups = {f.reading.device_id: f.reading for f in said(world, Kind.POWER_UP)}
    truths = outages(world)
    assert len([t for t in truths.values() if t.nested_in is None]) == 4
    for truth in truths.values():
        assert sorted(c for s in truth.steps for c in s.customers) == list(truth.customers)
        for step in truth.steps:
            for meter in {town.customer_meters[c] for c in step.customers}:
                assert gasps[meter] == from_rfc3339(step.off_at)
                assert step.on_at is not None
                assert ups[meter].happened_ms == from_rfc3339(step.on_at)
                assert ups[meter].off_at_ms == gasps[meter]


def test_faults_of_a_storm_are_not_inside_one_another(make_world: MakeWorld, town: Network) -> None:
    told: defaultdict[str, int] = defaultdict(int)
    for truth in outages(make_world(STORM)).values():
        if truth.nested_in is None:
            for customer in truth.customers:
                told[customer] += 1
    assert max(told.values()) == 1


def test_a_gasp_leaves_after_the_hold_off_and_tells_when_power_failed(
    make_world: MakeWorld,
) -> None:
    world = make_world(FAULT.format("T5"), holdoff_s=[30, 45], latency_s=0)
    gasps = [f for f in said(world, Kind.LAST_GASP) if f.cls == "meter"]
    assert len(gasps) == 10
    for gasp in gasps:
        assert gasp.reading.happened_ms == world.start_ms + 100_000
        assert 30_000 <= gasp.due_ms - gasp.reading.happened_ms <= 45_000
        assert gasp.expires_ms == gasp.due_ms + 5_000


def test_a_dip_shorter_than_the_hold_off_is_not_told_by_meters(make_world: MakeWorld) -> None:
    dip = '[[event]]\nkind = "momentary"\nname = "d"\nat_s = 100\ndevice = "B1"\nduration_s = 0.8'
    world = make_world(dip)
    assert said(world, Kind.LAST_GASP) == said(world, Kind.POWER_UP) == []
    assert outages(world)["d"].momentary
    assert not world.breaker("B1", world.start_ms + 100_500).closed
    assert world.breaker("B1", world.start_ms + 101_000).closed


def test_a_breaker_recloses_onto_the_fault_and_locks_out(make_world: MakeWorld) -> None:
    world = make_world(STAGED)
    kinds = [op.kind for op in world.gear.done("B1", world.end_ms)]
    assert kinds == [Kind.TRIP, Kind.CLOSE, Kind.TRIP, Kind.LOCKOUT, Kind.CLOSE]
    before, between, out, back = (
        world.breaker("B1", world.start_ms + ms) for ms in (99_000, 100_700, 120_000, 230_000)
    )
    assert before.closed
    assert before.trips == 0
    assert min(before.amps) > 0
    assert between.closed
    assert (out.closed, out.lockout, out.trips, out.amps) == (False, True, 2, (0.0, 0.0, 0.0))
    assert out.fault_amps > 1000
    assert (back.closed, back.lockout) == (True, False)
    assert 0 < back.amps[0] < before.amps[0]  # the section behind the switch is still dark


def test_restoration_in_steps_leaves_a_nested_outage_behind(make_world: MakeWorld) -> None:
    truth = outages(make_world(STAGED))
    cable, left = truth["cable"], truth["cable/left-1"]
    start_ms = from_rfc3339(cable.off_at) - 100_000
    ends = [from_rfc3339(step.on_at or "") - start_ms for step in cable.steps]
    assert ends == [200_000, 300_000, 400_000]
    assert [len(step.customers) for step in cable.steps] == [20, 11, 20]
    assert [stage.device_id for stage in cable.stages] == ["B1", "W1"]
    assert (left.device_id, left.nested_in) == ("T2", "cable")
    assert left.customers == cable.steps[2].customers
    assert left.off_at == cable.off_at


def test_a_silent_concentrator_says_late_what_it_kept_and_nothing_where_it_heard_nothing(
    make_world: MakeWorld,
) -> None:
    silence = (
        '[[event]]\nkind = "dcu_silence"\nat_s = 100\ndevice = "D4"\nduration_s = 200\nkeeps = {}'
    )
    kept, lost = (make_world(silence.format(word)) for word in ("true", "false"))
    for world in (kept, lost):
        dues = [f.due_ms - world.start_ms for f in said(world) if f.id == "D4"]
        assert not [ms for ms in dues if 102_000 < ms < 300_000]
        assert outages(world) == {}
    late = [f for f in said(kept) if f.due_ms - f.reading.happened_ms > 10_000]
    assert {f.id for f in late} == {"D4"}
    assert len(late) > 20
    assert [f for f in said(lost) if f.due_ms - f.reading.happened_ms > 10_000] == []
    assert any(isinstance(line, CommsLossTruth) and line.device_id == "D4" for line in kept.truth())


def test_concentrators_go_mute_with_their_customers_in_the_dark(make_world: MakeWorld) -> None:
    world = make_world(FAULT.format("B2"), dcu_loss=1, dcu_loss_s=50)
    losses = [line for line in world.truth() if isinstance(line, CommsLossTruth)]
    assert "D4" in {line.device_id for line in losses}
    mute = [f for f in said(world) if f.id == "D4"]
    assert Kind.LAST_GASP not in {f.reading.kind for f in mute}  # nobody heard them
    assert Kind.POWER_UP in {f.reading.kind for f in mute}
    assert len([f for f in said(world, Kind.LAST_GASP) if f.cls == "meter"]) == 10  # have none


def test_planned_work_opens_on_command_and_is_announced_before(make_world: MakeWorld) -> None:
    world = make_world(
        '[[event]]\nkind = "planned"\nname = "w"\nat_s = 100\ndevice = "B2"\nduration_s = 60\n'
        "announced_s = 30\nmargin_s = 5"
    )
    (plan,) = world.plans
    times = (plan.announced_ms, plan.from_ms, plan.to_ms)
    assert [ms - world.start_ms for ms in times] == [70_000, 95_000, 165_000]
    assert outages(world)["w"].kind == "planned"
    assert [(op.kind, op.commanded) for op in world.gear.done("B2", world.end_ms)] == [
        (Kind.OPEN, True),
        (Kind.CLOSE, True),
    ]


def test_a_lost_phase_is_told_by_those_who_have_the_others(make_world: MakeWorld) -> None:
    world = make_world(
        '[[event]]\nkind = "phase_loss"\nname = "p"\nat_s = 100\ndevice = "T3"\nphase = "B"\n'
        "duration_s = 100"
    )
    losses = said(world, Kind.PHASE_LOSS)
    assert {f.reading.device_id for f in losses} == {"T3", *(f"M{i}" for i in range(41, 51))}
    assert {f.reading.phases for f in losses} == {2}
    assert all(f.reading.volts[1] == 0 < min(f.reading.volts[::2]) for f in losses)
    assert {f.reading.device_id for f in said(world, Kind.LAST_GASP)} == {"M51"}
    assert outages(world) == {}
    assert any(isinstance(line, PhaseLossTruth) for line in world.truth())


def test_a_lost_phase_is_an_outage_of_those_who_have_no_other(make_world: MakeWorld) -> None:
    world = make_world(
        '[[event]]\nkind = "phase_loss"\nname = "p"\nat_s = 100\ndevice = "T3"\nphase = "A"\n'
        "duration_s = 100"
    )
    (outage,) = outages(world).values()
    assert (outage.device_id, outage.phases, outage.customers) == ("T3", "A", ("C-M52",))


def test_meters_that_the_sun_keeps_alive_go_on_talking_in_the_dark(make_world: MakeWorld) -> None:
    world = make_world(FAULT.format("T5"), solar=1)
    beats = [
        f
        for f in said(world, Kind.HEARTBEAT)
        if f.cls == "meter" and 100_000 < f.reading.happened_ms - world.start_ms < 300_000
    ]
    assert len({f.id for f in beats}) == 10
    assert len(outages(world)["f"].customers) == 10  # the network does not feed them all the same


def test_a_false_gasp_is_in_the_truth_and_in_the_dark_is_nobody(make_world: MakeWorld) -> None:
    world = make_world(
        '[[event]]\nkind = "false_gasp"\nat_s = 50\ndevice = "M61"\n'
        '[[event]]\nkind = "clock_jump"\nat_s = 40\ndevice = "M61"\nby_s = -86400000'
    )
    (gasp,) = said(world, Kind.LAST_GASP)
    assert gasp.reading.device_id == "M61"
    assert gasp.reading.happened_ms == world.start_ms + 50_000 - 86_400_000_000
    assert any(isinstance(line, FalseGaspTruth) for line in world.truth())


def test_delivery_is_the_share_of_gasps_that_arrive(make_world: MakeWorld) -> None:
    faults = FAULT.format("B1") + FAULT.format("B2").replace('"f"', '"g"')
    world = make_world(faults, delivery=0.3)
    gasps = {f.reading.device_id for f in said(world, Kind.LAST_GASP) if f.cls != "terminal"}
    assert 10 <= len(gasps) <= 40  # of 82


def test_a_ping_is_answered_by_those_who_have_power(make_world: MakeWorld) -> None:
    world = make_world(FAULT.format("T5"), ping_reply=1)
    asked_ms = world.start_ms + 150_000
    assert world.answer("M85", asked_ms) is None
    assert world.answer("nobody", asked_ms) is None
    answer = world.answer("M61", asked_ms)
    assert answer is not None
    assert (answer.cls, answer.id) == ("meter", "M61")
    assert (answer.reading.kind, answer.reading.boot) == (Kind.PING_REPLY, None)
    assert 500 <= answer.due_ms - asked_ms <= 4000


def test_concentrators_that_relay_leave_each_message_under_its_meters_topic(
    make_world: MakeWorld,
) -> None:
    assert {f.cls for f in said(make_world())} == {"meter", "terminal", "dcu"}
    assert {f.cls for f in said(make_world(batches=False))} == {"meter", "terminal"}


def test_a_day_is_lines_in_order_with_a_tick_at_its_end(make_world: MakeWorld) -> None:
    world = make_world(STAGED, repeats=0.2, stale=0.05)
    *lines, tick = list(day_lines(world))
    assert tick == {"tick": world.end_ms}
    times = [line["received_at"] for line in lines]
    assert times == sorted(times)
    assert world.start_ms <= times[0]
    assert times[-1] <= world.end_ms
    breaker = [x["payload"] for x in lines if x["topic"] == "lastgasp/v1/breaker/B1/event"]
    trips = [x for x in breaker if x["kind"] == "trip"]
    assert [x["commanded"] for x in trips] == [False, False]
    events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        sender = line["topic"].rsplit("/", 1)[0]
        said_now = line["payload"]
        events[sender] += said_now if isinstance(said_now, list) else [said_now]
    for mine in events.values():
        mine.sort(key=lambda event: event["seq"])
        for _, same in groupby(mine, key=lambda event: event["seq"]):
            assert len({msgspec.json.encode(event) for event in same}) == 1
        assert {event["seq"] for event in mine} == set(range(1, mine[-1]["seq"] + 1))


def test_the_truth_log_can_be_read_back(make_world: MakeWorld) -> None:
    truth = make_world(STORM, false_gasp=0.1).truth(episode=3)
    assert from_lines(to_line(line) for line in truth) == truth
    with pytest.raises(ConfigError, match="line 2"):
        from_lines([to_line(truth[0]), b'{"type":"outage"}'])


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ('kind = "fault"\nname = "x"\nat_s = 1\ndevice = "B9"', "event x: .*no device 'B9'"),
        (
            'kind = "fault"\nname = "x"\nat_s = 1\npick = {kind = "fuse", customers_min = 99}',
            "event x: no device fits fuse with at least 99 customers",
        ),
        ('kind = "fault"\nat_s = 1\npick = {kind = "pole"}', "'pole' is no kind of device"),
        ('kind = "dcu_silence"\nat_s = 1\ndevice = "D9"\nduration_s = 1', "no concentrator 'D9'"),
        ('kind = "restore"\nat_s = 1\nof = "x"', "earlier fault"),
    ],
)
def test_a_story_that_does_not_fit_the_network_is_refused(
    make_world: MakeWorld, event: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        make_world(f"[[event]]\n{event}")
