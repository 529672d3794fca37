"""Spending as a ladder: what a redemption and a hold are both turned down for, in check order.

Boris spends the pharmacy's points at the petrol chain, and his custodian consents for him. The lowest rows
play at his custodian's own till instead, where nobody asks him.
"""

from __future__ import annotations

from typing import Any

from contracts.messages import AddMemberKey, RevokeGrant
from tests.contracts.cast import (
    BORIS,
    CINEMA,
    FRESH,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    grant,
    make_signer,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Break, forge, spend_nonce
from tests.contracts.letters import prove_possession
from tests.contracts.orders import make_policy, set_cap, set_till_limits

CUSTODY_OF_FRESH = make_signer(FRESH, "custody")
NEW_KEY = make_signer("a first key of Boris")


def spend_elsewhere(message: type, **fields: Any) -> Attempt:
    """Boris spends 6,000 of the pharmacy's points at the petrol chain; as many of the supermarket's wait."""
    attempt = Attempt(
        message, sender=PETROL, member=BORIS, occurred_at=START, points=6_000, reference="r-1", **fields
    )
    for program in ("drop", "leaf"):
        attempt.alliance.earn(BORIS, 6_000, program)
    go_elsewhere(attempt)
    return attempt


def go_elsewhere(it: Attempt) -> None:
    it.sender, it.purpose = PETROL, None
    it.set(program="drop")
    it.agree(CUSTODY_OF_FRESH)


def go_home(it: Attempt) -> None:
    """To his custodian's own till, for its own program: nobody asks him."""
    it.sender, it.purpose, it.consent = FRESH, "till", None
    it.set(program="leaf")


def cap_the_issuer(it: Attempt) -> None:
    """6,000 points at 30,000 micros are one more than it may owe."""
    go_elsewhere(it)
    set_cap(it.alliance, PHARMACY, 179_999_999)


def set_a_ceiling(it: Attempt) -> None:
    it.alliance.must(PHARMACY, make_policy("drop", points_order=5_999))
    it.alliance.must(FRESH, make_policy("leaf", points_order=5_999))


def limit_the_till(it: Attempt) -> None:
    go_home(it)
    set_till_limits(it.alliance, points_order=5_999, points_day=10**9, step_up=5_999)


def ask_above(it: Attempt) -> None:
    go_home(it)
    set_till_limits(it.alliance, points_order=10**9, points_day=10**9, step_up=5_999)


def let_grant_lapse(it: Attempt) -> None:
    it.alliance.must(PHARMACY, grant("redeem", "drop", PETROL, budget_day=0, expires=it.alliance.time))
    it.alliance.wait(seconds=1)


def use_grant_up(it: Attempt) -> None:
    it.alliance.must(PHARMACY, grant("redeem", "drop", PETROL, budget_day=5_999))


def give_boris_a_key(it: Attempt) -> None:
    key = prove_possession(it.alliance.chain, BORIS, NEW_KEY)
    it.alliance.must(FRESH, AddMemberKey(key, BORIS))


#   Each row breaks one more thing than the row below it.
CONSENT_ROWS: list[tuple[str, Break]] = [
    ("CONSENT_TOO_SMALL", lambda it: it.agree(NEW_KEY, points=5_999)),
    ("CONSENT_ABOVE_OPEN_LIMIT", lambda it: it.agree(make_signer("nobody"), counterparty="any")),
    ("CONSENT_KEY_UNKNOWN", lambda it: it.agree(make_signer("nobody"))),
    ("CONSENT_KEY_WAITING", lambda it: it.agree(NEW_KEY)),
    ("CONSENT_NOT_CUSTODIAN", give_boris_a_key),
    ("CUSTODY_GRANT_MISSING", lambda it: it.alliance.must(PHARMACY, RevokeGrant("custody", "drop", FRESH))),
    (
        "CUSTODY_GRANT_EXHAUSTED",
        lambda it: it.alliance.must(PHARMACY, grant("custody", "drop", FRESH, budget_day=5_999)),
    ),
    ("CONSENT_SIGNATURE_INVALID", forge),
    ("CONSENT_USED", spend_nonce),
]
UP_TO_THE_POINTS: list[tuple[str, Break]] = [
    *REFERENCE_ROWS,
    ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
    ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
    ("GRANT_MISSING", lambda it: it.alliance.must(PHARMACY, RevokeGrant("redeem", "drop", PETROL))),
    ("GRANT_EXPIRED", let_grant_lapse),
    ("GRANT_EXHAUSTED", use_grant_up),
    ("CONSENT_MISSING", lambda it: setattr(it, "consent", None)),
    ("CONSENT_WRONG_COUNTERPARTY", lambda it: it.agree(NEW_KEY, counterparty=CINEMA)),
    ("CONSENT_EXPIRED", lambda it: it.agree(NEW_KEY, expires=it.alliance.time - 1)),
    ("CONSENT_TOO_LONG", lambda it: it.agree(NEW_KEY, expires=it.alliance.time + 120_001)),
    *CONSENT_ROWS,
    ("INSUFFICIENT_POINTS", lambda it: it.set(points=6_001)),
]
LIMIT_ROWS: list[tuple[str, Break]] = [
    ("ISSUER_CAP", cap_the_issuer),
    ("ORDER_CEILING", set_a_ceiling),
    ("TILL_LIMIT", limit_the_till),
    ("STEP_UP_REQUIRED", ask_above),
]
