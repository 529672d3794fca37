"""Outcomes: what an entry says happened, and the small records it says it with.

An outcome names a code and whatever the message does not already say: the lots that moved, who owes whom, the
balance after. Two replicas that decide differently therefore disagree on the very next root.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import Digest
from ledger.errors import Rejected
from ledger.values import (
    LOTS_MAX,
    Balance,
    Code,
    Day,
    Height,
    Index,
    LegAccount,
    Micros,
    Millis,
    ParticipantId,
    SeriesId,
)

OK: Final = "OK"
DRAWS_MAX: Final = 80
"""Who paid for a default is told as far as an entry has room."""
LEGS_MAX: Final = 23
"""As many as one enactment gives at the most: eight corrections, and the carries of 15 others who leave."""
DrawSource = Annotated[
    str, Meta(pattern=r"\A(backing:(cover|fund|reserve)|[a-z0-9][a-z0-9.-]{1,62})\Z", max_length=63)
]
"""What stood behind a debt, in a form that no participant's id can have; or a participant."""
LegReason = Annotated[str, Meta(pattern=r"\A[a-z][a-z_]{1,30}\Z", max_length=31)]
About = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]{1,64}\Z", max_length=64)]


class Lot(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Points that share one fate: the same series, last day and first day of use."""

    expires: Day
    """The last day on which they can be spent."""
    opened: Height
    """The height from which their series was open: breaks ties between lots of one day."""
    original: Day
    """The last day they first had, where a refund gave them a second life; 0 in their first."""
    points: Balance
    series: SeriesId
    spendable_from: Day
    """The first day on which they can be spent; 0 = at once."""


class Leg(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename={"source": "from", "destination": "to"}
):
    """`source` owes `destination` this much more than before. A number without a sign, so legs always sum to
    zero.
    """

    source: ParticipantId
    micros: Micros
    reason: LegReason
    destination: LegAccount


class Draw(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What one source paid towards a default."""

    micros: Micros
    source: DrawSource
    """`backing:cover`, `backing:reserve`, `backing:fund`, or a participant that goes without."""


class Event(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """Something others may want to hear of."""

    about: About
    at: Millis | UnsetType = UNSET
    name: Code


class Outcome(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What came of one message."""

    balance: Balance | UnsetType = UNSET
    code: Code
    debt: Balance | UnsetType = UNSET
    """What the account owes after it."""
    draws: Annotated[list[Draw], Meta(max_length=DRAWS_MAX)] | UnsetType = UNSET
    """Who paid for a default, in order."""
    events: Annotated[list[Event], Meta(max_length=16)] | UnsetType = UNSET
    expired: Annotated[list[Lot], Meta(max_length=LOTS_MAX)] | UnsetType = UNSET
    """Lots that should have come back, and lapsed at once."""
    first: Index | UnsetType = UNSET
    legs: Annotated[list[Leg], Meta(max_length=LEGS_MAX)] | UnsetType = UNSET
    lots: Annotated[list[Lot], Meta(max_length=LOTS_MAX)] | UnsetType = UNSET
    original: Index | UnsetType = UNSET
    """The entry that this one completes or undoes."""
    points: Balance | UnsetType = UNSET
    received: Annotated[list[Lot], Meta(max_length=LOTS_MAX)] | UnsetType = UNSET
    released: Annotated[list[Lot], Meta(max_length=LOTS_MAX)] | UnsetType = UNSET
    """Lots that went back from a hold."""
    repaid: Balance | UnsetType = UNSET
    """Points that went against the account's debt."""
    statement: Digest | UnsetType = UNSET
    """SHA-256 of the statement of the window that was cut."""


def outcome_of(rejection: Rejected) -> Outcome:
    """The recorded form of a rejection: its code, and where the first success stands if it has one."""
    first = rejection.facts.get("first")
    return Outcome(code=rejection.code, first=first if isinstance(first, int) else UNSET)
