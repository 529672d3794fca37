"""Settlement: a window is cut, stated, countersigned or disputed, and paid; cover is attested.

A window is a range of ledger heights. What it adds up to is one statement, canonical bytes whose hash stands
in the log; anyone with the log computes the same.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.messages.actions import WindowNumber
from ledger.codec import Digest
from ledger.values import Amount, Height, Millis, Name, ParticipantId, Reference

LineNumber = Annotated[int, Meta(ge=0, le=9_999_999)]
TransferNumber = Annotated[int, Meta(ge=0, le=99_999)]
Parts = Annotated[int, Meta(ge=1, le=10_000)]


class CutWindow(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="cut_window", tag_field="@type"
):
    """The open window ends before a height ahead."""

    effective_height: Height


class Countersign(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    kw_only=True,
    tag="countersign",
    tag_field="@type",
):
    """What a participant says of a statement in which it stands."""

    lines: Annotated[list[LineNumber], Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    """What it disputes: places in the statement's `lines`, ascending."""
    statement: Digest
    verdict: Literal["agree", "dispute"]
    window: WindowNumber


class AttestPayment(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="attest_payment", tag_field="@type"
):
    """Who pays says it has paid, who is paid says it has been, each with the bank's reference."""

    bank_reference: Reference
    transfer: TransferNumber
    """Place in the statement's `transfers`."""
    window: WindowNumber


class AttestCover(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="attest_cover", tag_field="@type"
):
    """What stands behind a participant's debts, as the trustee has seen it. Micros."""

    cover: Amount
    expires: Millis
    """From then on it counts as nothing."""
    participant: ParticipantId
    reserve: Amount


class AttestFund(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="attest_fund", tag_field="@type"
):
    """What the alliance's own fund holds, as the trustee has seen it. Micros."""

    fund: Amount


class BrandShare(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A brand of the sender's house, and how many parts it gets."""

    brand: Name
    parts: Parts


class SetBrandShares(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_brand_shares", tag_field="@type"
):
    """How what the sender is paid is split among its brands, from the next cut on; none = not at all."""

    shares: Annotated[list[BrandShare], Meta(max_length=16)]


class Cut(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="cut", tag_field="@type"):
    """A block closes the window of all blocks before it, at its beginning."""

    window: WindowNumber


class Confirm(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="confirm", tag_field="@type"):
    """The time to dispute a statement is over, and nobody's dispute is open."""

    window: WindowNumber


class Abort(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="abort", tag_field="@type"):
    """The time to pay is over: what was not attested by both sides goes into the open window."""

    window: WindowNumber
