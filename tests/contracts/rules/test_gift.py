"""A member gives points to another: as they are, with a yes made out to whom, and no more than fit."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Gift
from ledger.errors import Refused
from ledger.outcome import Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    CLARA,
    FRESH,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    TODAY,
    make_signer,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.orders import give, make_policy, set_aside, set_policy
from tests.contracts.purchases import buy, convert, spend
from tests.contracts.spending import CONSENT_ROWS, CUSTODY_OF_FRESH, NEW_KEY


def a_gift() -> Attempt:
    """Boris gives Anna 6,000 of the pharmacy's points, and his custodian agrees for him."""
    told = {"occurred_at": START, "points": 6_000, "program": "drop", "reference": "g-1"}
    attempt = Attempt(Gift, sender=CINEMA, member=BORIS, recipient=ANNA, **told)
    attempt.alliance.earn(BORIS, 6_000, "drop")
    attempt.agree(CUSTODY_OF_FRESH)
    return attempt


def kinds(number: int) -> list[Lot]:
    return [Lot(TODAY + 400 + day, 5, 0, 1, "drop-1", 0) for day in range(number)]


#   Each row breaks one more thing than the row below it.
LADDER = Ladder(
    "gift",
    a_gift,
    [
        *REFERENCE_ROWS,
        ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
        ("ACCOUNTS_MUST_DIFFER", lambda it: it.set(member=STRANGER, recipient=STRANGER)),
        ("MEMBER_UNKNOWN", lambda it: it.set(recipient=STRANGER)),
        ("PROGRAM_FORBIDS_GIFTS", lambda it: it.alliance.must(PHARMACY, make_policy("drop", gifts=NO))),
        ("CONSENT_WRONG_COUNTERPARTY", lambda it: it.agree(NEW_KEY, counterparty=BORIS)),
        ("CONSENT_EXPIRED", lambda it: it.agree(NEW_KEY, expires=it.alliance.time - 1)),
        ("CONSENT_TOO_LONG", lambda it: it.agree(NEW_KEY, expires=it.alliance.time + 86_400_001)),
        *[row for row in CONSENT_ROWS if row[0] != "CONSENT_ABOVE_OPEN_LIMIT"],
        ("INSUFFICIENT_POINTS", lambda it: it.set(points=6_001)),
        ("LOT_LIMIT", lambda it: it.alliance.place(ANNA, "drop", *kinds(31))),
        (
            "BALANCE_LIMIT",
            lambda it: it.alliance.place(ANNA, "drop", Lot(NEVER, 5, 0, BALANCE_MAX - 31, "drop-1", 0)),
        ),
    ],
)
NO = "forbidden"


@every_row(LADDER)
def test_a_gift_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_the_lots_move_as_they_are_and_nobody_owes_anybody(alliance):
    lots = [Lot(TODAY + 5, 5, 0, 60, "leaf-1", 0), Lot(TODAY + 9, 5, 0, 60, "leaf-1", 0)]
    alliance.place(ANNA, "leaf", *lots)
    alliance.earn(BORIS, 7)
    outcome = give(alliance)
    moved = [lots[0], Lot(TODAY + 9, 5, 0, 40, "leaf-1", 0)]
    assert (outcome.code, outcome.balance, outcome.lots, outcome.legs) == ("OK", 20, moved, UNSET)
    assert alliance.lots(BORIS) == (*moved, Lot(20_057, 5, 0, 7, "leaf-1", 0))
    assert alliance.get("supply", "leaf") == 127
    assert dict(alliance.state.list_records("position")) == {}


def test_what_cools_is_held_or_is_past_its_day_cannot_be_given(alliance):
    set_policy(alliance, cooling_days=1)
    buy(alliance)
    alliance.place(ANNA, "leaf", Lot(TODAY + 9, 5, 0, 50, "leaf-1", 0))
    set_aside(alliance, points=20, reference="held")
    assert give(alliance, points=31).code == "INSUFFICIENT_POINTS"
    assert give(alliance, points=30).code == "OK"


#   kinds of lots the recipient has, of them held, code of a gift that brings one more
ROOM = [(31, 0, "OK"), (32, 0, "LOT_LIMIT"), (31, 1, "OK"), (32, 1, "LOT_LIMIT"), (40, 0, "LOT_LIMIT")]


@pytest.mark.parametrize(("number", "held", "code"), ROOM)
def test_a_gift_opens_no_lot_beyond_the_thirty_second(alliance, number, held, code):
    alliance.place(ANNA, "leaf", Lot(TODAY + 9, 5, 0, 100, "leaf-1", 0))
    alliance.place(BORIS, "leaf", *[Lot(TODAY + 20 + day, 5, 0, 1, "leaf-1", 0) for day in range(number)])
    if held:
        assert set_aside(alliance, member=BORIS, points=held, consent=UNSET).code == "OK"
    assert give(alliance).code == code
    assert len(alliance.held(BORIS)) == held


def test_a_gift_that_merges_always_fits(alliance):
    lots = [Lot(TODAY + 20 + day, 5, 0, 10, "leaf-1", 0) for day in range(64)]
    alliance.place(BORIS, "leaf", *lots)
    alliance.place(ANNA, "leaf", lots[3], lots[5])
    assert give(alliance, points=20).code == "OK"
    # Also with what the recipient has only held.
    assert set_aside(alliance, member=BORIS, points=10, consent=UNSET).lots == lots[:1]
    alliance.place(ANNA, "leaf", lots[0])
    assert give(alliance, points=10, reference="b").code == "OK"
    assert len(alliance.lots(BORIS)) == 64


#   what the giver agreed to that is no consent to this gift
NO_GIFT = [
    ({"counterparty": CLARA}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"counterparty": "any"}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"counterparty": PHARMACY}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"purpose": "redeem"}, "CONSENT_SIGNATURE_INVALID"),
    ({"purpose": "exchange"}, "CONSENT_SIGNATURE_INVALID"),
    ({"points": 99}, "CONSENT_TOO_SMALL"),
]


@pytest.mark.parametrize(("agreed", "code"), NO_GIFT)
def test_only_the_givers_word_to_this_recipient_moves_the_points(alliance, agreed, code):
    alliance.earn(ANNA, 100)
    assert give(alliance, agreed=agreed).code == code
    assert give(alliance, speaker=make_signer(BORIS)).code == "CONSENT_KEY_UNKNOWN"
    assert give(alliance).code == "OK"


def test_the_custodian_gives_for_who_has_no_key(alliance):
    alliance.earn(BORIS, 100)
    told = {"member": BORIS, "recipient": CLARA}
    assert give(alliance, speaker=CUSTODY_OF_FRESH, **told).code == "OK"
    assert give(alliance, speaker=CUSTODY_OF_FRESH, **told).code == "ALREADY_DONE"


def test_one_word_makes_one_gift_whoever_carries_it(alliance):
    alliance.earn(ANNA, 300)
    assert give(alliance, CINEMA, agreed={"nonce": make_nonce("one")}).code == "OK"
    assert give(alliance, PETROL, agreed={"nonce": make_nonce("one")}).code == "CONSENT_USED"
    assert give(alliance, CINEMA, agreed={"nonce": make_nonce("two")}).code == "ALREADY_DONE"


def test_an_issuer_may_forbid_gifts_and_allow_them_again(alliance):
    alliance.earn(ANNA, 100)
    set_policy(alliance, gifts="forbidden")
    assert give(alliance).code == "PROGRAM_FORBIDS_GIFTS"
    set_policy(alliance, gifts="allowed")
    assert give(alliance).code == "OK"


def test_forbidden_gifts_leave_spending_and_exchange_alone(alliance):
    alliance.earn(ANNA, 300)
    set_policy(alliance, gifts="forbidden")
    assert spend(alliance).code == "OK"
    assert convert(alliance, agreed={"nonce": make_nonce("x")}).code == "OK"


def test_a_gift_lapses_with_its_new_owner_on_its_old_day(alliance):
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 100, "leaf-1", 0))
    give(alliance)
    assert [key.split("|", 2)[2] for key, _ in alliance.state.list_records("due")] == [f"{BORIS}|leaf"]
    alliance.wait(days=1)
    alliance.cut()
    assert alliance.points(BORIS) == 0


def test_gifts_are_signed_by_order_systems_only(alliance):
    alliance.earn(ANNA, 100)
    message = a_gift().make_message()
    for purpose in ("govern", "custody", "till"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
