"""Messages on CometBFT's socket: each is a protobuf message behind its length as a varint.

What is too large, or no length at all, is an error: the other side is a program of ours, on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.errors import InvariantBroken

FRAME_BYTES_MAX: Final = 100 * 1024 * 1024
"""CometBFT's own bound is 100 MB a message."""
_LENGTH_BYTES_MAX: Final = 5


def encode_frame(message: bytes) -> bytes:
    """The message behind its length."""
    return encode_varint(len(message)) + message


def encode_varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


class Splitter:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole by now. Raises `InvariantBroken` ``FRAME_MALFORMED``."""
        self._buffer += data
        position = 0
        while (found := self._read_length(position)) is not None:
            start, length = found
            if start + length > len(self._buffer):
                break
            position = start + length
            yield bytes(self._buffer[start:position])
        del self._buffer[:position]

    def _read_length(self, position: int) -> tuple[int, int] | None:
        """Where the message at ``position`` begins and how long it is; None where that has not arrived."""
        length = 0
        for place in range(_LENGTH_BYTES_MAX):
            if position + place >= len(self._buffer):
                return None
            byte = self._buffer[position + place]
            length |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                if length > FRAME_BYTES_MAX:
                    break
                return position + place + 1, length
        raise InvariantBroken("FRAME_MALFORMED", length=length)
