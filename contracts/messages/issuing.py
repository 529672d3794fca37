"""Issuing by hand: opening balances from an earlier system, and visible corrections. Both need the issuer's
govern key.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from contracts.messages.consent_text import Consent
from ledger.values import Day, MemberId, Millis, Points, ProgramId, Reference, SeriesId


class ImportBalance(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="import_balance", tag_field="@type"
):
    """An opening balance, with the dates it had in the earlier system."""

    earned_day: Day
    expires_day: Day
    """The last day on which they can be spent."""
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId
    reference: Reference
    series: SeriesId


class Adjust(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="adjust", tag_field="@type"
):
    """The issuer corrects a balance, openly: it gives, or takes with the member's consent."""

    consent: Consent | UnsetType = UNSET
    """Needed to take."""
    direction: Literal["give", "take"]
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId
    reason: Literal["correction", "goodwill", "migration"]
    reference: Reference
