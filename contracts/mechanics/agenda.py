"""The agenda: what can be voted on, and what was decided and waits for its height.

A proposal that is no longer open leaves no due work behind.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from contracts.mechanics.due_work import PROPOSAL_DUE, get_due_key
from contracts.mechanics.governance_records import AGENDA, PROPOSAL, Agenda, ProposalRecord
from ledger.errors import Rejected
from ledger.state import DUE_TABLE, StateView

OPEN_MAX: Final = 8
"""Proposals of one proposer that can be voted on at a time: nobody fills the table and keeps all others, or
the vote that would suspend it, from being proposed.
"""

Change = tuple[str, str, Any]
_EMPTY: Final = Agenda((), 0, ())


def get_agenda(state: StateView) -> Agenda:
    """What is on it now."""
    agenda: Agenda | None = state.get(AGENDA, AGENDA)
    return _EMPTY if agenda is None else agenda


def get_proposal(state: StateView, proposal: str) -> ProposalRecord:
    """The proposal of this name. Raises `Rejected` ``PROPOSAL_UNKNOWN``."""
    record: ProposalRecord | None = state.get(PROPOSAL, proposal)
    if record is None:
        raise Rejected("PROPOSAL_UNKNOWN", proposal=proposal)
    return record


def check_open(record: ProposalRecord) -> None:
    """It is not decided, nor was it taken back. Raises `Rejected` ``PROPOSAL_FINAL``."""
    if record.state != "open":
        raise Rejected("PROPOSAL_FINAL", state=record.state)


def check_place(state: StateView, proposer: str) -> None:
    """One more of its proposals may be open. Raises `Rejected` ``TOO_MANY_PROPOSALS``."""
    if dict(get_agenda(state).proposers).get(proposer, 0) >= OPEN_MAX:
        raise Rejected("TOO_MANY_PROPOSALS", proposer=proposer, allowed=OPEN_MAX)


def open_proposal(state: StateView, proposal: str, record: ProposalRecord) -> list[Change]:
    """The changes with which it can be voted on until it expires."""
    return [
        (PROPOSAL, proposal, record),
        (AGENDA, AGENDA, _count_open(get_agenda(state), record.proposer, 1)),
        (DUE_TABLE, get_due_key(record.expires, PROPOSAL_DUE, proposal), 1),
    ]


def end_voting(state: StateView, proposal: str, record: ProposalRecord) -> list[Change]:
    """The changes after which it is no longer voted on; what has passed waits for its height."""
    agenda = _count_open(get_agenda(state), record.proposer, -1)
    if record.state == "passed":
        agenda = replace(agenda, passed=tuple(sorted([*agenda.passed, (record.enacts_at, proposal)])))
    return [
        (PROPOSAL, proposal, record),
        (AGENDA, AGENDA, agenda),
        (DUE_TABLE, get_due_key(record.expires, PROPOSAL_DUE, proposal), None),
    ]


def _count_open(agenda: Agenda, proposer: str, more: int) -> Agenda:
    """The agenda with one more or one fewer of a proposer's open proposals."""
    counts = dict(agenda.proposers)
    counts[proposer] = counts.get(proposer, 0) + more
    proposers = tuple((name, count) for name, count in sorted(counts.items()) if count)
    return replace(agenda, open=agenda.open + more, proposers=proposers)


def take_next(state: StateView, *, height: int) -> tuple[str, ProposalRecord] | None:
    """What is to be enacted first of all whose height has come; None where nothing is."""
    passed = get_agenda(state).passed
    if not passed or passed[0][0] > height:
        return None
    proposal = passed[0][1]
    return proposal, state.get(PROPOSAL, proposal)


def end_waiting(state: StateView, proposal: str, record: ProposalRecord) -> list[Change]:
    """The changes after which it waits no longer: it was enacted, or could not be."""
    agenda = get_agenda(state)
    passed = tuple(each for each in agenda.passed if each[1] != proposal)
    return [(PROPOSAL, proposal, record), (AGENDA, AGENDA, replace(agenda, passed=passed))]
