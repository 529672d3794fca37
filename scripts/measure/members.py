"""The members: who they are, where they are homed, and what they sign.

Member ``n`` is homed at issuer ``n mod 4`` and has one account, of that issuer's program. One in ten holds a
key of their own and pays elsewhere with points codes; for the others the till's word is enough at home. Ids
and keys follow from the seed and the number, so a million of them take no memory until they are met.
"""

from __future__ import annotations

import random
from base64 import b32encode
from typing import Any, Final

from contracts.messages import Enrol
from contracts.messages.consent_text import (
    Consent,
    ConsentText,
    PossessionText,
    Purpose,
    encode_consent,
    encode_possession,
)
from contracts.messages.enrolment import MemberKey
from ledger.codec import to_base64url
from ledger.keys import SeedSigner
from scripts.measure.alliance import ISSUERS, Alliance

ONE_IN: Final = 10
"""One member in so many holds a key."""
_CONSENT_MILLIS: Final = 80_000_000
_CROCKFORD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")
_HOMES: Final = len(ISSUERS)
_STRIDE: Final = _HOMES * ONE_IN


class Members:
    """The members of one alliance, by number."""

    def __init__(self, alliance: Alliance, count: int) -> None:
        if count < _STRIDE or count % _STRIDE:
            raise SystemExit(f"--members is a multiple of {_STRIDE}")
        self.count = count
        self._alliance = alliance
        self._wallets: dict[int, SeedSigner] = {}

    def get_id(self, number: int) -> str:
        """The member's pseudonym."""
        text = b32encode(self._alliance.derive("member", number)[:20])[:26]
        return "m_" + text.translate(_CROCKFORD).decode()

    @staticmethod
    def get_home(number: int) -> str:
        """The issuer that enrolled the member."""
        return ISSUERS[number % _HOMES]

    @staticmethod
    def has_key(number: int) -> bool:
        """Whether the member signs for themselves."""
        return number // _HOMES % ONE_IN == 0

    def draw(self, dice: random.Random, *, home: str | None = None) -> int:
        """Any member, or any of those homed at ``home``."""
        if home is None:
            return dice.randrange(self.count)
        return dice.randrange(self.count // _HOMES) * _HOMES + ISSUERS.index(home)

    def draw_with_key(self, dice: random.Random) -> int:
        """Any member that holds a key."""
        return dice.randrange(self.count // _STRIDE) * _STRIDE + dice.randrange(_HOMES)

    def enrol(self, number: int, *, chain: str) -> Enrol:
        """What the home's custody key signs to take the member in."""
        member = self.get_id(number)
        if not self.has_key(number):
            return Enrol(member=member)
        wallet = self.get_wallet(number)
        public = to_base64url(wallet.public)
        possession = wallet.sign(encode_possession(chain, PossessionText(member=member, public=public)))
        return Enrol(key=MemberKey(possession=to_base64url(possession), public=public), member=member)

    def consent(
        self,
        number: int,
        purpose: Purpose,
        *,
        chain: str,
        time: int,
        program: str,
        points: int,
        counterparty: str,
        nonce: bytes,
        **more: Any,
    ) -> Consent:
        """The member's consent to this use of their points."""
        wallet = self.get_wallet(number)
        text = ConsentText(
            counterparty=counterparty,
            expires=time + _CONSENT_MILLIS,
            key=wallet.key_id,
            member=self.get_id(number),
            nonce=to_base64url(nonce),
            points=points,
            program=program,
            purpose=purpose,
            **more,
        )
        signature = to_base64url(wallet.sign(encode_consent(chain, text)))
        return Consent(counterparty, text.expires, wallet.key_id, text.nonce, points, signature)

    def get_wallet(self, number: int) -> SeedSigner:
        """The member's own key."""
        wallet = self._wallets.get(number)
        if wallet is None:
            wallet = self._wallets[number] = SeedSigner(self._alliance.derive("wallet", number))
        return wallet
