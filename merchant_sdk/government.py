"""How an alliance decides, as a node tells it: who votes, what each kind of proposal needs, what is proposed.

It is the node's word for the `height` it names. What you vote on is proven: `Merchant.vote` holds the
proposal to its receipt before it signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from contracts.messages.actions import (
    AbortWindow,
    Action,
    AdmitParticipant,
    CapDebit,
    ChangeParameter,
    DeclareDefault,
    EndTrial,
    Pause,
    RecoverKeys,
    ReinstateParticipant,
    RemoveParticipant,
    ResolveDispute,
    Resume,
    SetIssuanceBudget,
    SetPar,
    SetRulebook,
    SetTrustPolicy,
    SetValidators,
    SetVotingRule,
    SetWeight,
    SuspendParticipant,
    SwitchEngine,
)
from ledger.genesis import VotingKind

_KINDS: Final[dict[VotingKind, tuple[type, ...]]] = {
    "constitution": (SetVotingRule,),
    "emergency": (Pause,),
    "keys": (RecoverKeys,),
    "membership": (
        AdmitParticipant,
        ReinstateParticipant,
        RemoveParticipant,
        SetWeight,
        SuspendParticipant,
    ),
    "parameters": (CapDebit, ChangeParameter, EndTrial, SetIssuanceBudget),
    "rates": (SetPar,),
    "resume": (Resume,),
    "rulebook": (SetRulebook,),
    "settlement": (AbortWindow, DeclareDefault, ResolveDispute),
    "trust": (SetTrustPolicy, SetValidators, SwitchEngine),
}
_RATES: Final = ("par_", "rate_")


def get_kind(action: Action) -> VotingKind:
    """What kind of decision an action is (docs/spec/governance.md)."""
    if isinstance(action, ChangeParameter) and action.parameter.startswith(_RATES):
        return "rates"
    return next(kind for kind, actions in _KINDS.items() if isinstance(action, actions))


class VotingRule(Struct, frozen=True, kw_only=True):
    """What a kind of proposal needs."""

    kind: str
    approve_basis_points: int
    """Of all weight, so much must be for it."""
    notice_heights: int
    """It is enacted no sooner after it has passed."""


class Voter(Struct, frozen=True, kw_only=True):
    """An organisation that votes."""

    participant: str
    weight: int


class Halt(Struct, frozen=True, kw_only=True):
    """What rests."""

    messages: tuple[str, ...]
    programs: tuple[str, ...]
    removed: tuple[str, ...]
    suspended: tuple[str, ...]


class Trial(Struct, frozen=True, kw_only=True):
    """A parameter's other value, and where it applies: at these merchants, or with a share of members."""

    parameter: str
    value: int
    members_basis_points: int = 0
    merchants: tuple[str, ...] = ()
    seed: str


class Government(Struct, frozen=True, kw_only=True):
    """Who decides, and how, at `height`."""

    configuration: int
    """What a proposal is made for: it falls when voters, voting rules or rulebook change."""
    minimum_voters: int
    rulebook: int
    rules: tuple[VotingRule, ...]
    trustee: str
    """Attests what covers the participants' debts."""
    voters: tuple[Voter, ...]
    halt: Halt
    trials: tuple[Trial, ...]
    height: int

    def get_notice(self, actions: Iterable[Action]) -> int:
        """How many heights a proposal of these actions waits after it has passed, at the least."""
        kinds = {get_kind(action) for action in actions}
        return max((rule.notice_heights for rule in self.rules if rule.kind in kinds), default=0)


class Proposal(Struct, frozen=True, kw_only=True):
    """Something to decide, and who is for it."""

    proposal: str
    proposer: str
    actions: tuple[Action, ...]
    approve_basis_points: int
    configuration: int
    effective_height: int
    enacts_at: int | None = None
    """The height at which it is enacted, once it has passed."""
    expires: int
    index: int
    """Where it stands in the log."""
    notice_heights: int
    state: str
    """``open``, ``passed``, ``enacted``, ``failed``, ``rejected`` or ``cancelled``."""
    yes: tuple[str, ...]
    no: tuple[str, ...]
    weight_for: int
    weight_all: int
