"""Originals: what a later message completes or undoes, found by its reference among the sender's own.

Nobody reaches another's: the sender is part of the key, so what belongs to somebody else and what does not
exist are the same. A refund or a return has a reference of its own, unique per original whatever the day, and
one original comes back in a bounded number of parts.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.mechanics.records import EARNED, RETENTION_DAYS, SPENT, Earned, Spent, Undone
from contracts.mechanics.references import (
    check_occurred,
    compute_content,
    format_reference_key,
    refuse_repeat,
)
from contracts.mechanics.trials import get_parameter_for
from ledger.errors import Rejected
from ledger.rule import Asked, BlockContext
from ledger.state import StateView

PARTS_MAX: Final = 16
"""In how many parts one original may come back."""
_TABLES: Final = {"earn": EARNED, "award": EARNED, "redeem": SPENT, "hold": SPENT}


def get_original_key(sender: str, message: Any) -> tuple[str, str]:
    """The table and key of the original that a refund or a return names."""
    return _TABLES[message.original_type], format_reference_key(
        day=message.original_day,
        sender=sender,
        kind=message.original_type,
        program=message.program,
        reference=message.original,
    )


def is_remembered(block: BlockContext, day: int) -> bool:
    """Whether what happened on this day may still be in the state: older records are swept, on any day."""
    return day >= block.day - RETENTION_DAYS


def find_original(state: StateView, asked: Asked, message: Any) -> tuple[str, str, Any, Undone]:
    """The original with its table and key, and the part to add to it once its rule agrees.

    Raises `Rejected`, in this order: as `check_occurred`, ``ORIGINAL_UNKNOWN``, ``ALREADY_DONE``,
    ``REFERENCE_CONFLICT``, ``REFUND_TOO_LATE``.
    """
    check_occurred(state, asked, message.occurred_at)
    block = asked.block
    table, key = get_original_key(asked.sender, message)
    original: Earned | Spent | None = None
    if is_remembered(block, message.original_day):
        original = state.get(table, key)
    if original is None or original.member != message.member:
        raise Rejected("ORIGINAL_UNKNOWN", original=message.original)
    content = compute_content(asked, message)
    for part in original.undone:
        if part.reference == message.reference:
            refuse_repeat(part, content)
    horizon = get_parameter_for(state, asked, "refund_horizon_days", message.member)
    if message.original_day < block.day - horizon:
        raise Rejected("REFUND_TOO_LATE", original_day=message.original_day)
    return table, key, original, Undone(message.reference, content, asked.index)


def check_parts(original: Earned | Spent) -> None:
    """One more part may come back. Raises `Rejected` ``TOO_MANY_REFUNDS``."""
    if len(original.undone) >= PARTS_MAX:
        raise Rejected("TOO_MANY_REFUNDS", parts=len(original.undone))
