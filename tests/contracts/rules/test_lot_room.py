"""An account has room for 64 kinds of lots, held ones counted: so what is held can always come back."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.mechanics.lots import get_available
from ledger.outcome import Lot
from ledger.posting import EMPTY_ACCOUNT, credit, credit_held
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.cast import ANNA, BORIS, CLARA, DAY_MILLIS, FRESH, PETROL, TODAY
from tests.contracts.orders import adjust, capture, give, release, set_aside
from tests.contracts.purchases import buy, convert, spend


def full(number: int = 64) -> list[Lot]:
    return [Lot(TODAY + 20 + day, 5, 0, 10, "leaf-1", 0) for day in range(number)]


#   kinds, how many of them are held as a whole, code of one more
ROOM = [(63, 0, "OK"), (64, 0, "LOT_LIMIT"), (64, 1, "LOT_LIMIT"), (64, 64, "LOT_LIMIT"), (63, 63, "OK")]


@pytest.mark.parametrize(("number", "held", "code"), ROOM)
def test_what_is_held_keeps_its_place(alliance, number, held, code):
    alliance.place(ANNA, "leaf", *full(number))
    if held:
        assert set_aside(alliance, PETROL, points=10 * held).code == "OK"
    assert (len(alliance.lots(ANNA)), len(alliance.held(ANNA))) == (number - held, held)
    assert buy(alliance, reference="earned").code == code
    assert adjust(alliance).code == code
    if held:
        assert release(alliance, PETROL).code == "OK"
        assert len(alliance.lots(ANNA)) == number + (code == "OK")


#   last day, first day of use, whether the lot's points can be spent today
SPENDABLE = [(TODAY, 0, True), (TODAY - 1, 0, False), (NEVER, TODAY, True), (NEVER, TODAY + 1, False)]


@pytest.mark.parametrize(("expires", "first", "is_spendable"), SPENDABLE)
def test_what_is_available_is_what_can_be_spent_today(expires, first, is_spendable):
    account = credit(EMPTY_ACCOUNT, Lot(expires, 5, 0, 10, "leaf-1", first))
    account = credit_held(account, Lot(NEVER, 5, 0, 100, "leaf-1", 0))
    assert get_available(account, day=TODAY) == (10 if is_spendable else 0)


def test_a_kind_that_is_free_and_held_is_one(alliance):
    alliance.place(ANNA, "leaf", *full(63))
    assert set_aside(alliance, PETROL, points=315, expires=alliance.time + 6 * DAY_MILLIS).code == "OK"
    assert (len(alliance.lots(ANNA)), len(alliance.held(ANNA))) == (32, 32)
    assert buy(alliance, reference="earned").code == "OK"
    assert alliance.earn(ANNA, 1).code == "OK"
    assert release(alliance, PETROL).code == "OK"
    assert len(alliance.lots(ANNA)) == 64


def test_sixty_four_lots_are_held_captured_and_released(alliance):
    alliance.place(ANNA, "leaf", *full())
    assert len(set_aside(alliance, PETROL, points=640).lots) == 64
    outcome = capture(alliance, PETROL, points=315)
    assert (len(outcome.lots), len(outcome.released)) == (32, 33)
    assert (outcome.lots[-1].points, outcome.released[0].points) == (5, 5)


def test_a_balance_counts_what_is_held(alliance):
    alliance.place(ANNA, "leaf", Lot(NEVER, 5, 0, BALANCE_MAX - 40, "leaf-1", 0))
    assert set_aside(alliance, PETROL, points=5_000).code == "OK"
    assert buy(alliance, reference="earned").balance == BALANCE_MAX
    assert buy(alliance, amount=500_000, reference="more").code == "BALANCE_LIMIT"
    assert release(alliance, PETROL).balance == BALANCE_MAX


def test_an_exchange_counts_the_recipients_held_lots(alliance):
    days = [Lot(TODAY + 20 + day, 5, 0, 10, "star-1", 0) for day in range(64)]
    alliance.place(CLARA, "star", *days)
    told = {"member": CLARA, "program": "star", "points": 10, "reference": "held"}
    assert set_aside(alliance, "cinema-nova", **told).code == "OK"
    alliance.earn(ANNA, 100)
    assert convert(alliance, recipient=CLARA).code == "LOT_LIMIT"
    told = {"member": CLARA, "hold": "held", "points": 10, "program": "star"}
    assert capture(alliance, "cinema-nova", **told).code == "OK"
    assert convert(alliance, recipient=CLARA).code == "OK"


def test_one_gift_may_bring_as_many_kinds_as_there_is_room_for(alliance):
    alliance.place(ANNA, "leaf", *full(33))
    assert give(alliance, points=330).code == "LOT_LIMIT"
    assert give(alliance, points=320).code == "OK"
    assert len(alliance.lots(BORIS)) == 32
    assert spend(alliance, FRESH, member=BORIS, points=320, consent=UNSET).code == "OK"
