"""What a person signs for one purpose is worth nothing for another, were it the same to the letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from msgspec import Struct
from msgspec.structs import replace

from contracts.messages import AddMemberKey
from contracts.messages.consent_text import ChoiceText, ConsentText, PossessionText
from ledger.codec import encode, to_base64url
from ledger.keys import SeedSigner, signed_text
from tests.contracts.cast import ANNA, BORIS, CINEMA, FRESH, START, make_signer, public_of
from tests.contracts.letters import make_nonce, prove_possession, sign_choice, sign_consent
from tests.contracts.purchases import spend

PURPOSES = ("transaction", "consent", "choice", "possession")
ANNAS = make_signer(ANNA)
NEW = make_signer("a first key of Boris")
END = START + 60_000


class Letter(NamedTuple):
    """One kind of letter: what is signed, by whom, and what comes of it under a signature."""

    purpose: str
    text: Struct
    signer: SeedSigner
    send: Callable[[Any, str], str]
    refused_with: str


def send_consent(alliance: Any, signature: str) -> str:
    """Anna spends 100 points at the supermarket."""
    said = {"counterparty": FRESH, "expires": END, "member": ANNA, "points": 100, "program": "leaf"}
    consent = sign_consent(alliance.chain, ANNAS, nonce=make_nonce("letter"), **said)
    alliance.earn(ANNA, 100)
    return spend(alliance, consent=replace(consent, signature=signature)).code


def send_choice(alliance: Any, signature: str) -> str:
    """Anna turns her custodian's tills off."""
    letter = sign_choice(alliance.chain, ANNAS, ANNA, "till_off", expires=END, nonce=make_nonce("letter"))
    return alliance.ask(CINEMA, replace(letter, signature=signature)).code


def send_possession(alliance: Any, signature: str) -> str:
    """Boris's first key is registered."""
    key = prove_possession(alliance.chain, BORIS, NEW)
    return alliance.ask(FRESH, AddMemberKey(replace(key, possession=signature), BORIS)).code


CONSENT = ConsentText(
    counterparty=FRESH,
    expires=END,
    key=ANNAS.key_id,
    member=ANNA,
    nonce=make_nonce("letter"),
    points=100,
    program="leaf",
    purpose="redeem",
)
LETTERS = [
    Letter("consent", CONSENT, ANNAS, send_consent, "CONSENT_SIGNATURE_INVALID"),
    Letter(
        "choice",
        ChoiceText("till_off", END, ANNA, make_nonce("letter")),
        ANNAS,
        send_choice,
        "CONSENT_SIGNATURE_INVALID",
    ),
    Letter("possession", PossessionText(BORIS, public_of(NEW)), NEW, send_possession, "POSSESSION_INVALID"),
]


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: letter.purpose)
def test_a_letter_signed_for_another_purpose_is_worth_nothing(alliance, letter, purpose):
    signed = letter.signer.sign(signed_text(purpose=purpose, chain=alliance.chain, body=encode(letter.text)))
    code = letter.send(alliance, to_base64url(signed))
    assert code == ("OK" if purpose == letter.purpose else letter.refused_with)
