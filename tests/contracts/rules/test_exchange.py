"""Points of one program become another's: exact, consented, granted by both issuers, and never younger."""

from __future__ import annotations

import pytest

from contracts.messages import (
    AddMemberKey,
    AnnouncePar,
    Exchange,
    OpenProgram,
    RevokeGrant,
)
from ledger.errors import Refused
from ledger.outcome import Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FRESH,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    TODAY,
    grant,
    make_signer,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import prove_possession
from tests.contracts.purchases import convert

CUSTODY_OF_FRESH = make_signer(FRESH, "custody")
NEW_KEY = make_signer("a first key of Boris")


def between_two_issuers() -> Attempt:
    """160 of the pharmacy's points become 300 of the petrol chain's; the cinema's terminal sends it."""
    attempt = Attempt(
        Exchange,
        sender=CINEMA,
        least=300,
        member=BORIS,
        occurred_at=START,
        points=160,
        program="drop",
        rate_height=5,
        recipient=ANNA,
        reference="x-1",
        series="drop-1",
        target="mile",
    )
    alliance = attempt.alliance
    alliance.must(PHARMACY, grant("exchange_out", "drop", PETROL))
    alliance.must(PETROL, grant("exchange_in", "mile", PHARMACY), OpenProgram("Bare", "bare", 1_000_000))
    alliance.earn(BORIS, 160, "drop")
    attempt.agree(CUSTODY_OF_FRESH)
    return attempt


def let_outward_lapse(it: Attempt) -> None:
    it.alliance.must(PHARMACY, grant("exchange_out", "drop", PETROL, expires=it.alliance.time))
    it.alliance.wait(seconds=1)


def use_inward_up(it: Attempt) -> None:
    it.alliance.must(PETROL, grant("exchange_in", "mile", PHARMACY, budget_day=0))
    it.set(points=160)


def raise_the_targets_price(it: Attempt) -> None:
    """One point of the pharmacy is worth less than one of the petrol chain's costs."""
    effective = it.alliance.height + 10
    it.alliance.must(PETROL, AnnouncePar(effective, 40_000, 15_000, "mile", "mile-1"))
    it.alliance.reach(effective)
    it.set(points=1, rate_height=effective)


def give_boris_a_key(it: Attempt) -> None:
    it.alliance.must(FRESH, AddMemberKey(prove_possession(it.alliance.chain, BORIS, NEW_KEY), BORIS))


def fill(it: Attempt, *lots: Lot) -> None:
    it.alliance.place(ANNA, "mile", *lots)


#   Each row breaks one more thing than the row below it. (A `least` above what comes out and more than one
#   message may move exclude each other, and so do too little and too much coming out: there a row
#   takes back.)
LADDER = Ladder(
    "exchange",
    between_two_issuers,
    [
        *REFERENCE_ROWS,
        ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere", target="nowhere")),
        ("PROGRAMS_MUST_DIFFER", lambda it: it.set(target="drop")),
        ("SERIES_UNKNOWN", lambda it: it.set(series="nope")),
        ("NO_OPEN_SERIES", lambda it: it.set(target="bare")),
        ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
        ("GRANT_MISSING", lambda it: it.alliance.must(PETROL, RevokeGrant("exchange_in", "mile", PHARMACY))),
        ("GRANT_EXPIRED", let_outward_lapse),
        ("GRANT_EXHAUSTED", use_inward_up),
        ("QUOTE_EXPIRED", lambda it: it.set(rate_height=4)),
        ("EXCHANGE_TOO_SMALL", raise_the_targets_price),
        ("BELOW_LEAST", lambda it: it.set(points=160, least=301)),
        ("AMOUNT_TOO_LARGE", lambda it: it.set(points=533_333_334)),
        ("CONSENT_WRONG_COUNTERPARTY", lambda it: it.agree(NEW_KEY, counterparty=BORIS)),
        ("CONSENT_EXPIRED", lambda it: it.agree(NEW_KEY, expires=it.alliance.time - 1)),
        ("CONSENT_TOO_LONG", lambda it: it.agree(NEW_KEY, expires=it.alliance.time + 86_400_001)),
        ("CONSENT_TOO_SMALL", lambda it: it.agree(NEW_KEY, points=159)),
        ("CONSENT_KEY_UNKNOWN", lambda it: it.agree(make_signer("nobody"))),
        ("CONSENT_KEY_WAITING", lambda it: it.agree(NEW_KEY)),
        ("CONSENT_NOT_CUSTODIAN", give_boris_a_key),
        (
            "CUSTODY_GRANT_MISSING",
            lambda it: it.alliance.must(PHARMACY, RevokeGrant("custody", "drop", FRESH)),
        ),
        (
            "CUSTODY_GRANT_EXHAUSTED",
            lambda it: it.alliance.must(PHARMACY, grant("custody", "drop", FRESH, budget_day=159)),
        ),
        ("CONSENT_SIGNATURE_INVALID", lambda it: setattr(it, "consent_is_forged", True)),
        ("CONSENT_USED", lambda it: setattr(it, "nonce_is_spent", True)),
        ("INSUFFICIENT_POINTS", lambda it: it.set(points=161)),
        ("LOT_LIMIT", lambda it: fill(it, *[Lot(TODAY + day, 5, 1, "mile-1", 0) for day in range(63)])),
        ("BALANCE_LIMIT", lambda it: fill(it, Lot(NEVER, 5, BALANCE_MAX - 63, "mile-1", 0))),
    ],
)


@every_row(LADDER)
def test_exchanging_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_both_issuers_grants_are_needed_for_this_very_direction(alliance):
    alliance.earn(ANNA, 100)
    assert convert(alliance, target="drop").code == "GRANT_MISSING"
    alliance.must(FRESH, grant("exchange_out", "leaf", PHARMACY), grant("exchange_in", "leaf", PHARMACY))
    assert convert(alliance, target="drop").code == "GRANT_MISSING"
    alliance.must(PHARMACY, grant("exchange_out", "drop", FRESH))
    assert convert(alliance, target="drop").code == "GRANT_MISSING"
    alliance.must(PHARMACY, grant("exchange_in", "drop", FRESH))
    assert convert(alliance, target="drop").code == "OK"


def test_exchanges_are_signed_by_order_systems_only(alliance):
    alliance.earn(ANNA, 100)
    message = between_two_issuers().make_message()
    for purpose in ("govern", "custody", "till"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
