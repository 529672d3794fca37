"""Gift: a member gives points to another, and the lots move as they are, dates kept.

Anybody may carry the message; only the giver's consent, made out to the recipient, moves the points. No one
owes anyone: the issuer owes the same points to somebody else. An issuer may forbid gifts of its points. A
gift opens no lot beyond the recipient's 32nd, so nobody can fill somebody else's account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.mechanics.consent import announce_consent, check_consent, get_nonce_key
from contracts.mechanics.lots import (
    LOTS_FROM_OTHERS_MAX,
    check_room,
    get_account,
    get_arrivals,
    get_departures,
    reads_account,
    take_lots,
)
from contracts.mechanics.members import get_member
from contracts.mechanics.policies import get_policy
from contracts.mechanics.records import MEMBER, NONCE
from contracts.mechanics.references import check_reference, reads_reference, take_reference
from contracts.mechanics.terms import get_terms
from contracts.messages.gift import Gift
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.keys import SignedText
from ledger.outcome import Outcome
from ledger.posting import Posting, get_account_key
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView


def give(state: StateView, asked: Asked, message: Gift) -> Decision:
    """Move a member's points to the member they are given to."""
    # CHECK: what was done before, then program and members, then the issuer's policy, the giver's consent,
    # the points, the recipient's room.
    block = asked.block
    changes: list[Any] = [take_reference(asked, check_reference(state, asked, message))]
    terms = get_terms(state, block, message.program)
    if message.member == message.recipient:
        raise Rejected("ACCOUNTS_MUST_DIFFER", member=message.member)
    member = get_member(state, message.member)
    get_member(state, message.recipient)
    if get_policy(state, message.program).gifts == "forbidden":
        raise Rejected("PROGRAM_FORBIDS_GIFTS", program=message.program)
    changes += check_consent(
        state,
        asked,
        consent=message.consent,
        purpose="gift",
        member_id=message.member,
        member=member,
        program=message.program,
        issuer=terms.issuer,
        points=message.points,
        counterparty=message.recipient,
    )
    account_key = get_account_key(message.member, message.program)
    account = get_account(state, block, account_key)
    lots = take_lots(account, message.points, day=block.day)
    recipient_key = get_account_key(message.recipient, message.program)
    recipient = get_account(state, block, recipient_key)
    check_room(recipient, lots, lots_max=LOTS_FROM_OTHERS_MAX)

    # POST
    changes += get_departures(block, account, account_key, lots)
    changes += get_arrivals(block, recipient, recipient_key, lots)
    postings = [Posting(message.program, message.member, message.recipient, lot) for lot in lots]
    return Decision(Outcome(balance=account.points - message.points, code=OK, lots=lots), postings, changes)


def reads(block: BlockContext, sender: str, message: Gift) -> Sequence[Key]:
    """The records `give` reads."""
    return (
        *reads_reference(block, sender, message),
        (MEMBER, message.member),
        (MEMBER, message.recipient),
        (NONCE, get_nonce_key(block, message.consent)),
        reads_account(message.member, message.program),
        reads_account(message.recipient, message.program),
    )


def announce(state: StateView, block: BlockContext, message: Gift) -> Sequence[SignedText]:
    """The signature that `give` may ask about."""
    return announce_consent(
        state, block, message.consent, purpose="gift", member=message.member, program=message.program
    )


RULE: Final = Rule(Gift, frozenset({"transact"}), give, reads, announce)
