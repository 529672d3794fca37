"""Clearing: whoever is relieved of an obligation pays whoever takes it on or performs it.

Each function returns legs, and a leg has a payer, a payee and a positive number: whatever one owes, another
is owed. Every division says who gets the remainder.
"""

from __future__ import annotations

from contracts.mechanics.parameters import get_parameter
from ledger.outcome import Leg
from ledger.rule import Asked
from ledger.state import StateView


def compute_accrual_legs(
    state: StateView, asked: Asked, *, issuer: str, points: int, par_accrue: int
) -> list[Leg]:
    """Partner earning: the partner pays the issuer for the promise it takes on, and the operator its fee."""
    accrual = points * par_accrue
    # The operator's fee is rounded down: the partner keeps the fraction.
    fee = accrual * get_parameter(state, asked.block, "accrual_fee_basis_points") // 10_000
    return make_legs(
        (asked.sender, accrual, "earn", issuer),
        (asked.sender, fee, "accrual_fee", asked.block.operator),
    )


def compute_redemption_legs(state: StateView, asked: Asked, *, issuer: str, gross: int) -> list[Leg]:
    """Spending elsewhere: the issuer pays the acceptor who performs, less the operator's commission."""
    block = asked.block
    # Rounded down: the acceptor keeps the fraction.
    commission = gross * get_parameter(state, block, "commission_basis_points") // 10_000
    commission = max(commission, get_parameter(state, block, "commission_floor_micros"))
    commission = min(commission, get_parameter(state, block, "commission_cap_micros"), gross)
    return make_legs(
        (issuer, gross - commission, "redeem", asked.sender),
        (issuer, commission, "commission", block.operator),
    )


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
