"""Cover: what stands behind debts, as the trustee attests it; and how a participant splits what it is paid.

The ledger holds no money: it records what somebody trusted has seen elsewhere, and lets nobody owe more than
that. Each attestation replaces the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.mechanics.government import get_government
from contracts.mechanics.records import PARTICIPANT
from contracts.mechanics.settlement_records import BRANDS, COVER, FUND, Brands, Cover
from contracts.messages.reject_codes import OK
from contracts.messages.settlement import AttestCover, AttestFund, SetBrandShares
from ledger.errors import Rejected
from ledger.outcome import Outcome
from ledger.rule import NO_READS, Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView

_DONE: Final = Outcome(code=OK)


def attest_cover(state: StateView, asked: Asked, message: AttestCover) -> Decision:
    """A participant owes no more than this from now on; the reserve pays where it does not."""
    _check_trustee(state, asked)
    if state.get(PARTICIPANT, message.participant) is None:
        raise Rejected("PARTICIPANT_UNKNOWN", participant=message.participant)
    record = Cover(message.cover, message.expires, message.reserve)
    return Decision(_DONE, (), [(COVER, message.participant, record)])


def attest_fund(state: StateView, asked: Asked, message: AttestFund) -> Decision:
    """The alliance's fund holds this much."""
    _check_trustee(state, asked)
    return Decision(_DONE, (), [(FUND, FUND, message.fund)])


def set_brand_shares(state: StateView, asked: Asked, message: SetBrandShares) -> Decision:
    """From the next cut on, what the sender is paid is split like this; not at all without shares."""
    shares = tuple((share.brand, share.parts) for share in message.shares)
    return Decision(_DONE, (), [(BRANDS, asked.sender, Brands(shares) if shares else None)])


def _check_trustee(state: StateView, asked: Asked) -> None:
    """The sender attests for the alliance. Raises `Rejected` ``NOT_TRUSTEE``."""
    if asked.sender != get_government(state, asked.block).trustee:
        raise Rejected("NOT_TRUSTEE", sender=asked.sender)


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """Nothing that is not in memory already."""
    return NO_READS


_GOVERN: Final = frozenset({"govern"})
RULES: Final = (
    Rule(AttestCover, _GOVERN, attest_cover, reads),
    Rule(AttestFund, _GOVERN, attest_fund, reads),
    Rule(SetBrandShares, _GOVERN, set_brand_shares, reads),
)
