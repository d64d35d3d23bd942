"""The specification of a client of the service: what the feed tells becomes the view."""

import json

from msgspec import Raw

from grid.times import from_rfc3339
from notify.follower import Here, Lost, State, Told
from notify.messages import Since
from service import follow
from service.follow import Dispatch, Figures

OUTAGE = {
    "id": "S1-1", "version": 1, "state": "confirmed", "kind": "fault", "cause": None,
    "device_id": "T1", "device_kind": "transformer", "feeder_id": "B1", "districts": ["north"],
    "phases": "ABC", "probability": 1.0, "started_at": "2026-11-21T03:00:00.000Z",
    "detected_at": "2026-11-21T03:00:01.000Z", "confirmed_at": None, "restored_at": None,
    "customers_affected": 3, "customers_out": 3, "etr": None, "evidence": [], "parent_id": None,
}  # fmt: skip
FINDING = {
    "id": "F1", "at": "2026-11-21T03:00:00Z", "kind": "comms_loss", "device_id": "D1",
    "district": "", "since": "2026-11-21T03:00:00Z", "until": None, "reason": "mute",
}  # fmt: skip


def subscribed(dispatch: Dispatch, snapshot: object) -> None:
    dispatch.take(State(Since("e1", 7), Raw(json.dumps(snapshot).encode())))


def published(dispatch: Dispatch, offset: int, kind: str, data: object) -> None:
    dispatch.take(Told(Since("e1", offset), "", kind, Raw(json.dumps(data).encode())))


def test_a_snapshot_replaces_what_was_known() -> None:
    dispatch = Dispatch()
    subscribed(dispatch, {"outages": [OUTAGE], "findings": [FINDING]})
    assert (set(dispatch.outages), set(dispatch.findings), dispatch.note) == ({"S1-1"}, {"F1"}, "")
    subscribed(dispatch, {"outages": [], "findings": []})
    assert (dispatch.outages, dispatch.findings) == ({}, {})


def test_a_recovered_subscription_keeps_what_was_known() -> None:
    dispatch = Dispatch()
    subscribed(dispatch, {"outages": [OUTAGE], "findings": []})
    dispatch.take(Lost("the connection broke", 1.0))
    assert (set(dispatch.outages), dispatch.note) == ({"S1-1"}, "the connection broke")
    dispatch.take(Here(Since("e1", 7)))
    assert (set(dispatch.outages), dispatch.note) == ({"S1-1"}, "")


def test_changes_are_followed_until_the_outage_is_over() -> None:
    dispatch = Dispatch()
    subscribed(dispatch, {"outages": [OUTAGE], "findings": []})
    change = {"at": "2026-11-21T03:01:00Z", "reason": "back", "customers_changed": 3}
    published(dispatch, 8, "change", change | {"outage": OUTAGE | {"state": "restored"}})
    assert dispatch.outages["S1-1"].state == "restored"
    published(dispatch, 9, "change", change | {"outage": OUTAGE | {"state": "closed"}})
    assert dispatch.outages == {}


def test_a_finding_that_ended_is_shown_for_a_while_and_then_forgotten() -> None:
    dispatch = Dispatch()
    subscribed(dispatch, {"outages": [], "findings": [FINDING]})
    published(dispatch, 8, "finding", FINDING | {"until": "2026-11-21T03:02:00Z"})
    soon, late = from_rfc3339("2026-11-21T03:02:30Z"), from_rfc3339("2026-11-21T03:03:30Z")
    assert len(follow.view(dispatch, Figures(), "here", soon).findings) == 1
    assert len(follow.view(dispatch, Figures(), "here", late).findings) == 0
