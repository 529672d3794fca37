"""Policies: what an issuer says about spending, giving and awarding its points.

An order may have a ceiling in points and in its share of the order's amount; awards come out of a budget; new
points may have to wait. All of it holds from the next message on, and nothing of it touches what a member
already did.
"""

from __future__ import annotations

from typing import Any

from msgspec import UnsetType
from msgspec.structs import replace

from contracts.mechanics.records import NO_POLICY, POLICY, Policy
from ledger.errors import Rejected
from ledger.rule import Asked
from ledger.state import StateView


def get_policy(state: StateView, program: str) -> Policy:
    """The program's policy."""
    policy: Policy | None = state.get(POLICY, program)
    return NO_POLICY if policy is None else policy


def check_ceilings(policy: Policy, *, points: int, value: int, amount: int | UnsetType) -> None:
    """The order may be paid with that many points, worth ``value`` micros. Raises `Rejected`
    ``ORDER_CEILING``.
    """
    if points > policy.points_order:
        raise Rejected("ORDER_CEILING", points=points, allowed=policy.points_order)
    share = policy.order_share_basis_points
    if share < 10_000:
        # Rounded down, against the order: no fraction of a point's worth beyond the share.
        allowed = 0 if isinstance(amount, UnsetType) else amount * share // 10_000
        if value > allowed:
            raise Rejected("ORDER_CEILING", value=value, allowed=allowed)


def use_bonus_budget(policy: Policy, asked: Asked, *, program: str, points: int) -> tuple[str, str, Any]:
    """The change that counts an award against the issuer's budget. Raises `Rejected`
    ``BONUS_BUDGET_EXHAUSTED``.
    """
    day = asked.block.day
    used_day = points + (policy.used_day if policy.day == day else 0)
    used_total = policy.used_total + points
    if used_day > policy.bonus_day or used_total > policy.bonus_total:
        raise Rejected("BONUS_BUDGET_EXHAUSTED", program=program, points=points)
    return POLICY, program, replace(policy, day=day, used_day=used_day, used_total=used_total)


def compute_spendable_from(policy: Policy, *, day: int, expires: int) -> int:
    """The first day on which points earned today can be spent; 0 = at once. Never after their last day."""
    return min(day + policy.cooling_days, expires) if policy.cooling_days else 0
