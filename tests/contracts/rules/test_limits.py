"""Limits: an issuer's policy, a merchant's tills, the alliance's caps; each to the point and the micro."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.mechanics.policies import compute_spendable_from, get_policy
from contracts.mechanics.settlement_records import Cover
from contracts.messages import AddKey, OpenProgram, OpenSeries, SetDebitCap, SetPolicy, SetTillLimits
from ledger.errors import Refused
from ledger.outcome import Lot
from ledger.values import AMOUNT_MAX, NEVER
from tests.contracts.cast import (
    ANNA,
    CINEMA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    TODAY,
    make_signer,
    public_of,
)
from tests.contracts.council import seat
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.orders import make_policy, set_aside, set_policy, set_till_limits
from tests.contracts.purchases import buy, spend

TILL = make_signer(FRESH, "till")


def a_policy() -> Attempt:
    policy = make_policy()
    fields = {name: getattr(policy, name) for name in policy.__struct_fields__}
    return Attempt(SetPolicy, sender=FRESH, **fields)


def cover_too_little(it: Attempt) -> None:
    """What stands behind the supermarket's debts is attested, and is less than the cap."""
    it.alliance.put("cover", FRESH, Cover(it.fields["cap"] - 1, it.alliance.time + 1, 0))


#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "set_policy",
        a_policy,
        [
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("NOT_ISSUER", lambda it: setattr(it, "sender", PETROL)),
        ],
    ),
    Ladder(
        "set_till_limits",
        lambda: Attempt(
            SetTillLimits, sender=FRESH, key=TILL.key_id, points_day=1, points_order=1, step_up=1
        ),
        [
            ("KEY_UNKNOWN", lambda it: it.set(key=make_signer(PETROL, "till").key_id)),
            ("NOT_A_TILL", lambda it: it.set(key=make_signer(FRESH, "transact").key_id)),
        ],
    ),
    Ladder(
        "set_debit_cap",
        lambda: Attempt(SetDebitCap, sender=OPERATOR, cap=1, participant=FRESH),
        [
            ("VOTE_REQUIRED", lambda it: seat(it.alliance)),
            ("NOT_OPERATOR", lambda it: setattr(it, "sender", FRESH)),
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("CAP_ABOVE_COVER", cover_too_little),
        ],
    ),
]


@every_row(*LADDERS)
def test_limits_are_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


#   spends, or sets aside: a ceiling is the same for both
SPENDERS = pytest.mark.parametrize("ask", [spend, set_aside])

#   the order's share that may be points, its amount, code: 100 points are worth 1,000,000 micros
SHARES = [
    (10_000, UNSET, "OK"),
    (10_000, 0, "OK"),
    (9_999, UNSET, "ORDER_CEILING"),
    (5_000, 2_000_000, "OK"),
    (5_000, 2_000_001, "OK"),
    (5_000, 1_999_999, "ORDER_CEILING"),
    (9_999, 1_000_100, "ORDER_CEILING"),  # 999,999.99 rounded down
    (9_999, 1_000_101, "OK"),
    (1, AMOUNT_MAX, "OK"),
    (0, AMOUNT_MAX, "ORDER_CEILING"),
    (0, UNSET, "ORDER_CEILING"),
]


@SPENDERS
@pytest.mark.parametrize(("share", "amount", "code"), SHARES)
def test_points_may_pay_only_the_issuers_share_of_an_order(alliance, ask, share, amount, code):
    alliance.earn(ANNA, 200)
    set_policy(alliance, order_share_basis_points=share)
    for sender in (FRESH, PETROL):
        assert ask(alliance, sender, amount=amount, reference=sender).code == code


@SPENDERS
@pytest.mark.parametrize(("most", "code"), [(99, "ORDER_CEILING"), (100, "OK"), (0, "ORDER_CEILING")])
def test_an_order_takes_only_so_many_points(alliance, ask, most, code):
    alliance.earn(ANNA, 100)
    set_policy(alliance, points_order=most)
    assert ask(alliance).code == code
    assert ask(alliance, PETROL, reference="elsewhere").code == (
        "INSUFFICIENT_POINTS" if code == "OK" else code
    )


def test_a_policy_holds_for_its_own_program_from_the_next_message_on(alliance):
    alliance.earn(ANNA, 300)
    alliance.earn(ANNA, 300, "star")
    before = alliance.sign(FRESH, make_policy(points_order=1))
    assert spend(alliance).code == "OK"
    alliance.cut(before)
    assert spend(alliance, reference="b").code == "ORDER_CEILING"
    assert spend(alliance, CINEMA, program="star", reference="elsewhere").code == "OK"
    set_policy(alliance)
    assert spend(alliance, reference="b").code == "OK"


def at_the_till(alliance, points, reference, **fields):
    """The supermarket's till takes points without asking anybody."""
    told = {"consent": UNSET, "points": points, "reference": reference, **fields}
    return spend(alliance, how={"purpose": "till"}, **told).code


def test_a_tills_word_goes_so_far_an_order_a_day_and_unasked(alliance):
    alliance.earn(ANNA, 1_000)
    set_till_limits(alliance, points_order=100, points_day=150, step_up=80)
    assert at_the_till(alliance, 101, "a") == "TILL_LIMIT"
    assert at_the_till(alliance, 100, "a") == "STEP_UP_REQUIRED"
    assert at_the_till(alliance, 81, "a") == "STEP_UP_REQUIRED"
    assert at_the_till(alliance, 80, "a") == "OK"
    assert at_the_till(alliance, 71, "b") == "TILL_LIMIT"
    assert at_the_till(alliance, 70, "b") == "OK"
    assert at_the_till(alliance, 1, "c") == "TILL_LIMIT"
    midnight = (TODAY + 1) * DAY_MILLIS - 480 * 60_000
    alliance.time = midnight - 1
    assert at_the_till(alliance, 1, "c") == "TILL_LIMIT"
    alliance.time = midnight
    assert at_the_till(alliance, 1, "c") == "OK"
    # New limits begin anew.
    set_till_limits(alliance, points_order=150, points_day=150, step_up=150)
    assert at_the_till(alliance, 150, "d") == "OK"


def test_a_members_own_word_passes_the_tills_limits_and_is_not_counted(alliance):
    alliance.earn(ANNA, 1_000)
    set_till_limits(alliance, points_order=10, points_day=10, step_up=10)
    assert spend(alliance, points=500, how={"purpose": "till"}, reference="a").code == "OK"
    assert at_the_till(alliance, 10, "b") == "OK"


def test_limits_are_one_tills_own(alliance):
    alliance.earn(ANNA, 1_000)
    other = make_signer("a second till")
    alliance.must(FRESH, AddKey(public_of(other), "till"))
    set_till_limits(alliance, points_order=1, points_day=1, step_up=1)
    assert at_the_till(alliance, 2, "a") == "TILL_LIMIT"
    assert spend(alliance, consent=UNSET, points=500, reference="order-system").code == "OK"
    alliance.signers[FRESH, "till"] = other
    assert at_the_till(alliance, 400, "b") == "OK"


def test_a_till_that_may_nothing_asks_for_everything(alliance):
    alliance.earn(ANNA, 10)
    set_till_limits(alliance, points_order=10**9, points_day=10**9, step_up=0)
    assert at_the_till(alliance, 1, "a") == "STEP_UP_REQUIRED"
    assert spend(alliance, points=1, how={"purpose": "till"}, reference="a").code == "OK"


def test_an_attempt_that_fails_counts_for_no_limit(alliance):
    set_till_limits(alliance, points_order=100, points_day=100, step_up=100)
    assert at_the_till(alliance, 100, "a") == "INSUFFICIENT_POINTS"
    alliance.earn(ANNA, 100)
    assert at_the_till(alliance, 100, "a") == "OK"


def test_limits_are_signed_by_govern_keys_only(alliance):
    messages = [
        (FRESH, make_policy()),
        (FRESH, SetTillLimits(TILL.key_id, 1, 1, 1)),
        (OPERATOR, SetDebitCap(1, FRESH)),
    ]
    for sender, message in messages:
        for purpose in ("transact", "till", "custody"):
            with pytest.raises(Refused, match="WRONG_PURPOSE"):
                alliance.ask(sender, message, purpose=purpose)
        assert alliance.ask(sender, message).code == "OK"


#   what a policy cannot say, nor a till's limits
WRONG = [
    make_policy(cooling_days=31),
    make_policy(order_share_basis_points=10_001),
    make_policy(points_order=10**9 + 1),
    make_policy(bonus_total=10**15 + 1),
    make_policy(gifts="some"),
    make_policy(shortfall="forgive"),
    SetTillLimits("0123456789abcde", 1, 1, 1),
    SetTillLimits(TILL.key_id, 10**9 + 1, 1, 1),
]


@pytest.mark.parametrize("message", WRONG, ids=repr)
def test_a_limit_out_of_its_bounds_is_malformed(alliance, message):
    with pytest.raises(Refused, match="MALFORMED"):
        alliance.ask(FRESH, message)


def test_points_that_cool_wait_so_many_days_and_then_are_like_any_other(alliance):
    alliance.earn(ANNA, 7)
    set_policy(alliance, cooling_days=3)
    for day in range(2):
        outcome = alliance.earn(ANNA, 100)
        assert outcome.lots == [Lot(20_057, 5, 0, 100, "leaf-1", TODAY + 3 + day)]
        alliance.wait(days=1)
    assert [lot.points for lot in alliance.lots(ANNA)] == [7, 100, 100]
    assert spend(alliance, points=8, reference="early").code == "INSUFFICIENT_POINTS"
    alliance.wait(days=1)
    assert spend(alliance, points=108, reference="third-day").code == "INSUFFICIENT_POINTS"
    assert spend(alliance, points=107, reference="third-day").lots == [Lot(20_057, 5, 0, 107, "leaf-1", 0)]
    alliance.wait(days=1)
    assert spend(alliance, points=100, reference="fourth-day").balance == 0


def test_what_ripens_merges_with_the_next_thing_that_happens(alliance):
    set_policy(alliance, cooling_days=1)
    alliance.earn(ANNA, 100)
    alliance.wait(days=1)
    set_policy(alliance)
    alliance.earn(ANNA, 10)
    assert alliance.lots(ANNA) == (Lot(20_057, 5, 0, 110, "leaf-1", 0),)
    alliance.check()


def test_no_points_cool_beyond_their_last_day(alliance):
    """Earned on the 31st of January to lapse with February: thirty days would end in March."""
    alliance.must(CINEMA, OpenProgram("Brief", "brief", 1_000_000))
    opens = alliance.height + 1
    alliance.must(CINEMA, OpenSeries(opens, 1, 10_000, 10_000, "brief", "brief-1"))
    set_policy(alliance, CINEMA, "brief", cooling_days=30)
    alliance.wait(days=77)
    february_ends = TODAY + 106
    outcome = buy(alliance, CINEMA, program="brief", amount=5_000_000)
    assert outcome.lots == [Lot(february_ends, opens, 0, 5, "brief-1", february_ends)]
    alliance.wait(days=28)
    told = {"program": "brief", "points": 5, "reference": "spent"}
    assert spend(alliance, CINEMA, **told).code == "INSUFFICIENT_POINTS"
    alliance.wait(days=1)
    assert spend(alliance, CINEMA, **told).code == "OK"


#   days of cooling, first day of use of points earned on day 10 with a last day of 40
COOLING = [(0, 0), (1, 11), (29, 39), (30, 40)]


@pytest.mark.parametrize(("days", "first"), COOLING)
def test_points_cool_for_whole_days_until_their_last_at_most(alliance, days, first):
    set_policy(alliance, cooling_days=days)
    policy = get_policy(alliance.state, "leaf")
    assert compute_spendable_from(policy, day=10, expires=40) == first
    assert compute_spendable_from(policy, day=10, expires=39) == min(first, 39)


def test_a_new_cooling_time_is_for_new_points_only(alliance):
    set_policy(alliance, cooling_days=5)
    alliance.earn(ANNA, 10)
    set_policy(alliance, cooling_days=1)
    alliance.earn(ANNA, 10)
    set_policy(alliance)
    alliance.earn(ANNA, 10)
    assert [lot.spendable_from for lot in alliance.lots(ANNA)] == [0, TODAY + 1, TODAY + 5]
    assert set_aside(alliance, points=11).code == "INSUFFICIENT_POINTS"
    assert set_aside(alliance, points=10, agreed={"nonce": make_nonce("h")}).code == "OK"


def test_each_day_of_cooling_takes_a_kind_of_lot_of_its_own(alliance):
    """Sixty-four kinds are the most; what has ripened is one with what never waited."""
    alliance.place(ANNA, "leaf", *[Lot(NEVER - day, 5, 0, 1, "leaf-1", 0) for day in range(63)])
    set_policy(alliance, cooling_days=1)
    assert alliance.earn(ANNA, 1).code == "OK"
    alliance.wait(days=1)
    assert spend(alliance, points=1).lots == [Lot(20_057, 5, 0, 1, "leaf-1", 0)]
