"""Members: pseudonyms with a custodian, keys of their own, and a say in who speaks for them."""

from __future__ import annotations

from contracts.mechanics.records import MEMBER, Member
from contracts.messages.consent_text import PossessionText, encode_possession
from contracts.messages.enrolment import MemberKey
from ledger.codec import from_base64url
from ledger.errors import Refused, Rejected
from ledger.keys import SignedText, check_public_key
from ledger.rule import Asked, BlockContext
from ledger.state import StateView
from ledger.totals import ACCOUNT_TABLE


def get_member(state: StateView, member: str) -> Member:
    """The member's record. Raises `Rejected` ``MEMBER_UNKNOWN``."""
    record: Member | None = state.get(MEMBER, member)
    if record is None:
        raise Rejected("MEMBER_UNKNOWN", member=member)
    return record


def check_member(state: StateView, member: str, account_key: str) -> None:
    """The member is known, as whoever has an account is. Raises `Rejected` ``MEMBER_UNKNOWN``."""
    # One look-up serves both questions for nearly every order: the account is needed in any case.
    if state.get(ACCOUNT_TABLE, account_key) is None:
        get_member(state, member)


def get_current_key(member: Member, *, time: int) -> tuple[str, int]:
    """The member's key in force at ``time`` (base64url, or empty) and from when it may spend others' points.

    A replacement takes effect by itself when its delay has run out: no entry is needed, so none can be held
    back.
    """
    if member.pending and member.pending_at <= time:
        return member.pending, member.pending_at
    return member.key, member.key_trusted_at


def check_key(public: str) -> bytes:
    """The bytes of a key fit to be registered. Raises `Rejected` ``KEY_REFUSED``."""
    try:
        raw = from_base64url(public, size=32)
        check_public_key(raw)
    except Refused as refusal:
        raise Rejected("KEY_REFUSED", reason=refusal.facts.get("reason")) from None
    return raw


def check_member_key(asked: Asked, member: str, key: MemberKey) -> None:
    """The key is fit and signed for itself. Raises `Rejected` ``KEY_REFUSED`` or ``POSSESSION_INVALID``."""
    raw = check_key(key.public)
    text = encode_possession(asked.block.chain, PossessionText(member=member, public=key.public))
    if not is_valid_text(asked.block, text, key.possession, raw):
        raise Rejected("POSSESSION_INVALID", member=member)


def is_valid_text(block: BlockContext, text: bytes, signature: str, public: bytes) -> bool:
    """Whether a base64url signature over a text holds; a second spelling of one does not."""
    try:
        raw = from_base64url(signature, size=64)
    except Refused:
        return False
    return block.judge.is_valid(SignedText(public, text, raw))


def announce_text(text: bytes, signature: str, public: str) -> tuple[SignedText, ...]:
    """What `is_valid_text` may ask about; nothing where it is not spelled as it must be."""
    try:
        return (SignedText(from_base64url(public, size=32), text, from_base64url(signature, size=64)),)
    except Refused:
        return ()
