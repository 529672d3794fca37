"""Returns: what was spent comes back, and what was earned on goods that came back is given up."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ledger.values import AMOUNT_MAX, Day, MemberId, Millis, Points, ProgramId, Reference

ReturnedAmount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]


class Refund(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="refund", tag_field="@type"):
    """Points spent come back as the lots they were. Only who sent the original may ask."""

    member: MemberId
    occurred_at: Millis
    original: Reference
    """The reference of the redemption, or of the hold that was captured."""
    original_day: Day
    """The day of the original's `occurred_at`."""
    original_type: Literal["redeem", "hold"]
    points: Points
    program: ProgramId
    reference: Reference
    """The merchant's own number for this refund, unique per original."""


class ReturnOrder(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="return_order", tag_field="@type"
):
    """Goods came back: the points earned on them are due back. Only who sent the original may ask."""

    amount: ReturnedAmount
    """Micros of the goods that came back."""
    member: MemberId
    occurred_at: Millis
    original: Reference
    """The reference under which they were earned."""
    original_day: Day
    original_type: Literal["earn", "award"]
    program: ProgramId
    reference: Reference
    """The merchant's own number for this return, unique per original."""
