"""Gift: a member gives points to another, as they are."""

from __future__ import annotations

from msgspec import Struct

from contracts.messages.consent_text import Consent
from ledger.values import MemberId, Millis, Points, ProgramId, Reference


class Gift(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="gift", tag_field="@type"):
    """Points move to another member of the same program, dates kept."""

    consent: Consent
    member: MemberId
    """Who gives."""
    occurred_at: Millis
    points: Points
    program: ProgramId
    recipient: MemberId
    reference: Reference
