"""What stands in an engine's block beside transactions: the block's time, and a call to wake up.

    {"@type":"time","time":1767225600000}           first in every block, put there by its proposer
    {"@type":"wake","engine_height":7}              somebody found work that is due, and the chain is idle

Both are canonical JSON, and neither leaves a leaf. The time is checked by whoever votes
(`node.engine.cometbft.proposals`); CometBFT's own is the median of the commit before and lags behind after a
pause.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from ledger.codec import decode, encode
from ledger.errors import Refused
from ledger.values import Height, Millis

TIME_START: Final = b'{"@type":"time"'
WAKE_START: Final = b'{"@type":"wake"'


class BlockTime(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="time", tag_field="@type"):
    """The time of the block it stands first in."""

    time: Millis


class Wake(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="wake", tag_field="@type"):
    """A block is wanted at this height of the engine, though nobody has sent anything."""

    engine_height: Height


_TIME: Final = msgspec.json.Decoder(BlockTime)
_WAKE: Final = msgspec.json.Decoder(Wake)


def encode_time(time: int) -> bytes:
    """The record that tells a block's time."""
    data: bytes = encode(BlockTime(time))
    return data


def encode_wake(engine_height: int) -> bytes:
    """The call for a block at this height of the engine."""
    data: bytes = encode(Wake(engine_height))
    return data


def read_time(transactions: list[bytes]) -> int | None:
    """The time that a block tells, or None where it tells none as it must."""
    if not transactions or not transactions[0].startswith(TIME_START):
        return None
    try:
        return decode(transactions[0], _TIME).time
    except Refused:
        return None


def read_wake(data: bytes) -> int | None:
    """The height for which this is a call, or None where it is none."""
    try:
        return decode(data, _WAKE).engine_height
    except Refused:
        return None
