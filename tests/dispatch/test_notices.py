"""The specification of what a dispatcher sees of notices, and of the phones of a simulated city."""

from typing import Any

import pytest


async def test_what_an_outages_customers_were_told_is_there_with_the_reason(api: Any) -> None:
    told = (await api.get("/api/outages/S1-2/notices")).json()
    assert [(n["customer_id"], n["phase"], n["state"]) for n in told["notices"]] == [
        ("C-1", "confirmed", "delivered")
    ]
    assert [(d["phase"], d["send"], d["reason"]) for d in told["decisions"]] == [
        ("confirmed", True, "due")
    ]


async def test_a_customers_notices_show_the_number_masked_and_are_audited(api: Any) -> None:
    told = (await api.get("/api/customers/C-1/notices")).json()
    assert [n["phone"] for n in told["notices"]] == ["100****0001"]
    assert [line["event"] for line in api.audit] == ["customer_viewed"]


@pytest.mark.parametrize(
    ("path", "by", "status"),
    [
        ("/api/outages/none/notices", "ann", 404),
        ("/api/outages/S1-2/notices", "C-1", 403),
        ("/api/outages/S1-2/notices", None, 401),
        ("/api/customers/C-3/notices", "ann of north", 404),
        ("/api/customers/C-1/notices", "C-1", 403),
        ("/api/customers/C-1/notices", "crew-7", 403),
        ("/api/phone", "C-1", 403),
        ("/api/phone", None, 401),
    ],
)
async def test_notices_are_for_the_dispatchers_of_the_district(
    api: Any, path: str, by: str | None, status: int
) -> None:
    assert (await api.get(path, by=by)).status_code == status


async def test_the_phones_show_what_arrived_since_and_can_answer(api: Any) -> None:
    texts = (await api.get("/api/phone")).json()["texts"]
    assert [(t["no"], t["phone"], t["text"]) for t in texts] == [(1, "100****0001", "停电")]
    assert (await api.get("/api/phone?after=1")).json() == {"texts": []}
    assert (await api.post("/api/phone/replies", {"no": 1, "text": "1"})).status_code == 204
    assert (await api.post("/api/phone/replies", {"no": 2, "text": "1"})).status_code == 404
    assert (await api.post("/api/phone/replies", {"no": 1, "text": ""})).status_code == 422
