"""What people sign, as their phones would: consents, choices, and proof of holding a key."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from contracts.messages.consent_text import (
    ChoiceText,
    Consent,
    ConsentText,
    PossessionText,
    encode_choice,
    encode_consent,
    encode_possession,
)
from contracts.messages.enrolment import MemberKey, SetMemberChoice
from ledger.codec import sha256, to_base64url
from ledger.keys import SeedSigner


def make_nonce(*names: object) -> str:
    """128 bits that are the same in every run."""
    return to_base64url(sha256(repr(names).encode())[:16])


def prove_possession(
    chain: str, member: str, signer: SeedSigner, *, holder: SeedSigner | None = None
) -> MemberKey:
    """A member key with its own signature; ``holder`` signs instead where the proof is to be false."""
    public = to_base64url(signer.public)
    text = encode_possession(chain, PossessionText(member=member, public=public))
    return MemberKey(possession=to_base64url((holder or signer).sign(text)), public=public)


def sign_consent(
    chain: str,
    signer: SeedSigner,
    *,
    counterparty: str,
    expires: int,
    member: str,
    points: int,
    program: str,
    purpose: Any = "redeem",
    nonce: str | None = None,
    least: Any = UNSET,
    target: Any = UNSET,
) -> Consent:
    """A consent as a message carries it."""
    nonce = nonce or make_nonce(counterparty, expires, member, points, program, purpose)
    text = ConsentText(
        counterparty=counterparty,
        expires=expires,
        key=signer.key_id,
        least=least,
        member=member,
        nonce=nonce,
        points=points,
        program=program,
        purpose=purpose,
        target=target,
    )
    signature = to_base64url(signer.sign(encode_consent(chain, text)))
    return Consent(counterparty, expires, signer.key_id, nonce, points, signature)


def sign_choice(
    chain: str, signer: SeedSigner, member: str, choice: Any, *, expires: int, nonce: str | None = None
) -> SetMemberChoice:
    """A choice, ready to be carried by anybody."""
    nonce = nonce or make_nonce(member, choice, expires)
    text = ChoiceText(choice=choice, expires=expires, member=member, nonce=nonce)
    return SetMemberChoice(
        choice, expires, member, nonce, to_base64url(signer.sign(encode_choice(chain, text)))
    )
