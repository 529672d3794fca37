"""Earning: a purchase brings points, at the issuer itself or at a partner the issuer has granted it to."""

from __future__ import annotations

from msgspec import Struct

from ledger.values import Amount, MemberId, Millis, ProgramId, Reference


class Earn(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="earn", tag_field="@type"):
    """A member bought something. The rule computes the points; the message says only what was spent."""

    amount: Amount
    """Micros of the order, net of what was paid with points."""
    member: MemberId
    occurred_at: Millis
    """When it happened at the till."""
    program: ProgramId
    """Whose points are earned; another issuer's need its `earn` grant."""
    reference: Reference
    """The merchant's own number for the order."""
