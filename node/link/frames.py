"""Frames: a length, a kind, a payload. A stream of bytes is cut back into them however it was torn."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_HEAD: Final = struct.Struct("!IB")


def encode_frame(kind: int, payload: bytes) -> bytes:
    """The frame's bytes."""
    return _HEAD.pack(len(payload), kind) + payload


class Splitter:
    """Cuts one stream into frames, of any length: for streams whose other end is believed."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that are whole now: kind and payload."""
        if self._left:
            data = self._left + data
        position, size = 0, len(data)
        while size - position >= _HEAD.size:
            length, kind = _HEAD.unpack_from(data, position)
            begin = position + _HEAD.size
            if size - begin < length:
                break
            position = begin + length
            yield kind, data[begin:position]
        self._left = data[position:]
