"""Transactions as CometBFT carries them: a large one packed, a small one as it is.

CometBFT sends every transaction to every validator several times, and once more in a block. A batch of a
thousand purchases says most of its words a thousand times, so packed it is a fraction of its size. What is
signed, hashed into the log and answered are the canonical bytes, which unpacking brings back.

Deflate (RFC 1950) because everybody reads the same in it: what a validator cannot unpack is no transaction,
so all must agree about what can be unpacked. One stream, nothing behind it, no larger than a transaction may
be.
"""

from __future__ import annotations

import zlib
from typing import Final

from ledger.errors import Refused
from ledger.values import TRANSACTION_BYTES_MAX

_WORTH_BYTES: Final = 1_024
_LEVELS: Final = (1, 2, 6, 9)
"""Fast, and three others. A stream's second byte names its level, so no two spellings are the same bytes."""
_PACKED_START: Final = 0x78
"""How a stream of zlib begins; canonical JSON begins with a brace."""


def pack(data: bytes, *, attempt: int = 0) -> bytes:
    """What CometBFT is to carry. A later attempt carries the same in other bytes: what it has sent its peers
    once, it never sends them again.
    """
    if not attempt and len(data) < _WORTH_BYTES:
        return data
    packed = zlib.compress(data, _LEVELS[attempt % len(_LEVELS)])
    return packed if attempt or len(packed) < len(data) else data


def unpack(data: bytes) -> bytes:
    """The bytes that were packed. Raises `Refused` ``MALFORMED``."""
    if data[:1] != bytes([_PACKED_START]):
        return data
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, TRANSACTION_BYTES_MAX + 1)
    except zlib.error as error:
        raise Refused("MALFORMED", reason=str(error)) from None
    if not stream.eof or stream.unused_data or len(found) > TRANSACTION_BYTES_MAX:
        raise Refused("MALFORMED", reason="not one stream of a transaction's size")
    return found
