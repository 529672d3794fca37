"""Redemption: a member spends points, at the issuer or at any acceptor the issuer has granted it to."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from contracts.messages.consent_text import Consent
from ledger.values import Amount, MemberId, Millis, Points, ProgramId, Reference


class Redeem(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="redeem", tag_field="@type"
):
    """Points are spent in one step. The sender is the acceptor."""

    amount: Amount | UnsetType = UNSET
    """Micros of the whole order, where ceilings depend on it."""
    consent: Consent | UnsetType = UNSET
    """Absent at the custodian's own tills, for its own program."""
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId
    reference: Reference
