"""Statement: what a window adds up to, as canonical bytes whose hash stands in the log.

Sums of micros are decimal strings: a window's may pass 2^53, beyond which JSON readers no longer agree. What
a statement says is computed by `contracts.mechanics.statement`; it is never a message.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.messages.actions import WindowNumber
from ledger.codec import INTEGER_MAX, Digest
from ledger.genesis import Currency
from ledger.outcome import LegReason
from ledger.values import Chain, Count, Height, LegAccount, Millis, Name, ParticipantId

MicrosText = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,31}\Z", max_length=32)]
"""More than nothing, in decimal."""
SignedMicrosText = Annotated[str, Meta(pattern=r"\A(0|-?[1-9][0-9]{0,31})\Z", max_length=33)]
"""In decimal, below zero with `-`."""
Units = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
"""Of `payment_unit_micros` each, which is as large as it takes to stay below 2^53 of them."""
UnitsOrNone = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
SignedUnits = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]


class BroughtLine(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename={"source": "from", "destination": "to"}
):
    """A debt that an earlier window left to be paid now."""

    source: ParticipantId
    micros: MicrosText
    destination: ParticipantId
    window: WindowNumber
    """The one it comes from."""


class StatementLine(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename={"source": "from", "destination": "to"}
):
    """What one came to owe another in the window, for one reason: a place of the bilateral matrix."""

    source: ParticipantId
    micros: MicrosText
    reason: LegReason
    destination: LegAccount


class BrandUnits(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What of the units its participant is paid goes to one brand."""

    brand: Name
    units: UnitsOrNone


class StatementPosition(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What a window comes to for one participant."""

    brands: Annotated[list[BrandUnits], Meta(max_length=16)] | UnsetType = UNSET
    carry_after: SignedMicrosText
    """What whole units left over: it goes into the next window."""
    carry_before: SignedMicrosText
    net: SignedMicrosText
    """What it is owed less what it owes; below zero it owes."""
    participant: ParticipantId
    units: SignedUnits
    """What it is paid; below zero it pays."""


class StatementTransfer(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename={"source": "from", "destination": "to"}
):
    """A payment that settles part of the window."""

    source: ParticipantId
    destination: ParticipantId
    units: Units


class Statement(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    kw_only=True,
    tag="statement",
    tag_field="@type",
):
    """All that a window comes to."""

    brought: Annotated[list[BroughtLine], Meta(max_length=1_000_000)]
    """In order of (from, to, window)."""
    chain: Chain
    closed_at: Millis
    """The time of the block that cut it."""
    currency: Currency
    first_height: Height
    last_height: Count
    """0 where the first block of all cut it."""
    lines: Annotated[list[StatementLine], Meta(max_length=10_000_000)]
    """In order of (from, to, reason)."""
    payment_unit_micros: Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
    """The parameter, or ten, a hundred, … times it where a position would pass 2^53 of it."""
    positions: Annotated[list[StatementPosition], Meta(max_length=100_001)]
    """In order of participants."""
    previous: Digest | UnsetType = UNSET
    """SHA-256 of the statement of the window before."""
    transfers: Annotated[list[StatementTransfer], Meta(max_length=100_000)]
    window: WindowNumber


STATEMENT_DECODER: Final[msgspec.json.Decoder[Statement]] = msgspec.json.Decoder(Statement)
