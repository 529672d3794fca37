"""Enrolment: a custodian gives a person a pseudonym, and the person's own keys and choices.

Nothing here says who the person is. That stays with the custodian, off the ledger.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from contracts.messages.consent_text import Choice
from ledger.codec import Signature
from ledger.values import MemberId, Millis, Nonce, PublicKey


class MemberKey(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A member's public key and that key's own signature over a `PossessionText`."""

    possession: Signature
    public: PublicKey


class Enrol(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="enrol", tag_field="@type"
):
    """The sender becomes the custodian of a new member."""

    key: MemberKey | UnsetType = UNSET
    member: MemberId


class AddMemberKey(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="add_member_key", tag_field="@type"
):
    """A member who had no key gets one."""

    key: MemberKey
    member: MemberId


class ReplaceMemberKey(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="replace_member_key", tag_field="@type"
):
    """A lost key is to be replaced, after a public delay in which the holder of the old one can stop it."""

    key: MemberKey
    member: MemberId


class SetMemberChoice(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_member_choice", tag_field="@type"
):
    """A choice the member signed; whoever sends it only carries the letter."""

    choice: Choice
    expires: Millis
    member: MemberId
    nonce: Nonce
    signature: Signature
