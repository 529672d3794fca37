"""Issuance budgets: how many points of a program may be issued a day and in all, whoever issues them.

An alliance sets one by vote; there is none until it has. Earnings and awards count with all their points,
also those that repay a debt. What comes back (a refund, a hold that ends) and what is corrected by hand does
not count.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.mechanics.governance_records import ISSUANCE, Issuance
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def use_issuance(
    state: StateView, block: BlockContext, *, program: str, points: int
) -> Sequence[tuple[str, str, Issuance]]:
    """The change that counts these points against the program's budget, where it has one.

    Raises `Rejected` ``ISSUANCE_EXHAUSTED``.
    """
    # Budgets are set before a block's messages, and using one never takes it away.
    has_budget = block.memo[ISSUANCE].get(program)
    if has_budget is None:
        has_budget = block.memo[ISSUANCE][program] = state.get(ISSUANCE, program) is not None
    if not has_budget:
        return ()
    budget: Issuance = state.get(ISSUANCE, program)
    used_day = points + (budget.used_day if budget.day == block.day else 0)
    used_total = points + budget.used_total
    if used_day > budget.budget_day or used_total > budget.budget_total:
        raise Rejected("ISSUANCE_EXHAUSTED", program=program, points=points)
    record = Issuance(budget.budget_day, budget.budget_total, block.day, used_day, used_total)
    return [(ISSUANCE, program, record)]
