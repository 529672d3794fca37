"""Consent: nobody moves a member's points on somebody else's word.

Moving points needs a signed text naming purpose, program, member, most points, counterparty, expiry,
nonce and key. The member's own key signs it where there is one. Before that, or where the member allows it,
the custodian's custody key may, for the custodian's own program or under another issuer's `custody` grant. At
its own tills, for its own program, the custodian's word is enough until the member says no.

One consent, one success: only success spends the nonce. The checks stand in the order of
docs/spec/messages.md.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from contracts.mechanics.grants import check_grant, use_grant
from contracts.mechanics.members import announce_text, get_current_key, is_valid_text
from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.records import MEMBER, NONCE, Member
from contracts.mechanics.trials import get_parameter_for
from contracts.messages.consent_text import ANY, Consent, ConsentText, Purpose, encode_consent
from ledger.codec import from_base64url
from ledger.errors import Rejected
from ledger.keys import SignedText, key_id
from ledger.rule import Asked, BlockContext
from ledger.state import StateView
from ledger.transaction import KEY_TABLE, RegisteredKey

Change = tuple[str, str, Any]


def get_nonce_key(block: BlockContext, consent: Consent) -> str:
    """The state key of a consent's nonce."""
    return format_nonce_key(block, expires=consent.expires, key=consent.key, nonce=consent.nonce)


def format_nonce_key(block: BlockContext, *, expires: int, key: str, nonce: str) -> str:
    """The state key of a nonce: per key, so that nobody can spend another's.

    It begins with the day the text expires: from the next day on the text is refused for that, and the nonce
    can be forgotten.
    """
    return f"{block.day_of(expires):07d}|{key}|{nonce}"


def check_consent(
    state: StateView,
    asked: Asked,
    *,
    consent: Consent | UnsetType,
    purpose: Purpose,
    member_id: str,
    member: Member,
    program: str,
    issuer: str,
    points: int,
    counterparty: str,
    least: int | UnsetType = UNSET,
    target: str | UnsetType = UNSET,
) -> list[Change]:
    """The changes that spend the consent, to be part of a successful decision. Raises `Rejected`."""
    if isinstance(consent, UnsetType):
        is_own = asked.sender == member.custodian and asked.sender == issuer
        if not (is_own and member.till_speaks and purpose in ("redeem", "hold")):
            raise Rejected("CONSENT_MISSING", member=member_id, program=program)
        return []
    _check_scope(
        state,
        asked,
        consent,
        purpose=purpose,
        member=member_id,
        points=points,
        counterparty=counterparty,
    )
    public, changes = _find_speaker(
        state, asked, consent, member=member, program=program, issuer=issuer, points=points
    )
    text = _encode_text(
        asked.block, consent, purpose=purpose, member=member_id, program=program, least=least, target=target
    )
    if not is_valid_text(asked.block, text, consent.signature, public):
        raise Rejected("CONSENT_SIGNATURE_INVALID", key=consent.key)
    nonce = get_nonce_key(asked.block, consent)
    if state.get(NONCE, nonce) is not None:
        raise Rejected("CONSENT_USED", nonce=consent.nonce)
    return [*changes, (NONCE, nonce, consent.expires)]


def announce_consent(
    state: StateView,
    block: BlockContext,
    consent: Consent | UnsetType,
    *,
    purpose: Purpose,
    member: str,
    program: str,
    least: int | UnsetType = UNSET,
    target: str | UnsetType = UNSET,
) -> tuple[SignedText, ...]:
    """What `check_consent` may ask about, as far as the state tells before the block."""
    record: Member | None = state.get(MEMBER, member)
    if record is None or isinstance(consent, UnsetType):
        return ()
    public = get_current_key(record, time=block.time)[0]
    if not public or key_id(from_base64url(public, size=32)) != consent.key:
        key: RegisteredKey | None = state.get(KEY_TABLE, consent.key)
        if key is None:
            return ()
        public = key.public
    text = _encode_text(
        block, consent, purpose=purpose, member=member, program=program, least=least, target=target
    )
    return announce_text(text, consent.signature, public)


def _encode_text(
    block: BlockContext,
    consent: Consent,
    *,
    purpose: Purpose,
    member: str,
    program: str,
    least: int | UnsetType,
    target: str | UnsetType,
) -> bytes:
    """The bytes that the member signed."""
    text = ConsentText(
        counterparty=consent.counterparty,
        expires=consent.expires,
        key=consent.key,
        least=least,
        member=member,
        nonce=consent.nonce,
        points=consent.points,
        program=program,
        purpose=purpose,
        target=target,
    )
    return encode_consent(block.chain, text)


def _check_scope(
    state: StateView,
    asked: Asked,
    consent: Consent,
    *,
    purpose: Purpose,
    member: str,
    points: int,
    counterparty: str,
) -> None:
    """What the text itself allows covers this use of it."""
    block = asked.block
    is_open = consent.counterparty == ANY and purpose in ("redeem", "hold")
    if consent.counterparty != counterparty and not is_open:
        raise Rejected("CONSENT_WRONG_COUNTERPARTY", named=consent.counterparty, counterparty=counterparty)
    if consent.expires < block.time:
        raise Rejected("CONSENT_EXPIRED", expires=consent.expires, time=block.time)
    if is_open:
        longest = get_parameter(state, block, "open_consent_seconds_max")
    else:
        longest = get_parameter_for(state, asked, "consent_seconds_max", member)
    if consent.expires > block.time + longest * 1000:
        raise Rejected("CONSENT_TOO_LONG", expires=consent.expires, allowed=block.time + longest * 1000)
    if points > consent.points:
        raise Rejected("CONSENT_TOO_SMALL", points=points, allowed=consent.points)
    if is_open and points > get_parameter_for(state, asked, "open_consent_points_max", member):
        raise Rejected("CONSENT_ABOVE_OPEN_LIMIT", points=points)


def _find_speaker(
    state: StateView,
    asked: Asked,
    consent: Consent,
    *,
    member: Member,
    program: str,
    issuer: str,
    points: int,
) -> tuple[bytes, list[Change]]:
    """The public key that may speak for this member here, and what its use changes."""
    block = asked.block
    current, trusted_at = get_current_key(member, time=block.time)
    if current:
        public = from_base64url(current, size=32)
        if key_id(public) == consent.key:
            if issuer != member.custodian and trusted_at > block.time:
                raise Rejected("CONSENT_KEY_WAITING", trusted_at=trusted_at)
            return public, []
    key: RegisteredKey | None = state.get(KEY_TABLE, consent.key)
    if (
        key is None
        or key.participant != member.custodian
        or key.purpose != "custody"
        or not key.valid_from <= block.height < key.valid_to
    ):
        raise Rejected("CONSENT_KEY_UNKNOWN", key=consent.key)
    if current and not member.custodian_speaks:
        raise Rejected("CONSENT_NOT_CUSTODIAN", key=consent.key)
    changes: list[Change] = []
    if issuer != member.custodian:
        try:
            grant_key, grant = check_grant(
                state, asked, program=program, grantee=member.custodian, kind="custody"
            )
        except Rejected:
            raise Rejected("CUSTODY_GRANT_MISSING", program=program, custodian=member.custodian) from None
        changes.append(use_grant(grant_key, grant, asked, points, code="CUSTODY_GRANT_EXHAUSTED"))
    return from_base64url(key.public, size=32), changes
