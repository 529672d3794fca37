"""Lots: which points are taken, and where new ones go.

Points are taken soonest expiry first, then by the height at which their series opened. A lot past its day
cannot be spent, even before its expiry entry; neither can one that is still cooling, nor what is held.
"""

from __future__ import annotations

from typing import Final

from contracts.mechanics.due_work import get_due_change
from ledger.errors import Rejected
from ledger.outcome import Lot
from ledger.posting import EMPTY_ACCOUNT, Account, get_account_key
from ledger.state import Key, StateView
from ledger.totals import ACCOUNT_TABLE
from ledger.values import BALANCE_MAX, LOTS_MAX, POINTS_MAX


def get_account(state: StateView, member: str, program: str) -> Account:
    """The member's account in a program; an empty one where there is none."""
    account: Account = state.get(ACCOUNT_TABLE, get_account_key(member, program)) or EMPTY_ACCOUNT
    return account


def reads_account(member: str, program: str) -> Key:
    """The record `get_account` reads."""
    return ACCOUNT_TABLE, get_account_key(member, program)


def get_available(account: Account, *, day: int) -> int:
    """How many points can be spent today: neither past their day, nor cooling, nor held."""
    spendable = 0
    for lot in account.lots:
        if lot.expires >= day >= lot.spendable_from:
            spendable += lot.points
    return max(0, spendable - account.held)


def take_lots(account: Account, points: int, *, day: int, series: str | None = None) -> list[Lot]:
    """The lots that make up ``points``, in the order they are taken. Raises `Rejected`
    ``INSUFFICIENT_POINTS``.
    """
    available = get_available(account, day=day)
    if points > available:
        raise Rejected("INSUFFICIENT_POINTS", needed=points, available=available)
    taken: list[Lot] = []
    wanted = points
    for lot in account.lots:
        if not lot.expires >= day >= lot.spendable_from or (series is not None and lot.series != series):
            continue
        part = min(lot.points, wanted)
        taken.append(
            lot if part == lot.points else Lot(lot.expires, lot.opened, part, lot.series, lot.spendable_from)
        )
        wanted -= part
        if not wanted:
            return taken
    raise Rejected("INSUFFICIENT_POINTS", needed=points, available=points - wanted)


LOTS_FROM_OTHERS_MAX: Final = 32
"""What somebody else delivers opens no more lots than this: room is left for what a member earns."""


def check_room(account: Account, new: list[Lot], *, lots_max: int = LOTS_MAX) -> None:
    """The account can take these lots. Raises `Rejected` ``LOT_LIMIT`` or ``BALANCE_LIMIT``."""
    if len(account.lots) + len(new) <= lots_max and account.points <= BALANCE_MAX - LOTS_MAX * POINTS_MAX:
        return  # even if none of them merged
    likes = {(lot.expires, lot.series, lot.spendable_from) for lot in account.lots}
    likes.update((lot.expires, lot.series, lot.spendable_from) for lot in new)
    if len(likes) > max(lots_max, len(account.lots)):
        raise Rejected("LOT_LIMIT", lots=len(likes))
    if account.points + sum(lot.points for lot in new) > BALANCE_MAX:
        raise Rejected("BALANCE_LIMIT", points=account.points)


def get_expiry_changes(
    account: Account, member: str, program: str, new: list[Lot]
) -> list[tuple[str, str, int]]:
    """The due work that new lots bring: one entry an account and day, written when the first lot of that day
    comes.
    """
    known = [lot.expires for lot in account.lots]
    changes = []
    for lot in new:
        if lot.expires not in known:
            known.append(lot.expires)
            change = get_due_change(lot.expires, member, program)
            if change is not None:
                changes.append(change)
    return changes
