"""Redemption: a member spends points in one step.

At the issuer it is between the two of them: no one owes anyone. Elsewhere the issuer owes the acceptor the
points' par_redeem, less the operator's commission, and must have granted the acceptor to take its points.
Either way the member has agreed (`contracts.mechanics.consent`). The soonest expiring lots go first, each at
its own series' par.

Holds, captures and refunds are other rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET, UnsetType

from contracts.mechanics.clearing import compute_redemption_legs
from contracts.mechanics.consent import check_consent, get_nonce_key
from contracts.mechanics.grants import check_grant, use_grant
from contracts.mechanics.lots import get_account, reads_account, take_lots
from contracts.mechanics.members import get_member
from contracts.mechanics.records import MEMBER, NONCE
from contracts.mechanics.references import check_reference, reads_reference
from contracts.mechanics.terms import get_series_terms, get_terms
from contracts.messages.redemption import Redeem
from contracts.messages.reject_codes import OK
from ledger.outcome import Outcome
from ledger.posting import REDEEMED_ELSEWHERE, REDEEMED_HOME, Posting
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView


def redeem(state: StateView, asked: Asked, message: Redeem) -> Decision:
    """Take the points a member spends, and record what the issuer owes the acceptor for them."""
    # CHECK: what was done before, then program and member, then the issuer's permission, then the member's,
    # then the points.
    changes: list[Any] = [check_reference(state, asked, message)]
    terms = get_terms(state, asked.block, message.program)
    member = get_member(state, message.member)
    is_home = asked.sender == terms.issuer
    if not is_home:
        grant = check_grant(state, asked, program=message.program, grantee=asked.sender, kind="redeem")
        changes.append(use_grant(*grant, asked, message.points))
    changes += check_consent(
        state,
        asked,
        consent=message.consent,
        purpose="redeem",
        member_id=message.member,
        member=member,
        program=message.program,
        issuer=terms.issuer,
        points=message.points,
        counterparty=asked.sender,
    )
    account = get_account(state, message.member, message.program)
    lots = take_lots(account, message.points, day=asked.block.day)

    # POST
    legs = []
    if not is_home:
        gross = sum(
            lot.points * get_series_terms(state, asked.block, message.program, lot.series).par_redeem
            for lot in lots
        )
        legs = compute_redemption_legs(state, asked, issuer=terms.issuer, gross=gross)
    outcome = Outcome(balance=account.points - message.points, code=OK, legs=legs or UNSET, lots=lots)
    destination = REDEEMED_HOME if is_home else REDEEMED_ELSEWHERE
    postings = [Posting(message.program, message.member, destination, lot) for lot in lots]
    return Decision(outcome, postings, changes)


def reads(block: BlockContext, sender: str, message: Redeem) -> Iterable[Key]:
    """The records `redeem` reads."""
    keys = [
        *reads_reference(block, sender, message),
        (MEMBER, message.member),
        reads_account(message.member, message.program),
    ]
    if not isinstance(message.consent, UnsetType):
        keys.append((NONCE, get_nonce_key(message.consent)))
    return keys


RULE: Final = Rule(Redeem, frozenset({"transact", "till"}), redeem, reads)
