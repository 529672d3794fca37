"""Business references: the same order never counts twice, however often it is sent.

A reference is unique per (sender, message type, program, day of `occurred_at`), looked up on that day and the
day before, and taken only by success. Its key begins with the day, so that however old the ledger is, new
references land on the same few pages, and what lies beyond the horizon can be dropped by day: `occurred_at`
itself is refused by then.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.records import REFERENCE, ReferenceRecord
from ledger.calendar import MILLIS_PER_DAY
from ledger.codec import encode
from ledger.errors import Rejected
from ledger.rule import Asked, BlockContext
from ledger.state import Key, StateView


def get_reference_keys(block: BlockContext, sender: str, message: Any) -> tuple[str, str]:
    """The state keys of a reference on the day of `occurred_at`, under which it is taken, and on the day
    before.
    """
    day = block.day_of(message.occurred_at)
    days = block.memo.get((REFERENCE, day))
    if days is None:
        days = block.memo[REFERENCE, day] = (f"{day:07d}|", f"{day - 1:07d}|")
    rest = f"{sender}|{message.__struct_config__.tag}|{message.program}|{message.reference}"
    return days[0] + rest, days[1] + rest


def reads_reference(block: BlockContext, sender: str, message: Any) -> tuple[Key, Key]:
    """The two records that `check_reference` reads."""
    key, key_before = get_reference_keys(block, sender, message)
    return (REFERENCE, key), (REFERENCE, key_before)


def check_reference(state: StateView, asked: Asked, message: Any) -> tuple[str, str, ReferenceRecord]:
    """The change that takes the reference, to be part of a successful decision.

    Raises `Rejected`: ``OCCURRED_IN_FUTURE``, ``OCCURRED_TOO_LONG_AGO``, ``ALREADY_DONE`` or
    ``REFERENCE_CONFLICT`` (both with ``first``).
    """
    block = asked.block
    ahead = message.occurred_at - block.time
    if ahead > get_parameter(state, block, "occurred_lead_seconds") * 1000:
        raise Rejected("OCCURRED_IN_FUTURE", occurred_at=message.occurred_at, time=block.time)
    if -ahead > get_parameter(state, block, "reference_horizon_days") * MILLIS_PER_DAY:
        raise Rejected("OCCURRED_TOO_LONG_AGO", occurred_at=message.occurred_at, time=block.time)
    content = compute_content(asked, message)
    key, key_before = get_reference_keys(block, asked.sender, message)
    taken: ReferenceRecord | None = state.get(REFERENCE, key) or state.get(REFERENCE, key_before)
    if taken is not None:
        raise Rejected(
            "ALREADY_DONE" if taken.content == content else "REFERENCE_CONFLICT", first=taken.index
        )
    return REFERENCE, key, ReferenceRecord(asked.index, content)


def compute_content(asked: Asked, message: Any) -> str:
    """What makes two messages the same.

    All but the consent, which a retry may have had to renew or to add.
    """
    if getattr(message, "consent", UNSET) is UNSET:
        return asked.content_hash[:16].hex()
    return sha256(encode(replace(message, consent=UNSET))).hexdigest()[:32]
