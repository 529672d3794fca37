"""Clearing: whoever is relieved of an obligation pays whoever takes it on or performs it.

Each function returns legs, and a leg has a payer, a payee and a positive number: whatever one owes, another
is owed. Every division says who gets the remainder.
"""

from __future__ import annotations

from contracts.mechanics.trials import get_parameter_for
from ledger.outcome import Leg
from ledger.rule import Asked
from ledger.state import StateView


def compute_accrual_fee(state: StateView, asked: Asked, *, member: str, points: int, par_accrue: int) -> int:
    """The operator's fee on partner earning. Rounded down: the partner keeps the fraction."""
    basis_points = get_parameter_for(state, asked, "accrual_fee_basis_points", member)
    return points * par_accrue * basis_points // 10_000


def make_accrual_legs(asked: Asked, *, issuer: str, accrual: int, fee: int) -> list[Leg]:
    """Partner earning: the partner pays the issuer for the promise it takes on, and the operator its fee."""
    return make_legs(
        (asked.sender, accrual, "earn", issuer),
        (asked.sender, fee, "accrual_fee", asked.block.operator),
    )


def make_accrual_return_legs(asked: Asked, *, issuer: str, accrual: int, fee: int) -> list[Leg]:
    """Partner earning undone: the issuer pays the promise back to the partner, and the operator its fee."""
    return make_legs(
        (issuer, accrual, "earn_return", asked.sender),
        (asked.block.operator, fee, "accrual_fee_return", asked.sender),
    )


def compute_commission(state: StateView, asked: Asked, *, member: str, gross: int) -> int:
    """The operator's commission on spending elsewhere. Rounded down: the acceptor keeps the fraction."""
    commission = gross * get_parameter_for(state, asked, "commission_basis_points", member) // 10_000
    commission = max(commission, get_parameter_for(state, asked, "commission_floor_micros", member))
    return min(commission, get_parameter_for(state, asked, "commission_cap_micros", member), gross)


def make_redemption_legs(asked: Asked, *, issuer: str, gross: int, commission: int) -> list[Leg]:
    """Spending elsewhere: the issuer pays the acceptor who performs, less the operator's commission."""
    return make_legs(
        (issuer, gross - commission, "redeem", asked.sender),
        (issuer, commission, "commission", asked.block.operator),
    )


def make_refund_legs(asked: Asked, *, issuer: str, gross: int, commission: int) -> list[Leg]:
    """Spending elsewhere undone: acceptor and operator pay the issuer back what they had of it."""
    return make_legs(
        (asked.sender, gross - commission, "redeem_return", issuer),
        (asked.block.operator, commission, "commission_return", issuer),
    )


def compute_share(whole: int, *, part: int, before: int, after: int) -> int:
    """What falls to the step from ``before`` to ``after`` of ``part``, so that all steps make up ``whole``.

    The cumulative form: ⌊whole·after/part⌋ − ⌊whole·before/part⌋. Whatever the steps, nothing is lost and
    nothing is paid twice. 0 where there is no part to divide by.
    """
    return whole * after // part - whole * before // part if part else 0


def compute_exchange_legs(*, source_issuer: str, gross: int, target_issuer: str, paid: int) -> list[Leg]:
    """Exchange: the old issuer pays the new one; what rounding leaves is its own, shown as a leg."""
    return make_legs(
        (source_issuer, paid, "exchange", target_issuer),
        (source_issuer, gross - paid, "rounding", f"rounding:{source_issuer}"),
    )


def make_legs(*wanted: tuple[str, int, str, str]) -> list[Leg]:
    """The legs among these that say something: more than nothing, and between two different accounts."""
    return [
        Leg(source, micros, reason, destination)
        for source, micros, reason, destination in wanted
        if micros > 0 and source != destination
    ]
