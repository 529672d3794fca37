"""Exchange: points of one program become another's, at rates quoted openly and with the member's consent."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from contracts.messages.consent_text import Consent
from ledger.values import Count, MemberId, Millis, Points, ProgramId, Reference, SeriesId


class Exchange(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="exchange", tag_field="@type"
):
    """Convert up to `points` of one series of `program` into points of `target`."""

    consent: Consent
    least: Points
    """The least points of `target` that the member accepts."""
    member: MemberId
    occurred_at: Millis
    points: Points
    program: ProgramId
    rate_height: Count
    """The height from which both quoted rates hold; across a rate height the quote is dead."""
    recipient: MemberId
    recipient_consent: Consent | UnsetType = UNSET
    """Needed where the recipient is another member: their agreement to receive."""
    reference: Reference
    series: SeriesId
    target: ProgramId
