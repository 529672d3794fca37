"""Earning: a purchase or a kindness brings points, at the issuer itself or at a partner with its grant."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from ledger.values import Amount, MemberId, Millis, Points, ProgramId, Reference

AwardReason = Literal["sign_in", "review", "referral", "task", "campaign", "birthday", "bonus", "goodwill"]


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


class Award(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="award", tag_field="@type"
):
    """Points that somebody else computed: a sign-in, a review, a campaign, inside a budget."""

    amount: Amount | UnsetType = UNSET
    """Micros of the order it was given for: then it can be returned with the order."""
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId
    reason: AwardReason
    reference: Reference
