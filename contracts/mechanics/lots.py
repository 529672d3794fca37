"""Lots: which points are taken, where new ones go, and what that means for their expiry.

Points are taken soonest expiry first, then by the height at which their series opened. A lot past its day
cannot be spent, even before its expiry entry; neither can one that is still cooling, nor what is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from contracts.mechanics.due_work import get_expiry_key
from ledger.errors import Rejected
from ledger.outcome import Lot
from ledger.posting import EMPTY_ACCOUNT, Account, get_account_key, ripen, with_points
from ledger.rule import BlockContext
from ledger.state import DUE_TABLE, Key, StateView
from ledger.totals import ACCOUNT_TABLE
from ledger.values import BALANCE_MAX, LOTS_MAX, POINTS_MAX

_ROOMY_POINTS: Final = BALANCE_MAX - LOTS_MAX * POINTS_MAX
"""With so many points or fewer, an account can take whatever one message brings."""
LOTS_FROM_OTHERS_MAX: Final = 32
"""What somebody else gives opens no more lots than this: room is left for what a member earns."""


def get_account(state: StateView, block: BlockContext, account_key: str) -> Account:
    """A member's account in a program as it is today; an empty one where there is none."""
    account: Account = state.get(ACCOUNT_TABLE, account_key) or EMPTY_ACCOUNT
    return ripen(account, block.day) if account.cooling else account


def reads_account(member: str, program: str) -> Key:
    """The record `get_account` reads."""
    return ACCOUNT_TABLE, get_account_key(member, program)


def get_available(account: Account, *, day: int) -> int:
    """How many points can be spent today: neither past their day, nor cooling, nor held."""
    return sum(lot.points for lot in account.lots if lot.expires >= day >= lot.spendable_from)


def take_lots(account: Account, points: int, *, day: int, series: str | None = None) -> list[Lot]:
    """The lots that make up ``points``, in the order they are taken. Raises `Rejected`
    ``INSUFFICIENT_POINTS``.
    """
    taken: list[Lot] = []
    wanted = points
    for lot in account.lots:
        if not lot.expires >= day >= lot.spendable_from or (series is not None and lot.series != series):
            continue
        part = min(lot.points, wanted)
        taken.append(lot if part == lot.points else with_points(lot, part))
        wanted -= part
        if not wanted:
            return taken
    raise Rejected("INSUFFICIENT_POINTS", needed=points, available=points - wanted)


def split_lots(lots: Iterable[Lot], points: int) -> tuple[list[Lot], list[Lot]]:
    """The first ``points`` of these lots, and the rest."""
    first: list[Lot] = []
    rest: list[Lot] = []
    for lot in lots:
        part = min(lot.points, points)
        points -= part
        if part:
            first.append(with_points(lot, part))
        if lot.points > part:
            rest.append(with_points(lot, lot.points - part))
    return first, rest


def check_room(account: Account, new: Sequence[Lot], *, lots_max: int = LOTS_MAX) -> None:
    """The account can take these lots. Raises `Rejected` ``LOT_LIMIT`` or ``BALANCE_LIMIT``.

    What is held has its place in the account, so that it can always come back.
    """
    known = len(account.lots) + len(account.held)
    if known + len(new) <= lots_max and account.points <= _ROOMY_POINTS:
        return  # even if none of them merged
    kinds = count_kinds([*account.lots, *account.held])
    grown = count_kinds([*account.lots, *account.held, *new])
    if grown > max(lots_max, kinds):
        raise Rejected("LOT_LIMIT", lots=grown)
    if account.points + sum(lot.points for lot in new) > BALANCE_MAX:
        raise Rejected("BALANCE_LIMIT", points=account.points)


def count_kinds(lots: Iterable[Lot]) -> int:
    """How many lots these would be in one account."""
    return len({(lot.expires, lot.series, lot.spendable_from, lot.original) for lot in lots})


def get_arrivals(
    block: BlockContext, account: Account, account_key: str, new: Sequence[Lot]
) -> list[tuple[str, str, Any]]:
    """The due work that lots bring into what is free: one entry an account and day, with its first lot."""
    changes = []
    for lot in new:
        for known in account.lots:
            if known.expires == lot.expires:
                break
        else:
            key = get_expiry_key(block, day=lot.expires, account_key=account_key)
            if key is not None:
                changes.append((DUE_TABLE, key, 1))
    return changes


def get_departures(
    block: BlockContext, account: Account, account_key: str, taken: Sequence[Lot]
) -> list[tuple[str, str, Any]]:
    """The due work that goes with lots out of what is free: a day's entry with the day's last lot."""
    days = {lot.expires for lot in taken}
    for lot in account.lots:
        # What is taken whole is the very lot, or its equal: with all its points.
        if lot.expires in days and lot not in taken:
            days.discard(lot.expires)
            if not days:
                return []
    keys = [get_expiry_key(block, day=day, account_key=account_key) for day in sorted(days)]
    return [(DUE_TABLE, key, None) for key in keys if key is not None]
