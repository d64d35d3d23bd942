"""The specification of signing in: a printed code, once, for a cookie that only our pages use."""

from typing import Any

import pytest

from dispatch.codes import Codes
from grid.errors import Refused
from grid.people import Principal, Role

ANN = Principal(Role.DISPATCHER, "ann", "north", 10_000)
AS_DISPATCHER = {"X-Lastgasp-As": "dispatcher"}
OURS = {**AS_DISPATCHER, "Origin": "http://lastgasp"}


def codes() -> Codes:
    names = iter("abcdefg")
    return Codes(lambda: next(names), ttl_s=1, codes_max=2)


def test_a_code_is_good_once() -> None:
    ours = codes()
    given = ours.give(ANN, 0)
    assert ours.good(given.text, 0)
    assert ours.trade(given.text, 999) == ANN
    assert not ours.good(given.text, 999)
    with pytest.raises(Refused, match="--link"):
        ours.trade(given.text, 999)


def test_a_code_is_good_for_a_short_time_only() -> None:
    ours = codes()
    text = ours.give(ANN, 0).text
    with pytest.raises(Refused, match="over"):
        ours.trade(text, 1_000)


def test_the_oldest_code_gives_way_at_the_limit() -> None:
    ours = codes()
    first, second, third = (ours.give(ANN, 0).text for _ in range(3))
    assert [ours.good(each, 0) for each in (first, second, third)] == [False, True, True]


async def signed_in(api: Any) -> Any:
    code = (await api.post("/api/session/codes", None, by="ann of north")).json()["code"]
    return await api.post("/api/session", {"code": code}, by=None)


async def test_a_link_signs_the_same_bearer_in_and_no_other(api: Any) -> None:
    answer = await signed_in(api)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["role"], told["subject"], told["district"]) == ("dispatcher", "ann", "north")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/", "lastgasp-dispatcher-"):
        assert word in cookie
    mine = await api.get("/api/session", by=None, headers=AS_DISPATCHER)
    assert mine.json()["subject"] == "ann"
    outages = (await api.get("/api/outages", by=None, headers=AS_DISPATCHER)).json()["outages"]
    assert all("north" in each["districts"] for each in outages)


async def test_a_used_code_signs_nobody_in_and_leaves_a_line(api: Any) -> None:
    code = (await api.post("/api/session/codes", None)).json()["code"]
    assert (await api.post("/api/session", {"code": code}, by=None)).status_code == 200
    again = await api.post("/api/session", {"code": code}, by=None)
    assert again.status_code == 401
    assert "lastgasp token --link" in again.json()["error"]
    assert api.audit[-1]["event"] == "api_unauthorized"
    assert all(code not in str(line) for line in api.audit), "no code in a log"


async def test_the_cookie_counts_only_with_the_header_of_our_pages(api: Any) -> None:
    await signed_in(api)
    assert (await api.get("/api/outages", by=None)).status_code == 401
    other = {"X-Lastgasp-As": "customer"}
    assert (await api.get("/api/outages", by=None, headers=other)).status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "http://lastgasp:81", "null", None])
async def test_another_origin_changes_nothing_with_our_cookie(api: Any, origin: str | None) -> None:
    await signed_in(api)
    headers = {**AS_DISPATCHER, **({"Origin": origin} if origin else {})}
    call = {"customer_id": "C-1", "kind": "no_power"}
    assert (await api.post("/api/calls", call, by=None, headers=headers)).status_code == 401
    assert api.desk.calls == []
    assert (await api.post("/api/calls", call, by=None, headers=OURS)).status_code == 201


async def test_a_page_gets_short_lived_tokens_for_the_feeds(api: Any) -> None:
    await signed_in(api)
    answer = (await api.post("/api/session/token", None, by=None, headers=OURS)).json()
    headers = {"Authorization": f"Bearer {answer['token']}"}
    assert (await api.get("/api/outages", by=None, headers=headers)).status_code == 200
    assert answer["expires_at"] <= (await api.get("/api/session")).json()["expires_at"]


async def test_a_token_is_no_cookie_and_a_cookie_no_token(api: Any, token_of: Any) -> None:
    answer = await signed_in(api)
    cookie = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    as_token = {"Authorization": f"Bearer {cookie}"}
    assert (await api.get("/api/outages", by=None, headers=as_token)).status_code == 401
    api.http.cookies.clear()
    as_cookie = {**AS_DISPATCHER, "Cookie": f"lastgasp-dispatcher-0={token_of('ann')}"}
    assert (await api.get("/api/outages", by=None, headers=as_cookie)).status_code == 401


async def test_signing_out_takes_the_cookie_away(api: Any) -> None:
    await signed_in(api)
    assert (await api.ask("DELETE", "/api/session", by=None, headers=OURS)).status_code == 200
    assert (await api.get("/api/session", by=None, headers=AS_DISPATCHER)).status_code == 401


async def test_pages_are_sent_with_a_strict_policy_and_kept_by_their_tag(api: Any) -> None:
    page = await api.get("/", by=None)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self' ws://127.0.0.1:8471" in policy
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = await api.get("/", by=None, headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_map_is_our_own_file_and_comes_packed(api: Any) -> None:
    path = "/pages/vendor/maplibre-gl-worker.mjs"
    worker = await api.get(path, by=None, headers={"Accept-Encoding": "gzip"})
    assert worker.headers["content-encoding"] == "gzip"
    assert worker.headers["content-type"].startswith("text/javascript")
    plain = await api.get(path, by=None, headers={"Accept-Encoding": "identity"})
    assert plain.content == worker.content
    assert (await api.get("/pages/../site.py", by=None)).status_code == 404
