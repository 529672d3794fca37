"""Of a program with an issuance budget no more points are issued than the alliance has decided."""

from __future__ import annotations

import pytest

from contracts.messages import Award, Earn
from contracts.messages.actions import SetIssuanceBudget
from ledger.outcome import Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, BORIS, FRESH, PETROL
from tests.contracts.orders import adjust, award, refund, return_goods, set_policy
from tests.contracts.purchases import buy, spend
from tests.contracts.windows import decide


def set_budget(alliance: Alliance, *, day: int, total: int, program: str = "leaf") -> None:
    assert decide(alliance, SetIssuanceBudget(day, total, program)).code == "OK"


@pytest.mark.parametrize(("day", "total"), [(79, 1_000), (1_000, 79)])
def test_earning_stops_where_the_day_or_the_whole_is_used_up(alliance, day, total):
    set_budget(alliance, day=day, total=total)
    assert buy(alliance, reference="a").code == "OK"
    assert buy(alliance, reference="b").code == "ISSUANCE_EXHAUSTED"
    assert buy(alliance, PETROL, reference="b").code == "ISSUANCE_EXHAUSTED"
    assert buy(alliance, amount=19_500_000, reference="b").code == "OK"
    assert buy(alliance, amount=500_000, reference="c").code == "ISSUANCE_EXHAUSTED"
    assert buy(alliance, amount=499_999, reference="c").code == "OK", "that is no point at all"
    budget = alliance.get("issuance", "leaf")
    assert (budget.used_day, budget.used_total) == (79, 79)


def test_whoever_issues_counts_and_in_whatever_way(alliance):
    set_policy(alliance, bonus_day=1_000, bonus_total=1_000)
    set_budget(alliance, day=100, total=1_000)
    assert buy(alliance, PETROL, reference="a").code == "OK"
    assert award(alliance, points=30, reference="b").code == "OK"
    assert award(alliance, PETROL, points=30, reference="c").code == "OK"
    assert award(alliance, points=1, reference="d").code == "ISSUANCE_EXHAUSTED"
    assert award(alliance, PETROL, points=1, reference="d").code == "ISSUANCE_EXHAUSTED"


def test_the_next_day_has_its_own_budget_and_the_whole_goes_on(alliance):
    set_budget(alliance, day=40, total=100)
    for number, code in enumerate(("OK", "OK", "ISSUANCE_EXHAUSTED")):
        assert buy(alliance, reference=f"n-{number}").code == code
        alliance.wait(days=1)
    assert buy(alliance, amount=10_000_000, reference="rest").code == "OK"
    alliance.wait(days=1)
    assert buy(alliance, amount=500_000, reference="more").code == "ISSUANCE_EXHAUSTED"


def test_a_budget_set_again_starts_anew(alliance):
    set_budget(alliance, day=40, total=40)
    assert buy(alliance, reference="a").code == "OK"
    assert buy(alliance, reference="b").code == "ISSUANCE_EXHAUSTED"
    set_budget(alliance, day=40, total=40)
    assert buy(alliance, reference="b").code == "OK"


def test_other_programs_and_what_is_not_issued_are_free(alliance):
    assert buy(alliance, reference="before").code == "OK"
    set_budget(alliance, day=0, total=0)
    assert buy(alliance, reference="a").code == "ISSUANCE_EXHAUSTED"
    assert buy(alliance, PETROL, program="mile", reference="a").code == "OK"
    assert spend(alliance, points=10, reference="s").code == "OK"
    assert refund(alliance, points=10, original="s").code == "OK"
    assert adjust(alliance, direction="give", points=5, reference="x").code == "OK"
    assert return_goods(alliance, original="before").code == "OK"


def test_what_repays_a_debt_counts_as_well(alliance):
    assert buy(alliance, reference="a").code == "OK"
    assert spend(alliance, points=40, reference="s").code == "OK"
    assert return_goods(alliance, original="a").code == "OK"
    set_budget(alliance, day=50, total=50)
    assert buy(alliance, reference="b").repaid == 40
    assert buy(alliance, reference="c").code == "ISSUANCE_EXHAUSTED"


def test_one_block_counts_all_of_its_messages(alliance):
    set_budget(alliance, day=100, total=100)
    orders = [Earn(20_000_000, member, alliance.time, "leaf", "o") for member in (ANNA, BORIS)]
    block = alliance.cut(alliance.sign(FRESH, orders[0]), alliance.sign(PETROL, orders[1]))
    assert alliance.get("issuance", "leaf").used_day == 80
    assert len(block.answers) == 2


def test_the_budget_is_asked_after_size_and_bonus_and_before_the_account(alliance):
    set_budget(alliance, day=10, total=10)
    assert buy(alliance, amount=10**15, reference="a").code == "AMOUNT_TOO_LARGE"
    told = Award(
        member=ANNA, occurred_at=alliance.time, points=11, program="leaf", reason="review", reference="b"
    )
    assert alliance.ask(FRESH, told).code == "BONUS_BUDGET_EXHAUSTED"
    # And with the account as full as one may be, where the budget still has a single point.
    alliance.place(ANNA, "leaf", Lot(NEVER, 5, 0, BALANCE_MAX, "leaf-1", 0))
    assert buy(alliance, amount=5_500_000, reference="c").code == "ISSUANCE_EXHAUSTED"
    assert buy(alliance, amount=5_000_000, reference="c").code == "BALANCE_LIMIT"
