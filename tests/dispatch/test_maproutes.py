"""The specification of what the pages ask: the network to draw, who is dark, one's own premises."""

from typing import Any

import pytest


async def test_a_dispatcher_of_a_district_gets_its_part_of_the_network(api: Any) -> None:
    whole = (await api.get("/api/network")).json()
    north = (await api.get("/api/network", by="ann of north")).json()
    assert set(whole["ids"]) == {"S1", "B1", "T1", "M1", "B3", "T3", "M3"}
    assert set(north["ids"]) == {"S1", "B1", "T1", "M1"}


async def test_the_network_is_not_sent_again_to_who_has_it(api: Any) -> None:
    first = await api.get("/api/network")
    again = await api.get("/api/network", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/api/network", "/api/power", "/api/sources"])
async def test_the_network_is_not_for_customers(api: Any, path: str) -> None:
    assert (await api.get(path, by="C-1")).status_code == 403
    assert (await api.get(path, by=None)).status_code == 401


async def test_premises_are_ones_own_and_a_dispatchers_look_is_kept(api: Any) -> None:
    own = await api.get("/api/customers/C-1/premises", by="C-1")
    assert own.json()["status"]["customer_id"] == "C-1"
    assert (await api.get("/api/customers/C-2/premises", by="C-1")).status_code == 403
    assert (await api.get("/api/customers/C-3/premises", by="ann of north")).status_code == 404
    assert (await api.get("/api/customers/C-1/premises", by="ann")).status_code == 200
    assert api.audit[-1]["event"] == "customer_viewed"


async def test_a_database_that_is_away_says_so(api: Any) -> None:
    api.desk.away = True
    assert (await api.get("/api/power")).status_code == 503
