"""Settlement windows, their statements and exposures, as everybody who signs and lends may see them."""

from __future__ import annotations

import pytest

from contracts.messages import AttestCover, AttestPayment, Countersign, SetDebitCap
from ledger.codec import encode, sha256, to_base64url
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, START
from tests.node.api.desk import code_of

PATHS = ("/v1/windows", "/v1/windows/1", "/v1/windows/1/statement", "/v1/exposures")
DAY = 86_400_000


async def test_before_anything_is_cut_window_1_is_open_since_genesis(traded):
    desk, _ = traded
    async with desk.client() as client:
        for role, sees in (("auditor", {FRESH, PETROL, OPERATOR}), (f"participant:{FRESH}", {FRESH})):
            found = (await client.get("/v1/windows", headers=desk.asks(role))).json()
            window = found["open"]
            assert (window["window"], window["first_height"], window["opened_at"]) == (1, 1, START)
            assert {each["participant"] for each in window["positions"]} == sees
            assert "cut_height" not in window
            assert found["windows"] == []
        every = (await client.get("/v1/windows", headers=desk.asks("auditor"))).json()["open"]["positions"]
        told = (await client.get("/v1/positions", headers=desk.asks("auditor"))).json()["rows"]
    nets = {each["participant"]: each["net"] for each in every}
    assert sum(map(int, nets.values())) == 0
    assert nets == {each["participant"]: each["net_micros"] for each in told if each["net_micros"] != "0"}


async def test_a_cut_window_is_shown_and_the_next_begins_with_nothing(governed):
    async with governed.client() as client:
        asks = governed.asks("auditor")
        found = (await client.get("/v1/windows", headers=asks)).json()
        window = (await client.get("/v1/windows/1", headers=asks)).json()
    (shown,) = found["windows"]
    assert (found["open"]["window"], found["open"]["first_height"]) == (2, shown["last_height"] + 1)
    assert found["open"]["positions"] == []
    assert {name: window[name] for name in shown} == shown
    assert (window["state"], window["agreed"], window["disputed"]) == ("closed", [], [])
    assert window["parties"] == sorted([FRESH, PETROL, OPERATOR])
    assert {each["from"] for each in window["transfers"]} == {FRESH}


async def test_the_statement_is_the_very_bytes_of_its_hash(governed):
    async with governed.client() as client:
        asks = governed.asks(f"participant:{FRESH}")
        window = (await client.get("/v1/windows/1", headers=asks)).json()
        answer = await client.get("/v1/windows/1/statement", headers=asks)
        again = await client.get(
            "/v1/windows/1/statement", headers={**asks, "if-none-match": answer.headers["etag"]}
        )
        events = (await client.get("/v1/events", headers=asks)).json()["rows"]
    assert answer.headers["content-type"] == "application/json"
    digest = to_base64url(sha256(answer.content))
    assert answer.headers["etag"] == f'"{digest}"'
    assert window["statement"] == digest
    (cut,) = [row["entry"] for row in events if row["entry"]["message"]["@type"] == "cut"]
    assert cut["outcome"]["statement"] == digest
    assert encode(answer.json()) == answer.content
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", PATHS)
async def test_windows_are_for_who_signs_them_and_for_nobody_else(governed, path):
    async with governed.client() as client:
        for role in (f"participant:{CINEMA}", "auditor", "operator"):
            assert (await client.get(path, headers=governed.asks(role))).status_code == 200, role
        for role in (f"member:{ANNA}", "follower"):
            assert code_of(await client.get(path, headers=governed.asks(role))) == "NOT_FOUND", role


async def test_windows_come_newest_first_by_pages(desk):
    desk.trade()
    for _ in range(3):
        desk.cut()
    async with desk.client() as client:
        asks = desk.asks("auditor")
        every = (await client.get("/v1/windows", headers=asks)).json()["windows"]
        first = (await client.get("/v1/windows?limit=2", headers=asks)).json()
        second = (await client.get(f"/v1/windows?limit=2&before={first['next']}", headers=asks)).json()
    assert [each["window"] for each in every] == [3, 2, 1]
    assert first["windows"] + second["windows"] == every
    assert "next" not in second


async def test_who_signed_and_what_was_paid_is_shown(desk):
    desk.trade()
    desk.cut()
    async with desk.client() as client:
        asks = desk.asks("auditor")
        window = (await client.get("/v1/windows/1", headers=asks)).json()
        desk.must(
            FRESH,
            Countersign(statement=window["statement"], verdict="dispute", window=1, lines=[0]),
        )
        disputed = (await client.get("/v1/windows/1", headers=asks)).json()["disputed"]
        for who in window["parties"]:
            desk.must(who, Countersign(statement=window["statement"], verdict="agree", window=1))
        confirmed = (await client.get("/v1/windows/1", headers=asks)).json()
        first = confirmed["transfers"][0]
        desk.must(first["from"], AttestPayment("bank-1", 0, 1))
        paid = (await client.get("/v1/windows/1", headers=asks)).json()["transfers"]
        for place, each in enumerate(confirmed["transfers"]):
            for who in {each["from"], each["to"]} - ({first["from"]} if place == 0 else set()):
                desk.must(who, AttestPayment(f"bank-2-{place}", place, 1))
        settled = (await client.get("/v1/windows/1", headers=asks)).json()
    assert disputed == [FRESH]
    assert (confirmed["state"], confirmed["agreed"], confirmed["disputed"]) == (
        "confirmed",
        confirmed["parties"],
        [],
    )
    assert (paid[0]["payer_reference"], "payee_reference" in paid[0]) == ("bank-1", False)
    assert settled["state"] == "settled"
    assert all("payee_reference" in each for each in settled["transfers"])


async def test_exposures_say_how_much_of_which_limit_is_used(desk):
    desk.trade()
    expires = desk.clock() + DAY
    desk.must(OPERATOR, SetDebitCap(cap=8_000_000, participant=FRESH))
    async with desk.client() as client:

        async def ask(name=FRESH):
            rows = (await client.get("/v1/exposures", headers=desk.asks(f"participant:{PETROL}"))).json()
            return next(each for each in rows["exposures"] if each["participant"] == name)

        capped = await ask()
        desk.must(OPERATOR, AttestCover(10_000_000, expires, PETROL, 7))
        covered = await ask(PETROL)
        desk.must(OPERATOR, AttestCover(6_000_000, expires, FRESH, 0))
        smaller = await ask()
        figures = (await client.get("/metrics")).text
        desk.clock.at += DAY
        desk.must(FRESH, desk.enrol(_unborn(), None))
        expired = await ask()
    assert (capped["owed"], capped["held"], capped["cap"], capped["limit"]) == (
        "4600000",
        "0",
        "8000000",
        "8000000",
    )
    assert capped["percent"] == 57
    assert "cover" not in capped
    assert (covered["cover"], covered["reserve"], covered["cover_expires"]) == ("10000000", "7", expires)
    assert ("cap" in covered, covered["limit"]) == (False, "10000000")
    assert (smaller["limit"], smaller["percent"]) == ("6000000", 76)
    assert (expired["limit"], expired["percent"]) == ("0", 100)
    assert f'commonpoint_exposure_percent{{participant="{FRESH}"}} 76.0' in figures


def _unborn():
    from tests.contracts.cast import member_id

    return member_id(7_777)


async def test_who_passes_a_mark_is_told_in_the_nodes_log_and_hears_of_it(desk, capsys):
    desk.trade()
    desk.must(OPERATOR, SetDebitCap(cap=4_700_000, participant=PETROL))
    taken = desk.must(PETROL, desk.town.earn(92, points=30, sender=PETROL, member=1))
    assert b"EXPOSURE_50" in b"".join(taken.outcomes), taken.outcomes
    told = capsys.readouterr()
    assert "exposure nears its limit" in told.out + told.err


async def test_figures_tell_open_proposals_and_the_open_window(governed):
    async with governed.client() as client:
        figures = (await client.get("/metrics")).text
    assert "commonpoint_open_proposals 1.0" in figures
    assert "commonpoint_window_number 2.0" in figures
