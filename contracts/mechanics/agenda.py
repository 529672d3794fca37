"""The agenda: what can be voted on, and what was decided and waits for its height.

A proposal that is no longer open leaves no clock behind. As long as it is open or waits it takes up one of
its proposer's places, and the keys that it gives somebody are nobody's to register: whoever reads of them
could else take them first, and so keep an organisation out, or one that was robbed from its keys.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from contracts.mechanics.due_work import CLOCK, PROPOSAL_DUE, get_due_key
from contracts.mechanics.governance_records import AGENDA, PROPOSAL, RESERVED, Agenda, ProposalRecord
from contracts.mechanics.members import check_key
from contracts.messages.actions import AdmitParticipant, RecoverKeys
from ledger.errors import Rejected
from ledger.keys import key_id
from ledger.rule import BlockContext
from ledger.state import StateView

OPEN_MAX: Final = 8
"""Proposals of one proposer that are open or wait at a time: nobody fills the table and keeps all others, or
the vote that would suspend it, from being proposed. And so many of them a block tries, whatever comes of it.
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


def take_place(state: StateView, block: BlockContext, proposer: str) -> None:
    """One more of its proposals may be tried in this block, and be open. Raises `Rejected`
    ``TOO_MANY_PROPOSALS``.

    To try one may take long, and what cannot be done takes up no place: so tries are counted by themselves,
    and nothing that is undone gives one back.
    """
    tried = block.lasting[PROPOSAL]
    if dict(get_agenda(state).proposers).get(proposer, 0) >= OPEN_MAX or tried.get(proposer, 0) >= OPEN_MAX:
        raise Rejected("TOO_MANY_PROPOSALS", proposer=proposer, allowed=OPEN_MAX)
    tried[proposer] = tried.get(proposer, 0) + 1


def open_proposal(state: StateView, proposal: str, record: ProposalRecord) -> list[Change]:
    """The changes with which it can be voted on until it expires."""
    agenda = get_agenda(state)
    return [
        (PROPOSAL, proposal, record),
        (AGENDA, AGENDA, _count_place(replace(agenda, open=agenda.open + 1), record.proposer, 1)),
        (CLOCK, get_due_key(record.expires, PROPOSAL_DUE, proposal), 1),
        *_reserve_keys(state, record, 1),
    ]


def end_voting(state: StateView, proposal: str, record: ProposalRecord) -> list[Change]:
    """The changes after which it is no longer voted on; what has passed waits for its height."""
    agenda = get_agenda(state)
    agenda = replace(agenda, open=agenda.open - 1)
    changes: list[Change] = [
        (PROPOSAL, proposal, record),
        (CLOCK, get_due_key(record.expires, PROPOSAL_DUE, proposal), None),
    ]
    if record.state == "passed":
        agenda = replace(agenda, passed=tuple(sorted([*agenda.passed, (record.enacts_at, proposal)])))
        return [*changes, (AGENDA, AGENDA, agenda)]
    agenda = _count_place(agenda, record.proposer, -1)
    return [*changes, (AGENDA, AGENDA, agenda), *_reserve_keys(state, record, -1)]


def _count_place(agenda: Agenda, proposer: str, more: int) -> Agenda:
    """The agenda with one more or one fewer of a proposer's places taken."""
    counts = dict(agenda.proposers)
    counts[proposer] = counts.get(proposer, 0) + more
    proposers = tuple((name, count) for name, count in sorted(counts.items()) if count > 0)
    return replace(agenda, proposers=proposers)


def _reserve_keys(state: StateView, record: ProposalRecord, more: int) -> list[Change]:
    """The changes with which one more or one fewer proposal gives these keys to somebody."""
    keys = {
        key_id(check_key(key.public))
        for action in record.actions
        if isinstance(action, AdmitParticipant | RecoverKeys)
        for key in (action.keys if isinstance(action, AdmitParticipant) else action.add)
    }
    counts = {identifier: (state.get(RESERVED, identifier) or 0) + more for identifier in sorted(keys)}
    return [(RESERVED, identifier, count if count > 0 else None) for identifier, count in counts.items()]


def is_reserved(state: StateView, identifier: str) -> bool:
    """Whether a proposal that is open or waits gives this key to somebody."""
    return state.get(RESERVED, identifier) is not None


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
    agenda = _count_place(replace(agenda, passed=passed), record.proposer, -1)
    return [(PROPOSAL, proposal, record), (AGENDA, AGENDA, agenda), *_reserve_keys(state, record, -1)]
