"""Whose signature this is, decided the same way on every machine.

Verification is part of consensus: two nodes that disagree about one signature fork. RFC 8032 leaves room, and
libraries use it differently, so one rule is pinned here:

1. a public key is refused when it is registered, unless it is the canonical encoding of a point in the
   prime-order subgroup other than the identity;
2. a signature whose R is one of the fourteen encodings of small-order points is invalid;
3. a signature whose S is not below the order of the group is invalid;
4. what remains holds when the encoding of [S]B - [k]A is R byte for byte (the equation without the cofactor).

Libsodium does the arithmetic; OpenSSL and Go agree with it under this rule on every vector in
`tests/vectors`. A build of libsodium that decides otherwise is found when this module is imported, and
nothing is verified with it.

This module does not say which key may do what, nor from which height to which: that is state. It holds
private keys only for as long as a caller holds a `SeedSigner`; where seeds are kept is the node's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from nacl import bindings
from nacl.exceptions import BadSignatureError

from ledger.errors import InvariantBroken, Refused

PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_FIELD: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order subgroup; the S of a signature is below it."""
_ORDER_8_Y: Final = int("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
"""The y of two of the four points of order 8; the other two have its negative."""

SMALL_ORDER_ENCODINGS: Final = frozenset(
    (y + (sign << 255)).to_bytes(32, "little")
    for y in (0, 1, _ORDER_8_Y, _FIELD - _ORDER_8_Y, _FIELD - 1, _FIELD, _FIELD + 1)
    for sign in (0, 1)
)
"""Every way to write a point of order 1, 2, 4 or 8, canonical or not: fourteen strings of 32 bytes."""


def check_public_key(raw: bytes) -> None:
    """The key is fit to be registered: canonical, and a point of the prime-order subgroup.

    Raises `Refused` ``KEY_REFUSED``.
    """
    if len(raw) != PUBLIC_KEY_BYTES:
        raise Refused("KEY_REFUSED", reason="not 32 bytes", bytes=len(raw))
    if raw in SMALL_ORDER_ENCODINGS:
        raise Refused("KEY_REFUSED", reason="a point of small order", key=raw.hex())
    if int.from_bytes(raw, "little") & (2**255 - 1) >= _FIELD:
        raise Refused("KEY_REFUSED", reason="not the canonical encoding", key=raw.hex())
    if not bindings.crypto_core_ed25519_is_valid_point(raw):
        raise Refused("KEY_REFUSED", reason="not a point of the prime-order subgroup", key=raw.hex())


def is_valid_signature(*, public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the key's signature of ``text`` under the pinned rule.

    ``public`` is assumed to have passed `check_public_key` once, when it was registered; its length is looked
    at again because libsodium would read past the end of a shorter one.
    """
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_KEY_BYTES:
        return False
    if signature[:32] in SMALL_ORDER_ENCODINGS or int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        bindings.crypto_sign_open(signature + text, public)
    except BadSignatureError:
        return False
    return True


class SignedText(NamedTuple):
    """A text and a signature that is said to be a key's."""

    public: bytes
    text: bytes
    signature: bytes


class SignatureJudge(Protocol):
    """Who says whether a signature holds: for a rule, which must not care where that is worked out."""

    wants_notice: bool
    """Whether hearing ahead is of any use to it."""

    def expect(self, signed: Sequence[SignedText]) -> None:
        """A block may ask about these, in this order."""
        ...

    def is_valid(self, signed: SignedText) -> bool:
        """Whether it is the key's signature of the text under the pinned rule."""
        ...

    def close(self) -> None:
        """Nobody will ask any more."""
        ...


class SignatureCheck:
    """The judge that looks for itself, each time it is asked."""

    wants_notice = False

    def expect(self, signed: Sequence[SignedText]) -> None:
        """Nothing is done ahead."""

    def is_valid(self, signed: SignedText) -> bool:
        """As `is_valid_signature`."""
        return is_valid_signature(public=signed.public, text=signed.text, signature=signed.signature)

    def close(self) -> None:
        """There is nothing to let go of."""


def key_id(public: bytes) -> str:
    """The sixteen hex digits by which a public key is named in headers and in the registry."""
    return hashlib.sha256(b"commonpoint/key/v1\n" + public).hexdigest()[:16]


def signed_text(*, purpose: str, chain: str, body: bytes) -> bytes:
    """The very bytes a signature covers: purpose and chain stand before the body.

    A signature given for one purpose or one chain is therefore worth nothing for another. Neither a purpose
    nor a chain may hold a line feed; both are checked where they are read.
    """
    return b"commonpoint/%b/v1\n%b\n%b" % (purpose.encode("ascii"), chain.encode("ascii"), body)


class Signer(Protocol):
    """Whatever can sign: a seed in memory, or a token or service that never shows its key."""

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        ...

    @property
    def key_id(self) -> str:
        """`key_id` of the public key."""
        ...

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over ``text``."""
        ...


class SeedSigner:
    """A signer that holds the 32-byte seed of RFC 8032 in memory."""

    __slots__ = ("_key_id", "_public", "_secret")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Refused("KEY_REFUSED", reason="a seed is 32 bytes", bytes=len(seed))
        self._public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self._key_id = key_id(self._public)

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        return self._public

    @property
    def key_id(self) -> str:
        """`key_id` of the public key."""
        return self._key_id

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over ``text``; the same text gives the same bytes."""
        return bindings.crypto_sign(text, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        """The key's id; never the seed, since a repr ends up in logs."""
        return f"SeedSigner(key_id={self._key_id!r})"


def check_library() -> None:
    """The libsodium that is loaded decides as the pinned rule says, on what builds are known to differ in.

    Some releases took a key with a component of order two for one of the prime-order subgroup, and the
    equation with the cofactor accepts signatures whose R has a component of small order. Such a build would
    fork the chain without a word; so nothing runs with it. Raises `InvariantBroken`.
    """
    public = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
    plus_order_2 = bytes.fromhex("ea5ef8400c31ef41e28f22e718b43f66981b29cf645af2a0e223799bedaace47")
    text = b"commonpoint/library/v1\n"
    plain = bytes.fromhex(
        "523c11929bad36d4421ac157f65b06f113bbb224ea52730b30a5b05dcf723c80"
        "f4e3d8ec018d3f43f2d801be9f6155660ac8e04e7c7294ee34585f936aa8540e"
    )
    mixed_r = bytes.fromhex(
        "a48006e266346e2ebe99e881b7fc501cb4172d24ade0f5e1d962851048089b5d"
        "4f455d605de0f1457d0ff6b17d989e9b9c95fd7f559488999888eca17261b800"
    )
    found = {
        "honest key": bindings.crypto_core_ed25519_is_valid_point(public),
        "honest signature": is_valid_signature(public=public, text=text, signature=plain),
        "key refused": not bindings.crypto_core_ed25519_is_valid_point(plus_order_2),
        "signature refused": not is_valid_signature(public=public, text=text, signature=mixed_r),
    }
    if not all(found.values()):
        raise InvariantBroken("ED25519_LIBRARY_DIFFERS", **found)


check_library()
