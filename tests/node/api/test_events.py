"""Events by the page: each asker hears of everything that concerns it, in order, and of nothing else."""

from __future__ import annotations

import msgspec
import pytest

from ledger.leaves import compute_tag
from node.access import parse_role
from node.api.feed_answers import EventPage
from node.feed import Feed
from tests.contracts.cast import ANNA, BORIS, CINEMA, CLARA, FRESH, OPERATOR, PETROL
from tests.node.api.desk import code_of
from tests.node.api.streaming import list_visible

ROLES = [
    "auditor",
    *(f"participant:{name}" for name in (FRESH, PETROL, CINEMA, OPERATOR, "not-admitted")),
    *(f"member:{name}" for name in (ANNA, BORIS, CLARA)),
]


async def page_through(client, asks, *, limit: int, after: int = 0) -> list[dict]:
    """Every row, a page at a time."""
    rows = []
    while True:
        page = (await client.get(f"/v1/events?after={after}&limit={limit}", headers=asks)).json()
        rows += page["rows"]
        if page["next"] == page["size"] - 1:
            return rows
        assert page["next"] > after
        after = page["next"]


@pytest.mark.parametrize("limit", [1, 3, 200])
@pytest.mark.parametrize("role", ROLES)
async def test_pages_hold_what_may_be_fetched_one_by_one_and_nothing_else(traded, role, limit):
    desk, _ = traded
    expected = list_visible(desk, role)
    assert (role == "participant:not-admitted") == (not expected) or role == f"participant:{CINEMA}"
    async with desk.client() as client:
        rows = await page_through(client, desk.asks(role), limit=limit)
        assert [row["index"] for row in rows] == expected
        for row in rows:
            alone = (await client.get(f"/v1/entries/{row['index']}", headers=desk.asks(role))).json()
            alone.pop("transaction", None)
            assert row == alone


@pytest.mark.parametrize("role", ["follower", "operator"])
async def test_who_no_entry_can_concern_has_no_events(traded, role):
    desk, _ = traded
    async with desk.client() as client:
        for accept in ("*/*", "text/event-stream"):
            headers = {**desk.asks(role), "accept": accept}
            assert code_of(await client.get("/v1/events", headers=headers)) == "NOT_FOUND"


async def test_a_page_is_what_the_description_says(traded):
    desk, _ = traded
    async with desk.client() as client:
        answer = await client.get("/v1/events?limit=2", headers=desk.asks("auditor"))
    found = EventPage.model_validate_json(answer.content, strict=True)
    assert found.model_dump(by_alias=True, exclude_unset=True) == answer.json()
    assert msgspec.json.encode(answer.json(), order="sorted") == answer.content
    assert answer.headers["cache-control"] == "no-store"


#   query, header, the parameter that is at fault
BAD = [
    ("?after=-1", "", "after"),
    ("?after=1e3", "", "after"),
    ("?after=999999", "", "after"),
    ("?after=1&after=2", "", "after"),
    ("?before=1", "", "before"),
    ("?limit=201", "", "limit"),
    ("", "-1", "Last-Event-ID"),
    ("", "٣", "Last-Event-ID"),
    ("", "999999", "after"),
]


@pytest.mark.parametrize(("query", "header", "parameter"), BAD)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_cursor_that_is_none_is_named(traded, query, header, parameter, accept):
    desk, _ = traded
    headers = [(name, value) for name, value in desk.asks("auditor").items()] + [("accept", accept)]
    if header:
        headers.append(("last-event-id", header.encode()))
    async with desk.client() as client:
        answer = await client.get(f"/v1/events{query}", headers=headers)
    assert (code_of(answer), answer.json()["parameter"]) == ("BAD_REQUEST", parameter)


async def test_where_nothing_concerns_the_asker_the_cursor_moves_on_all_the_same(traded):
    desk, _ = traded
    async with desk.client() as client:
        page = (await client.get("/v1/events", headers=desk.asks("participant:not-admitted"))).json()
    assert (page["rows"], page["next"]) == ([], desk.core.head.size - 1)


@pytest.mark.parametrize("role", ROLES)
def test_a_feed_that_is_read_in_any_steps_says_the_same(traded, role, monkeypatch):
    desk, _ = traded
    expected = list_visible(desk, role)
    for leaves, size, kept in [(1, 10**9, 10**9), (7, 1, 0), (5_000, 2_000, 0), (256, 10**9, 10**9)]:
        monkeypatch.setattr("node.feed.LEAVES_MAX", leaves)
        monkeypatch.setattr("node.feed.BYTES_MAX", size)
        monkeypatch.setattr("node.feed.REMEMBERED_BYTES_MAX", kept)
        feed, cursor, found = Feed(desk.core), 0, []
        is_end = False
        while not is_end:
            step = feed.read(parse_role(role), after=cursor)
            assert step.cursor > cursor
            assert step.cursor - cursor <= leaves
            cursor, is_end = step.cursor, step.is_end
            found += [item.index for item in step.items]
        assert (cursor, found) == (desk.core.head.size - 1, expected)


def test_what_bundles_hold_is_remembered_within_bounds(town):
    core = town.open()
    town.settle(core, members=3)
    for number in range(4):
        messages = [town.earn(number * 300 + each) for each in range(300)]
        core.submit(town.sign(FRESH, f"many-{number}", *messages)).result(60)
    feed = Feed(core)
    role = parse_role("auditor")
    before = [item.index for item in read_whole(feed, role)]
    assert len(before) > 1_200
    assert feed._bytes == sum(bundle.bytes for bundle in feed._bundles.values()) > 0
    import node.feed as module

    kept = module.REMEMBERED_BYTES_MAX
    try:
        module.REMEMBERED_BYTES_MAX = 100_000
        again = read_whole(feed, role)
        assert [item.index for item in again] == before
        # Each has its own transaction, also where that began in a bundle before.
        tags = {item.index: msgspec.json.decode(item.leaf)["tag"] for item in again}
        assert tags == {item.index: compute_tag(item.transaction).decode() for item in again}
        assert 0 < feed._bytes <= 400_000
    finally:
        module.REMEMBERED_BYTES_MAX = kept
    core.submit(town.sign(FRESH, "one-more", town.earn(9_999))).result(60)
    assert [item.index for item in read_whole(feed, role)] == [*before, core.head.size - 2]


def read_whole(feed, role):
    found, cursor, is_end = [], 0, False
    while not is_end:
        step = feed.read(role, after=cursor)
        cursor, is_end = step.cursor, step.is_end
        found += step.items
    return found
