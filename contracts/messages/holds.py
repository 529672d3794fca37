"""Holds: points set aside for an order, then captured, released, or given back by time."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from contracts.messages.consent_text import Consent
from ledger.values import Amount, Day, MemberId, Millis, ParticipantId, Points, ProgramId, Reference


class Hold(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="hold", tag_field="@type"
):
    """Set points aside at today's rate. The sender is the acceptor."""

    amount: Amount | UnsetType = UNSET
    """Micros of the whole order, where ceilings depend on it."""
    consent: Consent | UnsetType = UNSET
    """Absent at the custodian's own tills, for its own program."""
    expires: Millis
    """The moment from which it can no longer be captured."""
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId
    reference: Reference


class Capture(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="capture", tag_field="@type"):
    """Take all or the first part of what is held, once; the rest goes back."""

    hold: Reference
    """The hold's reference."""
    hold_day: Day
    """The day of the hold's `occurred_at`."""
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId


class Release(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="release", tag_field="@type"):
    """Give back all that is held."""

    hold: Reference
    hold_day: Day
    member: MemberId
    occurred_at: Millis
    program: ProgramId


class Lapse(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="lapse", tag_field="@type"):
    """A hold is past its time. No one sends it."""

    hold: Reference
    hold_day: Day
    member: MemberId
    program: ProgramId
    sender: ParticipantId
    """The acceptor that made the hold."""
