"""Transactions that are in order but for one thing, made byte by byte as no client of ours would."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ledger.codec import encode, sha256, to_base64url
from ledger.keys import SeedSigner, signed_text
from ledger.transaction import Header
from tests.contracts.cast import FRESH, make_signer


def sign_header(header: Header, messages: list[bytes], signer: SeedSigner) -> bytes:
    """A transaction under whatever header, signed as if it were right."""
    text = signed_text(purpose="transaction", chain=header.chain, body=encode(header))
    return b'{"header":%b,"messages":[%b],"signature":"%b"}' % (
        encode(header),
        b",".join(messages),
        to_base64url(signer.sign(text)).encode(),
    )


def spoil(desk, **fields) -> bytes:
    """A transaction in order but for these fields of its header; `messages` and `signer` may be told too."""
    messages = fields.pop("messages", [encode(desk.town.earn(500))])
    signer = fields.pop("signer", make_signer(FRESH, "transact"))
    header = Header(
        chain=desk.core.chain,
        count=len(messages),
        digest=to_base64url(sha256(b"".join(map(sha256, messages)))),
        id="hostile",
        key=signer.key_id,
        not_after=desk.clock() + 1_000,
        sender=FRESH,
    )
    return sign_header(replace(header, **fields), messages, signer)


def edit(find: bytes, put: bytes):
    """A transaction in order, of whose bytes one place is changed."""

    def make(desk) -> bytes:
        data = spoil(desk)
        assert find in data
        return data.replace(find, put, 1)

    return make


def nest(depth: int, around: bytes = b"") -> bytes:
    """Arrays in arrays."""
    return b"[" * depth + around + b"]" * depth


def sign_as(desk, signer: SeedSigner) -> bytes:
    """The header names one key, and another signs."""
    data = spoil(desk)
    header = msgspec.json.decode(data, type=dict[str, msgspec.Raw])["header"]
    text = signed_text(purpose="transaction", chain=desk.core.chain, body=bytes(header))
    return put_signature(desk, signer.sign(text))


def put_signature(desk, signature: bytes) -> bytes:
    """A transaction in order under whatever 64 bytes."""
    data = spoil(desk)
    start = data.rindex(b'"signature":"') + len(b'"signature":"')
    return data[:start] + to_base64url(signature).encode() + b'"}'


def respell(data: bytes) -> bytes:
    """The last character of an unpadded group has spare bits: the same bytes, spelled otherwise."""
    last = data[-3:-2].decode()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return data[:-3] + alphabet[alphabet.index(last) ^ 1].encode() + data[-2:]
