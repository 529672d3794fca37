"""What must add up over the whole ledger, added up: not kept step by step as the node does, but summed from
every row.

- an account's points are the sum of its lots, each lot more than zero, in order, none twice; 0 <= held <=
points;
- the points of a program's accounts are its supply, and both are what its system accounts say was issued less
what was
  taken;
- what everybody owes and is owed sums to zero, and each position is the sum of the pairs it is part of.

An invariant that does not hold after a good replay is a fault of the rules, not of this ledger's keepers; an
auditor wants to hear of it all the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ledger.errors import InvalidBlock
from ledger.posting import EXCHANGED_IN, ISSUED_HOME, ISSUED_PARTNER, SYSTEM_ACCOUNTS, Account
from ledger.state import State
from ledger.totals import ACCOUNT_TABLE, OWED_TABLE, POSITION_TABLE, SUPPLY_TABLE, TALLY_TABLE


def verify_invariants(state: State) -> None:
    """Every sum over this whole state holds. Raises `InvalidBlock` with the first that does not."""
    points = _sum_accounts(state)
    tallies = _sum_tallies(state)
    supplies = Counter(dict(state.rows(SUPPLY_TABLE)))
    for program in sorted(points.keys() | tallies.keys() | supplies.keys()):
        sums = (points[program], tallies[program], supplies[program])
        if len(set(sums)) != 1:
            told = dict(zip(("accounts", "tallies", "supply"), sums, strict=True))
            raise InvalidBlock("POINTS_NOT_CONSERVED", expected="three equal sums", found={program: told})
    _check_positions(state)


def _sum_accounts(state: State) -> Counter[str]:
    """Points by program over all accounts, each of which adds up itself."""
    points: Counter[str] = Counter()
    for key, account in state.rows(ACCOUNT_TABLE):
        fault = _find_fault(account)
        if fault is not None:
            raise InvalidBlock("ACCOUNT_BROKEN", expected=fault, found=f"{key}: {account}")
        points[key.rpartition("|")[2]] += account.points
    return points


def _find_fault(account: Account) -> str | None:
    """The rule that an account breaks, if any."""
    order = [(lot.expires, lot.opened, lot.series, lot.spendable_from) for lot in account.lots]
    rules = {
        "at least one lot": bool(account.lots),
        "lots of more than zero points": all(lot.points > 0 for lot in account.lots),
        "points are the sum of the lots": account.points == sum(lot.points for lot in account.lots),
        "0 <= held <= points": 0 <= account.held <= account.points,
        "lots in order, none twice": order == sorted(set(order)),
    }
    return next((rule for rule, holds in rules.items() if not holds), None)


def _sum_tallies(state: State) -> Counter[str]:
    """Points by program that system accounts say are outstanding."""
    outstanding: Counter[str] = Counter()
    for key, points in state.rows(TALLY_TABLE):
        program, _, name = key.rpartition("|")
        if name not in SYSTEM_ACCOUNTS or points < 0:
            raise InvalidBlock(
                "TALLY_BROKEN", expected="a system account, not below zero", found=f"{key}: {points}"
            )
        is_inward = name in (ISSUED_HOME, ISSUED_PARTNER, EXCHANGED_IN)
        outstanding[program] += points if is_inward else -points
    return outstanding


def _check_positions(state: State) -> None:
    """Positions sum to zero, and each is the sum of what is owed between pairs."""
    positions: dict[str, Any] = dict(state.rows(POSITION_TABLE))
    total = sum(positions.values())
    if total:
        raise InvalidBlock("POSITIONS_NOT_ZERO", expected=0, found=total)
    owed: Counter[str] = Counter()
    for key, micros in state.rows(OWED_TABLE):
        source, destination, _ = key.split("|")
        owed[source] -= micros
        owed[destination] += micros
    for name in sorted(owed.keys() | positions.keys()):
        if owed[name] != positions.get(name, 0):
            raise InvalidBlock(
                "POSITION_NOT_OWED", expected=owed[name], found=f"{name}: {positions.get(name)}"
            )
