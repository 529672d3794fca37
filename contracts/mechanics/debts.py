"""Debts: points that an account owes since a return took more than there was.

Whatever comes to the account by an earning, an award, a gift of the issuer's hand, a refund or out of a hold
repays them first, so nobody earns, spends, brings everything back and keeps the points. A debt is never a
negative lot: it is a record of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from contracts.mechanics.lots import split_lots
from contracts.mechanics.records import DEBT
from ledger.outcome import Lot
from ledger.state import StateView


class Repayment(Struct, frozen=True, gc=False):
    """Lots on their way to an account, and what of them its debt takes. Never on the wire."""

    lots: list[Lot]
    """Those that arrive."""
    points: int
    """How many points those are."""
    paid: Sequence[Lot] = ()
    repaid: int | UnsetType = UNSET
    """How many points the debt takes, as an outcome says it: nothing where it takes none."""
    debt: int | UnsetType = UNSET
    """What is still owed, where that changed."""
    changes: Sequence[tuple[str, str, Any]] = ()


def repay_first(state: StateView, account_key: str, lots: list[Lot]) -> Repayment:
    """What of these lots, in their order, goes against the account's debt, and what arrives."""
    owed: int | None = state.get(DEBT, account_key)
    points = sum([lot.points for lot in lots])
    if not owed or not lots:
        return Repayment(lots, points)
    paid, arriving = split_lots(lots, owed)
    repaid = min(owed, points)
    left = owed - repaid
    return Repayment(arriving, points - repaid, paid, repaid, left, [(DEBT, account_key, left or None)])
