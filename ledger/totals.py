"""Totals: what must always add up, kept incrementally and held against each block.

Every posting moves a program's points between member accounts and system accounts; every leg moves what is
owed between two participants. So at the end of each block the change of all touched accounts of a program
must equal the change of its tallies, and all positions must still sum to zero. Where they do not, the fault
is ours and the node stops.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from ledger.codec import encode, to_base64url
from ledger.errors import InvariantBroken
from ledger.outcome import Leg
from ledger.posting import (
    EMPTY_ACCOUNT,
    HELD_PREFIX,
    INTO_SUPPLY,
    SYSTEM_ACCOUNTS,
    Account,
    Posting,
    credit,
    credit_held,
    debit,
    debit_held,
    get_account_key,
    ripen,
)
from ledger.state import State

ACCOUNT_TABLE: Final = "account"
TALLY_TABLE: Final = "tally"
SUPPLY_TABLE: Final = "supply"
POSITION_TABLE: Final = "position"
DEBIT_TABLE: Final = "debit"
OWED_TABLE: Final = "owed"
TOTALS_TABLES: Final[dict[str, Any]] = {
    ACCOUNT_TABLE: Account,
    TALLY_TABLE: int,
    SUPPLY_TABLE: int,
    POSITION_TABLE: int,
    DEBIT_TABLE: int,
    OWED_TABLE: int,
}
"""Tables of the core: accounts, points through each system account, supply, net positions, each one's debits
in all, gross sums by pair and reason.
"""


def apply_posting(state: State, posting: Posting, *, day: int) -> None:
    """Points have moved between two accounts, on the block's day."""
    program, lot = posting.program, posting.lot
    if posting.source in SYSTEM_ACCOUNTS:
        _add_to_tally(state, f"{program}|{posting.source}", lot.points)
    elif posting.source.startswith(HELD_PREFIX):
        key, account = _get_account(state, posting.source[len(HELD_PREFIX) :], program, day=day)
        _put_account(state, key, debit_held(account, lot))
    else:
        key, account = _get_account(state, posting.source, program, day=day)
        _put_account(state, key, debit(account, lot))
    if posting.destination in SYSTEM_ACCOUNTS:
        _add_to_tally(state, f"{program}|{posting.destination}", lot.points)
    elif posting.destination.startswith(HELD_PREFIX):
        key, account = _get_account(state, posting.destination[len(HELD_PREFIX) :], program, day=day)
        _put_account(state, key, credit_held(account, lot))
    else:
        key, account = _get_account(state, posting.destination, program, day=day)
        _put_account(state, key, credit(account, lot))


def _get_account(state: State, member: str, program: str, *, day: int) -> tuple[str, Account]:
    key = get_account_key(member, program)
    return key, ripen(state.get(ACCOUNT_TABLE, key) or EMPTY_ACCOUNT, day)


def _put_account(state: State, key: str, account: Account) -> None:
    # An empty account is removed: the state holds nothing that a stranger's replay would not.
    state.put(ACCOUNT_TABLE, key, account if account.points else None)


def _add_to_tally(state: State, key: str, points: int) -> None:
    state.put(TALLY_TABLE, key, (state.get(TALLY_TABLE, key) or 0) + points)


def apply_leg(state: State, leg: Leg) -> None:
    """One participant owes another more than before."""
    for name, micros in ((leg.source, -leg.micros), (leg.destination, leg.micros)):
        state.put(POSITION_TABLE, name, (state.get(POSITION_TABLE, name) or 0) + micros)
    state.put(DEBIT_TABLE, leg.source, (state.get(DEBIT_TABLE, leg.source) or 0) + leg.micros)
    key = f"{leg.source}|{leg.destination}|{leg.reason}"
    state.put(OWED_TABLE, key, (state.get(OWED_TABLE, key) or 0) + leg.micros)


def close_block(state: State) -> str:
    """Hold the block's changes against each other, write the supplies, and return the block leaf's `sums`.

    Raises `InvariantBroken` where accounts and tallies, or positions among themselves, do not agree.
    """
    accounts: dict[str, int] = {}
    for key, account in state.pending(ACCOUNT_TABLE).items():
        program = key[key.index("|") + 1 :]
        before = state.get_current(ACCOUNT_TABLE, key)
        change = (account.points if account else 0) - (before.points if before else 0)
        accounts[program] = accounts.get(program, 0) + change
    tallies: dict[str, int] = {}
    for key, points in state.pending(TALLY_TABLE).items():
        program, name = key.split("|")
        change = points - (state.get_current(TALLY_TABLE, key) or 0)
        tallies[program] = tallies.get(program, 0) + (change if name in INTO_SUPPLY else -change)
    for program in sorted(accounts.keys() | tallies.keys()):
        if accounts.get(program, 0) != tallies.get(program, 0):
            raise InvariantBroken(
                "POINTS_NOT_CONSERVED",
                program=program,
                accounts=accounts.get(program),
                tallies=tallies.get(program),
            )
    rows: list[list[Any]] = []
    for program, change in sorted(tallies.items()):
        if change:
            supply = (state.get(SUPPLY_TABLE, program) or 0) + change
            if supply < 0:
                raise InvariantBroken("SUPPLY_NEGATIVE", program=program, supply=supply)
            state.put(SUPPLY_TABLE, program, supply)
            rows.append([program, str(supply)])
    moved = 0
    for name, micros in sorted(state.pending(POSITION_TABLE).items()):
        change = micros - (state.get_current(POSITION_TABLE, name) or 0)
        moved += change
        if change:
            rows.append([name, str(micros)])
    if moved:
        raise InvariantBroken("POSITIONS_NOT_ZERO", moved=moved)
    return to_base64url(sha256(encode(rows)).digest())
