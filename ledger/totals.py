"""Totals: what must always add up, kept incrementally and held against each block.

Every posting moves a program's points between member accounts and system accounts; every leg moves what is
owed between two participants. So at the end of each block the change of all touched accounts of a program
must equal the change of its tallies, and all positions must still sum to zero. Where they do not, the fault
is ours and the node stops.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from ledger.codec import encode, to_base64url
from ledger.errors import InvariantBroken
from ledger.outcome import Leg, Lot
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


class Movements:
    """What one block moves: points at once, in the accounts; what they and the legs add up to once, at its
    end.
    """

    __slots__ = ("_day", "_owed", "_state", "_tallied")

    def __init__(
        self, state: State, *, day: int, owed: dict[tuple[str, str, str], int] | None = None
    ) -> None:
        self._state = state
        self._day = day
        self._tallied: dict[tuple[str, str], int] = {}
        """Points through each program's system accounts."""
        self._owed = {} if owed is None else owed
        """Micros by (debtor, creditor, reason): the block's, whose rules look at them too."""

    def post(self, posting: Posting) -> None:
        """Points have moved between two accounts."""
        program, lot = posting.program, posting.lot
        if posting.source in SYSTEM_ACCOUNTS:
            self._tally(program, posting.source, lot.points)
        elif posting.source.startswith(HELD_PREFIX):
            self._change_account(posting.source[len(HELD_PREFIX) :], program, debit_held, lot)
        else:
            self._change_account(posting.source, program, debit, lot)
        if posting.destination in SYSTEM_ACCOUNTS:
            self._tally(program, posting.destination, lot.points)
        elif posting.destination.startswith(HELD_PREFIX):
            self._change_account(posting.destination[len(HELD_PREFIX) :], program, credit_held, lot)
        else:
            self._change_account(posting.destination, program, credit, lot)

    def _tally(self, program: str, name: str, points: int) -> None:
        key = (program, name)
        self._tallied[key] = self._tallied.get(key, 0) + points

    def _change_account(
        self, member: str, program: str, change: Callable[[Account, Lot], Account], lot: Lot
    ) -> None:
        key = get_account_key(member, program)
        account: Account = self._state.get(ACCOUNT_TABLE, key) or EMPTY_ACCOUNT
        account = change(ripen(account, self._day) if account.cooling else account, lot)
        # An empty account is removed: the state holds nothing that a stranger's replay would not.
        self._state.put(ACCOUNT_TABLE, key, account if account.points else None)

    def owe(self, leg: Leg) -> None:
        """One participant owes another more than before. Its debits in all are known at once: caps ask."""
        key = (leg.source, leg.destination, leg.reason)
        self._owed[key] = self._owed.get(key, 0) + leg.micros
        _add(self._state, DEBIT_TABLE, leg.source, leg.micros)

    def mark(self) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str, str], int]]:
        """Where to `return_to` if what follows is undone in the state."""
        return dict(self._tallied), dict(self._owed)

    def return_to(self, mark: tuple[dict[tuple[str, str], int], dict[tuple[str, str, str], int]]) -> None:
        """What moved since the mark was never moved."""
        self._tallied, owed = mark
        self._owed.clear()
        self._owed.update(owed)

    def close(self) -> str:
        """Hold the block's changes against each other, write what they add up to, and return the block leaf's
        `sums`.

        Raises `InvariantBroken` where accounts and tallies, or positions among themselves, do not agree.
        """
        for (program, name), points in sorted(self._tallied.items()):
            _add(self._state, TALLY_TABLE, f"{program}|{name}", points)
        for (source, destination, reason), micros in sorted(self._owed.items()):
            _add(self._state, OWED_TABLE, f"{source}|{destination}|{reason}", micros)
            _add(self._state, POSITION_TABLE, source, -micros)
            _add(self._state, POSITION_TABLE, destination, micros)
        rows = self._write_supply(self._check_points()) + self._check_positions()
        return to_base64url(sha256(encode(rows)).digest())

    def _check_points(self) -> dict[str, int]:
        """What came into each program's supply less what left it, which is by how much its accounts grew."""
        grown: dict[str, int] = {}
        before = self._state.overwritten(ACCOUNT_TABLE)
        for key, account in self._state.pending(ACCOUNT_TABLE).items():
            known = before[key]
            change = (account.points if account else 0) - (known.points if known else 0)
            program = key[key.index("|") + 1 :]
            grown[program] = grown.get(program, 0) + change
        supplied: dict[str, int] = {}
        for key, change in self._changes(TALLY_TABLE):
            program, name = key.split("|")
            supplied[program] = supplied.get(program, 0) + (change if name in INTO_SUPPLY else -change)
        for program in sorted(grown.keys() | supplied.keys()):
            if grown.get(program, 0) != supplied.get(program, 0):
                raise InvariantBroken(
                    "POINTS_NOT_CONSERVED",
                    program=program,
                    accounts=grown.get(program),
                    tallies=supplied.get(program),
                )
        return supplied

    def _write_supply(self, supplied: dict[str, int]) -> list[list[str]]:
        rows = []
        for program, change in sorted(supplied.items()):
            if change:
                supply = _add(self._state, SUPPLY_TABLE, program, change)
                if supply < 0:
                    raise InvariantBroken("SUPPLY_NEGATIVE", program=program, supply=supply)
                rows.append([program, str(supply)])
        return rows

    def _check_positions(self) -> list[list[str]]:
        changes = self._changes(POSITION_TABLE)
        moved = sum(change for _, change in changes)
        if moved:
            raise InvariantBroken("POSITIONS_NOT_ZERO", moved=moved)
        return [[name, str(self._state.get(POSITION_TABLE, name))] for name, change in changes if change]

    def _changes(self, table: str) -> list[tuple[str, int]]:
        """By how much the block has changed each number of a small table, whoever wrote it, in key order."""
        before = self._state.overwritten(table)
        written = self._state.pending(table)
        return [(key, number - (before[key] or 0)) for key, number in sorted(written.items())]


def _add(state: State, table: str, key: str, amount: int) -> int:
    """The number under this key, once it has grown by an amount."""
    grown: int = (state.get(table, key) or 0) + amount
    state.put(table, key, grown)
    return grown
