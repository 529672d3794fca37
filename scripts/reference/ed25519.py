"""The pinned Ed25519 rule once more, on the curve worked out with Python's integers: slow and plain.

It calls no cryptographic library but SHA-512, and shares nothing with `ledger.keys` but the words of the
rule.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache
from typing import NamedTuple

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


class Point(NamedTuple):
    """Extended coordinates: x = X:Z, y = Y:Z, x * y = T:Z."""

    x: int
    y: int
    z: int
    t: int


def make_point(x: int, y: int) -> Point:
    """The point with these affine coordinates."""
    return Point(x, y, 1, x * y % P)


ZERO = make_point(0, 1)


def add(p: Point, q: Point) -> Point:
    """RFC 8032 section 5.1.4; complete, so it doubles as well."""
    a, b = (p.y - p.x) * (q.y - q.x) % P, (p.y + p.x) * (q.y + q.x) % P
    c, d = 2 * p.t * q.t * D % P, 2 * p.z * q.z % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return Point(e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar: int, point: Point) -> Point:
    """[scalar]point, by doubling and adding; nothing here is secret, so nothing here is constant in time."""
    total = ZERO
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def negate(p: Point) -> Point:
    """The point that adds with ``p`` to the neutral one."""
    return Point(-p.x % P, p.y, p.z, -p.t % P)


def encode(p: Point) -> bytes:
    """The canonical 32 bytes: y, and the lowest bit of x in the highest."""
    inverse = pow(p.z, -1, P)
    return (p.y * inverse % P | (p.x * inverse % P & 1) << 255).to_bytes(32, "little")


def recover_x(y: int, sign: int) -> int | None:
    """An x of that sign, or None off the curve. For x = 0 the sign is left aside, as lenient decoders do."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_1 % P
    if (x * x - square) % P:
        return None
    return x if x & 1 == sign else -x % P


def decode(data: bytes) -> Point | None:
    """The point, canonical or not; None if there is none."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x = recover_x(y % P, sign)
    return None if x is None else make_point(x, y % P)


def is_zero(p: Point) -> bool:
    """Whether this is the neutral point."""
    return p.x % P == 0 and (p.y - p.z) % P == 0


BASE = next(point for point in [decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))] if point)


def find_torsion() -> list[Point]:
    """The eight points of small order: the multiples of the first point of order eight that turns up."""
    for y in itertools.count(2):
        x = recover_x(y, 0)
        if x is not None and not is_zero(multiply(4, torsion := multiply(L, make_point(x, y)))):
            return [multiply(times, torsion) for times in range(8)]
    raise AssertionError("half of all y are on the curve")


TORSION = find_torsion()


def write_every_way(p: Point) -> set[bytes]:
    """All encodings of a point: y or y + P where that fits, and either sign where x is 0."""
    number = int.from_bytes(encode(p), "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    signs = (0, 1) if p.x % P == 0 else (sign,)
    return {(each | s << 255).to_bytes(32, "little") for each in (y, y + P) if each < 1 << 255 for s in signs}


SMALL_ORDER = set().union(*map(write_every_way, TORSION))


@cache
def is_key_accepted(public: bytes) -> bool:
    """Whether the key may be registered: canonical, of prime order, and so not of small order."""
    if len(public) != 32 or (point := decode(public)) is None or encode(point) != public:
        return False
    return is_zero(multiply(L, point)) and not is_zero(point)


def hash_to_scalar(*parts: bytes) -> int:
    """SHA-512 over the parts, as a number below L."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def is_valid(public: bytes, text: bytes, signature: bytes) -> bool:
    """The whole rule: an accepted key, R not of small order, S below L, and the equation byte for byte."""
    if len(signature) != 64 or not is_key_accepted(public):
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    key = decode(public)
    if r in SMALL_ORDER or s >= L or key is None:
        return False
    k = hash_to_scalar(r, public, text)
    return encode(add(multiply(s, BASE), negate(multiply(k, key)))) == r
