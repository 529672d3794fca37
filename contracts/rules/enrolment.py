"""Enrolment: a custodian gives a person a pseudonym; the person gets keys and a say.

A key given at enrolment may spend at once. A first key added later, and one that replaces a lost one, wait
out a public delay before they may spend other issuers' points: time for the member to see it and to stop it.
Nobody registers a key they do not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UnsetType
from msgspec.structs import replace

from contracts.mechanics.consent import format_nonce_key
from contracts.mechanics.members import (
    announce_text,
    check_member_key,
    get_current_key,
    get_member,
    is_valid_text,
)
from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.records import MEMBER, NONCE, Member
from contracts.mechanics.trials import get_parameter_for
from contracts.messages.consent_text import ChoiceText, PossessionText, encode_choice, encode_possession
from contracts.messages.enrolment import AddMemberKey, Enrol, ReplaceMemberKey, SetMemberChoice
from contracts.messages.reject_codes import OK
from ledger.codec import from_base64url
from ledger.errors import Rejected
from ledger.keys import SignedText, key_id
from ledger.outcome import Event, Outcome
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView

_CUSTODY: Final = frozenset({"custody"})


def enrol(state: StateView, asked: Asked, message: Enrol) -> Decision:
    """The sender becomes the custodian of a new member."""
    if state.get(MEMBER, message.member) is not None:
        raise Rejected("MEMBER_EXISTS", member=message.member)
    public = ""
    if not isinstance(message.key, UnsetType):
        check_member_key(asked, message.member, message.key)
        public = message.key.public
    record = Member(
        custodian=asked.sender,
        key=public,
        key_trusted_at=0,
        pending="",
        pending_at=0,
        custodian_speaks=False,
        till_speaks=True,
    )
    return Decision(Outcome(code=OK), (), [(MEMBER, message.member, record)])


def add_member_key(state: StateView, asked: Asked, message: AddMemberKey) -> Decision:
    """A member who had no key has one now; for other issuers' points it waits."""
    member = _get_own_member(state, asked, message.member)
    if get_current_key(member, time=asked.block.time)[0]:
        raise Rejected("MEMBER_KEY_EXISTS", member=message.member)
    check_member_key(asked, message.member, message.key)
    trusted_at = asked.block.time + get_parameter(state, asked.block, "key_replacement_delay_seconds") * 1000
    record = replace(member, key=message.key.public, key_trusted_at=trusted_at)
    event = Event(about=message.member, at=trusted_at, name="MEMBER_KEY_ADDED")
    return Decision(Outcome(code=OK, events=[event]), (), [(MEMBER, message.member, record)])


def replace_member_key(state: StateView, asked: Asked, message: ReplaceMemberKey) -> Decision:
    """A lost key will be replaced after the delay, unless its holder says no."""
    member = _get_own_member(state, asked, message.member)
    current, trusted_at = get_current_key(member, time=asked.block.time)
    if not current:
        raise Rejected("MEMBER_KEY_MISSING", member=message.member)
    check_member_key(asked, message.member, message.key)
    at = asked.block.time + get_parameter(state, asked.block, "key_replacement_delay_seconds") * 1000
    record = replace(
        member, key=current, key_trusted_at=trusted_at, pending=message.key.public, pending_at=at
    )
    event = Event(about=message.member, at=at, name="MEMBER_KEY_REPLACEMENT")
    return Decision(Outcome(code=OK, events=[event]), (), [(MEMBER, message.member, record)])


def set_member_choice(state: StateView, asked: Asked, message: SetMemberChoice) -> Decision:
    """What the member chose holds from now on."""
    block = asked.block
    member = get_member(state, message.member)
    current, trusted_at = get_current_key(member, time=block.time)
    if not current:
        raise Rejected("MEMBER_KEY_MISSING", member=message.member)
    if message.expires < block.time:
        raise Rejected("CONSENT_EXPIRED", expires=message.expires, time=block.time)
    if (
        message.expires
        > block.time + get_parameter_for(state, asked, "consent_seconds_max", message.member) * 1000
    ):
        raise Rejected("CONSENT_TOO_LONG", expires=message.expires)
    text = ChoiceText(
        choice=message.choice, expires=message.expires, member=message.member, nonce=message.nonce
    )
    public = from_base64url(current, size=32)
    if not is_valid_text(block, encode_choice(block.chain, text), message.signature, public):
        raise Rejected("CONSENT_SIGNATURE_INVALID", member=message.member)
    nonce = format_nonce_key(block, expires=message.expires, key=key_id(public), nonce=message.nonce)
    if state.get(NONCE, nonce) is not None:
        raise Rejected("CONSENT_USED", nonce=message.nonce)
    record = replace(member, key=current, key_trusted_at=trusted_at)
    if member.pending and member.pending_at <= block.time:  # the replacement has taken effect meanwhile
        record = replace(record, pending="", pending_at=0)
    if message.choice == "stop_replacement":
        if not record.pending:
            raise Rejected("NO_REPLACEMENT_PENDING", member=message.member)
        record = replace(record, pending="", pending_at=0)
    elif message.choice in ("custodian_on", "custodian_off"):
        record = replace(record, custodian_speaks=message.choice == "custodian_on")
    else:
        record = replace(record, till_speaks=message.choice == "till_on")
    changes = [(MEMBER, message.member, record), (NONCE, nonce, message.expires)]
    return Decision(Outcome(code=OK), (), changes)


def _get_own_member(state: StateView, asked: Asked, member_id: str) -> Member:
    """A member whose custodian is the sender."""
    member = get_member(state, member_id)
    if member.custodian != asked.sender:
        raise Rejected("NOT_CUSTODIAN", member=member_id)
    return member


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """The record that all of these read."""
    return ((MEMBER, message.member),)


def announce(state: StateView, block: BlockContext, message: Enrol) -> Sequence[SignedText]:
    """The signature that `enrol` may ask about."""
    if isinstance(message.key, UnsetType):
        return ()
    text = encode_possession(block.chain, PossessionText(member=message.member, public=message.key.public))
    return announce_text(text, message.key.possession, message.key.public)


RULES: Final = (
    Rule(Enrol, _CUSTODY, enrol, reads, announce),
    Rule(AddMemberKey, _CUSTODY, add_member_key, reads),
    Rule(ReplaceMemberKey, _CUSTODY, replace_member_key, reads),
    Rule(SetMemberChoice, frozenset({"transact", "custody"}), set_member_choice, reads),
)
