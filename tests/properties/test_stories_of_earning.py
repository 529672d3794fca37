"""What is earned, returned, brought along and limited: each story with its exact result."""

from __future__ import annotations

import pytest

from tests.properties.draws import DAY
from tests.properties.model_values import NEVER
from tests.properties.telling import Telling, micros

PAR = 20_000
"""What `fresh` pays for a point."""


@pytest.fixture
def told() -> Telling:
    return Telling()


def test_earn_spend_return_leaves_a_debt_that_later_earnings_repay(told):
    order = told.order("earn", "fresh", amount=100 * 10**6)
    told.send("fresh", order)
    told.spend("redeem", "books", "fresh", 70)
    back = told.bring_back("fresh", order, 100 * 10**6)
    assert (back["points"], back["debt"], back["balance"]) == (100, 70, 0)
    first, second = (told.earn_at("fresh", "fresh", 50) for _ in range(2))
    assert (first["repaid"], first["debt"], first["balance"], "lots" in first) == (50, 20, 0, False)
    assert (second["repaid"], second["debt"], second["balance"]) == (20, 0, 30)
    assert told.earn_at("fresh", "fresh", 50)["balance"] == 80


@pytest.mark.parametrize(("shortfall", "code"), [("absorb", "OK"), ("block", "CLAWBACK_BLOCKED")])
def test_an_issuer_may_forgive_or_refuse_what_is_missing(told, shortfall, code):
    told.set_policy("fresh", shortfall=shortfall)
    order = told.order("earn", "fresh", amount=100 * 10**6)
    told.send("fresh", order)
    told.spend("redeem", "books", "fresh", 70)
    assert told.bring_back("fresh", order, 100 * 10**6)["code"] == code
    assert told.model.state.balance(told.member, "fresh") == (0 if code == "OK" else 30)
    assert told.earn_at("fresh", "fresh", 1).get("repaid") is None


def test_a_debt_grows_to_its_limit_and_no_further(told):
    told.set_parameter("debt_points_max", 40)
    orders = [told.order("earn", "fresh", amount=40 * 10**6) for _ in range(2)]
    for order in orders:
        told.send("fresh", order)
    told.spend("redeem", "books", "fresh", 80)
    assert told.bring_back("fresh", orders[0], 40 * 10**6)["debt"] == 40
    assert told.bring_back("fresh", orders[1], 10**6)["code"] == "DEBT_LIMIT"


def test_a_partner_gets_back_what_it_paid_to_the_last_micro(told):
    told.set_parameter("accrual_fee_basis_points", 77)
    order = told.order("earn", "fresh", amount=100_999_999)
    paid = told.send("books", order)
    parts = [told.bring_back("books", order, amount) for amount in (33_333_333, 33_333_333, 34_333_333)]
    assert told.bring_back("books", order, 1)["code"] == "REFUND_ABOVE_ORIGINAL"
    assert [part["points"] for part in parts] == [33, 33, 34]
    assert sum(micros(part, "earn_return") for part in parts) == micros(paid, "earn")
    assert sum(micros(part, "accrual_fee_return") for part in parts) == micros(paid, "accrual_fee") > 0


def test_points_are_taken_back_from_the_lot_they_were_earned_in_even_while_it_cools(told):
    told.bring("fresh", 50, days=3)
    told.set_policy("fresh", cooling_days=5)
    order = told.order("earn", "fresh", amount=20 * 10**6)
    (lot,) = told.send("fresh", order)["lots"]
    assert lot[5] == told.today + 5
    assert told.spend("redeem", "fresh", "fresh", 51)["code"] == "INSUFFICIENT_POINTS"
    assert told.bring_back("fresh", order, 10 * 10**6)["lots"] == [[*lot[:3], 10, *lot[4:]]]
    told.wait(days=5)
    assert told.spend("redeem", "fresh", "fresh", 10)["lots"] == [[*lot[:3], 10, lot[4], 0]]


def test_an_award_without_an_order_does_not_come_back(told):
    told.set_policy("fresh", bonus_day=10, bonus_total=15)
    award = told.order("award", "fresh", points=10, reason="review")
    assert told.send("fresh", award)["balance"] == 10
    assert told.bring_back("fresh", award, 1)["code"] == "REFUND_ABOVE_ORIGINAL"
    more = {"points": 1, "reason": "review"}
    assert told.send("fresh", told.order("award", "fresh", **more))["code"] == "BONUS_BUDGET_EXHAUSTED"
    told.wait(days=1)
    assert told.send("fresh", told.order("award", "fresh", **{**more, "points": 5}))["code"] == "OK"
    assert told.send("fresh", told.order("award", "fresh", **more))["code"] == "BONUS_BUDGET_EXHAUSTED"


def test_an_opening_balance_is_no_younger_than_the_policy_makes_it(told):
    policy = told.model.state.series["fresh", "s0"].expiry_months
    assert policy == 12
    dates = {"points": 1, "series": "s0", "earned_day": 19_600, "expires_day": 19_966}
    codes = [
        told.send("fresh", told.order("import_balance", "fresh", **{**dates, **wrong}), "govern")["code"]
        for wrong in ({"expires_day": NEVER}, {"expires_day": 19_967}, {"earned_day": told.today + 1}, {})
    ]
    assert codes == ["IMPORT_DATES"] * 3 + ["OK"]
    told.wait(days=400)
    recent = {**dates, "earned_day": told.today, "expires_day": told.today}
    message = told.order("import_balance", "fresh", **recent)
    assert told.send("fresh", message, "govern")["code"] == "OK"
    told.wait(days=1)
    recent = {**dates, "earned_day": told.today, "expires_day": told.today}
    message = told.order("import_balance", "fresh", **recent)
    assert told.send("fresh", message, "govern")["code"] == "IMPORT_CLOSED"


def test_a_ceiling_is_a_share_of_the_order_and_needs_to_know_it(told):
    told.bring("fresh", 100, days=9)
    told.set_policy("fresh", order_share_basis_points=5_000, points_order=40)
    assert told.spend("redeem", "books", "fresh", 10)["code"] == "ORDER_CEILING"
    assert told.spend("redeem", "books", "fresh", 10, amount=20 * PAR - 1)["code"] == "ORDER_CEILING"
    assert told.spend("redeem", "books", "fresh", 10, amount=20 * PAR)["code"] == "OK"
    assert told.spend("redeem", "fresh", "fresh", 41, amount=10**15)["code"] == "ORDER_CEILING"
    assert told.hold_for("fresh", "fresh", 40, millis=DAY)["code"] == "ORDER_CEILING"
    fields = {"expires": told.time + DAY, "amount": 10**15}
    assert told.spend("hold", "fresh", "fresh", 40, **fields)["code"] == "OK"


def test_a_till_goes_as_far_as_its_word_and_then_asks(told):
    told.bring("fresh", 1_000, days=9)
    key = told.history.alliance.owned["fresh", "till"][-1]
    limits = {"points_day": 100, "points_order": 60, "step_up": 50}
    told.send("fresh", {"@type": "set_till_limits", "key": key.id, **limits}, "govern")

    def take(points: int) -> str:
        return str(told.send("fresh", told.order("redeem", "fresh", points=points), "till")["code"])

    assert [take(points) for points in (61, 51, 50, 50, 1)] == [
        *("TILL_LIMIT", "STEP_UP_REQUIRED", "OK", "OK", "TILL_LIMIT"),
    ]
    asked = told.agreed(told.order("redeem", "fresh", points=500), "fresh")
    assert told.send("fresh", asked, "till")["code"] == "OK"
    told.wait(days=1)
    assert take(50) == "OK"
