"""Points that somebody else computed: inside a budget, once, and paid for by a partner as any earning."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.mechanics.governance_records import Issuance
from contracts.messages import Award, OpenProgram, RevokeGrant
from contracts.messages.earning import AwardReason
from ledger.errors import Refused
from ledger.outcome import Leg, Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.cast import (
    ANNA,
    CINEMA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    TODAY,
    grant,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.orders import award, return_goods, set_cap, set_policy
from tests.contracts.purchases import buy, spend


def at_a_partner() -> Attempt:
    """The petrol chain gives 100 of the supermarket's points for a review."""
    told = {"occurred_at": START, "points": 100, "program": "leaf", "reason": "review", "reference": "a-1"}
    return Attempt(Award, sender=PETROL, member=ANNA, **told)


def by_the_issuer(it: Attempt) -> None:
    """The supermarket gives them itself, one above its budget of the day."""
    it.sender = FRESH
    set_policy(it.alliance, bonus_day=99)


def by_the_partner(it: Attempt, **budget: int) -> None:
    it.sender = PETROL
    it.alliance.must(FRESH, grant("earn", "leaf", PETROL, **budget))


def let_grant_lapse(it: Attempt) -> None:
    by_the_partner(it, budget_day=0, expires=it.alliance.time)
    it.alliance.wait(seconds=1)


def open_without_series(it: Attempt) -> None:
    it.alliance.must(PHARMACY, OpenProgram("Bare", "bare", 1_000_000))
    it.set(program="bare")


def fill(it: Attempt, *lots: Lot) -> None:
    # A stranger has no account: nobody can be both.
    it.alliance.place(ANNA, "leaf", *lots)


#   Each row breaks one more thing than the row below it.
LADDER = Ladder(
    "award",
    at_a_partner,
    [
        *REFERENCE_ROWS,
        ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
        ("NO_OPEN_SERIES", open_without_series),
        ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
        ("GRANT_MISSING", lambda it: it.alliance.must(FRESH, RevokeGrant("earn", "leaf", PETROL))),
        ("GRANT_EXPIRED", let_grant_lapse),
        ("GRANT_EXHAUSTED", lambda it: by_the_partner(it, budget_day=99)),
        ("BONUS_BUDGET_EXHAUSTED", by_the_issuer),
        ("ISSUANCE_EXHAUSTED", lambda it: it.alliance.put("issuance", "leaf", Issuance(0, 0, 0, 0, 0))),
        ("LOT_LIMIT", lambda it: fill(it, *[Lot(TODAY + day, 5, 0, 1, "leaf-1", 0) for day in range(63)])),
        ("BALANCE_LIMIT", lambda it: fill(it, Lot(NEVER, 5, 0, BALANCE_MAX - 63, "leaf-1", 0))),
        ("DEBIT_CAP", lambda it: set_cap(it.alliance, PETROL, 1_049_999)),
    ],
)


@every_row(LADDER)
def test_an_award_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_the_issuers_own_award_makes_nobody_owe_anybody(alliance):
    set_policy(alliance)
    outcome = award(alliance)
    assert (outcome.code, outcome.points, outcome.balance, outcome.legs) == ("OK", 50, 50, UNSET)
    assert outcome.lots == [Lot(20_057, 5, 0, 50, "leaf-1", 0)]
    assert alliance.get("tally", "leaf|issued.home") == 50


def test_a_partner_pays_for_what_it_awards(alliance):
    assert award(alliance, PETROL).legs == [Leg(PETROL, 525_000, "earn", FRESH)]
    assert alliance.get("tally", "leaf|issued.partner") == 50
    assert award(alliance, CINEMA).code == "GRANT_MISSING"


def test_there_is_no_budget_until_the_issuer_sets_one(alliance):
    assert award(alliance, points=1).code == "BONUS_BUDGET_EXHAUSTED"
    set_policy(alliance, bonus_day=0)
    assert award(alliance, points=1).code == "BONUS_BUDGET_EXHAUSTED"
    set_policy(alliance, bonus_total=0)
    assert award(alliance, points=1).code == "BONUS_BUDGET_EXHAUSTED"
    set_policy(alliance, bonus_day=1, bonus_total=1)
    assert award(alliance, points=1).code == "OK"


def test_a_budget_is_kept_by_day_and_in_all(alliance):
    set_policy(alliance, bonus_day=100, bonus_total=150)
    assert award(alliance, points=101, reference="a").code == "BONUS_BUDGET_EXHAUSTED"
    assert award(alliance, points=60, reference="a").code == "OK"
    assert award(alliance, points=41, reference="b").code == "BONUS_BUDGET_EXHAUSTED"
    assert award(alliance, points=40, reference="b").code == "OK"
    midnight = (TODAY + 1) * DAY_MILLIS - 480 * 60_000
    alliance.time = midnight - 1
    assert award(alliance, points=1, reference="c").code == "BONUS_BUDGET_EXHAUSTED"
    alliance.time = midnight
    assert award(alliance, points=51, reference="c").code == "BONUS_BUDGET_EXHAUSTED"
    assert award(alliance, points=50, reference="c").code == "OK"
    alliance.wait(days=1)
    assert award(alliance, points=1, reference="d").code == "BONUS_BUDGET_EXHAUSTED"
    # A new policy begins anew.
    set_policy(alliance, bonus_day=100, bonus_total=150)
    assert award(alliance, points=100, reference="d").code == "OK"


def test_only_the_issuers_own_awards_count_against_its_budget(alliance):
    set_policy(alliance, bonus_day=50, bonus_total=50)
    assert award(alliance, PETROL, points=1_000).code == "OK"
    assert buy(alliance, amount=500_000_000, reference="big").points == 1_000
    assert award(alliance, points=50).code == "OK"


def test_an_awards_points_count_against_the_partners_earn_grant(alliance):
    alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_day=100))
    assert buy(alliance, PETROL, amount=20_000_000).points == 40
    assert award(alliance, PETROL, points=61).code == "GRANT_EXHAUSTED"
    assert award(alliance, PETROL, points=60).code == "OK"
    assert buy(alliance, PETROL, amount=500_000, reference="b").code == "GRANT_EXHAUSTED"


def test_an_award_cools_and_repays_like_any_earning(alliance):
    set_policy(alliance, cooling_days=3)
    buy(alliance)
    alliance.wait(days=3)
    spend(alliance, points=40)
    assert return_goods(alliance).debt == 40
    outcome = award(alliance)
    assert (outcome.points, outcome.repaid, outcome.debt, outcome.balance) == (50, 40, 0, 10)
    assert outcome.lots == [Lot(20_057, 5, 0, 10, "leaf-1", TODAY + 6)]


def test_an_award_is_given_once_and_its_reference_is_no_orders(alliance):
    set_policy(alliance)
    assert award(alliance).code == "OK"
    assert award(alliance).code == "ALREADY_DONE"
    assert award(alliance, points=51).code == "REFERENCE_CONFLICT"
    assert award(alliance, reason="task").code == "REFERENCE_CONFLICT"
    assert award(alliance, amount=1).code == "REFERENCE_CONFLICT"
    assert buy(alliance).code == "OK"


@pytest.mark.parametrize("reason", AwardReason.__args__)
def test_an_award_says_what_for(alliance, reason):
    set_policy(alliance)
    assert award(alliance, reason=reason).code == "OK"


def test_a_partner_that_is_the_operator_owes_itself_no_fee(alliance):
    alliance.must(FRESH, grant("earn", "leaf", OPERATOR))
    assert award(alliance, OPERATOR).legs == [Leg(OPERATOR, 525_000, "earn", FRESH)]


def test_awards_are_signed_by_order_systems_and_tills_only(alliance):
    set_policy(alliance)
    told = {"member": ANNA, "occurred_at": START, "points": 1, "program": "leaf", "reference": "o"}
    message = Award(reason="bonus", **told)
    for purpose in ("govern", "custody"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
    assert alliance.ask(FRESH, message, purpose="till").code == "OK"
