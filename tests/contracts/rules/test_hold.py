"""Points set aside for an order: the member's still, good for nothing else, and owed by nobody yet."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Capture, Hold, Release
from ledger.errors import Refused
from ledger.outcome import Lot
from ledger.values import NEVER
from tests.contracts.cast import (
    ANNA,
    FRESH,
    PETROL,
    START,
    TODAY,
    grant,
)
from tests.contracts.ladder import Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.orders import (
    NO_CODE,
    WEEK_MILLIS,
    capture,
    exposure_of,
    refund,
    release,
    set_aside,
    set_cap,
    set_till_limits,
)
from tests.contracts.purchases import spend
from tests.contracts.spending import LIMIT_ROWS, UP_TO_THE_POINTS, spend_elsewhere

HOUR = 3_600_000
#   Each row breaks one more thing than the row below it.
LADDER = Ladder(
    "hold",
    lambda: spend_elsewhere(Hold, expires=START + HOUR),
    [
        *UP_TO_THE_POINTS,
        ("HOLD_EXPIRED", lambda it: it.set(expires=it.alliance.time)),
        ("HOLD_TOO_LONG", lambda it: it.set(expires=it.alliance.time + WEEK_MILLIS + 1)),
        *LIMIT_ROWS,
    ],
)


@every_row(LADDER)
def test_a_hold_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_what_is_held_stays_the_members_and_nobody_owes_anybody_yet(alliance):
    alliance.earn(ANNA, 250)
    outcome = set_aside(alliance, PETROL)
    assert (outcome.code, outcome.balance, outcome.legs) == ("OK", 250, UNSET)
    assert outcome.lots == [Lot(20_057, 5, 0, 100, "leaf-1", 0)]
    assert alliance.points(ANNA) == 250
    assert alliance.lots(ANNA) == (Lot(20_057, 5, 0, 150, "leaf-1", 0),)
    assert alliance.held(ANNA) == (Lot(20_057, 5, 0, 100, "leaf-1", 0),)
    assert alliance.get("supply", "leaf") == 250
    assert exposure_of(alliance) == 1_000_000
    assert dict(alliance.state.list_records("position")) == {}
    assert spend(alliance, points=151, reference="more").code == "INSUFFICIENT_POINTS"


def test_at_home_a_hold_reserves_nothing_and_its_capture_owes_nothing(alliance):
    set_cap(alliance, FRESH, 0)
    alliance.earn(ANNA, 250)
    assert set_aside(alliance).code == "OK"
    assert exposure_of(alliance) == 0
    outcome = capture(alliance)
    assert (outcome.code, outcome.legs, outcome.balance) == ("OK", UNSET, 150)
    assert alliance.get("tally", "leaf|redeemed.home") == 100


#   milliseconds from the block's time to the hold's end
ENDS = [
    (0, "HOLD_EXPIRED"),
    (-1, "HOLD_EXPIRED"),
    (1, "OK"),
    (WEEK_MILLIS, "OK"),
    (WEEK_MILLIS + 1, "HOLD_TOO_LONG"),
]


@pytest.mark.parametrize(("ahead", "code"), ENDS)
def test_a_hold_ends_ahead_and_not_too_far(alliance, ahead, code):
    alliance.earn(ANNA, 100)
    assert set_aside(alliance, expires=alliance.time + ahead).code == code


def test_a_holds_consent_is_spent_with_it_and_needs_no_other_for_the_capture(alliance):
    alliance.earn(ANNA, 300)
    agreed = {"nonce": make_nonce("one")}
    assert set_aside(alliance, PETROL, agreed=agreed).code == "OK"
    assert set_aside(alliance, PETROL, agreed=agreed, reference="b").code == "CONSENT_USED"
    # what was signed for a hold is no consent to a redemption, nor the other way round
    assert spend(alliance, PETROL, agreed={"purpose": "hold"}).code == "CONSENT_SIGNATURE_INVALID"
    wrong = {"purpose": "redeem"}
    assert set_aside(alliance, PETROL, agreed=wrong, reference="c").code == "CONSENT_SIGNATURE_INVALID"
    alliance.wait(seconds=600)
    assert capture(alliance, PETROL).code == "OK"


def test_the_same_hold_again_is_done_already_even_after_its_end(alliance):
    alliance.earn(ANNA, 300)
    set_aside(alliance, PETROL)
    first = len(alliance.leaves) - 2
    told = {"expires": START + HOUR, "occurred_at": START}
    for end in (None, capture):
        if end is not None:
            assert end(alliance, PETROL).code == "OK"
        again = set_aside(alliance, PETROL, agreed={"nonce": make_nonce("fresh")}, **told)
        assert (again.code, again.first) == ("ALREADY_DONE", first)
    assert set_aside(alliance, PETROL, points=99, **told).code == "REFERENCE_CONFLICT"
    assert alliance.points(ANNA) == 200


def test_a_hold_and_a_redemption_may_bear_one_reference(alliance):
    alliance.earn(ANNA, 300)
    assert set_aside(alliance, PETROL).code == "OK"
    assert spend(alliance, PETROL, agreed={"nonce": make_nonce("b")}).code == "OK"
    assert refund(alliance, PETROL, original_type="hold").code == "ORIGINAL_UNKNOWN"
    assert capture(alliance, PETROL).code == "OK"
    assert refund(alliance, PETROL, original_type="hold").code == "OK"
    assert refund(alliance, PETROL).code == "OK"
    assert alliance.points(ANNA) == 300


def test_grants_count_when_the_hold_is_made_and_get_nothing_back(alliance):
    alliance.must(FRESH, grant("redeem", "leaf", PETROL, budget_day=100, budget_total=100))
    alliance.earn(ANNA, 300)
    assert set_aside(alliance, PETROL).code == "OK"
    assert release(alliance, PETROL).code == "OK"
    assert spend(alliance, PETROL, points=1, reference="b").code == "GRANT_EXHAUSTED"


def test_two_holds_of_one_account_do_not_touch_each_other(alliance):
    alliance.place(ANNA, "leaf", Lot(NEVER, 5, 0, 100, "leaf-1", 0))
    for reference in ("a", "b"):
        assert set_aside(alliance, PETROL, points=50, reference=reference).code == "OK"
    assert alliance.held(ANNA) == (Lot(NEVER, 5, 0, 100, "leaf-1", 0),)
    assert set_aside(alliance, PETROL, points=1, reference="c").code == "INSUFFICIENT_POINTS"
    alliance.check()
    assert capture(alliance, PETROL, hold="a", points=50).code == "OK"
    alliance.check()
    assert exposure_of(alliance) == 500_000
    assert release(alliance, PETROL, hold="b").balance == 50


def test_holds_are_signed_by_order_systems_and_tills_only(alliance):
    alliance.earn(ANNA, 300)
    messages = [
        Hold(expires=START + 1, member=ANNA, occurred_at=START, points=1, program="leaf", reference="o"),
        Capture("o", TODAY, ANNA, START, 1, "leaf"),
        Release("o", TODAY, ANNA, START, "leaf"),
    ]
    for purpose in ("govern", "custody"):
        for message in messages:
            with pytest.raises(Refused, match="WRONG_PURPOSE"):
                alliance.ask(FRESH, message, purpose=purpose)
    codes = [outcome.code for outcome in alliance.submit(FRESH, *messages, purpose="till")]
    assert codes == ["OK", "OK", "HOLD_FINAL"]


def test_till_limits_count_when_the_hold_is_made(alliance):
    alliance.earn(ANNA, 500)
    set_till_limits(alliance)
    till = {"how": {"purpose": "till"}, **NO_CODE}
    assert set_aside(alliance, points=81, reference="a", **till).code == "STEP_UP_REQUIRED"
    assert set_aside(alliance, points=80, reference="a", **till).code == "OK"
    assert release(alliance, hold="a").code == "OK"
    assert set_aside(alliance, points=71, reference="b", **till).code == "TILL_LIMIT"
    assert set_aside(alliance, points=70, reference="b", **till).code == "OK"
