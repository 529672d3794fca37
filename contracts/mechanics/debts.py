"""Debts: points that an account owes since a return took more than there was.

Whatever comes to the account by an earning, an award, a refund or out of a hold repays them first, so nobody
earns, spends, brings everything back and keeps the points. A debt is never a negative lot: it is a record of
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from contracts.mechanics.lots import split_lots
from contracts.mechanics.records import DEBT
from ledger.outcome import Lot
from ledger.state import StateView


class Repayment(NamedTuple):
    """Lots on their way to an account, and what of them its debt takes."""

    paid: list[Lot]
    lots: list[Lot]
    """Those that arrive."""
    debt: int | UnsetType
    """What is still owed, where that changed."""
    changes: list[tuple[str, str, Any]]

    @property
    def repaid(self) -> int | UnsetType:
        """How many points the debt takes, as an outcome says it: nothing where it takes none."""
        return sum(lot.points for lot in self.paid) or UNSET


def repay_first(state: StateView, account_key: str, lots: Sequence[Lot]) -> Repayment:
    """What of these lots, in their order, goes against the account's debt, and what arrives."""
    owed: int | None = state.get(DEBT, account_key)
    if not owed or not lots:
        return Repayment([], list(lots), UNSET, [])
    paid, arriving = split_lots(lots, owed)
    left = owed - sum(lot.points for lot in paid)
    return Repayment(paid, arriving, left, [(DEBT, account_key, left or None)])
