"""Points of one program become another's: exact, consented, granted by both issuers, and never younger."""

from __future__ import annotations

import pytest
from msgspec import UNSET

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
    CLARA,
    FRESH,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    TODAY,
    grant,
    make_signer,
)
from tests.contracts.ladder import (
    REFERENCE_ROWS,
    Attempt,
    Ladder,
    every_row,
    fall_from,
    forge,
    spend_nonce,
)
from tests.contracts.letters import prove_possession
from tests.contracts.orders import set_cap
from tests.contracts.purchases import accept, convert

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
    attempt.accept(make_signer(ANNA))
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
        ("CONSENT_SIGNATURE_INVALID", forge),
        ("CONSENT_USED", spend_nonce),
        ("CONSENT_MISSING", lambda it: setattr(it, "recipient_consent", None)),
        ("CONSENT_WRONG_COUNTERPARTY", lambda it: it.accept(counterparty=ANNA)),
        ("CONSENT_EXPIRED", lambda it: it.accept(expires=it.alliance.time - 1)),
        ("CONSENT_TOO_LONG", lambda it: it.accept(expires=it.alliance.time + 86_400_001)),
        ("CONSENT_TOO_SMALL", lambda it: it.accept(points=299)),
        ("CONSENT_KEY_UNKNOWN", lambda it: it.accept(make_signer("nobody"))),
        ("CONSENT_NOT_CUSTODIAN", lambda it: it.accept(CUSTODY_OF_FRESH)),
        ("CONSENT_SIGNATURE_INVALID", lambda it: setattr(it.recipient_consent, "is_forged", True)),
        ("CONSENT_USED", lambda it: setattr(it.recipient_consent, "is_spent", True)),
        ("INSUFFICIENT_POINTS", lambda it: it.set(points=161)),
        ("LOT_LIMIT", lambda it: fill(it, *[Lot(TODAY + day, 5, 0, 1, "mile-1", 0) for day in range(63)])),
        ("BALANCE_LIMIT", lambda it: fill(it, Lot(NEVER, 5, 0, BALANCE_MAX - 63, "mile-1", 0))),
        ("ISSUER_CAP", lambda it: set_cap(it.alliance, PHARMACY, 4_799_999)),
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


#   what the recipient agreed to that is no consent to receive this
NO_WELCOME = [
    ({"counterparty": BORIS}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"counterparty": "any"}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"purpose": "exchange"}, "CONSENT_SIGNATURE_INVALID"),
    ({"program": "leaf"}, "CONSENT_SIGNATURE_INVALID"),
    ({"points": 13}, "CONSENT_TOO_SMALL"),
    ({"expires": START - 1}, "CONSENT_EXPIRED"),
]


@pytest.mark.parametrize(("agreed", "code"), NO_WELCOME)
def test_nobody_receives_what_they_did_not_agree_to(alliance, agreed, code):
    """14 of the cinema's points for 98 of the supermarket's, delivered to Clara."""
    alliance.earn(ANNA, 100)
    told = {"member": ANNA, "recipient": CLARA, "reference": "order", "target": "star"}
    assert convert(alliance, recipient=CLARA, recipient_consent=UNSET).code == "CONSENT_MISSING"
    refused = accept(alliance, told, **agreed)
    assert convert(alliance, recipient=CLARA, recipient_consent=refused).code == code
    welcome = accept(alliance, told, points=14)
    assert convert(alliance, recipient=CLARA, recipient_consent=welcome).code == "OK"
    alliance.earn(ANNA, 98)
    again = {"reference": "again", "recipient_consent": welcome}
    assert convert(alliance, recipient=CLARA, **again).code == "CONSENT_USED"


def test_where_the_recipient_is_the_member_no_second_word_is_looked_at(alliance):
    alliance.earn(ANNA, 100)
    nonsense = accept(alliance, {"member": ANNA, "recipient": CLARA, "reference": "x", "target": "mile"})
    assert convert(alliance, recipient_consent=nonsense).code == "OK"
    assert convert(alliance, recipient_consent=UNSET).code == "ALREADY_DONE"


def test_a_waiting_key_and_a_custodian_without_a_grant_may_receive(alliance):
    """To receive is no danger: no waiting time, no custody grant; but a key of one's own comes first."""
    alliance.earn(ANNA, 300)
    told = {"member": ANNA, "recipient": BORIS, "target": "star"}
    by_custodian = accept(alliance, {**told, "reference": "a"}, CUSTODY_OF_FRESH)
    sent = {"recipient": BORIS, "reference": "a", "recipient_consent": by_custodian}
    assert convert(alliance, **sent).code == "OK"
    alliance.must(FRESH, AddMemberKey(prove_possession(alliance.chain, BORIS, NEW_KEY), BORIS))
    by_custodian = accept(alliance, {**told, "reference": "b"}, CUSTODY_OF_FRESH)
    sent = {"recipient": BORIS, "reference": "b", "recipient_consent": by_custodian}
    assert convert(alliance, **sent).code == "CONSENT_NOT_CUSTODIAN"
    sent["recipient_consent"] = accept(alliance, {**told, "reference": "b"}, NEW_KEY)
    assert convert(alliance, **sent).code == "OK"


def test_exchanges_are_signed_by_order_systems_only(alliance):
    alliance.earn(ANNA, 100)
    message = between_two_issuers().make_message()
    for purpose in ("govern", "custody", "till"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
