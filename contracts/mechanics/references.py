"""Business references: the same order never counts twice, however often it is sent.

A reference is unique per (sender, message type, program, day of `occurred_at`), looked up on that day and the
day before, and taken only by success. Its key begins with the day, so that however old the ledger is, new
references land on the same few pages, and what lies beyond the horizon can be dropped by day: `occurred_at`
itself is refused by then.

The record behind a reference says which entry took it; for what can be undone later it also says what there
is to undo (`Earned`, `Spent`, `HoldRecord`), so that one record serves both. How that is undone stands in
`contracts.mechanics.originals`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NoReturn, Protocol

from msgspec import UNSET, Struct
from msgspec.structs import replace

from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.records import REFERENCE, ReferenceRecord
from ledger.calendar import MILLIS_PER_DAY
from ledger.codec import encode
from ledger.errors import Rejected
from ledger.rule import Asked, BlockContext
from ledger.state import Key, StateView


class Taken(Struct, frozen=True, gc=False):
    """A reference that is free to be taken: under which key, and for what content. Never on the wire."""

    key: str
    content: str


class Success(Protocol):
    """What every record behind a reference says."""

    @property
    def index(self) -> int:
        """The entry that took it."""
        ...

    @property
    def content(self) -> str:
        """For what."""
        ...


def format_reference_key(*, day: int, sender: str, kind: str, program: str, reference: str) -> str:
    """The state key of one reference."""
    return f"{day:07d}|{sender}|{kind}|{program}|{reference}"


def reads_reference(
    block: BlockContext, sender: str, message: Any, *, table: str = REFERENCE
) -> tuple[Key, Key]:
    """The two records that `check_reference` reads, which a rule names first.

    The reference's on the day of `occurred_at`, under which it is taken, and on the day before.
    """
    day = block.day_of(message.occurred_at)
    days = block.memo[REFERENCE].get(day)
    if days is None:
        days = block.memo[REFERENCE][day] = (f"{day:07d}|", f"{day - 1:07d}|")
    rest = f"{sender}|{message.__struct_config__.tag}|{message.program}|{message.reference}"
    return (table, days[0] + rest), (table, days[1] + rest)


def check_occurred(state: StateView, asked: Asked, occurred_at: int) -> None:
    """It happened neither in the future nor too long ago.

    Raises `Rejected` ``OCCURRED_IN_FUTURE`` or ``OCCURRED_TOO_LONG_AGO``.
    """
    block = asked.block
    window: tuple[int, int] | None = block.memo[REFERENCE].get("window")
    if window is None:
        earliest = block.time - get_parameter(state, block, "reference_horizon_days") * MILLIS_PER_DAY
        latest = block.time + get_parameter(state, block, "occurred_lead_seconds") * 1000
        window = block.memo[REFERENCE]["window"] = (earliest, latest)
    if occurred_at > window[1]:
        raise Rejected("OCCURRED_IN_FUTURE", occurred_at=occurred_at, time=block.time)
    if occurred_at < window[0]:
        raise Rejected("OCCURRED_TOO_LONG_AGO", occurred_at=occurred_at, time=block.time)


def check_reference(state: StateView, asked: Asked, message: Any) -> Taken:
    """The reference is free. Raises `Rejected`: as `check_occurred`, then ``ALREADY_DONE`` or
    ``REFERENCE_CONFLICT`` (both with ``first``).
    """
    check_occurred(state, asked, message.occurred_at)
    content = compute_content(asked, message)
    table, key = asked.reads[0]
    taken: Success | None = state.get(table, key) or state.get(*asked.reads[1])
    if taken is not None:
        refuse_repeat(taken, content)
    return Taken(key, content)


def refuse_repeat(taken: Success, content: str) -> NoReturn:
    """A success under this reference stands already. Raises `Rejected`."""
    raise Rejected("ALREADY_DONE" if taken.content == content else "REFERENCE_CONFLICT", first=taken.index)


def take_reference(asked: Asked, taken: Taken) -> tuple[str, str, ReferenceRecord]:
    """The change that takes a reference whose success cannot be undone, as part of a decision."""
    return REFERENCE, taken.key, ReferenceRecord(asked.index, taken.content)


def compute_content(asked: Asked, message: Any) -> str:
    """What makes two messages the same.

    All but the consents, which a retry may have had to renew or to add.
    """
    if getattr(message, "consent", UNSET) is UNSET:
        return asked.content_hash[:16].hex()
    bare = {name: UNSET for name in ("consent", "recipient_consent") if hasattr(message, name)}
    return sha256(encode(replace(message, **bare))).hexdigest()[:32]
