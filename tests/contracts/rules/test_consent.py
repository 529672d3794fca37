"""Nobody moves a member's points on somebody else's word."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.messages import Redeem
from contracts.messages.consent_text import ConsentText, encode_consent
from ledger.codec import to_base64url
from ledger.errors import Refused
from tests.contracts.cast import (
    ANNA,
    CLARA,
    FRESH,
    PETROL,
    PHARMACY,
    make_signer,
)
from tests.contracts.letters import make_nonce, sign_consent
from tests.contracts.purchases import convert, spend

ANNAS = make_signer(ANNA)


def agree(chain, expires):
    """Anna agrees to spend up to 100 points at the supermarket."""
    return sign_consent(
        chain, ANNAS, counterparty=FRESH, expires=expires, member=ANNA, points=100, program="leaf"
    )


def test_one_consent_is_good_for_one_success(alliance):
    alliance.earn(ANNA, 1_000)
    agreed = {"nonce": make_nonce("one")}
    assert spend(alliance, agreed=agreed).code == "OK"
    assert spend(alliance, agreed=agreed, reference="again").code == "CONSENT_USED"
    assert alliance.points(ANNA) == 900


def test_an_attempt_that_fails_leaves_the_consent_good(alliance):
    agreed = {"nonce": make_nonce("one")}
    assert spend(alliance, agreed=agreed).code == "INSUFFICIENT_POINTS"
    alliance.earn(ANNA, 100)
    assert spend(alliance, agreed=agreed).code == "OK"


def test_a_nonce_belongs_to_its_key(alliance):
    nonce = make_nonce("shared")
    for member in (ANNA, CLARA):
        alliance.earn(member, 100)
        assert spend(alliance, member=member, agreed={"nonce": nonce}, reference=member[-4:]).code == "OK"


def test_fewer_points_than_agreed_may_be_taken_and_more_may_not(alliance):
    alliance.earn(ANNA, 1_000)
    assert spend(alliance, points=99, agreed={"points": 100}, reference="a").code == "OK"
    assert spend(alliance, points=100, agreed={"points": 100}, reference="b").code == "OK"
    assert spend(alliance, points=101, agreed={"points": 100}, reference="c").code == "CONSENT_TOO_SMALL"


#   what the member signed otherwise than the message says
TAMPERED = [
    {"program": "mile"},
    {"member": CLARA},
    {"purpose": "hold"},
    {"purpose": "exchange"},
    {"purpose": "gift"},
    {"least": 1},
    {"target": "star"},
    {"expires": 1},
    {"points": 99},
    {"counterparty": "any"},
    {"nonce": make_nonce("other")},
    {"key": "0123456789abcdef"},
]


@pytest.mark.parametrize("told", TAMPERED, ids=lambda told: next(iter(told)))
def test_a_signature_covers_every_word_of_the_consent(alliance, told):
    alliance.earn(ANNA, 100)
    said = agree(alliance.chain, alliance.time + 60_000)
    text = ConsentText(
        counterparty=FRESH,
        expires=said.expires,
        key=said.key,
        member=ANNA,
        nonce=said.nonce,
        points=100,
        program="leaf",
        purpose="redeem",
    )
    other = to_base64url(ANNAS.sign(encode_consent(alliance.chain, replace(text, **told))))
    assert spend(alliance, consent=replace(said, signature=other)).code == "CONSENT_SIGNATURE_INVALID"
    assert spend(alliance, consent=said).code == "OK"


def test_a_consent_of_one_chain_is_worth_nothing_on_another(alliance):
    alliance.earn(ANNA, 100)
    chain = alliance.chain[:-1] + ("0" if alliance.chain[-1] != "0" else "1")
    consent = agree(chain, alliance.time)
    assert spend(alliance, consent=consent).code == "CONSENT_SIGNATURE_INVALID"


def test_a_second_spelling_of_a_signature_is_not_taken_up(alliance):
    alliance.earn(ANNA, 100)
    consent = sign_consent(
        alliance.chain,
        ANNAS,
        counterparty=FRESH,
        expires=alliance.time,
        member=ANNA,
        points=100,
        program="leaf",
    )
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled = consent.signature[:-1] + letters[letters.index(consent.signature[-1]) | 1]
    assert spelled != consent.signature
    with pytest.raises(Refused, match="MALFORMED"):
        spend(alliance, consent=replace(consent, signature=spelled))


#   milliseconds from the block's time, counterparty, code
ENDS = [
    (-1, FRESH, "CONSENT_EXPIRED"),
    (0, FRESH, "OK"),
    (86_400_000, FRESH, "OK"),
    (86_400_001, FRESH, "CONSENT_TOO_LONG"),
    (-1, "any", "CONSENT_EXPIRED"),
    (120_000, "any", "OK"),
    (120_001, "any", "CONSENT_TOO_LONG"),
]


@pytest.mark.parametrize(("ahead", "counterparty", "code"), ENDS)
def test_a_consent_ends_and_may_not_be_made_for_too_long(alliance, ahead, counterparty, code):
    alliance.earn(ANNA, 100)
    agreed = {"expires": alliance.time + ahead, "counterparty": counterparty}
    assert spend(alliance, agreed=agreed).code == code


def test_an_open_code_is_for_whoever_scans_it_first_and_for_small_sums(alliance):
    alliance.earn(ANNA, 20_000)
    agreed = {"counterparty": "any", "nonce": make_nonce("open"), "points": 20_000}
    assert spend(alliance, PETROL, points=5_001, agreed=agreed).code == "CONSENT_ABOVE_OPEN_LIMIT"
    assert spend(alliance, PETROL, points=5_000, agreed=agreed).code == "OK"
    assert spend(alliance, FRESH, points=1, agreed=agreed).code == "CONSENT_USED"


#   what a member agreed to that is no consent to this exchange
NO_EXCHANGE = [
    ({"counterparty": "any"}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"counterparty": PHARMACY}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"purpose": "redeem"}, "CONSENT_SIGNATURE_INVALID"),
    ({"least": 2}, "CONSENT_SIGNATURE_INVALID"),
    ({"least": UNSET}, "CONSENT_SIGNATURE_INVALID"),
    ({"target": "mile"}, "CONSENT_SIGNATURE_INVALID"),
    ({"target": UNSET}, "CONSENT_SIGNATURE_INVALID"),
]


@pytest.mark.parametrize(("agreed", "code"), NO_EXCHANGE)
def test_an_exchange_needs_consent_to_this_recipient_target_and_least(alliance, agreed, code):
    alliance.earn(ANNA, 100)
    assert convert(alliance, agreed=agreed).code == code
    assert convert(alliance).code == "OK"


def test_a_message_carries_its_consent_or_none(alliance):
    message = Redeem(member=ANNA, occurred_at=alliance.time, points=1, program="leaf", reference="o")
    assert message.consent is UNSET
    assert b"consent" not in alliance.sign(FRESH, message).encode()
