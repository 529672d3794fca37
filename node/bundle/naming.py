"""Which entries belong to an order: those that name its reference, and those that complete or undo them.

An entry is known by (sender, kind, reference, day of `occurred_at`). A capture, release or lapse names its
hold by that; a refund and a return name their original. Whichever of them is asked for, the others are found:
the family of a refund is its redemption and every other refund of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from contracts.messages import MESSAGE_DECODER, SystemMessage
from ledger.calendar import get_day
from ledger.leaves import (
    ENTRY_DECODER,
    ENTRY_START,
    SYSTEM_DECODER,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TransactionLeaf,
)
from ledger.outcome import Outcome

_SYSTEM_MESSAGE: Final = msgspec.json.Decoder(SystemMessage)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)

Name = tuple[str, str, str, int]
"""(sender, kind, reference, day)."""


class Entry(NamedTuple):
    """An entry of the log, read."""

    place: int
    """Index of its leaf."""
    leaf: bytes
    kind: str
    """The message's `@type`."""
    message: Any
    outcome: Outcome
    transaction_leaf: bytes | None
    """Absent for what a block did by itself."""
    transaction: TransactionLeaf | None
    """The same, decoded."""
    name: Name | None
    """What others call it."""
    target: Name | None
    """The name of what it completes or undoes."""

    @property
    def sender(self) -> str | None:
        """Who signed it."""
        return None if self.transaction is None else self.transaction.header.sender

    @property
    def is_done(self) -> bool:
        """Whether it changed anything."""
        return self.outcome.code == "OK"


def read_entry(
    place: int, leaf: bytes, transaction_leaf: bytes | None, *, utc_offset_minutes: int
) -> Entry | None:
    """The entry in a leaf, or None where the leaf is none. Raises msgspec's errors where it is broken."""
    if leaf.startswith(SYSTEM_START):
        system = SYSTEM_DECODER.decode(leaf)
        message: Any = _SYSTEM_MESSAGE.decode(system.message)
        outcome, transaction = _OUTCOME.decode(system.outcome), None
    elif leaf.startswith(ENTRY_START) and transaction_leaf is not None:
        shape = ENTRY_DECODER.decode(leaf)
        message, outcome = MESSAGE_DECODER.decode(shape.message), _OUTCOME.decode(shape.outcome)
        transaction = TRANSACTION_LEAF_DECODER.decode(transaction_leaf)
    else:
        return None
    kind = str(type(message).__struct_config__.tag)
    sender = message_sender = None if transaction is None else transaction.header.sender
    if sender is None:
        message_sender = getattr(message, "sender", None)
    return Entry(
        place,
        leaf,
        kind,
        message,
        outcome,
        transaction_leaf,
        transaction,
        name=_get_name(message, kind, sender, utc_offset_minutes),
        target=_get_target(message, message_sender),
    )


def find_family(seeds: Iterable[Entry], candidates: Iterable[Entry]) -> list[Entry]:
    """The seeds with every candidate that completes or undoes one of them, or that they do; in log order."""
    family = {entry.place: entry for entry in seeds}
    waiting = [entry for entry in candidates if entry.place not in family]
    while True:
        names = {entry.name for entry in family.values()} | {entry.target for entry in family.values()}
        names.discard(None)
        related = [entry for entry in waiting if entry.target in names or _is_wanted(entry, family)]
        if not related:
            return [family[place] for place in sorted(family)]
        family |= {entry.place: entry for entry in related}
        waiting = [entry for entry in waiting if entry.place not in family]


def _is_wanted(entry: Entry, family: dict[int, Entry]) -> bool:
    return entry.name is not None and any(other.target == entry.name for other in family.values())


def _get_name(message: Any, kind: str, sender: str | None, utc_offset_minutes: int) -> Name | None:
    reference = getattr(message, "reference", UNSET)
    if sender is None or reference is UNSET:
        return None
    return sender, kind, reference, get_day(message.occurred_at, utc_offset_minutes=utc_offset_minutes)


def _get_target(message: Any, sender: str | None) -> Name | None:
    if sender is None:
        return None
    if hasattr(message, "hold"):
        return sender, "hold", message.hold, message.hold_day
    if hasattr(message, "original"):
        return sender, message.original_type, message.original, message.original_day
    return None
