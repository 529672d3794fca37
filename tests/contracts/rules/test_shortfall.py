"""Points that are gone when their goods come back: owed, forgiven or in the way; and how a debt is repaid."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from ledger.outcome import Leg, Lot
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, BORIS, FRESH, PETROL, TODAY
from tests.contracts.orders import refund, release, return_goods, set_aside, set_policy
from tests.contracts.purchases import buy, spend

EARNED = Lot(20_057, 5, 0, 40, "leaf-1", 0)


def debt_of(alliance, member=ANNA, program="leaf") -> int:
    return alliance.get("debt", f"{member}|{program}") or 0


def test_what_is_held_is_not_taken_and_is_owed_instead(alliance):
    buy(alliance)
    set_aside(alliance, PETROL, points=30)
    outcome = return_goods(alliance)
    assert (outcome.lots, outcome.debt, outcome.balance) == ([replace(EARNED, points=10)], 30, 30)
    given_back = release(alliance, PETROL)
    assert (given_back.repaid, given_back.debt, given_back.balance) == (30, 0, 0)
    assert (alliance.points(ANNA), debt_of(alliance)) == (0, 0)


def test_what_comes_back_repays_before_it_can_be_spent(alliance):
    """Earn, spend, bring the first order back and then the second: nothing is left to spend."""
    buy(alliance)
    spend(alliance, points=40)
    assert return_goods(alliance).debt == 40
    first = refund(alliance, points=25)
    assert (first.lots, first.repaid, first.debt, first.balance) == (UNSET, 25, 15, 0)
    second = refund(alliance, points=15, reference="again")
    assert (second.lots, second.repaid, second.debt, second.balance) == (UNSET, 15, 0, 0)
    assert alliance.get("tally", "leaf|clawed_back") == 40


def test_of_what_comes_back_a_debt_takes_the_first_lots(alliance):
    alliance.earn(ANNA, 100)
    alliance.wait(days=40)
    buy(alliance, occurred_at=alliance.time)
    set_aside(alliance, PETROL, points=140, expires=alliance.time + 60_000, occurred_at=alliance.time)
    returned = return_goods(alliance, original_day=TODAY + 40, occurred_at=alliance.time)
    assert (returned.lots, returned.debt) == (UNSET, 40)
    outcome = release(alliance, PETROL, hold_day=TODAY + 40, occurred_at=alliance.time)
    assert (outcome.repaid, outcome.debt, outcome.balance) == (40, 0, 100)
    assert [lot.points for lot in outcome.released] == [100, 40]
    assert [lot.points for lot in alliance.lots(ANNA)] == [60, 40]
    alliance.check()


#   the program's choice, code, what the account owes, points left of 15
CHOICES = [("debt", "OK", 25, 0), ("absorb", "OK", 0, 0), ("block", "CLAWBACK_BLOCKED", 0, 15)]


@pytest.mark.parametrize(("choice", "code", "debt", "left"), CHOICES)
def test_what_is_missing_is_owed_forgiven_or_in_the_way(alliance, choice, code, debt, left):
    set_policy(alliance, shortfall=choice)
    buy(alliance, PETROL)
    spend(alliance, points=25)
    outcome = return_goods(alliance, PETROL)
    assert (outcome.code, outcome.debt) == (code, debt or UNSET)
    assert (debt_of(alliance), alliance.points(ANNA)) == (debt, left)
    # Of the fifteen that were there the issuer is relieved, and pays for them; of no others.
    assert outcome.legs == ([Leg(FRESH, 157_500, "earn_return", PETROL)] if code == "OK" else UNSET)


def test_a_return_that_is_wholly_covered_is_never_blocked(alliance):
    set_policy(alliance, shortfall="block")
    buy(alliance)
    alliance.earn(ANNA, 10)
    spend(alliance, points=10)
    assert return_goods(alliance).code == "OK"


@pytest.mark.parametrize(("most", "code"), [(39, "DEBT_LIMIT"), (40, "OK"), (0, "DEBT_LIMIT")])
def test_an_account_owes_only_so_much(most, code):
    alliance = Alliance(parameters={"debt_points_max": most}).open()
    buy(alliance)
    spend(alliance, points=40)
    assert return_goods(alliance).code == code
    alliance.check()


def test_debt_of_several_returns_adds_up_to_its_limit():
    alliance = Alliance(parameters={"debt_points_max": 60}).open()
    for reference in ("a", "b"):
        buy(alliance, reference=reference)
    spend(alliance, points=80)
    assert return_goods(alliance, original="a").debt == 40
    assert return_goods(alliance, original="b", amount=10_500_000).code == "DEBT_LIMIT"
    assert return_goods(alliance, original="b", amount=10_000_000).debt == 60
    alliance.check()


def test_debt_is_repaid_by_the_next_earnings_however_many(alliance):
    buy(alliance)
    spend(alliance, points=40)
    assert return_goods(alliance).debt == 40
    nothing = buy(alliance, amount=1, reference="nothing")
    assert (nothing.points, nothing.repaid, nothing.debt) == (0, UNSET, UNSET)
    first = buy(alliance, amount=7_500_000, reference="first")
    assert (first.points, first.repaid, first.debt) == (15, 15, 25)
    assert (first.lots, first.balance) == (UNSET, 0)
    second = buy(alliance, PETROL, amount=15_000_000, reference="second")
    assert (second.points, second.repaid, second.debt) == (30, 25, 0)
    assert (second.lots, second.balance) == ([replace(EARNED, points=5)], 5)
    # The partner pays for all thirty: the issuer owes its member that much less.
    assert second.legs == [Leg(PETROL, 315_000, "earn", FRESH)]
    third = buy(alliance, reference="third")
    assert (third.repaid, third.debt, third.balance) == (UNSET, UNSET, 45)
    assert alliance.get("tally", "leaf|clawed_back") == 40
    assert alliance.records().keys().isdisjoint({("debt", f"{ANNA}|leaf")})


def test_debt_is_the_accounts_own(alliance):
    buy(alliance)
    spend(alliance, points=40)
    return_goods(alliance)
    assert buy(alliance, PETROL, program="mile", reference="mile").repaid is UNSET
    assert buy(alliance, member=BORIS, reference="boris").repaid is UNSET
    assert debt_of(alliance) == 40


def test_what_repaid_a_debt_is_due_back_like_what_arrived(alliance):
    buy(alliance)
    spend(alliance, points=40)
    return_goods(alliance)
    assert buy(alliance, amount=30_000_000, reference="second").repaid == 40
    outcome = return_goods(alliance, original="second", amount=30_000_000)
    assert (outcome.points, outcome.lots, outcome.debt) == (60, [replace(EARNED, points=20)], 40)


def test_earn_spend_and_return_leaves_no_profit(alliance):
    """Whatever the order of it, spent points are owed, repaid or gone."""
    for round_of in range(5):
        buy(alliance, reference=f"o-{round_of}")
        spend(alliance, points=alliance.points(ANNA) or 1, reference=f"s-{round_of}")
        return_goods(alliance, original=f"o-{round_of}")
    # 40 were spent in all, and 40 are owed: every later earning only repaid.
    assert (alliance.points(ANNA), debt_of(alliance)) == (0, 40)
    assert alliance.get("tally", "leaf|redeemed.home") == 40
