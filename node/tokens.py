"""Bearer tokens: the node's own word for who is asking, good for minutes.

A token is a claim (chain, expiry, role, and the key that asked for it) and an HMAC-SHA256 over it under the
node's secret. It needs no table: the node believes what it signed itself. What the API gives out lasts at
most 15 minutes; what an operator prints on the machine at most a day.

A token has exactly one accepted spelling, and it is not a login: it opens reading and the operator's few
levers, never a ledger entry. Whether the key behind it is still in force is for the caller to ask of the
state.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import decode, encode, from_base64url, to_base64url
from ledger.errors import InvariantBroken, Refused
from ledger.values import Chain, KeyId, Millis
from node.access import ROLE_PATTERN, Role, parse_role

API_SECONDS_MAX: Final = 900
OPERATOR_SECONDS_MAX: Final = 86_400
SECRET_BYTES: Final = 32
_MAC_BYTES: Final = 32
_CLAIM_CHARACTERS_MAX: Final = 512


class Claim(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What a token says."""

    chain: Chain
    expires: Millis
    key: KeyId | UnsetType = UNSET
    """The key that signed the request for it; absent where an operator printed it."""
    role: Annotated[str, Meta(pattern=ROLE_PATTERN, max_length=96)]


class Bearer(Struct, frozen=True, gc=False):
    """Who a token speaks for. Never on the wire."""

    role: Role
    key: str | None


_DECODER: Final = msgspec.json.Decoder(Claim)


class TokenIssuer:
    """Makes and checks the tokens of one node on one chain."""

    def __init__(self, *, secret: bytes, chain: str, clock: Callable[[], int]) -> None:
        if len(secret) != SECRET_BYTES:
            raise InvariantBroken("TOKEN_SECRET", expected=SECRET_BYTES, found=len(secret))
        self._secret = secret
        self._chain = chain
        self._clock = clock
        """Milliseconds UTC."""

    def issue(self, role: Role, *, seconds: int, key: str | None = None) -> tuple[str, int]:
        """A token and the millisecond it expires. Raises `Refused` ``BAD_REQUEST`` where it would live too
        long.

        With ``key`` it is one the API gives out, so its life is short; without, an operator asked on the
        machine.
        """
        longest = OPERATOR_SECONDS_MAX if key is None else API_SECONDS_MAX
        if not 0 < seconds <= longest:
            raise Refused("BAD_REQUEST", seconds=seconds, allowed=longest)
        expires = self._clock() + seconds * 1000
        claim = Claim(chain=self._chain, expires=expires, key=UNSET if key is None else key, role=str(role))
        data: bytes = encode(claim)
        return f"{to_base64url(data)}.{to_base64url(self._compute_mac(data))}", expires

    def verify(self, token: str) -> Bearer:
        """Who the token speaks for. Raises `Refused` ``TOKEN_INVALID``."""
        spelled, _, mac = token.partition(".")
        if len(spelled) > _CLAIM_CHARACTERS_MAX:
            raise Refused("TOKEN_INVALID")
        try:
            data = from_base64url(spelled, size=len(spelled) * 3 // 4)
            given = from_base64url(mac, size=_MAC_BYTES)
        except Refused:
            raise Refused("TOKEN_INVALID") from None
        # Nothing of the claim is looked at before it is known to be ours.
        if not hmac.compare_digest(given, self._compute_mac(data)):
            raise Refused("TOKEN_INVALID")
        try:
            claim = decode(data, _DECODER)
        except Refused:
            # Ours, but of another version of this program.
            raise Refused("TOKEN_INVALID") from None
        if claim.chain != self._chain:
            raise Refused("TOKEN_INVALID", reason="of another chain")
        if claim.expires < self._clock():
            raise Refused("TOKEN_INVALID", reason="expired", expired=claim.expires)
        return Bearer(parse_role(claim.role), None if isinstance(claim.key, UnsetType) else claim.key)

    def _compute_mac(self, claim: bytes) -> bytes:
        return hmac.new(self._secret, b"commonpoint/token/v1\n" + claim, sha256).digest()
