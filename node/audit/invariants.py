"""What must add up over the whole ledger, added up: not kept step by step as the node does, but summed from
every row.

- an account's points are the sum of its lots, free and held; each lot is more than zero, in order, none
  twice;
- what is held on an account is what its open holds name, lot by lot, and what an issuer would owe for open
  holds is reserved;
- nothing came back that was not taken: refunds and returns stay within their originals;
- the points of a program's accounts are its supply, and both are what its system accounts say was issued less
  what was taken;
- what everybody owes and is owed sums to zero, and each position is the sum of the pairs it is part of;
- what windows add up to (`node.audit.settled`).

An invariant that does not hold after a good replay is a fault of the rules, not of this ledger's keepers; an
auditor wants to hear of it all the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from contracts.mechanics.records import EARNED, EXPOSURE, HOLD, PROGRAM, SPENT, HoldRecord
from contracts.mechanics.spending import compute_gross
from ledger.errors import InvalidBlock
from ledger.outcome import Lot
from ledger.posting import INTO_SUPPLY, SYSTEM_ACCOUNTS, Account, add_lot, get_account_key
from ledger.state import State
from ledger.totals import ACCOUNT_TABLE, DEBIT_TABLE, OWED_TABLE, POSITION_TABLE, SUPPLY_TABLE, TALLY_TABLE
from node.audit.settled import verify_settlement


def verify_invariants(state: State) -> None:
    """Every sum over this whole state holds. Raises `InvalidBlock` with the first that does not."""
    points = _sum_accounts(state)
    _check_holds(state)
    _check_originals(state)
    tallies = _sum_tallies(state)
    supplies = Counter(dict(state.list_records(SUPPLY_TABLE)))
    for program in sorted(points.keys() | tallies.keys() | supplies.keys()):
        sums = (points[program], tallies[program], supplies[program])
        if len(set(sums)) != 1:
            told = dict(zip(("accounts", "tallies", "supply"), sums, strict=True))
            raise InvalidBlock("POINTS_NOT_CONSERVED", expected="three equal sums", found={program: told})
    _check_positions(state)
    verify_settlement(state)


def _sum_accounts(state: State) -> Counter[str]:
    """Points by program over all accounts, each of which adds up itself."""
    points: Counter[str] = Counter()
    for key, account in state.list_records(ACCOUNT_TABLE):
        fault = _find_fault(account)
        if fault is not None:
            raise InvalidBlock("ACCOUNT_BROKEN", expected=fault, found=f"{key}: {account}")
        points[key.rpartition("|")[2]] += account.points
    return points


def _find_fault(account: Account) -> str | None:
    """The rule that an account breaks, if any."""
    points = [lot.points for lot in (*account.lots, *account.held)]
    if not points:
        return "at least one lot"
    if min(points) <= 0:
        return "lots of more than zero points"
    if account.points != sum(points):
        return "points are the sum of the lots"
    if not (_is_in_order(account.lots) and _is_in_order(account.held)):
        return "lots in order, none twice"
    waiting = [lot.spendable_from for lot in account.lots if lot.spendable_from]
    if account.cooling != min(waiting, default=0):
        return "the first day of waiting lots"
    return None


def _is_in_order(lots: tuple[Lot, ...]) -> bool:
    """Whether lots stand by day, each kind once."""
    if len(lots) < 2:
        return True
    order = [(lot.expires, lot.opened, lot.series, lot.original, lot.spendable_from) for lot in lots]
    return order == sorted(set(order))


def _check_holds(state: State) -> None:
    """What accounts and issuers have set aside is what open holds name."""
    held: dict[str, tuple[Lot, ...]] = {}
    reserved: Counter[str] = Counter()
    for key, hold in state.list_records(HOLD):
        _add_hold(held, reserved, hold, program=key.split("|")[3], state=state)
    for key, account in state.list_records(ACCOUNT_TABLE):
        found = held.pop(key, ())
        if account.held != found:
            raise InvalidBlock("HOLDS_DIFFER", expected=found, found=f"{key}: {account.held}")
    if held:
        raise InvalidBlock("HOLDS_DIFFER", expected=held, found="no such account")
    for issuer, exposure in state.list_records(EXPOSURE):
        if exposure.held != reserved.pop(issuer, 0):
            raise InvalidBlock(
                "RESERVE_DIFFERS", expected="what open holds need", found=f"{issuer}: {exposure}"
            )
    if +reserved:
        raise InvalidBlock("RESERVE_DIFFERS", expected=dict(+reserved), found="no reserve")


def _add_hold(
    held: dict[str, tuple[Lot, ...]], reserved: Counter[str], hold: HoldRecord, *, program: str, state: State
) -> None:
    """Count one hold's lots on its member's account, and its worth at the issuer."""
    account_key = get_account_key(hold.member, program)
    for lot in hold.lots:
        held[account_key] = add_lot(held.get(account_key, ()), lot)
    if hold.pars:
        reserved[state.get(PROGRAM, program).issuer] += compute_gross(hold.lots, hold.pars)


def _check_originals(state: State) -> None:
    """No more came back than there was."""
    for key, spent in state.list_records(SPENT):
        if not 0 <= spent.refunded <= sum(lot.points for lot in spent.lots):
            raise InvalidBlock(
                "REFUNDED_ABOVE_ORIGINAL", expected="at most all of it", found=f"{key}: {spent}"
            )
    for key, earned in state.list_records(EARNED):
        if not 0 <= earned.returned <= earned.amount:
            raise InvalidBlock(
                "RETURNED_ABOVE_ORIGINAL", expected="at most all of it", found=f"{key}: {earned}"
            )


def _sum_tallies(state: State) -> Counter[str]:
    """Points by program that system accounts say are outstanding."""
    outstanding: Counter[str] = Counter()
    for key, points in state.list_records(TALLY_TABLE):
        program, _, name = key.rpartition("|")
        if name not in SYSTEM_ACCOUNTS or points < 0:
            raise InvalidBlock(
                "TALLY_BROKEN", expected="a system account, not below zero", found=f"{key}: {points}"
            )
        outstanding[program] += points if name in INTO_SUPPLY else -points
    return outstanding


def _check_positions(state: State) -> None:
    """Positions sum to zero; each is the sum of what is owed between pairs, and so are debits."""
    positions: dict[str, Any] = dict(state.list_records(POSITION_TABLE))
    total = sum(positions.values())
    if total:
        raise InvalidBlock("POSITIONS_NOT_ZERO", expected=0, found=total)
    owed: Counter[str] = Counter()
    debits: Counter[str] = Counter()
    for key, micros in state.list_records(OWED_TABLE):
        source, destination, _ = key.split("|")
        owed[source] -= micros
        debits[source] += micros
        owed[destination] += micros
    for name in sorted(owed.keys() | positions.keys()):
        if owed[name] != positions.get(name, 0):
            raise InvalidBlock(
                "POSITION_NOT_OWED", expected=owed[name], found=f"{name}: {positions.get(name)}"
            )
    found = dict(state.list_records(DEBIT_TABLE))
    if found != dict(debits):
        raise InvalidBlock("DEBITS_DIFFER", expected=dict(debits), found=found)
