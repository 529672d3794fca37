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
    told.set_parameter("accrual_fee_basis_points", 78)
    order = told.order("earn", "fresh", amount=100_999_999)
    paid = told.send("books", order)
    parts = [told.bring_back("books", order, amount) for amount in (33_333_333, 33_333_333, 34_333_333)]
    assert told.bring_back("books", order, 1)["code"] == "REFUND_ABOVE_ORIGINAL"
    assert [part["points"] for part in parts] == [33, 33, 34]
    assert sum(micros(part, "earn_return") for part in parts) == micros(paid, "earn")
    assert sum(micros(part, "accrual_fee_return") for part in parts) == micros(paid, "accrual_fee") > 0


def test_a_partner_is_paid_back_for_points_really_taken_and_for_no_others(told):
    told.set_parameter("accrual_fee_basis_points", 77)
    order = told.order("earn", "fresh", amount=100 * 10**6)
    paid = told.send("books", order)
    par, fee = micros(paid, "earn") // 100, micros(paid, "accrual_fee")
    told.spend("redeem", "books", "fresh", 70)
    parts = [told.bring_back("books", order, 50 * 10**6) for _ in range(2)]
    assert [(part["points"], part.get("debt"), part["balance"]) for part in parts] == [
        *((50, 20, 0), (50, 70, 0)),
    ]
    assert [micros(part, "earn_return") for part in parts] == [30 * par, 0]
    assert [micros(part, "accrual_fee_return") for part in parts] == [fee * 30 // 100, 0]
    assert "legs" not in parts[1]


def test_earning_spending_and_returning_at_once_costs_the_issuer_what_was_bought_of_it(told):
    """The partner keeps nothing that it did not pay for: once the goods are back, its till has the loss."""
    order = told.order("earn", "fresh", amount=100 * 10**6)
    paid = micros(told.send("books", order), "earn")
    gained = micros(told.spend("redeem", "books", "fresh", 100), "redeem")
    assert micros(told.bring_back("books", order, 100 * 10**6), "earn_return") == 0
    assert gained < paid


def owe(told: Telling, points: int) -> dict[str, object]:
    """The member spends what an order brought, and brings the goods back; the spending."""
    order = told.order("earn", "fresh", amount=points * 10**6)
    told.send("fresh", order)
    spent = told.spend("redeem", "books", "fresh", points)
    assert told.bring_back("fresh", order, points * 10**6)["debt"] == points
    return spent


def test_what_is_refunded_repays_the_debt_first_in_the_order_in_which_it_comes_back(told):
    told.bring("fresh", 40, days=9)
    spent = told.spend("redeem", "books", "fresh", 40)
    more = owe(told, 50)
    first, second = told.undo("books", more, 30), told.undo("books", spent, 40)
    assert (first["repaid"], first["debt"], first["balance"], "lots" in first) == (30, 20, 0, False)
    assert (second["repaid"], second["debt"], second["balance"]) == (20, 0, 20)
    assert second["lots"] == [[*spent["lots"][0][:3], 20, *spent["lots"][0][4:]]]
    third = told.undo("books", more, 20)
    assert ("repaid" in third, "debt" in third, third["balance"]) == (False, False, 40)
    assert micros(first, "redeem_return") + micros(third, "redeem_return") == micros(more, "redeem")


def test_what_comes_back_from_several_lots_repays_with_the_last_taken(told):
    told.bring("fresh", 30, days=5)
    told.bring("fresh", 30, days=9)
    spent = told.spend("redeem", "fresh", "fresh", 60)
    owe(told, 40)
    back = told.undo("fresh", spent, 60)
    assert [row[3] for row in spent["lots"]] == [30, 30]
    assert back["lots"] == [[*spent["lots"][0][:3], 20, *spent["lots"][0][4:]]]
    assert (back["repaid"], back["balance"]) == (40, 20)


def test_what_is_over_when_it_is_refunded_repays_nothing_and_what_has_its_grace_does(told):
    told.bring("fresh", 10, days=0)
    spent = told.spend("redeem", "fresh", "fresh", 10)
    owe(told, 8)
    told.wait(days=30)
    back = told.undo("fresh", spent, 5)
    assert (back["repaid"], back["debt"], "lots" in back) == (5, 3, False)
    told.wait(days=1)
    back = told.undo("fresh", spent, 5)
    assert (back["expired"][0][3], "repaid" in back, "debt" in back, back["balance"]) == (5, False, False, 0)


def test_a_refund_that_goes_against_the_debt_needs_no_room(told):
    told.bring("fresh", 10, days=1)
    spent, more = told.spend("redeem", "fresh", "fresh", 10), owe(told, 10)
    for days in range(2, 66):
        told.bring("fresh", 1, days=days)
    told.hold_for("books", "fresh", 64, millis=DAY)
    back = told.undo("fresh", spent, 10)
    assert (back["repaid"], back["debt"], back["balance"], "lots" in back) == (10, 0, 64, False)
    assert told.undo("books", more, 1)["code"] == "LOT_LIMIT"


@pytest.mark.parametrize("kind", ["release", "lapse", "capture"])
def test_what_goes_back_out_of_a_hold_repays_the_debt_first_in_the_order_of_its_lots(told, kind):
    told.bring("fresh", 5, days=0)
    told.bring("fresh", 30, days=9)
    told.bring("fresh", 30, days=20)
    held = told.hold_for("books", "fresh", 65, millis=3 * DAY)
    owe(told, 40)
    if kind == "lapse":
        told.wait(days=3)
        told.wait(millis=60_000)
        assert told.model.state.debts[told.member, "fresh"] == 0
        assert [points for _, points in told.model.state.free(told.member, "fresh", told.today)] == [20]
        return
    told.wait(days=1)
    points = {"points": 15} if kind == "capture" else {}
    back = told.finish(kind, "books", held, **points)
    gone = 10 if kind == "capture" else 0
    assert sum(row[3] for row in back["released"]) == (50 if gone else 65)
    assert (back["repaid"], back["debt"], back["balance"]) == (40, 0, 20 - gone)
    assert sum(row[3] for row in back.get("expired", [])) == (0 if gone else 5)
    (left,) = told.model.state.free(told.member, "fresh", told.today)
    assert left == ((told.today + 19, *left[0][1:]), 20 - gone)


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
