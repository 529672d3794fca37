"""Limits: what an issuer sets for its program, a merchant for its tills, the operator for debts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ledger.values import Amount, Balance, KeyId, ParticipantId, PointsOrNone, ProgramId

CoolingDays = Annotated[int, Meta(ge=0, le=30)]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
Gifts = Literal["allowed", "forbidden"]
Shortfall = Literal["debt", "absorb", "block"]


class SetPolicy(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_policy", tag_field="@type"
):
    """How a program is spent, given away, awarded and clawed back from now on."""

    bonus_day: PointsOrNone
    """The most points of its own awards a day."""
    bonus_total: Balance
    """The most of them in all, from now on."""
    cooling_days: CoolingDays
    """How long new points wait before they can be spent."""
    gifts: Gifts
    order_share_basis_points: BasisPoints
    """How much of an order may be paid with points."""
    points_order: PointsOrNone
    """The most points an order."""
    program: ProgramId
    shortfall: Shortfall
    """What becomes of points due back that the member no longer has."""


class SetTillLimits(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_till_limits", tag_field="@type"
):
    """How far a till's own word goes, without a member's consent."""

    key: KeyId
    points_day: PointsOrNone
    points_order: PointsOrNone
    step_up: PointsOrNone
    """Above this many points the member is asked."""


class SetDebitCap(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_debit_cap", tag_field="@type"
):
    """How much a participant may owe."""

    cap: Amount
    """Micros."""
    participant: ParticipantId
