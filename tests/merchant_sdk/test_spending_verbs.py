"""Spending against a real alliance: held and captured, refunded, given away, delivered to somebody else."""

from __future__ import annotations

import pytest

from merchant_sdk import (
    ConsentError,
    GrantError,
    HoldError,
    InsufficientPoints,
    InvalidRequest,
    LimitExceeded,
    NotEntitled,
    NotFound,
    ReferenceConflict,
    RejectedByLedger,
    ReturnError,
    StepUpRequired,
    make_member_id,
)
from node.sandbox import sandbox


@pytest.fixture
def alliance():
    with sandbox() as alliance:
        yield alliance


@pytest.fixture
def fresh(alliance):
    return alliance.merchant("fresh")


@pytest.fixture
def petrol(alliance):
    return alliance.merchant("petrol")


@pytest.fixture
def wallet(alliance, fresh):
    """Anna, a member of fresh, with 100 of its points."""
    wallet = alliance.wallet()
    fresh.enrol(wallet)
    fresh.earn(wallet.member, "100", "A-0")
    return wallet


def code_of(caught):
    return caught.value.code


def hold(petrol, wallet, points=40, reference="H-1", **options):
    return petrol.hold(wallet.consent_for_hold("fresh", 100, "petrol"), points, reference, **options)


def test_what_is_held_is_set_aside_and_captured_once(fresh, petrol, wallet):
    held = hold(petrol, wallet)
    assert (held.code, held.held, held.points, held.reference, held.balance) == ("OK", 40, 40, "H-1", 100)
    balance = fresh.balance(wallet.member)
    assert (balance.points, balance.available, balance.held) == (100, 60, 40)
    done = held.capture(30)
    assert (done.points, done.balance, done.original) == (30, 70, held.index)
    assert [lot.points for lot in done.released] == [10]
    assert [leg.reason for leg in done.legs] == ["redeem", "commission"]
    assert done.receipt().message.hold == "H-1"
    # The same again, by whatever way, is the same and moves nothing.
    assert held.capture(30).already_done
    assert petrol.capture("H-1", 30).first == done.index
    with pytest.raises(HoldError, match="HOLD_FINAL"):
        petrol.capture("H-1", 29)
    with pytest.raises(HoldError, match="HOLD_FINAL"):
        petrol.release("H-1")


def test_a_hold_is_completed_by_its_number_after_a_restart(alliance, petrol, wallet):
    hold(petrol, wallet, 40, "H-1")
    hold(petrol, wallet, 20, "H-2")
    alliance.clock.advance(days=1)
    with pytest.raises(HoldError, match="HOLD_FINAL"):
        petrol.capture("H-1")
    hold(petrol, wallet, 40, "H-3", seconds=3 * 86_400)
    hold(petrol, wallet, 20, "H-4", expires=alliance.clock() + 2 * 86_400_000)
    alliance.clock.advance(days=1)
    again = alliance.merchant("petrol")
    assert again.capture("H-3").points == 40
    assert [lot.points for lot in again.release("H-4").released] == [20]
    assert again.release("H-4").already_done
    assert [entry.kind for entry in again.order("H-3")] == ["hold", "capture"]
    with pytest.raises(NotFound):
        again.capture("H-9")
    with pytest.raises(InvalidRequest, match="this is no hold"):
        again.capture(again.redeem(wallet.points_code("fresh", 5, "petrol"), 5, "P-1"))


def test_a_hold_is_turned_down_for_what_it_says(alliance, fresh, petrol, wallet):
    with pytest.raises(HoldError) as caught:
        hold(petrol, wallet, expires=alliance.clock())
    assert code_of(caught) == "HOLD_EXPIRED"
    with pytest.raises(HoldError) as caught:
        hold(petrol, wallet, seconds=8 * 86_400)
    assert code_of(caught) == "HOLD_TOO_LONG"
    with pytest.raises(InsufficientPoints):
        petrol.hold(wallet.consent_for_hold("fresh", 101, "petrol"), 101, "H-1")
    with pytest.raises(InvalidRequest, match="this code is to redeem, not to hold") as caught:
        petrol.hold(wallet.points_code("fresh", 40, "petrol"), 40, "H-1")
    assert caught.value.facts == {"purpose": "hold", "consent_to": "redeem"}
    with pytest.raises(ConsentError, match="CONSENT_MISSING"):
        petrol.hold(wallet.member, 40, "H-1", without_code=True, program="fresh")
    with pytest.raises(HoldError) as caught:
        hold(petrol, wallet).capture(41)
    assert code_of(caught) == "CAPTURE_ABOVE_HOLD"
    assert fresh.hold(wallet.member, 5, "H-1", without_code=True).capture().points == 5


def test_a_hold_asked_for_again_ends_when_it_was_to_end_the_first_time(alliance, petrol, wallet, tmp_path):
    shop = alliance.merchant("petrol", outbox=tmp_path / "outbox.db")
    first = hold(shop, wallet)
    alliance.clock.advance(minutes=5)
    again = hold(alliance.merchant("petrol", outbox=tmp_path / "outbox.db"), wallet)
    assert (again.already_done, again.first, again.expires) == (True, first.index, first.expires)
    with pytest.raises(ReferenceConflict):
        hold(petrol, wallet)


def test_points_come_back_in_parts_and_as_a_whole(alliance, fresh, petrol, wallet):
    spent = petrol.redeem(wallet.points_code("fresh", 100, "petrol"), 60, "P-1")
    part = petrol.refund("P-1", "R-1", points=20)
    assert (part.points, part.balance, part.original) == (20, 60, spent.index)
    assert [lot.points for lot in part.lots] == [20]
    assert {leg.reason for leg in part.legs} == {"redeem_return", "commission_return"}
    with pytest.raises(ReturnError) as caught:
        petrol.refund(spent, "R-2", points=41)
    assert code_of(caught) == "REFUND_ABOVE_ORIGINAL"
    rest = petrol.refund(order="P-1", reference="R-2")
    assert (rest.points, rest.balance) == (40, 100)
    # A double click, a second till, a restart: the same refund is one refund.
    for shop in (petrol, alliance.merchant("petrol")):
        alliance.clock.advance(seconds=1)
        assert shop.refund("P-1", "R-2").first == rest.index
        assert shop.refund("P-1", "R-1", 20).first == part.index
    with pytest.raises(InvalidRequest, match="back already"):
        petrol.refund("P-1", "R-3")
    with pytest.raises(NotFound):
        fresh.refund("P-1", "R-1", points=5)
    with pytest.raises(ReferenceConflict):
        petrol.refund(spent, "R-1", points=19)


def test_a_refund_in_too_many_parts_or_too_late_says_so(alliance, petrol, wallet):
    spent = petrol.redeem(wallet.points_code("fresh", 100, "petrol"), 60, "P-1")
    for number in range(16):
        petrol.refund(spent, f"R-{number}", points=1)
    with pytest.raises(ReturnError) as caught:
        petrol.refund(spent, "R-16", points=1)
    assert code_of(caught) == "TOO_MANY_REFUNDS"
    other = petrol.redeem(wallet.points_code("fresh", 10, "petrol"), 10, "P-2")
    alliance.clock.advance(days=181)
    with pytest.raises(ReturnError) as caught:
        petrol.refund(other, "R-1", points=1)
    assert code_of(caught) == "REFUND_TOO_LATE"


def test_what_was_held_and_captured_comes_back_by_the_same_number(petrol, wallet):
    held = hold(petrol, wallet, 40, "H-1")
    with pytest.raises(NotFound, match="not captured"):
        petrol.refund("H-1", "R-1")
    captured = held.capture(30)
    assert petrol.refund("H-1", "R-1", points=10).balance == 80
    assert petrol.refund(held, "R-2", points=5).points == 5
    assert petrol.refund(captured, "R-3").points == 15
    # Given up and paid at once under the same number, it is the payment that comes back.
    hold(petrol, wallet, 10, "H-2").release()
    petrol.redeem(wallet.points_code("fresh", 10, "petrol"), 10, "H-2")
    assert petrol.refund("H-2", "R-1").message.original_type == "redeem"
    (row,) = [entry for entry in petrol.order("H-1") if entry.kind == "hold"]
    with pytest.raises(InvalidRequest, match="back already"):
        petrol.refund(row, "R-4")


def test_one_number_for_two_orders_is_asked_about(fresh, petrol, wallet):
    petrol.earn(wallet.member, "50", "P-0")
    petrol.redeem(wallet.points_code("fresh", 10, "petrol"), 10, "P-1")
    petrol.redeem(wallet.points_code("petrol", 10, "petrol"), 10, "P-1")
    with pytest.raises(InvalidRequest, match="several programs"):
        petrol.refund("P-1", "R-1")
    assert petrol.refund("P-1", "R-1", program="petrol").message.program == "petrol"
    assert fresh.balance(wallet.member).points == 90


def test_a_gift_becomes_another_members_as_it_is(alliance, fresh, wallet):
    friend = alliance.wallet()
    fresh.enrol(friend)
    given = fresh.gift(wallet.consent_for_gift("fresh", 30, friend.member), 25, "G-1")
    assert (given.points, given.balance) == (25, 75)
    (lot,) = fresh.balance(friend.member).lots
    assert (lot.points, lot.expires) == (25, given.lots[0].expires)
    with pytest.raises(ConsentError, match="CONSENT_TOO_SMALL"):
        fresh.gift(wallet.consent_for_gift("fresh", 30, friend.member), 31, "G-2")
    with pytest.raises(RejectedByLedger) as caught:
        fresh.gift(wallet.consent_for_gift("fresh", 30, wallet.member), 5, "G-3")
    assert code_of(caught) == "ACCOUNTS_MUST_DIFFER"
    with pytest.raises(InvalidRequest, match="something else"):
        fresh.gift(wallet.points_code("fresh", 30), 5, "G-4")
    with pytest.raises(InvalidRequest, match="own consent"):
        fresh.gift(wallet.member, 5, "G-4")
    fresh.set_policy(gifts="forbidden")
    with pytest.raises(NotEntitled) as caught:
        fresh.gift(wallet.consent_for_gift("fresh", 30, friend.member), 5, "G-5")
    assert code_of(caught) == "PROGRAM_FORBIDS_GIFTS"


def test_an_exchange_delivered_to_somebody_else_needs_both_to_agree(alliance, fresh, petrol, wallet):
    friend = alliance.wallet()
    petrol.enrol(friend)
    quote = fresh.quote(program="fresh", series="s1", target="petrol", points=20)
    code = wallet.consent_for_exchange(quote, recipient=friend.member)
    with pytest.raises(ConsentError, match="CONSENT_MISSING"):
        fresh.exchange(code, quote, "X-1")
    agreed = friend.consent_to_receive("petrol", 20, wallet.member)
    done = fresh.exchange(code, quote, "X-1", recipient_code=str(agreed))
    assert (done.points, [lot.points for lot in done.received]) == (20, [20])
    assert petrol.balance(friend.member).points == 20
    with pytest.raises(InvalidRequest, match="something else"):
        fresh.exchange(code, quote, "X-2", recipient_code=code)


def test_a_tills_own_word_goes_as_far_as_its_limits(alliance, fresh, wallet):
    till = alliance.merchant("fresh", keys={"till": alliance.keys("fresh")["till"]}, program="fresh")
    fresh.set_till_limits(alliance.keys("fresh")["till"].key_id, points_order=30, points_day=50, step_up=20)
    assert till.redeem(wallet.member, 20, "T-1", without_code=True).points == 20
    with pytest.raises(StepUpRequired) as caught:
        till.redeem(wallet.member, 25, "T-2", without_code=True)
    assert "points code" in caught.value.what_to_do
    with pytest.raises(LimitExceeded) as caught:
        till.redeem(wallet.member, 31, "T-2", without_code=True)
    assert code_of(caught) == "TILL_LIMIT"
    # With the member's own code there is no limit of the till's.
    assert till.redeem(wallet.points_code("fresh", 45, "fresh"), 45, "T-2").balance == 35
    with pytest.raises(NotEntitled):
        fresh.set_till_limits(
            alliance.keys("fresh")["transact"].key_id, points_order=1, points_day=1, step_up=1
        )


def test_an_issuers_ceilings_hold_elsewhere_too(alliance, fresh, petrol, wallet):
    fresh.set_policy(points_order=50, order_share_basis_points=5_000)
    code = wallet.points_code("fresh", 60, "petrol")
    for points, amount in ((51, "100"), (10, None), (11, "0.20")):
        with pytest.raises(LimitExceeded) as caught:
            petrol.redeem(code, points, "P-1", amount=amount)
        assert code_of(caught) == "ORDER_CEILING"
    assert petrol.redeem(code, 10, "P-1", amount="0.20").points == 10
    alliance.merchant("alliance").set_debit_cap("fresh", "0.10")
    with pytest.raises(LimitExceeded) as caught:
        petrol.redeem(wallet.points_code("fresh", 60, "petrol"), 10, "P-2", amount="10")
    assert code_of(caught) == "ISSUER_CAP"
    with pytest.raises(NotEntitled):
        fresh.set_debit_cap("petrol", "5")


def test_what_nobody_granted_is_not_taken(alliance, wallet):
    from contracts.messages import RevokeGrant

    alliance.merchant("fresh").submit([RevokeGrant("redeem", "fresh", "cinema")])
    with pytest.raises(GrantError):
        hold(alliance.merchant("cinema"), wallet, 5)
    with pytest.raises(RejectedByLedger, match="MEMBER_UNKNOWN"):
        alliance.merchant("fresh").redeem(make_member_id(), 5, "P-1", without_code=True)
