"""The specification of priors by kind of device, and of what the faults of the past say of them."""

import pytest

from detectors.etr import FAILED_MAX, History
from detectors.priors import CLASS_WEIGHT, FACTOR_MAX, FAULTS_MIN, learned, priors_of
from detectors.settings import EngineSettings
from grid.drawing import draw
from grid.network import NodeKind

NETWORK = draw("""
source S1
  breaker B1
    fuse F1
      transformer T1
        meter M1..M10
      transformer T2
        meter M11..M20
    fuse F2
      transformer T3
        meter M21..M30
      transformer T4
        meter M31..M40
""")
GROUP = NETWORK.groups[0]
SET = [1e-9, 1e-3, 1e-3, 1e-3, 2e-3, 2e-3, 1e-5]
FEW = {"fuse": FAULTS_MIN - 1}


def test_few_faults_say_nothing() -> None:
    assert learned(SET, GROUP, {}) == SET
    assert learned(SET, GROUP, FEW) == SET


def test_a_kind_that_fails_as_thought_keeps_its_prior() -> None:
    """One breaker, two fuses, four transformers: one to four to eight."""
    drawn = learned(SET, GROUP, {"breaker": 10.0, "fuse": 40.0, "transformer": 80.0})
    assert drawn == pytest.approx(SET)


def test_a_kind_that_fails_more_often_gains_what_the_others_lose() -> None:
    drawn = learned(SET, GROUP, {"fuse": 50.0})
    assert drawn[NodeKind.FUSE] == pytest.approx(2e-3 * (0.5 * 4 / 13 + 0.5) / (4 / 13))
    assert drawn[NodeKind.TRANSFORMER] == pytest.approx(2e-3 * 50 / (50 + CLASS_WEIGHT))
    assert drawn[NodeKind.METER] == 1e-5, "of single meters few are ever declared"


def test_it_is_never_far_from_the_settings() -> None:
    drawn = learned(SET, GROUP, {"breaker": 1e6})
    assert drawn[NodeKind.BREAKER] == pytest.approx(FACTOR_MAX * 1e-3)
    assert drawn[NodeKind.FUSE] == pytest.approx(2e-3 / FACTOR_MAX)


def test_old_faults_fade() -> None:
    history = History()
    for kind in ["fuse"] * 600 + ["transformer"] * 600:
        history.fail(kind)
    assert sum(history.failed.values()) == pytest.approx(FAILED_MAX, rel=1e-4)
    assert history.failed["transformer"] > 2 * history.failed["fuse"]


def test_a_fault_that_closes_is_remembered_and_planned_work_is_not(run, stream) -> None:
    text = """
        11:30 11:45 12:00 M1..M40 heartbeat
        12:02:00 M1..M10 last_gasp
        12:10:00 M1..M10 power_up
        12:15 M11..M40 heartbeat
        12:25 end
    """
    plan = "12:01 plan P1 T1 12:01..12:20\n"
    for words, remembered in ((text, {"transformer": 1.0}), (plan + text, {})):
        told = run(stream(NETWORK, words).frames(), NETWORK)
        assert told.engine.history.failed == remembered


def test_what_was_learned_is_what_inference_is_told() -> None:
    def logit(failed: dict[str, float], device: str) -> float:
        told = priors_of(
            GROUP, {}, expected=(), storms=(), tripped=(), pinned=(), restoring=(), failed=failed,
            now_ms=0, limits=EngineSettings(),
        )  # fmt: skip
        return float(told.logit[GROUP.ids.index(device)])

    fuses = {"fuse": 100.0, "transformer": 10.0}
    assert logit(fuses, "F1") > logit({}, "F1")
    assert logit(fuses, "T1") < logit({}, "T1")
    assert logit(fuses, "M1") == logit({}, "M1")
