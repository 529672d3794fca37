"""Base45 (RFC 9285): bytes in the 45 characters that a QR code packs most tightly.

Two bytes become three characters, a last single byte two. What decodes is the one spelling of its bytes.
"""

from __future__ import annotations

from typing import Final

from merchant_sdk.errors import InvalidRequest

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


def encode_base45(data: bytes) -> str:
    """The text of these bytes."""
    text: list[str] = []
    for begin in range(0, len(data), 2):
        pair = data[begin : begin + 2]
        value = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            value, digit = divmod(value, 45)
            text.append(ALPHABET[digit])
    return "".join(text)


def decode_base45(text: str) -> bytes:
    """The bytes this text spells. Raises `InvalidRequest` where it is not base45."""
    if len(text) % 3 == 1 or not _VALUES.keys() >= set(text):
        raise InvalidRequest("not base45 text", characters=len(text))
    data = bytearray()
    for begin in range(0, len(text), 3):
        digits = [_VALUES[character] for character in text[begin : begin + 3]]
        value = sum(digit * 45**place for place, digit in enumerate(digits))
        size = len(digits) - 1
        if value >= 256**size:
            raise InvalidRequest("not base45 text", characters=len(text))
        data += value.to_bytes(size, "big")
    return bytes(data)
