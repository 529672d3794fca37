"""Governance: a proposal is made, voted on, taken back, closed, enacted.

A proposal is a list of actions, bound to the chain by its signature, to a time by which it is decided, and to
the configuration of voters and rules it was made for. Organisations vote, each once and finally, whichever of
its keys signs. What has passed is done at its height at the beginning of the block, all of it or nothing, in
the same order everywhere, whatever this program knows of what it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from contracts.actions.dispatch import do_all
from contracts.mechanics.agenda import (
    check_open,
    end_voting,
    end_waiting,
    get_proposal,
    open_proposal,
    take_next,
    take_place,
)
from contracts.mechanics.due_work import Due
from contracts.mechanics.governance_records import GOVERNMENT, PROPOSAL, Government, ProposalRecord
from contracts.mechanics.government import get_government, get_kind, get_weight, is_approved
from contracts.mechanics.parameters import get_parameter
from contracts.messages.actions import (
    Action,
    AdmitParticipant,
    RemoveParticipant,
    SetRulebook,
    SetVotingRule,
    SetWeight,
)
from contracts.messages.governance import CancelProposal, CloseProposal, Enact, Propose, Vote
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.outcome import Event, Outcome, outcome_of
from ledger.rule import NO_READS, Asked, BlockContext, Decision, DueWork, Rule
from ledger.state import Key, StateView

HEIGHTS_AHEAD_MAX: Final = 31_536_000
"""How far ahead a proposal may be enacted: what has passed waits, and takes up a place, till then."""


def propose(state: StateView, asked: Asked, message: Propose) -> Decision:
    """The alliance can vote on it until it expires."""
    # CHECK: who asks and what for, then its times, then whether it could be done as things stand.
    block = asked.block
    government = get_government(state, block)
    _check_voter(government, asked.sender)
    if state.get(PROPOSAL, message.proposal) is not None:
        raise Rejected("PROPOSAL_EXISTS", proposal=message.proposal)
    _check_configuration(government, message.configuration)
    if message.expires <= block.time:
        raise Rejected("PROPOSAL_EXPIRED", expires=message.expires, time=block.time)
    latest = block.time + get_parameter(state, block, "proposal_seconds_max") * 1000
    farthest = block.height + HEIGHTS_AHEAD_MAX
    if message.expires > latest or message.effective_height > farthest:
        raise Rejected("PROPOSAL_TOO_LONG", expires=message.expires, allowed=latest, farthest=farthest)
    approve_basis_points, notice_heights = _find_rule(government, message.actions)
    if message.effective_height < block.height + notice_heights:
        raise Rejected("NOTICE_TOO_SHORT", height=message.effective_height, notice=notice_heights)
    take_place(state, block, asked.sender)
    do_all(state, block, message.actions)

    # POST
    record = ProposalRecord(
        actions=tuple(message.actions),
        approve_basis_points=approve_basis_points,
        configuration=message.configuration,
        effective_height=message.effective_height,
        enacts_at=0,
        expires=message.expires,
        index=asked.index,
        no=(),
        notice_heights=notice_heights,
        proposer=asked.sender,
        state="open",
        yes=(),
    )
    event = Event(about=message.proposal, name="PROPOSAL_MADE")
    return Decision(Outcome(code=OK, events=[event]), (), open_proposal(state, message.proposal, record))


def vote(state: StateView, asked: Asked, message: Vote) -> Decision:
    """The organisation has voted; with the ballot that is enough, the proposal has passed."""
    block = asked.block
    found = get_proposal(state, message.proposal)
    government = get_government(state, block)
    _check_voter(government, asked.sender)
    check_open(found)
    if found.expires <= block.time:
        raise Rejected("PROPOSAL_EXPIRED", expires=found.expires, time=block.time)
    _check_configuration(government, message.configuration)
    _check_configuration(government, found.configuration)
    if asked.sender in found.yes or asked.sender in found.no:
        raise Rejected("ALREADY_VOTED", participant=asked.sender)
    if message.choice == "no":
        record = replace(found, no=(*found.no, asked.sender))
        return Decision(Outcome(code=OK), (), [(PROPOSAL, message.proposal, record)])
    record = replace(found, yes=(*found.yes, asked.sender))
    if not is_approved(government, record.yes, approve_basis_points=found.approve_basis_points):
        return Decision(Outcome(code=OK), (), [(PROPOSAL, message.proposal, record)])
    enacts_at = max(found.effective_height, block.height + found.notice_heights, block.height + 1)
    record = replace(record, enacts_at=enacts_at, state="passed")
    event = Event(about=message.proposal, at=enacts_at, name="PROPOSAL_PASSED")
    return Decision(Outcome(code=OK, events=[event]), (), end_voting(state, message.proposal, record))


def cancel_proposal(state: StateView, asked: Asked, message: CancelProposal) -> Decision:
    """It can no longer be voted on."""
    found = get_proposal(state, message.proposal)
    if found.proposer != asked.sender:
        raise Rejected("NOT_PROPOSER", proposer=found.proposer)
    check_open(found)
    record = replace(found, state="cancelled")
    return Decision(Outcome(code=OK), (), end_voting(state, message.proposal, record))


def enact_due(state: StateView, block: BlockContext) -> Iterator[DueWork]:
    """What was decided for this height or one before, in order, each over what the one before it did."""
    while (waiting := take_next(state, height=block.height)) is not None:
        proposal, record = waiting
        yield DueWork(Enact(proposal=proposal), _enact(state, block, proposal, record))


def _enact(state: StateView, block: BlockContext, proposal: str, found: ProposalRecord) -> Decision:
    """All of its actions are done, or it has failed and none is."""
    try:
        government = get_government(state, block)
        _check_configuration(government, found.configuration)
        effects = do_all(state, block, found.actions)
    except Rejected as rejection:
        failed = end_waiting(state, proposal, replace(found, state="failed"))
        return Decision(outcome_of(rejection), (), failed)
    changes = [*effects.changes, *end_waiting(state, proposal, replace(found, state="enacted"))]
    if _changes_configuration(government, found.actions):
        # An action may have written the government, which is then the one to count on.
        written = [record for table, _, record in effects.changes if table == GOVERNMENT]
        record: Government = written[-1] if written else government
        changes.append((GOVERNMENT, GOVERNMENT, replace(record, configuration=government.configuration + 1)))
    events = [*effects.events, Event(about=proposal, name="PROPOSAL_ENACTED")]
    outcome = Outcome(
        code=OK,
        draws=list(effects.draws) or UNSET,
        events=events,
        legs=list(effects.legs) or UNSET,
    )
    return Decision(outcome, (), changes)


def close_proposal(state: StateView, block: BlockContext, due: Due) -> DueWork:
    """Its time is over while it was open, so too little weight was for it."""
    found = get_proposal(state, due.about)
    changes = end_voting(state, due.about, replace(found, state="rejected"))
    outcome = outcome_of(Rejected("BELOW_THRESHOLD", proposal=due.about))
    return DueWork(CloseProposal(proposal=due.about), Decision(outcome, (), changes))


def _check_voter(government: Government, participant: str) -> None:
    if not get_weight(government, participant):
        raise Rejected("NOT_A_VOTER", participant=participant)


def _check_configuration(government: Government, configuration: int) -> None:
    """It was made for the voters and rules that are in force."""
    if configuration != government.configuration:
        raise Rejected("CONFIGURATION_CHANGED", made_for=configuration, now=government.configuration)


def _find_rule(government: Government, actions: Sequence[Action]) -> tuple[int, int]:
    """The strictest of what its kinds ask for: basis points of all weight, heights of notice."""
    rules = {kind: (basis_points, heights) for kind, basis_points, heights in government.rules}
    wanted = [rules[get_kind(action)] for action in actions]
    return max(basis_points for basis_points, _ in wanted), max(heights for _, heights in wanted)


def _changes_configuration(government: Government, actions: Sequence[Action]) -> bool:
    """Whether other voters, voting rules or another rulebook are in force once these are done."""
    voters = {name for name, _ in government.voters}
    voters |= {one.participant for one in actions if isinstance(one, AdmitParticipant) and one.weight}
    return any(
        isinstance(one, SetWeight | SetVotingRule | SetRulebook)
        or (isinstance(one, AdmitParticipant) and one.weight > 0)
        or (isinstance(one, RemoveParticipant) and one.participant in voters)
        for one in actions
    )


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """Nothing that is not in memory already."""
    return NO_READS


_GOVERN: Final = frozenset({"govern"})
RULES: Final = (
    Rule(Propose, _GOVERN, propose, reads),
    Rule(Vote, _GOVERN, vote, reads),
    Rule(CancelProposal, _GOVERN, cancel_proposal, reads),
)
