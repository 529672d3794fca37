"""What was spent comes back, in all or in parts: the same lots, at the rate of then, never more than went."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.records import Undone
from contracts.messages import Refund
from ledger.errors import Refused
from ledger.outcome import Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    START,
    TODAY,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.orders import capture, refund, release, set_aside
from tests.contracts.purchases import buy, spend
from tests.contracts.rules.test_return_order import wait_half_a_year

ORIGINAL_LOT = Lot(20_057, 5, 0, 100, "leaf-1", 0)


def half_of_it() -> Attempt:
    """Anna spent 100 of the supermarket's points at the petrol chain, and half of it comes back."""
    alliance = Alliance().open()
    alliance.earn(ANNA, 100)
    assert spend(alliance, PETROL).code == "OK"
    told = {"original": "order", "original_day": TODAY, "original_type": "redeem", "program": "leaf"}
    return Attempt(
        Refund,
        sender=PETROL,
        alliance=alliance,
        member=ANNA,
        occurred_at=START,
        points=50,
        reference="back",
        **told,
    )


def split_it(it: Attempt) -> None:
    """It came back in sixteen parts, of next to nothing."""
    key = f"{TODAY:07d}|{PETROL}|redeem|leaf|order"
    spent = it.alliance.get("spent", key)
    parts = tuple(Undone(f"part-{number}", "", 1) for number in range(16))
    it.alliance.put("spent", key, replace(spent, undone=parts))


def fill(it: Attempt) -> None:
    """The account was filled meanwhile: one point and one lot are all that it still takes."""
    most = Lot(TODAY + 400, 5, 0, BALANCE_MAX - 63, "leaf-1", 0)
    others = [replace(most, expires=most.expires + day, points=1) for day in range(1, 63)]
    it.alliance.place(ANNA, "leaf", most, *others)


#   Each row breaks one more thing than the row below it.
LADDER = Ladder(
    "refund",
    half_of_it,
    [
        *REFERENCE_ROWS[:2],
        ("ORIGINAL_UNKNOWN", lambda it: it.set(original="another")),
        *REFERENCE_ROWS[2:],
        ("REFUND_TOO_LATE", wait_half_a_year),
        ("REFUND_ABOVE_ORIGINAL", lambda it: it.set(points=101)),
        ("TOO_MANY_REFUNDS", split_it),
        ("LOT_LIMIT", lambda it: it.alliance.place(ANNA, "leaf", Lot(TODAY + 463, 5, 0, 1, "leaf-1", 0))),
        ("BALANCE_LIMIT", fill),
    ],
)


@every_row(LADDER)
def test_a_refund_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_at_home_the_points_come_back_and_nobody_owes_anybody(alliance):
    alliance.earn(ANNA, 250)
    assert spend(alliance).balance == 150
    index = len(alliance.leaves) - 2
    outcome = refund(alliance)
    assert (outcome.code, outcome.balance, outcome.legs, outcome.expired) == ("OK", 250, UNSET, UNSET)
    assert (outcome.lots, outcome.original) == ([ORIGINAL_LOT], index)
    assert alliance.lots(ANNA) == (Lot(20_057, 5, 0, 250, "leaf-1", 0),)
    assert alliance.get("tally", "leaf|refunded.home") == alliance.get("tally", "leaf|redeemed.home") == 100


def test_a_captured_hold_is_refunded_as_far_as_it_was_captured(alliance):
    alliance.earn(ANNA, 250)
    set_aside(alliance, PETROL)
    assert refund(alliance, PETROL, original_type="hold", points=1).code == "ORIGINAL_UNKNOWN"
    capture(alliance, PETROL, points=60)
    index = len(alliance.leaves) - 2
    assert refund(alliance, PETROL, original_type="hold", points=61).code == "REFUND_ABOVE_ORIGINAL"
    outcome = refund(alliance, PETROL, original_type="hold", points=60)
    assert (outcome.code, outcome.balance, outcome.original) == ("OK", 250, index)
    assert [leg.micros for leg in outcome.legs] == [594_000, 6_000]


def test_what_was_released_is_no_original(alliance):
    alliance.earn(ANNA, 100)
    set_aside(alliance, PETROL)
    release(alliance, PETROL)
    assert refund(alliance, PETROL, original_type="hold", points=1).code == "ORIGINAL_UNKNOWN"


def test_refunded_twice_pays_once_whatever_the_day(alliance):
    alliance.earn(ANNA, 100)
    spend(alliance, PETROL)
    assert refund(alliance, PETROL).code == "OK"
    index = len(alliance.leaves) - 2
    for days in (0, 1, 2, 178, 100):  # the last lies beyond the refund horizon
        alliance.wait(days=days)
        again = refund(alliance, PETROL, occurred_at=START)
        assert (again.code, again.first) == ("ALREADY_DONE", index)
        other = refund(alliance, PETROL)
        assert other.code == ("REFERENCE_CONFLICT" if alliance.time > START else "ALREADY_DONE")
    assert refund(alliance, PETROL, reference="once-more").code == "REFUND_TOO_LATE"
    assert alliance.points(ANNA) == 100


def test_sixty_and_sixty_percent_is_more_than_all(alliance):
    alliance.earn(ANNA, 100)
    spend(alliance, PETROL)
    assert refund(alliance, PETROL, points=60, reference="a").balance == 60
    assert refund(alliance, PETROL, points=60, reference="b").code == "REFUND_ABOVE_ORIGINAL"
    assert refund(alliance, PETROL, points=41, reference="b").code == "REFUND_ABOVE_ORIGINAL"
    assert refund(alliance, PETROL, points=40, reference="b").balance == 100
    assert refund(alliance, PETROL, points=1, reference="c").code == "REFUND_ABOVE_ORIGINAL"
    assert alliance.position(FRESH) == alliance.position(PETROL) == alliance.position(OPERATOR) == 0


#   what is other than in the original: the sender, or a field
ANOTHERS = [
    (CINEMA, {}),
    (FRESH, {}),
    (PETROL, {"member": BORIS}),
    (PETROL, {"program": "mile"}),
    (PETROL, {"program": "nowhere"}),
    (PETROL, {"original_day": TODAY - 1}),
    (PETROL, {"original_day": TODAY + 1}),
    (PETROL, {"original_day": NEVER}),
    (PETROL, {"original_type": "hold"}),
]


@pytest.mark.parametrize(("sender", "otherwise"), ANOTHERS)
def test_only_who_sent_the_original_refunds_it_and_only_to_whom_it_was(alliance, sender, otherwise):
    alliance.earn(ANNA, 100)
    spend(alliance, PETROL)
    told = refund(alliance, sender, **otherwise)
    assert told == refund(alliance, sender, **{**otherwise, "original": "none"})
    assert told.code == "ORIGINAL_UNKNOWN"
    assert alliance.points(BORIS) == 0
    assert refund(alliance, PETROL).code == "OK"


#   days since the original, code; the horizon is 180 days, the memory 1,000
LATE = [(180, "OK"), (181, "REFUND_TOO_LATE"), (1_000, "REFUND_TOO_LATE"), (1_001, "ORIGINAL_UNKNOWN")]


@pytest.mark.parametrize(("days", "code"), LATE)
def test_a_refund_has_its_time(alliance, days, code):
    alliance.earn(ANNA, 100)
    spend(alliance, PETROL)
    alliance.wait(days=days)
    assert refund(alliance, PETROL).code == code


def test_the_horizon_counts_from_the_day_the_original_happened(alliance):
    """It reached the ledger on the 181st day after; it can be refunded no more."""
    alliance.earn(ANNA, 200)
    for days, code in ((180, "OK"), (181, "REFUND_TOO_LATE")):
        spend(alliance, PETROL, occurred_at=START - days * DAY_MILLIS, reference=f"{days}")
        told = refund(alliance, PETROL, original=f"{days}", original_day=TODAY - days)
        assert told.code == code


def test_an_original_comes_back_in_sixteen_parts_at_most(alliance):
    alliance.earn(ANNA, 100)
    spend(alliance, PETROL)
    for number in range(16):
        assert refund(alliance, PETROL, points=1, reference=f"r-{number}").code == "OK"
    assert refund(alliance, PETROL, points=1, reference="r-16").code == "TOO_MANY_REFUNDS"
    assert refund(alliance, PETROL, points=1, reference="r-0").code == "ALREADY_DONE"
    assert refund(alliance, PETROL, points=85, reference="r-16").code == "REFUND_ABOVE_ORIGINAL"
    assert alliance.points(ANNA) == 16


def test_one_reference_may_name_refunds_of_two_originals(alliance):
    alliance.earn(ANNA, 200)
    for reference in ("a", "b"):
        spend(alliance, PETROL, reference=reference)
        assert refund(alliance, PETROL, original=reference).code == "OK"
    assert alliance.points(ANNA) == 200


def test_a_full_account_takes_back_what_merges_and_nothing_else(alliance):
    lots = [Lot(TODAY + 10 + number, 5, 0, 10, "leaf-1", 0) for number in range(64)]
    alliance.place(ANNA, "leaf", *lots)
    spend(alliance, points=15)
    buy(alliance)
    assert len(alliance.lots(ANNA)) == 64
    assert refund(alliance, points=5, reference="merges").code == "OK"
    assert refund(alliance, points=1, reference="another").code == "LOT_LIMIT"
    assert spend(alliance, points=10, reference="room", agreed={"nonce": make_nonce("b")}).code == "OK"
    assert refund(alliance, points=10, reference="another").code == "OK"


def test_a_full_balance_takes_nothing_back(alliance):
    alliance.place(ANNA, "leaf", Lot(20_057, 5, 0, BALANCE_MAX, "leaf-1", 0))
    spend(alliance)
    buy(alliance, amount=500_000)
    assert refund(alliance).code == "BALANCE_LIMIT"
    assert refund(alliance, points=99).balance == BALANCE_MAX


def test_refunds_are_signed_by_order_systems_and_tills_only(alliance):
    alliance.earn(ANNA, 10)
    spend(alliance, points=10)
    message = Refund(ANNA, START, "order", TODAY, "redeem", 1, "leaf", "back")
    for purpose in ("govern", "custody"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
    assert alliance.ask(FRESH, message, purpose="till").code == "OK"


def test_within_one_transaction_the_refund_finds_its_original(alliance):
    alliance.earn(ANNA, 10)
    day, told = TODAY, {"consent": UNSET, "points": 10}
    spend(alliance, **told)
    both = [Refund(ANNA, START, "order", day, "redeem", 6, "leaf", reference) for reference in "ab"]
    assert [outcome.code for outcome in alliance.submit(FRESH, *both)] == ["OK", "REFUND_ABOVE_ORIGINAL"]
    again = [Refund(ANNA, START, "order", day, "redeem", 2, "leaf", reference) for reference in "cdc"]
    codes = [outcome.code for outcome in alliance.submit(FRESH, *again, atomic=True)]
    assert codes == ["ATOMIC_ABORTED", "ATOMIC_ABORTED", "ALREADY_DONE"]
    assert alliance.points(ANNA) == 6
