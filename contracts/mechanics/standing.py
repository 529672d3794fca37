"""Standing: whether an organisation is through with everybody, so that it can leave.

Asked only when somebody is to leave, so it looks at every small table there is rather than keep count.
"""

from __future__ import annotations

from contracts.mechanics.records import EXPOSURE, NO_EXPOSURE, PROGRAM, Exposure, Program
from contracts.mechanics.settlement_records import BROUGHT, STATED, WINDOW, WindowRecord
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.totals import DEBIT_TABLE, OWED_TABLE, SUPPLY_TABLE

_UNSETTLED = frozenset({"closed", "confirmed"})


def owes_nothing(state: StateView, block: BlockContext, participant: str) -> bool:
    """Whether it has no points outstanding, owes and is owed nothing, and stands in no unsettled window."""
    return not (
        _has_points_outstanding(state, participant)
        or _has_exposure(state, participant)
        or _stands_in_open_window(state, block, participant)
        or _stands_in_unsettled_window(state, participant)
    )


def _has_points_outstanding(state: StateView, participant: str) -> bool:
    for name, found in state.list_records(PROGRAM):
        program: Program = found
        if program.issuer == participant and state.get(SUPPLY_TABLE, name):
            return True
    return False


def _has_exposure(state: StateView, participant: str) -> bool:
    exposure: Exposure = state.get(EXPOSURE, participant) or NO_EXPOSURE
    return bool((state.get(DEBIT_TABLE, participant) or 0) - exposure.relieved + exposure.held)


def _stands_in_open_window(state: StateView, block: BlockContext, participant: str) -> bool:
    """Whether a line of the next statement, or what is brought to it, has it on either side; also what came
    to be owed in this very block, which the sums by pair do not have yet.
    """
    own = {participant, f"rounding:{participant}"}
    if any(own & {debtor, creditor} for debtor, creditor, _ in block.owed):
        return True
    for key, micros in state.list_records(OWED_TABLE):
        debtor, creditor, _ = key.split("|")
        if own & {debtor, creditor} and micros != (state.get(STATED, key) or 0):
            return True
    return any(participant in key.split("|")[:2] for key, _ in state.list_records(BROUGHT))


def _stands_in_unsettled_window(state: StateView, participant: str) -> bool:
    for _, found in state.list_records(WINDOW):
        window: WindowRecord = found
        if window.state in _UNSETTLED and participant in window.parties:
            return True
    return False
