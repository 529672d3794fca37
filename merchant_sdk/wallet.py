"""A wallet is a member's key: with it a member shows points codes, agrees to holds, gifts, exchanges and
corrections, and says who may speak for them.

It holds no points and asks nobody: everything here is made offline. A member app keeps the seed where only
the member gets at it. A custodian makes a wallet around its own custody key for members who have none.

Clock and randomness may be given, so that a seeded demonstration makes the same codes twice.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from msgspec import UNSET, UnsetType

from contracts.messages.consent_text import (
    ANY,
    Choice,
    ChoiceText,
    ConsentText,
    PossessionText,
    Purpose,
    encode_choice,
    encode_consent,
    encode_possession,
)
from contracts.messages.enrolment import MemberKey, SetMemberChoice
from ledger.codec import to_base64url
from ledger.keys import SEED_BYTES, SeedSigner, Signer
from merchant_sdk.errors import InvalidRequest
from merchant_sdk.points_code import PointsCode
from merchant_sdk.requests import check_message, check_text
from merchant_sdk.results import Quote

CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MEMBER_CHARACTERS: Final = 26
_MEMBER_BITS: Final = 5 * _MEMBER_CHARACTERS
_NONCE_BYTES: Final = 16

Randomness = Callable[[int], bytes]
"""``randomness(n)``: n random bytes."""


def get_system_time() -> int:
    """Milliseconds UTC of this machine."""
    return time.time_ns() // 1_000_000


def make_member_id(randomness: Randomness = secrets.token_bytes) -> str:
    """A new pseudonym: ``m_`` and 130 random bits in Crockford's base32."""
    value = int.from_bytes(randomness(17), "big") >> (17 * 8 - _MEMBER_BITS)
    return "m_" + "".join(CROCKFORD[value >> shift & 31] for shift in range(_MEMBER_BITS - 5, -1, -5))


class Wallet:
    """One member's key on one chain."""

    def __init__(
        self,
        chain: str,
        *,
        member: str | None = None,
        seed: bytes | None = None,
        signer: Signer | None = None,
        clock: Callable[[], int] = get_system_time,
        randomness: Randomness = secrets.token_bytes,
    ) -> None:
        if seed is not None and signer is not None:
            raise InvalidRequest("a wallet has a seed or a signer, not both")
        self.chain = chain
        self.member = make_member_id(randomness) if member is None else member
        self.signer: Signer = signer or SeedSigner(randomness(SEED_BYTES) if seed is None else seed)
        self._clock = clock
        self._randomness = randomness

    @property
    def public(self) -> str:
        """The public key, base64url."""
        return to_base64url(self.signer.public)

    def possession(self) -> MemberKey:
        """The public key with its own signature: what an enrolment or a key replacement carries."""
        text = check_text(PossessionText(member=self.member, public=self.public))
        signature = self.signer.sign(encode_possession(self.chain, text))
        return MemberKey(possession=to_base64url(signature), public=self.public)

    def points_code(
        self,
        program: str,
        points: int,
        acceptor: str | None = None,
        *,
        purpose: Purpose = "redeem",
        seconds: int = 60,
        now: int | None = None,
    ) -> PointsCode:
        """Consent to spend up to ``points`` at ``acceptor``; without one, at whoever scans it first.

        The alliance bounds an open code more tightly: by default to two minutes and 5,000 points.
        """
        return self._consent(
            program=program,
            points=points,
            counterparty=ANY if acceptor is None else acceptor,
            purpose=purpose,
            seconds=seconds,
            now=now,
        )

    def consent_for_exchange(
        self,
        quote: Quote,
        *,
        recipient: str | None = None,
        least: int | None = None,
        seconds: int = 60,
        now: int | None = None,
    ) -> PointsCode:
        """Consent to the exchange quoted, or to one that gives ``least``; to oneself unless told to whom."""
        return self._consent(
            program=quote.program,
            points=quote.points,
            counterparty=self.member if recipient is None else recipient,
            purpose="exchange",
            seconds=seconds,
            now=now,
            least=quote.least if least is None else least,
            target=quote.target,
        )

    def consent_for_hold(
        self,
        program: str,
        points: int,
        acceptor: str | None = None,
        *,
        seconds: int = 60,
        now: int | None = None,
    ) -> PointsCode:
        """Consent that ``acceptor`` sets up to ``points`` aside and captures them later, or whoever scans it
        first. It may be made for so long; the hold then lasts as long as the acceptor said.
        """
        return self.points_code(program, points, acceptor, purpose="hold", seconds=seconds, now=now)

    def consent_for_gift(
        self, program: str, points: int, recipient: str, *, seconds: int = 60, now: int | None = None
    ) -> PointsCode:
        """Consent that up to ``points`` become another member's."""
        return self._consent(
            program=program,
            points=points,
            counterparty=recipient,
            purpose="gift",
            seconds=seconds,
            now=now,
        )

    def consent_for_adjust(
        self, program: str, points: int, issuer: str, *, seconds: int = 60, now: int | None = None
    ) -> PointsCode:
        """Consent that the issuer takes up to ``points`` back, as a correction."""
        return self._consent(
            program=program,
            points=points,
            counterparty=issuer,
            purpose="adjust",
            seconds=seconds,
            now=now,
        )

    def consent_to_receive(
        self, program: str, points: int, giver: str, *, seconds: int = 60, now: int | None = None
    ) -> PointsCode:
        """Consent that another member's exchange delivers up to ``points`` of ``program`` to this one."""
        return self._consent(
            program=program,
            points=points,
            counterparty=giver,
            purpose="receive",
            seconds=seconds,
            now=now,
        )

    def choice(self, choice: Choice, *, seconds: int = 60, now: int | None = None) -> SetMemberChoice:
        """A signed choice about who may speak for this member; any participant may carry it to the ledger."""
        expires, nonce = self._expiry(seconds, now), self._nonce()
        text = check_text(ChoiceText(choice=choice, expires=expires, member=self.member, nonce=nonce))
        signature = self.signer.sign(encode_choice(self.chain, text))
        message = SetMemberChoice(
            choice=choice,
            expires=expires,
            member=self.member,
            nonce=nonce,
            signature=to_base64url(signature),
        )
        check_message(message)
        return message

    def _consent(
        self,
        *,
        program: str,
        points: int,
        counterparty: str,
        purpose: Purpose,
        seconds: int,
        now: int | None,
        least: int | UnsetType = UNSET,
        target: str | UnsetType = UNSET,
    ) -> PointsCode:
        text = ConsentText(
            counterparty=counterparty,
            expires=self._expiry(seconds, now),
            key=self.signer.key_id,
            least=least,
            member=self.member,
            nonce=self._nonce(),
            points=points,
            program=program,
            purpose=purpose,
            target=target,
        )
        # Nothing is signed that the ledger would not even read.
        check_text(text)
        return PointsCode(text, to_base64url(self.signer.sign(encode_consent(self.chain, text))))

    def _expiry(self, seconds: int, now: int | None) -> int:
        return (self._clock() if now is None else now) + seconds * 1000

    def _nonce(self) -> str:
        return to_base64url(self._randomness(_NONCE_BYTES))
