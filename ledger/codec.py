"""The one way bytes are made and read: canonical JSON and base64url.

Canonical JSON is RFC 8785 (JCS) narrowed to objects with sorted ASCII keys, integers within ±(2^53-1),
strings, booleans and arrays. There are no floats, no nulls, no duplicate and no unknown keys. Whatever
arrives must encode again to the very bytes that arrived; so a display in any language shows exactly what was
signed.

Wire structs (`Wire`) carry that discipline: fields in alphabetical order, no inheritance between them, no
dicts, no default but `UNSET`, every integer and string bounded. `tests/ledger/test_wire_discipline.py` walks
them all.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from ledger.errors import Refused

INTEGER_MAX = 2**53 - 1
"""The largest integer every JSON reader agrees on (RFC 7493)."""

T = TypeVar("T")

# Six bits a letter: the spare bits of the last one are nought, so each value has one spelling.
Bytes16 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{21}[AQgw]\Z", max_length=22)]
"""16 bytes, base64url without padding."""
Bytes32 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z", max_length=43)]
"""32 bytes, base64url without padding."""
Bytes64 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{85}[AQgw]\Z", max_length=86)]
"""64 bytes, base64url without padding."""
Digest = Bytes32
Signature = Bytes64

_encoder = msgspec.json.Encoder()
encode: Any = _encoder.encode
"""Canonical bytes of a wire struct (or of ints, strings, bools and lists of them)."""


def decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Read one value and hold it to its canonical form.

    Raises `Refused`: ``MALFORMED`` (not JSON, not UTF-8, wrong shape, out of bounds) or ``NOT_CANONICAL``.
    """
    value = decode_shape(data, decoder)
    if encode(value) != data:
        raise Refused("NOT_CANONICAL", bytes=len(data))
    return value


def decode_shape(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Read one value without comparing its bytes: for callers that re-encode the parts themselves."""
    try:
        return decoder.decode(data)
    except RecursionError:
        raise Refused("MALFORMED", reason="nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeError, ValueError) as error:
        raise Refused("MALFORMED", reason=str(error)[:200]) from None


def to_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str, *, size: int) -> bytes:
    """The ``size`` bytes that ``text`` spells, and spells in the only way accepted.

    The last character of an unpadded group has spare bits; a second spelling of one signature would be a
    second form of one transaction, so what does not encode back to itself is refused.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Refused("MALFORMED", reason="not base64url") from None
    if len(data) != size or to_base64url(data) != text:
        raise Refused("MALFORMED", reason=f"not the base64url of {size} bytes")
    return data


def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4)."""
    return hashlib.sha256(data).digest()
