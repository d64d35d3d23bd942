"""The specification of evidence: what was heard, what was missed, and what that argues for."""

import numpy as np
import pytest

from detectors.arriving import Gasping
from detectors.engine import Engine
from detectors.evidence import Asked, Ear, gather
from detectors.moments import FAR, NEVER
from detectors.settings import EngineSettings
from grid.drawing import draw

pytestmark = pytest.mark.loops

NETWORK = draw("""
source S1
  breaker B1
    transformer T1
      meter M1..M4 dcu=D1
    transformer T2
      meter M5..M8
""")
NODE = {name: node for node, name in enumerate(NETWORK.groups[0].ids)}
LIMITS = EngineSettings(heartbeat_s=900.0, heartbeat_slack_s=30.0, pings_per_minute=0.0)
DELIVERY = 0.5
FALSE, LOSS = LIMITS.false_gasp, (LIMITS.comms_loss, LIMITS.comms_loss_quiet)


@pytest.fixture
def judged(stream, at):
    """The evidence at a moment of a drawn day; ``gaps`` are stretches in which we heard nothing."""

    def judge(
        text: str,
        now: str,
        *gaps: tuple[str, str],
        asked: dict[str, str] | None = None,
        calm: str | None = None,
    ):
        engine = Engine(NETWORK.groups[0], LIMITS)
        for frame in stream(NETWORK, text).frames():
            engine.apply(frame)
        in_vain = None
        if asked:
            nodes, when = [NODE[m] for m in asked], [at(clock) for clock in asked.values()]
            in_vain = Asked(np.array(nodes), np.array(when), np.ones(len(nodes)))
        heard_nothing = tuple((at(a), at(b)) for a, b in gaps)
        calm_ms = FAR if calm is None else at(calm)
        ear = Ear(at(now), heard_nothing, Gasping(DELIVERY), FALSE, LOSS, calm_ms, asked=in_vain)
        return gather(NETWORK.groups[0], engine.hearing, ear, LIMITS)

    return judge


def test_a_last_gasp_argues_by_how_rare_a_false_one_is(judged) -> None:
    told = judged("12:00 M5 heartbeat\n12:05 M5 last_gasp", "12:05:10")
    assert told.gasp_ll[NODE["M5"]] == pytest.approx(np.log(DELIVERY / LIMITS.false_gasp))
    assert told.suspicious.sum() == 1


def test_a_terminal_is_believed_more_than_a_meter_and_missed_more(judged) -> None:
    """It has a battery and a line of its own, and measures."""
    told = judged("12:00 T2,M5 heartbeat\n12:05 T2,M5 last_gasp", "12:05:10")
    assert 0 < told.gasp_ll[NODE["M5"]] < told.gasp_ll[NODE["T2"]]
    silent = judged("12:00 T2,M5 heartbeat", "12:05:10")
    assert silent.off_ll[NODE["T2"]] < silent.off_ll[NODE["M5"]] < 0


def test_a_gasp_before_its_own_last_word_of_power_is_no_evidence(judged) -> None:
    told = judged("12:00 M5 heartbeat\n12:05 M5 last_gasp\n12:05:20 M5 power_up", "12:05:30")
    assert told.gasp_ll[NODE["M5"]] == 0
    assert not told.suspicious.any()


@pytest.mark.parametrize(
    ("now", "overdue"),
    [("12:14:59", False), ("12:15:30", False), ("12:15:31", True), ("13:00:00", True)],
    ids=["before it is due", "within the slack", "past the slack", "and stays so"],
)
def test_a_heartbeat_is_overdue_after_its_period_and_slack(judged, now: str, overdue: bool) -> None:
    assert judged("12:00 M5 heartbeat", now).overdue[NODE["M5"]] == overdue


def test_a_heartbeat_that_did_not_come_argues_harder_the_later_it_is(judged) -> None:
    at_once = judged("12:00 M5 heartbeat", "12:15:31").on_ll[NODE["M5"]]
    later = judged("12:00 M5 heartbeat", "12:15:50").on_ll[NODE["M5"]]
    long = judged("12:00 M5 heartbeat", "12:40").on_ll[NODE["M5"]]
    assert 0 > at_once > later > long
    assert long == pytest.approx(np.log(LIMITS.missed_beat))


def test_who_was_never_heard_is_neither_silent_nor_overdue(judged) -> None:
    told = judged("12:00 M5 heartbeat", "13:00")
    assert not told.overdue[NODE["M6"]]
    assert (told.off_ll[NODE["M6"]], told.on_ll[NODE["M6"]]) == (0, 0)
    assert told.heard_ms[NODE["M6"]] == NEVER


def test_the_learned_period_of_each_meter_is_its_own(judged) -> None:
    told = judged("11:57 11:58 11:59 M5 heartbeat\n11:59 M6 heartbeat", "12:01")
    assert (told.overdue[NODE["M5"]], told.overdue[NODE["M6"]]) == (True, False)


def test_an_answer_between_two_reports_does_not_put_off_the_next(judged) -> None:
    text = "11:30 11:45 12:00 M5 heartbeat\n12:10 M5 ping_reply"
    assert not judged(text, "12:15:30").overdue[NODE["M5"]]
    assert judged(text, "12:15:31").overdue[NODE["M5"]]


def test_after_a_power_up_the_next_report_is_a_period_away(judged) -> None:
    text = "11:30 11:45 12:00 M5 heartbeat\n12:05 M5 last_gasp\n12:10 M5 power_up"
    assert not judged(text, "12:25:30").overdue[NODE["M5"]]
    assert judged(text, "12:25:31").overdue[NODE["M5"]]


# -- our own ears --------------------------------------------------------------------------------


def test_what_was_due_while_we_were_deaf_is_granted_a_new_period(judged) -> None:
    deaf = ("12:10", "12:30")
    assert not judged("12:00 M5 heartbeat", "12:45:30", deaf).overdue[NODE["M5"]]
    assert judged("12:00 M5 heartbeat", "12:45:31", deaf).overdue[NODE["M5"]]


def test_what_was_missed_before_we_went_deaf_stays_missed(judged) -> None:
    assert judged("12:00 M5 heartbeat", "12:21", ("12:20", "12:30")).overdue[NODE["M5"]]
    assert judged("12:00 M5 heartbeat", "12:31", ("12:20", "12:30")).overdue[NODE["M5"]]


def test_a_heartbeat_heard_while_it_was_due_ends_it(judged) -> None:
    told = judged("12:00 12:25 M5 heartbeat", "12:31", ("12:20", "12:24"))
    assert not told.overdue[NODE["M5"]]


def test_two_stretches_of_deafness_each_grant_a_period(judged) -> None:
    gaps = ("12:10", "12:20"), ("12:30", "12:40")
    assert not judged("12:00 M5 heartbeat", "12:55:30", *gaps).overdue[NODE["M5"]]
    assert judged("12:00 M5 heartbeat", "12:55:31", *gaps).overdue[NODE["M5"]]


# -- a mute concentrator -------------------------------------------------------------------------

BEHIND_D1 = "11:59 12:00 M1..M4 heartbeat\n11:59 12:00 M5..M8 heartbeat"


def net(told, *names: str) -> float:
    """How hard the silence of some meters argues for "off"."""
    nodes = [NODE[name] for name in names]
    return float((told.off_ll[nodes] - told.on_ll[nodes]).sum())


def test_a_silent_concentrator_argues_no_harder_than_comms_loss_explains(judged) -> None:
    told = judged(BEHIND_D1, "12:30")
    r, r0 = LIMITS.comms_loss, LIMITS.comms_loss_quiet
    off, on = (1 - DELIVERY) ** 4, LIMITS.missed_beat**4  # P(four are silent)
    clamp = np.log((r + (1 - r) * off) / (r0 + (1 - r0) * on))
    assert net(told, "M1", "M2", "M3", "M4") == pytest.approx(clamp)
    assert net(told, "M5", "M6", "M7", "M8") > 30, "without a concentrator there is no such excuse"
    assert told.mute_dcu.tolist() == [True]


def test_the_clamp_has_two_sides(judged) -> None:
    """Neither the gasps nor the heartbeats that did not come speak for four meters at once."""
    told = judged(BEHIND_D1, "12:30")
    nodes = [NODE[name] for name in ("M1", "M2", "M3", "M4")]
    assert told.off_ll[nodes].sum() > 4 * np.log(1 - DELIVERY)
    assert told.on_ll[nodes].sum() > 4 * np.log(LIMITS.missed_beat)


def test_a_concentrator_through_which_anything_comes_is_not_mute(judged) -> None:
    told = judged(f"{BEHIND_D1}\n12:16 M4 heartbeat", "12:17")
    assert told.mute_dcu.tolist() == [False]
    assert net(told, "M1", "M2", "M3") > 15


def test_it_is_mute_from_its_last_word_on_even_if_that_was_a_last_gasp(judged) -> None:
    """A gasp after the last word of power shows that the concentrator lives: no excuse."""
    told = judged(f"{BEHIND_D1}\n12:16 M4 last_gasp", "12:17")
    assert told.mute_dcu.tolist() == [False]


def test_silence_that_began_before_its_last_word_is_not_the_concentrators(judged) -> None:
    """M1 was overdue when M2..M4 were last heard: that is its own."""
    told = judged("12:00 M1 heartbeat\n12:20 M2..M4 heartbeat", "12:36")
    assert told.mute_dcu.tolist() == [True]
    assert told.on_ll[NODE["M1"]] == pytest.approx(np.log(LIMITS.missed_beat))


def test_what_was_still_on_its_way_at_its_last_word_it_may_have_swallowed(judged) -> None:
    """M1 was due when M2..M4 were last heard, and not yet late."""
    told = judged("12:00 M1 heartbeat\n12:15:20 M2..M4 heartbeat", "12:31")
    assert told.mute_dcu.tolist() == [True]
    assert net(told, "M1") < -np.log(LIMITS.comms_loss_quiet)


@pytest.mark.parametrize(
    ("calm", "factor"),
    [(None, 1.0), ("12:00:10", 1.0), ("11:59:50", LIMITS.prior_calm)],
    ids=["no fault is known", "last heard before they were over", "heard when they were over"],
)
def test_one_that_was_heard_when_the_faults_were_over_went_mute_more_seldom(
    judged, calm: str | None, factor: float
) -> None:
    told = judged(BEHIND_D1, "12:30", calm=calm)
    nodes = [NODE[name] for name in ("M1", "M2", "M3", "M4")]
    r0 = factor * LIMITS.comms_loss_quiet
    missed = LIMITS.missed_beat**4
    assert told.on_ll[nodes].sum() == pytest.approx(np.log(r0 + (1 - r0) * missed))


def test_before_anything_is_overdue_no_concentrator_is_mute(judged) -> None:
    assert judged(BEHIND_D1, "12:10").mute_dcu.tolist() == [False]


# -- after a restoration -------------------------------------------------------------------------

RESTORED = """
    11:59 12:00 M1..M8 heartbeat
    12:02:00 M5..M8 last_gasp
    12:05:00 M5..M7 power_up
    12:05:02 end
"""


def test_who_did_not_come_back_with_the_others_is_pending(judged) -> None:
    told = judged(RESTORED, "12:05:10")
    assert [name for name in NODE if told.pending[NODE[name]]] == ["M8"]


def test_that_a_power_up_did_not_come_argues_once_it_had_time_to(judged) -> None:
    early, late = judged(RESTORED, "12:05:10"), judged(RESTORED, "12:06:30")
    assert early.on_ll[NODE["M8"]] == 0
    assert late.on_ll[NODE["M8"]] == pytest.approx(np.log(LIMITS.power_up_lost))


def test_a_question_in_vain_before_its_concentrator_spoke_leaves_the_heartbeat_to_that(
    judged,
) -> None:
    """The concentrator is mute since; it swallowed the heartbeat, and not the answer."""
    text = "12:00 M1 heartbeat\n12:05 M2..M4 heartbeat"
    unasked = judged(text, "12:16:30").on_ll[NODE["M1"]]
    told = judged(text, "12:16:30", asked={"M1": "12:03"})
    assert np.log(LIMITS.missed_beat) < unasked < 0
    assert told.on_ll[NODE["M1"]] == pytest.approx(unasked + np.log(LIMITS.ping_lost))
    later = judged(text, "12:16:30", asked={"M1": "12:10"})
    assert later.on_ll[NODE["M1"]] > told.on_ll[NODE["M1"]]
