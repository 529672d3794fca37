"""Parameters: the numbers an alliance agrees on, each with bounds, each by height.

A parameter has a default, may begin otherwise at genesis and changes only from a height ahead, so a block is
executed under one set of them and replaying it finds the same. To add one: a row here, a row in
docs/spec/messages.md, and the rule that reads it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from contracts.mechanics.records import PARAMETER, Change, Parameter
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.values import PAR_MAX, POINTS_MAX

ANNOUNCED_MAX: Final = 32
"""Changes of one parameter, series or program that may lie ahead at a time."""


class Bounds(NamedTuple):
    """A parameter's default and the least and greatest value it may take."""

    default: int
    least: int
    greatest: int


PARAMETERS: Final[dict[str, Bounds]] = {
    "accrual_fee_basis_points": Bounds(0, 0, 1_000),
    "commission_basis_points": Bounds(100, 0, 2_000),
    "commission_cap_micros": Bounds(50_000_000, 0, 10**12),
    "commission_floor_micros": Bounds(0, 0, 10**9),
    "confirmation_seconds": Bounds(259_200, 60, 2_592_000),
    "consent_seconds_max": Bounds(86_400, 60, 2_592_000),
    "debt_points_max": Bounds(100_000, 0, POINTS_MAX),
    "due_entries_max": Bounds(256, 1, 8_192),
    "hold_seconds_max": Bounds(604_800, 60, 2_678_400),
    "import_days": Bounds(400, 0, 3_650),
    "key_replacement_delay_seconds": Bounds(259_200, 0, 2_592_000),
    "not_after_seconds_max": Bounds(3_600, 10, 3_600),
    "occurred_lead_seconds": Bounds(300, 0, 3_600),
    "open_consent_points_max": Bounds(5_000, 0, POINTS_MAX),
    "open_consent_seconds_max": Bounds(120, 10, 120),
    "par_band_basis_points": Bounds(1_000, 0, 10_000),
    "par_floor_micros": Bounds(10_000, 1, PAR_MAX),
    "payment_seconds": Bounds(604_800, 60, 5_184_000),
    "payment_unit_micros": Bounds(10_000, 1, 1_000_000),
    "proposal_seconds_max": Bounds(2_592_000, 60, 31_536_000),
    "rate_notice_heights": Bounds(10, 1, 10_000_000),
    "reference_horizon_days": Bounds(400, 1, 800),
    "refund_grace_days": Bounds(30, 0, 90),
    "refund_horizon_days": Bounds(180, 1, 400),
    "window_days": Bounds(0, 0, 366),
}


def check_value(name: str, value: int) -> None:
    """There is such a parameter, and it may take this value. Raises `Rejected` ``PARAMETER_UNKNOWN`` or
    ``PARAMETER_OUT_OF_BOUNDS``.
    """
    bounds = PARAMETERS.get(name)
    if bounds is None:
        raise Rejected("PARAMETER_UNKNOWN", parameter=name)
    if not bounds.least <= value <= bounds.greatest:
        raise Rejected("PARAMETER_OUT_OF_BOUNDS", value=value, bounds=bounds)


def get_parameter(state: StateView, block: BlockContext, name: str) -> int:
    """The value in force in this block."""
    value = block.memo[PARAMETER].get(name)
    if value is None:
        value = get_value_at(state.get(PARAMETER, name), name=name, height=block.height)
        block.memo[PARAMETER][name] = value
    found: int = value
    return found


def get_value_at(record: Parameter | None, *, name: str, height: int) -> int:
    """The value in force at a height, given the parameter's record (None: never set)."""
    value = PARAMETERS[name].default
    for change in record.changes if record is not None else ():
        if change.height <= height:
            value = change.value
    return value


def with_change(record: Parameter | None, *, height: int, value: int, now: int) -> Parameter:
    """The record with another value from ``height``, without what is no longer in force.

    A later announcement for the same height replaces an earlier one. Raises `Rejected`
    ``TOO_MANY_ANNOUNCED``.
    """
    known = record.changes if record is not None else ()
    before = [change for change in known if change.height != height]
    ahead = [change for change in before if change.height > now]
    in_force = [change for change in before if change.height <= now][-1:]
    check_announced(len(ahead))
    return Parameter((*in_force, *sorted([*ahead, Change(height, value)], key=lambda change: change.height)))


def check_announced(ahead: int) -> None:
    """There is room for one more announcement. Raises `Rejected` ``TOO_MANY_ANNOUNCED``.

    What lies ahead is looked at whenever more is announced, so it has an end.
    """
    if ahead >= ANNOUNCED_MAX:
        raise Rejected("TOO_MANY_ANNOUNCED", ahead=ahead, allowed=ANNOUNCED_MAX)
