"""What was held is captured once, in all or in its first part, or released; a final hold stays final."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import AnnouncePar, Capture, Hold, Release, RevokeGrant, SetParameter
from ledger.outcome import Leg, Lot
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FRESH,
    OPERATOR,
    PETROL,
    START,
    TODAY,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.orders import (
    WEEK_MILLIS,
    capture,
    exposure_of,
    release,
    set_aside,
    set_cap,
    set_policy,
)
from tests.contracts.purchases import spend


def held_for(message: type, **fields) -> Attempt:
    """The petrol chain holds 100 of Anna's points of the supermarket for an order."""
    alliance = Alliance().open()
    alliance.earn(ANNA, 150)
    assert set_aside(alliance, PETROL).code == "OK"
    told = {"hold": "order", "hold_day": TODAY, "member": ANNA, "occurred_at": START, "program": "leaf"}
    return Attempt(message, sender=PETROL, alliance=alliance, **told, **fields)


def end_it(it: Attempt) -> None:
    other = release if it.message is Capture else capture
    assert other(it.alliance, PETROL).code == "OK"


END_ROWS = [
    *REFERENCE_ROWS[:2],
    ("HOLD_UNKNOWN", lambda it: it.set(hold="another")),
    ("ALREADY_DONE", lambda it: setattr(it, "reference_taken_by", "same")),
    ("HOLD_FINAL", end_it),
]
#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "capture",
        lambda: held_for(Capture, points=100),
        [*END_ROWS, ("CAPTURE_ABOVE_HOLD", lambda it: it.set(points=101))],
    ),
    Ladder("release", lambda: held_for(Release), END_ROWS),
]


@every_row(*LADDERS)
def test_the_end_of_a_hold_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_a_capture_settles_like_a_redemption(alliance):
    alliance.earn(ANNA, 250)
    set_aside(alliance, PETROL, points=123)
    index = len(alliance.leaves) - 2
    outcome = capture(alliance, PETROL, points=123)
    assert outcome.legs == [
        Leg(FRESH, 1_217_700, "redeem", PETROL),
        Leg(FRESH, 12_300, "commission", OPERATOR),
    ]
    assert (outcome.code, outcome.balance, outcome.original) == ("OK", 127, index)
    assert outcome.lots == [Lot(20_057, 5, 0, 123, "leaf-1", 0)]
    assert (outcome.released, outcome.expired) == (UNSET, UNSET)
    assert alliance.get("tally", "leaf|redeemed.elsewhere") == 123
    assert alliance.held(ANNA) == ()
    assert exposure_of(alliance) == 0


def test_a_part_is_captured_from_the_soonest_lots_and_the_rest_goes_back(alliance):
    lots = [Lot(TODAY + day, 5, 0, 40, "leaf-1", 0) for day in (10, 20, 30)]
    alliance.place(ANNA, "leaf", *lots)
    assert set_aside(alliance, PETROL).lots == [*lots[:2], Lot(TODAY + 30, 5, 0, 20, "leaf-1", 0)]
    outcome = capture(alliance, PETROL, points=55)
    assert outcome.lots == [lots[0], Lot(TODAY + 20, 5, 0, 15, "leaf-1", 0)]
    assert outcome.released == [
        Lot(TODAY + 20, 5, 0, 25, "leaf-1", 0),
        Lot(TODAY + 30, 5, 0, 20, "leaf-1", 0),
    ]
    # 55 x 10,000 micros, 1 % of it to the operator
    assert [leg.micros for leg in outcome.legs] == [544_500, 5_500]
    assert outcome.balance == alliance.points(ANNA) == 65
    assert alliance.lots(ANNA) == (Lot(TODAY + 20, 5, 0, 25, "leaf-1", 0), lots[2])
    assert exposure_of(alliance) == 0
    assert capture(alliance, PETROL, points=45).code == "HOLD_FINAL"


def test_a_release_gives_everything_back_as_it_was(alliance):
    lots = [Lot(TODAY + day, 5, 0, 40, "leaf-1", 0) for day in (10, 20, 30)]
    alliance.place(ANNA, "leaf", *lots)
    before = alliance.get("account", f"{ANNA}|leaf"), dict(alliance.state.list_records("due"))
    set_aside(alliance, PETROL)
    index = len(alliance.leaves) - 2
    outcome = release(alliance, PETROL)
    assert (outcome.code, outcome.balance, outcome.points) == ("OK", 120, 100)
    assert (outcome.legs, outcome.lots, outcome.original) == (UNSET, UNSET, index)
    assert outcome.released == [*lots[:2], Lot(TODAY + 30, 5, 0, 20, "leaf-1", 0)]
    assert (alliance.get("account", f"{ANNA}|leaf"), dict(alliance.state.list_records("due"))) == before
    assert exposure_of(alliance) == 0


def test_a_valid_hold_is_captured_whatever_has_become_of_caps_grants_and_policies(alliance):
    alliance.earn(ANNA, 250)
    assert set_aside(alliance, PETROL, expires=START + WEEK_MILLIS).code == "OK"
    alliance.must(FRESH, RevokeGrant("redeem", "leaf", PETROL))
    set_cap(alliance, FRESH, 0)
    set_policy(alliance, points_order=0, order_share_basis_points=0, gifts="forbidden", shortfall="block")
    outcome = capture(alliance, PETROL)
    assert outcome.code == "OK"
    assert [leg.micros for leg in outcome.legs] == [990_000, 10_000]
    assert spend(alliance, PETROL, reference="new").code == "GRANT_MISSING"


def test_a_capture_pays_the_par_of_the_hold_and_the_commission_of_its_own_day(alliance):
    alliance.earn(ANNA, 250)
    alliance.must(FRESH, AnnouncePar(alliance.height + 10, 10_500, 10_500, "leaf", "leaf-1"))
    alliance.must(OPERATOR, SetParameter(alliance.height + 9, "commission_basis_points", 500))
    assert set_aside(alliance, PETROL).code == "OK"
    alliance.reach(alliance.height + 12)
    # 100 points at the 10,000 of then, 5 % of it
    assert [leg.micros for leg in capture(alliance, PETROL).legs] == [950_000, 50_000]
    # and a redemption now is at the 10,500 of now
    assert [leg.micros for leg in spend(alliance, PETROL, reference="now").legs] == [997_500, 52_500]


def test_final_states_absorb(alliance):
    alliance.earn(ANNA, 300)
    set_aside(alliance, PETROL)
    assert capture(alliance, PETROL, points=60).code == "OK"
    done = len(alliance.leaves) - 2
    alliance.wait(days=5)
    again = capture(alliance, PETROL, points=60, occurred_at=START)
    assert (again.code, again.first) == ("ALREADY_DONE", done)
    assert capture(alliance, PETROL, points=61, occurred_at=START).code == "HOLD_FINAL"
    assert capture(alliance, PETROL, points=60, occurred_at=START + 1).code == "HOLD_FINAL"
    assert release(alliance, PETROL, occurred_at=START).code == "HOLD_FINAL"
    set_aside(alliance, PETROL, reference="second")
    told = {"hold": "second", "hold_day": TODAY + 5, "occurred_at": alliance.time}
    assert release(alliance, PETROL, **told).code == "OK"
    done = len(alliance.leaves) - 2
    alliance.wait(days=300)
    again = release(alliance, PETROL, **told)
    assert (again.code, again.first) == ("ALREADY_DONE", done)
    assert capture(alliance, PETROL, hold="second", hold_day=TODAY + 5).code == "HOLD_FINAL"
    assert alliance.points(ANNA) == 240


#   what is other than in the hold: the sender, or a field
ANOTHERS = [
    (CINEMA, {}),
    (FRESH, {}),
    (PETROL, {"hold": "Order"}),
    (PETROL, {"hold_day": TODAY - 1}),
    (PETROL, {"hold_day": TODAY + 1}),
    (PETROL, {"member": BORIS}),
    (PETROL, {"program": "mile"}),
    (PETROL, {"program": "nowhere"}),
]


@pytest.mark.parametrize("end", [capture, release])
@pytest.mark.parametrize(("sender", "otherwise"), ANOTHERS)
def test_anothers_hold_is_as_unknown_as_none(alliance, sender, otherwise, end):
    alliance.earn(ANNA, 100)
    set_aside(alliance, PETROL)
    told = end(alliance, sender, **otherwise)
    assert told == end(alliance, sender, **{**otherwise, "hold": "none"})
    assert told.code == "HOLD_UNKNOWN"
    assert end(alliance, PETROL).code == "OK"


def test_one_transaction_may_hold_capture_and_refuse_to_capture_again(alliance):
    alliance.earn(ANNA, 300)
    hold = Hold(
        expires=START + 1, member=ANNA, occurred_at=START, points=100, program="leaf", reference="order"
    )
    take = Capture("order", TODAY, ANNA, START, 40, "leaf")
    outcomes = alliance.submit(FRESH, hold, take, take, Release("order", TODAY, ANNA, START, "leaf"))
    assert [outcome.code for outcome in outcomes] == ["OK", "OK", "ALREADY_DONE", "HOLD_FINAL"]
    assert alliance.points(ANNA) == 260
    again = [hold, take, take]
    codes = [outcome.code for outcome in alliance.submit(FRESH, *again, atomic=True)]
    assert codes == ["ALREADY_DONE", "ATOMIC_ABORTED", "ATOMIC_ABORTED"]
