"""Government: who decides, by what weight, and how much agreement which kind of decision takes.

The alliance's constitution stands in its genesis. Where there is none the operator decides alone, and that is
worked out rather than written down: a ledger that began without one holds no record of it until a vote makes
it another. Organisations vote, not keys.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, get_args

from msgspec import UnsetType
from msgspec.structs import replace

from contracts.mechanics.governance_records import GOVERNMENT, Government
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
from ledger.errors import InvalidBlock, Rejected
from ledger.genesis import Constitution, VotingKind
from ledger.rule import BlockContext
from ledger.state import StateView

WHOLE: Final = 10_000
"""Basis points of all weight."""
_MORE_THAN_HALF: Final = 5_001
_MAY_TAKE_LESS: Final = frozenset({"emergency"})
"""Easy to freeze, hard to unfreeze."""

_KINDS: Final[dict[type, VotingKind]] = {
    AbortWindow: "settlement",
    AdmitParticipant: "membership",
    CapDebit: "parameters",
    ChangeParameter: "parameters",
    DeclareDefault: "settlement",
    EndTrial: "parameters",
    Pause: "emergency",
    RecoverKeys: "keys",
    ReinstateParticipant: "membership",
    RemoveParticipant: "membership",
    ResolveDispute: "settlement",
    Resume: "resume",
    SetIssuanceBudget: "parameters",
    SetPar: "rates",
    SetRulebook: "rulebook",
    SetTrustPolicy: "trust",
    SetValidators: "trust",
    SetVotingRule: "constitution",
    SetWeight: "membership",
    SuspendParticipant: "membership",
    SwitchEngine: "trust",
}
"""Action → the kind of decision it is, but for a parameter that is a rate."""
_RATES: Final = ("par_", "rate_")


def get_kind(action: Action) -> VotingKind:
    """The kind of decision that an action is."""
    if isinstance(action, ChangeParameter) and action.parameter.startswith(_RATES):
        return "rates"
    return _KINDS[type(action)]


def get_least_approval(kind: str) -> int:
    """The fewest basis points of all weight with which this kind may be decided."""
    return 1 if kind in _MAY_TAKE_LESS else _MORE_THAN_HALF


def get_government(state: StateView, block: BlockContext) -> Government:
    """Who decides now."""
    record: Government | None = state.get(GOVERNMENT, GOVERNMENT)
    return _make_operator_alone(block.operator) if record is None else record


@lru_cache(maxsize=16)
def _make_operator_alone(operator: str) -> Government:
    """What holds where the genesis has no constitution."""
    rules = tuple((kind, WHOLE, 0) for kind in sorted(get_args(VotingKind)))
    return Government(0, 1, rules, operator, ((operator, 1),))


def check_no_vote_needed(state: StateView, block: BlockContext) -> None:
    """The operator may do by itself what elsewhere is voted on. Raises `Rejected` ``VOTE_REQUIRED``.

    That is so until somebody else has a vote, or a decision needs notice: the count of changes says neither.
    """
    government = get_government(state, block)
    if replace(government, configuration=0) != _make_operator_alone(block.operator):
        raise Rejected("VOTE_REQUIRED", voters=len(government.voters))


def get_weight(government: Government, participant: str) -> int:
    """How much an organisation's vote weighs; 0 where it has none."""
    return dict(government.voters).get(participant, 0)


def with_weight(government: Government, participant: str, weight: int) -> Government:
    """The government in which this organisation's vote weighs so much.

    Raises `Rejected` ``BELOW_MINIMUM_VOTERS``.
    """
    weights = dict(government.voters)
    weights.pop(participant, None)
    if weight:
        weights[participant] = weight
    if len(weights) < government.minimum_voters:
        raise Rejected("BELOW_MINIMUM_VOTERS", voters=len(weights), minimum=government.minimum_voters)
    return replace(government, voters=tuple(sorted(weights.items())))


def is_approved(government: Government, supporters: tuple[str, ...], *, approve_basis_points: int) -> bool:
    """Whether the weight for it is as much of all weight as it takes."""
    weights = dict(government.voters)
    weight_for = sum(weights.get(name, 0) for name in supporters)
    return weight_for * WHOLE >= approve_basis_points * sum(weights.values())


def read_constitution(
    constitution: Constitution | UnsetType, participants: frozenset[str]
) -> Government | None:
    """The government with which a ledger of this genesis begins, to be kept as a record; None without one.

    Raises `InvalidBlock` ``GENESIS_CONSTITUTION``.
    """
    if isinstance(constitution, UnsetType):
        return None
    names = [voter.participant for voter in constitution.voters]
    rules = tuple((rule.kind, rule.approve_basis_points, rule.notice_heights) for rule in constitution.rules)
    checks: tuple[tuple[str, object, object], ...] = (
        ("voters among the first participants, in order, each once", sorted(participants & {*names}), names),
        ("a weight for every voter", [], [each for each in constitution.voters if each.weight < 1]),
        ("no fewer voters than the minimum", True, len(names) >= constitution.minimum_voters),
        ("every kind once, in order", sorted(get_args(VotingKind)), [kind for kind, _, _ in rules]),
        ("a first participant as trustee", True, constitution.trustee in participants),
        ("enough agreement", [], [each for each in rules if each[1] < get_least_approval(each[0])]),
    )
    for asked, expected, found in checks:
        if found != expected:
            raise InvalidBlock("GENESIS_CONSTITUTION", expected=asked, found=found, index=0)
    weights = tuple((voter.participant, voter.weight) for voter in constitution.voters)
    return Government(0, constitution.minimum_voters, rules, constitution.trustee, weights)
