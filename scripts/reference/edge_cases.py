"""Edge cases of Ed25519 keys and signatures, each named by what is odd about it, with the pinned rule's
verdict.

The classes are those of the published collections: small-order, mixed-order and non-canonical keys and R, S
out of range, and malleated copies of an honest signature. Everything is made from one seed, so it comes out
the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.reference.ed25519 import (
    BASE,
    SMALL_ORDER,
    TORSION,
    ZERO,
    L,
    P,
    Point,
    add,
    decode,
    encode,
    hash_to_scalar,
    is_key_accepted,
    is_valid,
    is_zero,
    multiply,
    negate,
    recover_x,
)

PUBLISHED = ("ed25519-cctv", "ed25519-speccheck", "ed25519-wycheproof")

Case = tuple[str, bytes, bytes, bytes]
"""Name, public key, text, signature."""


def expand_seed(seed: bytes) -> tuple[int, bytes]:
    """The secret scalar and the prefix of RFC 8032 section 5.1.5."""
    half, prefix = hashlib.sha512(seed).digest()[:32], hashlib.sha512(seed).digest()[32:]
    return int.from_bytes(half, "little") & (1 << 254) - 8 | 1 << 254, prefix


SECRET, PREFIX = expand_seed(bytes(range(32)))
KEY = multiply(SECRET, BASE)
PUBLIC = encode(KEY)
TEXT = b"commonpoint/transaction/v1\nvectors/00000000000000000000000000000000\n"


def make_signature(text: bytes, *, public: bytes = PUBLIC, add_to_r: Point = ZERO) -> bytes:
    """Signed with the secret, over the given key's bytes; honest unless R or the key is meddled with."""
    nonce = hash_to_scalar(PREFIX, text)
    r = encode(add(multiply(nonce, BASE), add_to_r))
    return r + ((nonce + hash_to_scalar(r, public, text) * SECRET) % L).to_bytes(32, "little")


def make_honest_cases() -> Iterator[Case]:
    """What everybody accepts."""
    for length in (0, 1, 63, 64, 300, 4096):
        text = bytes(position % 251 for position in range(length))
        yield f"honest, {length} bytes", PUBLIC, text, make_signature(text)


def make_small_order_key_cases() -> Iterator[Case]:
    """Keys for which anybody can make a signature that satisfies the equation."""
    for number, public in enumerate(sorted(SMALL_ORDER)):
        # [S]B - [k]A is R whenever k takes A to zero; some text has such a k.
        for attempt in itertools.count():
            text, nonce = TEXT + b"%d" % attempt, 7 + number
            r = encode(multiply(nonce, BASE))
            point = decode(public)
            if point and is_zero(multiply(hash_to_scalar(r, public, text), point)):
                yield f"key of small order {number}", public, text, r + nonce.to_bytes(32, "little")
                break


def make_mixed_order_key_cases() -> Iterator[Case]:
    """Keys with a component of small order, on which the two verification equations part."""
    for number, torsion in enumerate(TORSION[1:], start=1):
        public = encode(add(KEY, torsion))
        for attempt in itertools.count():
            text = TEXT + b"%d" % attempt
            signature = make_signature(text, public=public)
            if hash_to_scalar(signature[:32], public, text) % 8 == 0:
                yield f"key of mixed order {number}, equation holds", public, text, signature
                break
        name = f"key of mixed order {number}, equation holds times eight"
        yield name, public, TEXT, make_signature(TEXT, public=public)


def make_malformed_key_cases() -> Iterator[Case]:
    """Keys that are not the one encoding of a point."""
    honest = make_signature(TEXT)
    for offset, sign in itertools.product(range(19), (0, 1)):
        public = (P + offset | sign << 255).to_bytes(32, "little")
        yield f"key not canonical, p + {offset}, sign {sign}", public, TEXT, honest
    off_curve = [y for y in range(2, 40) if recover_x(y, 0) is None][:4]
    for y in off_curve:
        yield f"key off the curve, y {y}", y.to_bytes(32, "little"), TEXT, honest
    flipped = PUBLIC[:31] + bytes([PUBLIC[31] ^ 0x80])
    yield "key with the other sign", flipped, TEXT, honest
    for length in (0, 31, 33):
        yield f"key of {length} bytes", (PUBLIC + PUBLIC)[:length], TEXT, honest


def make_r_cases() -> Iterator[Case]:
    """An honest key, and an R that no honest signer writes."""
    for number, r in enumerate(sorted(SMALL_ORDER)):
        s = hash_to_scalar(r, PUBLIC, TEXT) * SECRET % L
        yield f"R of small order {number}", PUBLIC, TEXT, r + s.to_bytes(32, "little")
        if encode(decode(r) or ZERO) != r:
            canonical = encode(decode(r) or ZERO)
            s = hash_to_scalar(canonical, PUBLIC, TEXT) * SECRET % L
            name = f"R of small order {number}, hashed as canonical"
            yield name, PUBLIC, TEXT, r + s.to_bytes(32, "little")
    for number, torsion in enumerate(TORSION[1:], start=1):
        yield f"R of mixed order {number}", PUBLIC, TEXT, make_signature(TEXT, add_to_r=torsion)
    honest = make_signature(TEXT)
    for offset, sign in itertools.product(range(19), (0, 1)):
        r = (P + offset | sign << 255).to_bytes(32, "little")
        yield f"R not canonical, p + {offset}, sign {sign}", PUBLIC, TEXT, r + honest[32:]
    yield "R with the other sign", PUBLIC, TEXT, honest[:31] + bytes([honest[31] ^ 0x80]) + honest[32:]


def make_s_cases() -> Iterator[Case]:
    """An honest signature, copied with another S, cut, or given for something else."""
    honest = make_signature(TEXT)
    r, s = honest[:32], int.from_bytes(honest[32:], "little")
    for times in range(1, 16):
        if s + times * L < 1 << 256:
            yield f"copy with S + {times} L", PUBLIC, TEXT, r + (s + times * L).to_bytes(32, "little")
    for name, other in (("0", 0), ("L - 1", L - 1), ("L", L), ("L + 1", L + 1), ("2^256 - 1", 2**256 - 1)):
        yield f"S is {name}", PUBLIC, TEXT, r + other.to_bytes(32, "little")
    yield "copy with S negated", PUBLIC, TEXT, r + (L - s).to_bytes(32, "little")
    negated = encode(negate(decode(r) or ZERO))
    yield "copy with R and S negated", PUBLIC, TEXT, negated + (L - s).to_bytes(32, "little")
    for bit in range(253, 256):
        yield f"copy with bit {bit} of S set", PUBLIC, TEXT, r + (s | 1 << bit).to_bytes(32, "little")
    # S of zero with R = -[k]A would need a hash that knows its own answer; with R of small order it is above.
    for length in (0, 32, 63, 65):
        yield f"signature of {length} bytes", PUBLIC, TEXT, (honest + honest)[:length]
    yield "R and S swapped", PUBLIC, TEXT, honest[32:] + honest[:32]
    yield "another text", PUBLIC, TEXT + b"x", honest
    yield "another key", encode(BASE), TEXT, honest


def make_ed25519() -> list[dict[str, Any]]:
    """All cases made here, each with the verdict on its key and on the whole."""
    cases = itertools.chain(
        make_honest_cases(),
        make_small_order_key_cases(),
        make_mixed_order_key_cases(),
        make_malformed_key_cases(),
        make_r_cases(),
        make_s_cases(),
    )
    return [
        {
            "name": name,
            "public": public.hex(),
            "text": text.hex(),
            "signature": signature.hex(),
            "key_accepted": is_key_accepted(public),
            "valid": is_valid(public, text, signature),
        }
        for name, public, text, signature in cases
    ]


def read_published(name: str, document: Any) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Number, key, text and signature of each case, as the three collections spell them."""
    if name == "ed25519-cctv":
        for case in document:
            key, signature = bytes.fromhex(case["key"]), bytes.fromhex(case["sig"])
            yield case["number"], key, case["msg"].encode(), signature
    elif name == "ed25519-speccheck":
        for number, case in enumerate(document):
            key, text, signature = (bytes.fromhex(case[each]) for each in ("pub_key", "message", "signature"))
            yield number, key, text, signature
    else:
        for group in document["testGroups"]:
            key = bytes.fromhex(group["publicKey"]["pk"])
            for case in group["tests"]:
                yield case["tcId"], key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])


def make_published(folder: Path) -> dict[str, Any]:
    """The numbers our rule accepts, and the digest of the very file that was judged."""
    verdicts = {}
    for name in PUBLISHED:
        data = (folder / f"{name}.json").read_bytes()
        cases = list(read_published(name, json.loads(data)))
        accepted = [number for number, key, text, signature in cases if is_valid(key, text, signature)]
        verdicts[name] = {
            "accepted": accepted,
            "cases": len(cases),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    return verdicts
