"""Leaves at rest: a row of them is packed where that saves room, and comes back as it was or not at all.

Leaves of one block are much alike, so a bundle packs to a sixth. Packed is what begins with the four bytes
that every Zstandard frame begins with (RFC 8878); anything else is a bundle as it is served. No row can be
read both ways: a bundle that would begin with those bytes by itself is packed, whatever its size. A frame
carries the size of what is in it and a checksum over it, so what a disk has changed is noticed here, and a
frame that would unpack to more than a bundle can hold is not unpacked.

Nothing is promised about the packed bytes themselves: another version of the library may make others of the
same leaves. What is hashed and signed are the leaves; rows are served as they are to whoever asks for that.
"""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from ledger.errors import Unverified
from ledger.log.tiles import LEAF_BYTES_MAX, TILE_WIDTH

BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (LEAF_BYTES_MAX + 2)
"""The largest entry bundle there can be."""
PACKED_FROM_BYTES: Final = 1_024
"""Smaller rows stay as they are: three leaves and fewer save a few hundred bytes a block, if anything."""
_MAGIC: Final = zstandard.FRAME_HEADER
_FLAGS_MASK, _FLAGS = 0b1_1111, 0b0_0100
"""Of the byte after them: a checksum, no dictionary, and the bits that mean nothing are nought."""
_LEVEL: Final = 1
"""The fastest of the ordinary levels. The next two save a hundredth more and cost a third more time."""


class _Tools(threading.local):
    """A packer and an unpacker a thread: each is for one thread at a time, and takes longer to make than a
    small row to pack.
    """

    def __init__(self) -> None:
        self.pack = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress
        self.unpack = zstandard.ZstdDecompressor().decompress


_tools: Final = _Tools()


def pack(bundle: bytes) -> bytes:
    """The row that keeps this bundle."""
    has_to_be = bundle.startswith(_MAGIC)
    if len(bundle) < PACKED_FROM_BYTES and not has_to_be:
        return bundle
    packed = _tools.pack(bundle)
    return packed if has_to_be or len(packed) < len(bundle) else bundle


def make_frame(row: bytes) -> bytes:
    """The row as one Zstandard frame, which it is already where it was packed."""
    return row if row.startswith(_MAGIC) else _tools.pack(row)


def unpack(row: bytes) -> bytes:
    """The bundle that a row keeps.

    Raises `Unverified` ``ROW_MALFORMED`` where it was packed and is broken.
    """
    if not row.startswith(_MAGIC):
        return row
    try:
        # Where the size is not said, the library says -1; one that is said is what it would make room for.
        size = zstandard.frame_content_size(row)
        if not 0 <= size <= BUNDLE_BYTES_MAX or row[len(_MAGIC)] & _FLAGS_MASK != _FLAGS:
            raise Unverified("ROW_MALFORMED", bytes=size, bytes_max=BUNDLE_BYTES_MAX)
        return _tools.unpack(row, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Unverified("ROW_MALFORMED", reason=str(error)) from None
