"""The specification of what can be asked about outages and customers, on every database."""

import msgspec
import pytest

from grid.outage import Etr
from grid.public import CustomerStatus, customer_statuses, public_outage

pytestmark = pytest.mark.services


async def test_an_outage_is_as_its_last_change_says(store, house, change, step) -> None:
    await house.move_in(store)
    first = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"))
    both = change("12:00:05", "S1-1", 2, "confirmed", step("12:00:00", None, "C-M1", "C-M2"))
    await store.commit([house.applied("12:00:01", changes=(first,))], ())
    await store.commit([house.applied("12:00:05", changes=(both,))], ())
    assert await store.outages() == (public_outage(both.outage),)
    found = await store.outage("S1-1")
    assert found is not None
    assert [(s.off_at, s.on_at, s.customers) for s in found.steps] == [
        ("2026-11-21T12:00:00.000Z", None, ("C-M1", "C-M2"))
    ]
    assert [(c.outage.version, c.outage.state, c.customers_changed) for c in found.changes] == [
        (1, "predicted", 1),
        (2, "confirmed", 2),
    ]
    assert await store.outage("S1-2") is None


async def test_several_versions_of_one_commit_are_all_logged_and_the_last_counts(
    store, house, change, step, ask
) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    versions = [change("12:00:01", "S1-1", v, "predicted", dark) for v in (1, 2, 3)]
    frames = [
        house.applied("12:00:01", changes=tuple(versions[:2])),
        house.applied("12:00:02", changes=(versions[2],)),
    ]
    await store.commit(frames, ())
    assert ask("SELECT version FROM outages") == [(3,)]
    assert ask("SELECT version, position FROM changes ORDER BY version") == [(1, 1), (2, 1), (3, 2)]


async def test_steps_that_an_outage_has_no_more_are_gone(store, house, change, step) -> None:
    await house.move_in(store)
    two = change(
        "12:00:01", "S1-1", 1, "predicted",
        step("12:00:00", None, "C-M1"), step("12:00:05", None, "C-M2"),
    )  # fmt: skip
    one = change("12:00:02", "S1-1", 2, "predicted", step("12:00:00", None, "C-M1", "C-M2"))
    await store.commit([house.applied("12:00:01", changes=(two,))], ())
    await store.commit([house.applied("12:00:02", changes=(one,))], ())
    found = await store.outage("S1-1")
    assert found is not None
    assert [s.customers for s in found.steps] == [("C-M1", "C-M2")]


async def test_any_past_moment_can_be_asked_for(store, house, change, step, at) -> None:
    await house.move_in(store)
    dark, light = step("12:00:00", None, "C-M1"), step("12:00:00", "12:30:00", "C-M1")
    story = [
        change("12:00:01", "S1-1", 1, "predicted", dark),
        change("12:01:00", "S1-1", 2, "confirmed", dark),
        change("12:30:00", "S1-1", 3, "restored", light),
        change("12:40:00", "S1-1", 4, "closed", light),
    ]
    await store.commit([house.applied("12:40:00", changes=tuple(story))], ())

    async def states(clock: str, state: str | None = None) -> list[str]:
        return [o.state for o in await store.outages(at_ms=at(clock), state=state)]

    assert await states("12:00:00") == []
    assert await states("12:00:30") == ["predicted"]
    assert await states("12:29:59") == ["confirmed"]
    assert await states("12:39:59") == ["restored"]
    assert await states("12:40:00") == []
    assert await states("12:40:00", "closed") == ["closed"]
    assert await states("12:29:59", "closed") == []
    assert await store.outages() == ()
    assert [o.version for o in await store.outages(state="closed")] == [4]


async def test_outages_are_asked_for_by_district(store, house, change, step, at) -> None:
    await house.move_in(store)
    east = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"))
    both = change(
        "12:00:02", "S1-2", 1, "predicted", step("12:00:01", None, "C-M3"),
        districts=("East", "West"),
    )  # fmt: skip
    await store.commit([house.applied("12:00:02", changes=(east, both))], ())

    async def ids(**asked: object) -> list[str]:
        return [o.id for o in await store.outages(**asked)]

    for moment in (None, at("12:00:02")):
        assert await ids(at_ms=moment) == ["S1-2", "S1-1"]
        assert await ids(at_ms=moment, districts=["West"]) == ["S1-2"]
        assert await ids(at_ms=moment, districts=["East"]) == ["S1-2", "S1-1"]
        assert await ids(at_ms=moment, districts=[]) == []


async def test_a_customers_status_is_what_the_change_says(store, house, change, step, at) -> None:
    await house.move_in(store)
    etr = Etr(at("14:00:00"), "crew", 0.5)
    dark = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1"), etr=etr)
    await store.commit([house.applied("12:00:01", changes=(dark,))], ())
    assert await store.customer_status("C-M1") == customer_statuses(dark)["C-M1"]
    light = change(
        "12:30:01", "S1-1", 2, "restored", step("12:00:00", "12:30:00", "C-M1", inferred=True)
    )
    await store.commit([house.applied("12:30:01", changes=(light,))], ())
    assert await store.customer_status("C-M1") == customer_statuses(light)["C-M1"]


async def test_a_customer_whom_nothing_befell_has_power(store, house) -> None:
    await house.move_in(store)
    assert await store.customer_status("C-M4") == CustomerStatus(
        customer_id="C-M4", power="on", outage_id=None, state=None, kind=None, cause=None,
        off_at=None, on_at=None, verified=True, etr=None,
        updated_at="2026-11-21T00:00:00.000Z",
    )  # fmt: skip
    assert await store.customer_status("C-M99") is None


async def test_a_status_follows_its_outage_where_the_customer_is_not_named(
    store, house, change, step, at
) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    etr = Etr(at("14:00:00"), "crew", 0.5)
    changes = (
        change("12:00:01", "S1-1", 1, "predicted", dark),
        change("12:05:00", "S1-1", 2, "confirmed", dark, customers=(), etr=etr),
    )
    await store.commit([house.applied("12:05:00", changes=changes)], ())
    found = await store.customer_status("C-M1")
    assert found is not None
    assert (found.state, found.etr and found.etr.at) == ("confirmed", "2026-11-21T14:00:00.000Z")
    assert found.updated_at == "2026-11-21T12:05:00.000Z"


async def test_a_rejected_outage_leaves_nobody_in_the_dark(store, house, change, step, ask) -> None:
    await house.move_in(store)
    dark = step("12:00:00", None, "C-M1")
    changes = (
        change("12:00:01", "S1-1", 1, "predicted", dark),
        change("12:00:09", "S1-1", 2, "rejected", dark),
    )
    await store.commit([house.applied("12:00:09", changes=changes)], ())
    found = await store.customer_status("C-M1")
    assert found is not None
    assert (found.power, found.outage_id) == ("on", None)
    assert found.updated_at == "2026-11-21T12:00:09.000Z", "that is when it was corrected"
    assert ask("SELECT count(*) FROM dark_customers") == [(0,)]


async def test_findings_are_kept_as_last_said(store, house, finding) -> None:
    await house.move_in(store)
    mute = finding("12:00:00", "S1-c1", "comms_loss", "D1")
    await store.commit([house.applied("12:00:00", findings=(mute,))], ())
    assert [f.id for f in await store.findings()] == ["S1-c1"]
    assert await store.findings(districts=["West"]) == ()
    over = msgspec.structs.replace(mute, until_ms=mute.at_ms + 60_000)
    await store.commit([house.applied("12:01:00", findings=(over,))], ())
    assert await store.findings() == ()
    [ended] = await store.findings(open_only=False)
    assert ended.until == "2026-11-21T12:01:00.000Z"


async def test_a_person_at_psql_sees_who_is_in_the_dark_and_why(
    store, house, change, step, finding, ask
) -> None:
    await house.move_in(store)
    dark = change("12:00:01", "S1-1", 1, "predicted", step("12:00:00", None, "C-M1", "C-M2"))
    mute = finding("12:00:00", "S1-c1", "comms_loss", "D1")
    await store.commit([house.applied("12:00:01", changes=(dark,), findings=(mute,))], ())
    assert ask("SELECT id, state, device_id, customers_out FROM outages_now") == [
        ("S1-1", "predicted", "T1", 2)
    ]
    assert ask(
        "SELECT customer_id, meter_id, district, feeder_id, device_id FROM dark_customers"
        " ORDER BY customer_id"
    ) == [("C-M1", "M1", "East", "B1", "T1"), ("C-M2", "M2", "East", "B1", "T1")]
    assert ask("SELECT feeder_id, district, customers FROM dark_feeders") == [("B1", "East", 2)]
    assert ask("SELECT kind, device_id FROM open_findings") == [("comms_loss", "D1")]
    assert ask("SELECT outage_id, version, state, customers, reason FROM change_log") == [
        ("S1-1", 1, "predicted", 2, "2 gasps")
    ]


async def test_every_moment_in_the_database_knows_its_zone(store, ask) -> None:
    """In the tables: a view may well speak of the days of whoever asks.  A time of the day, as of
    the hours in which somebody wants no texts, is no moment.
    """
    found = ask(
        "SELECT table_name, column_name FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type IN"
        " ('timestamp without time zone', 'date')"
    )
    assert found == []
