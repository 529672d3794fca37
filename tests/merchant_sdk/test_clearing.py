"""A window is cut, checked, signed, disputed and paid by the verbs of the merchants who stand in it."""

from __future__ import annotations

import msgspec
import pytest

from ledger.codec import encode
from merchant_sdk import (
    InvalidRequest,
    LimitExceeded,
    NotEntitled,
    NotFound,
    SettlementError,
    Statement,
    UnknownToLedger,
    Unverified,
)
from node.sandbox import OPERATOR, sandbox

DAY = 86_400_000


@pytest.fixture
def alliance():
    with sandbox() as alliance:
        yield alliance


@pytest.fixture
def shops(alliance):
    names = (*alliance.merchants, OPERATOR)
    return {name: alliance.merchant(name, program=name, retries=0) for name in names}


@pytest.fixture
def anna(alliance, shops):
    """A member with 500 points of fresh."""
    anna = alliance.wallet()
    shops["fresh"].enrol(anna)
    shops["fresh"].earn(anna.member, "500", "A-1")
    return anna


def spend(shops, anna, points, reference):
    """Points of fresh are spent at petrol."""
    return shops["petrol"].redeem(anna.points_code("fresh", points, "petrol"), points, reference)


def agree(shops, window):
    """Everybody who stands in a window agrees."""
    for name in shops["fresh"].window(window).parties:
        shops[name].countersign(window, "agree")


def pay(shops, window):
    """Every transfer is attested by both sides."""
    for number, transfer in enumerate(shops["fresh"].window(window).transfers):
        shops[transfer.payer].attest_payment(window, number, f"out-{number}")
        shops[transfer.payee].attest_payment(window, number, f"in-{number}")


def test_a_week_is_cut_signed_and_paid(alliance, shops, anna):
    fresh, petrol = shops["fresh"], shops["petrol"]
    taken = spend(shops, anna, 300, "P-1")
    before = fresh.windows()
    assert (before.open.window, before.windows) == (1, ())
    assert {each.participant: each.net for each in before.open.positions} == {"fresh": "-3.00"}
    number = alliance.cut_window()
    after = petrol.windows()
    assert (number, after.open.window, [each.window for each in after.windows]) == (1, 2, [1])
    found = petrol.statement(number)
    lines = found.lines_of("petrol")
    assert [(line.payer, line.payee, line.reason, line.micros) for line in lines] == [
        (leg.source, leg.destination, leg.reason, leg.micros)
        for leg in taken.legs
        if "petrol" in (leg.source, leg.destination)
    ]
    agree(shops, number)
    window = petrol.window(number)
    assert (window.state, set(window.agreed)) == ("confirmed", {"fresh", "petrol", OPERATOR})
    assert window.statement == found.hash
    assert sum(transfer.units for transfer in window.transfers) * window.unit_micros == 3_000_000
    pay(shops, number)
    settled = petrol.window(number)
    assert settled.state == "settled"
    assert {(each.payer_reference, each.payee_reference) for each in settled.transfers} == {
        ("out-0", "in-0"),
        ("out-1", "in-1"),
    }
    heard = {event.name for entry in shops["cinema"].events() for event in entry.outcome.events}
    assert {"WINDOW_CLOSED", "WINDOW_CONFIRMED", "WINDOW_SETTLED"} <= heard


def test_windows_carry_on_one_from_the_other(alliance, shops, anna):
    for place, points in enumerate((33, 47, 51), start=1):
        spend(shops, anna, points, f"P-{place}")
        assert alliance.cut_window() == place
    statements = [shops["fresh"].statement(number) for number in (1, 2, 3)]
    assert [each.previous for each in statements] == [None, statements[0].hash, statements[1].hash]
    assert any(each.carry_before != "0" for each in statements[2].content.positions)
    assert [each.window for each in shops["fresh"].windows().windows] == [3, 2, 1]


def test_a_line_is_disputed_and_the_dispute_withdrawn(alliance, shops, anna):
    spend(shops, anna, 300, "P-1")
    number = alliance.cut_window()
    fresh, petrol = shops["fresh"], shops["petrol"]
    (line,) = petrol.statement(number).lines_of("petrol")
    (other,) = [each.place for each in fresh.statement(number).lines_of("fresh") if each.place != line.place]
    with pytest.raises(SettlementError, match="LINE_UNKNOWN"):
        petrol.countersign(number, "dispute", lines=[other])
    with pytest.raises(SettlementError, match="LINE_UNKNOWN"):
        petrol.countersign(number, "dispute")
    assert petrol.countersign(number, "dispute", lines=[line.place]).code == "OK"
    with pytest.raises(SettlementError, match="ALREADY_SIGNED"):
        petrol.countersign(number, "dispute", lines=[line.place])
    fresh.countersign(number, "agree")
    shops[OPERATOR].countersign(number, "agree")
    disputed = fresh.window(number)
    assert (disputed.state, disputed.disputed) == ("closed", ("petrol",))
    with pytest.raises(SettlementError, match="WINDOW_NOT_CONFIRMED"):
        fresh.attest_payment(number, 0, "B-1")
    assert [event.name for event in petrol.countersign(number, "agree").events] == ["WINDOW_CONFIRMED"]


def test_what_is_not_ones_own_is_not_signed(alliance, shops, anna):
    spend(shops, anna, 300, "P-1")
    number = alliance.cut_window()
    with pytest.raises(NotEntitled, match="NOT_IN_WINDOW"):
        shops["cinema"].countersign(number, "agree")
    agree(shops, number)
    with pytest.raises(NotEntitled, match="NOT_IN_TRANSFER"):
        shops["cinema"].attest_payment(number, 0, "B-1")
    with pytest.raises(UnknownToLedger, match="TRANSFER_UNKNOWN"):
        shops["fresh"].attest_payment(number, 9, "B-1")
    with pytest.raises(UnknownToLedger, match="WINDOW_UNKNOWN"):
        shops["fresh"].attest_payment(77, 0, "B-1")
    with pytest.raises(NotFound):
        shops["fresh"].countersign(77, "agree")
    with pytest.raises(NotEntitled, match="NOT_OPERATOR"):
        shops["fresh"].cut_window()
    with pytest.raises(NotEntitled, match="NOT_TRUSTEE"):
        shops["fresh"].attest_cover("fresh", "1", expires=alliance.clock() + DAY)
    with pytest.raises(InvalidRequest):
        shops["fresh"].attest_payment(number, 0, "no reference")
    assert shops["fresh"].window(number).transfers[0].payer_reference is None


def test_nobody_agrees_to_a_statement_that_is_wrong(alliance, shops, anna):
    """What a node that lies shows is refused before anything is signed; what differs from the log, by it."""
    spend(shops, anna, 300, "P-1")
    number = alliance.cut_window()
    petrol = shops["petrol"]
    told = msgspec.json.decode(petrol.statement(number).data)
    told["positions"][0]["units"] += 1
    with pytest.raises(Unverified, match="STATEMENT_WRONG"):
        petrol.countersign(Statement.read(encode(told)), "agree")
    other = {**msgspec.json.decode(petrol.statement(number).data), "chain": "other/" + "0" * 32}
    with pytest.raises(Unverified, match="STATEMENT_DIFFERS"):
        petrol.countersign(Statement.read(encode(other)), "agree")
    later = msgspec.json.decode(petrol.statement(number).data)
    later["closed_at"] += 1
    with pytest.raises(SettlementError, match="STATEMENT_DIFFERS"):
        petrol.countersign(Statement.read(encode(later)), "agree")
    assert petrol.window(number).agreed == ()


def test_cover_limits_what_is_owed_and_says_how_near_it_is(alliance, shops, anna):
    operator = shops[OPERATOR]
    expires = alliance.clock() + 30 * DAY
    operator.attest_cover("fresh", "4.00", expires=expires, reserve="1.50")
    operator.attest_fund("9")
    taken = spend(shops, anna, 310, "P-1")
    assert [event.name for event in taken.events] == ["EXPOSURE_75"]
    found = next(each for each in shops["cinema"].exposures() if each.participant == "fresh")
    assert (found.owed, found.limit_micros, found.percent) == ("3.10", 4_000_000, 77)
    assert (found.cap_micros, found.cover_micros, found.cover_expires) == (None, 4_000_000, expires)
    assert (found.reserve_micros, found.held_micros) == (1_500_000, 0)
    with pytest.raises(LimitExceeded, match="ISSUER_CAP"):
        spend(shops, anna, 100, "P-2")
    assert shops["fresh"].redeem(anna.points_code("fresh", 100, "fresh"), 100, "A-2").points == 100
    number = alliance.cut_window()
    agree(shops, number)
    pay(shops, number)
    relieved = next(each for each in shops["fresh"].exposures() if each.participant == "fresh")
    assert (relieved.owed_micros, relieved.percent) == (0, 0)


def test_what_is_paid_is_split_among_brands(alliance, shops, anna):
    shops["petrol"].set_brand_shares({"Pumps": 2, "Wash": 1})
    spend(shops, anna, 300, "P-1")
    position = shops["petrol"].statement(alliance.cut_window()).position_of("petrol")
    split = {each.brand: each.units for each in position.brands}
    assert list(split) == ["Pumps", "Wash"]
    assert sum(split.values()) == position.units
    assert split["Pumps"] in (position.units * 2 // 3, position.units * 2 // 3 + 1)
    assert shops["petrol"].set_brand_shares({}).code == "OK"


def test_the_operator_names_the_height_of_the_cut(alliance, shops):
    named = shops[OPERATOR].cut_window()
    height = shops["fresh"].windows().open.cut_height
    assert height > named.height
    alliance.pass_blocks(height - named.height)
    assert shops["fresh"].window(1).last_height == height - 1


async def test_an_event_loop_has_the_same_verbs(alliance, anna, shops):
    spend(shops, anna, 300, "P-1")
    alliance.cut_window()
    async with alliance.async_merchant("petrol", program="petrol") as petrol:
        found = await petrol.statement(1)
        assert (await petrol.countersign(found, "agree")).code == "OK"
        assert (await petrol.window(1)).agreed == ("petrol",)
        assert [each.participant for each in await petrol.exposures()] == sorted(shops)
