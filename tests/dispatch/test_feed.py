"""The specification of the feeds over plain HTTP: pages and server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

STREAM = "/api/feed/stream"


def told(api: Any, count: int, channel: str = "dispatch") -> None:
    """Commit changes of an outage."""
    for _ in range(count):
        api.desk.log.append(channel, b'{"outage":{"id":"S1-1"}}', at_ms=1_700_000_000_000)


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def events(body: str) -> list[dict[str, str]]:
    """The events of a stream; comments are left out."""
    found = []
    for block in body.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n") if line]
        found.append(dict(lines) if lines and lines[0][0] else {})
    return [event for event in found if event]


@pytest.fixture
async def woken(api: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(api.desk.pages.run())
    yield
    task.cancel()


async def test_without_a_position_there_is_the_state_and_where_it_is(api: Any) -> None:
    told(api, 3)
    api.desk.log.set_state("dispatch", b'{"outages":[],"findings":[]}')
    page = (await api.get("/api/feed")).json()
    assert page == {
        "channel": "dispatch", "epoch": "e1", "offset": 3, "top": 3, "recovered": False,
        "snapshot": {"outages": [], "findings": []}, "pubs": [],
    }  # fmt: skip


async def test_page_by_page_everything_is_told_once(api: Any) -> None:
    told(api, 12)
    offset, heard = 0, []
    while True:
        page = (await api.get("/api/feed", params={"since": f"e1:{offset}"})).json()
        assert (page["recovered"], page["snapshot"]) == (True, None)
        heard += [pub["offset"] for pub in page["pubs"]]
        offset = page["offset"]
        if offset == page["top"]:
            break
    assert heard == list(range(1, 13))
    assert page["pubs"][-1]["data"] == {"outage": {"id": "S1-1"}}
    assert page["pubs"][-1]["id"] == "e1:12"


@pytest.mark.parametrize("since", ["e0:11", "e1:13", "e1:1"])
async def test_where_there_is_no_way_without_a_gap_there_is_a_snapshot(
    api: Any, since: str
) -> None:
    told(api, 12)
    api.desk.log.trim("dispatch", 5)
    page = (await api.get("/api/feed", params={"since": since})).json()
    assert (page["recovered"], page["offset"], page["pubs"]) == (False, 12, [])


@pytest.mark.parametrize(
    ("by", "channel", "status"),
    [
        ("C-1", None, 200),
        ("C-1", "customer:C-1", 200),
        ("C-1", "customer:C-2", 403),
        ("C-1", "dispatch", 403),
        ("ann of north", "dispatch:south", 403),
        ("ann of north", "dispatch", 200),
        ("crew-7", None, 403),
        (None, None, 401),
    ],
)
@pytest.mark.parametrize("path", ["/api/feed", STREAM])
async def test_the_rights_are_those_of_the_websocket(
    api: Any, path: str, by: str | None, channel: str | None, status: int
) -> None:
    if path == STREAM and status == 200:
        api.desk.withdrawn |= {"C-1", "ann"}  # it ends by itself
    answer = await api.get(path, by=by, params={"channel": channel} if channel else {})
    assert answer.status_code == status
    if status == 403:
        assert api.audit[-1]["event"] == "api_denied"
    if status == 200 and path != STREAM:
        mine = {"C-1": "customer:C-1", "ann of north": "dispatch:north"}
        assert answer.json()["channel"] == mine[by]


@pytest.mark.parametrize(
    "since", ["", "e1", "e1:", ":1", "e1:-1", "e1:1.5", "e1:\u0663", f"e1:{2**63}"]
)
async def test_a_position_that_is_none_is_refused(api: Any, since: str) -> None:
    assert (await api.get("/api/feed", params={"since": since})).status_code == 422
    if since.isascii() and since:
        headers = {"Last-Event-ID": since}
        assert (await api.get(STREAM, headers=headers)).status_code == 422


@pytest.mark.usefixtures("woken")
async def test_a_stream_goes_on_from_the_last_event_and_is_woken_by_a_commit(api: Any) -> None:
    told(api, 7)
    stream = asyncio.create_task(api.get(STREAM, headers={"Last-Event-ID": "e1:5"}))
    await until(lambda: api.desk.pages._readers)
    told(api, 1)
    await until(lambda: api.desk.log.reads["read"] >= 2)
    api.desk.withdrawn.add("ann")
    told(api, 1)
    answer = await stream
    assert answer.headers["content-type"].startswith("text/event-stream")
    heard = events(answer.text)
    assert [(event["event"], event.get("id")) for event in heard] == [
        ("pub", "e1:6"), ("pub", "e1:7"), ("pub", "e1:8"), ("end", None),
    ]  # fmt: skip
    assert heard[-1]["data"] == '{"reason":"token_refused"}'
    assert api.desk.pages._readers == {}


@pytest.mark.usefixtures("woken")
async def test_a_stream_begins_with_the_state_and_ends_when_the_log_is_away(api: Any) -> None:
    api.desk.log.set_state("customer:C-1", b'{"power":"on"}')
    stream = asyncio.create_task(api.get(STREAM, by="C-1"))
    await until(lambda: api.desk.pages._readers)
    await until(lambda: api.desk.log.reads["snapshot"] == 1)
    api.desk.log.away = True
    told(api, 1, "customer:C-1")
    first, last = events((await stream).text)
    assert (first["event"], first["id"], first["data"]) == ("snapshot", "e1:0", '{"power":"on"}')
    assert last["data"] == '{"reason":"unavailable"}'


async def test_there_are_so_many_streams_and_no_more(api: Any) -> None:
    streams = [asyncio.create_task(api.get(STREAM)) for _ in range(2)]
    await until(lambda: api.desk.feed.full)
    answer = await api.get(STREAM)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    await until(lambda: not api.desk.feed.full)
