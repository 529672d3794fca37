"""Trials: another value of a parameter, first at some merchants or for a share of the members.

Which members those are is drawn with a seed that nobody could know when they voted: the leaf hash of the
block leaf before the enactment. The value in force stays as it is for everybody else, and a trial that ends
leaves nothing behind.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from contracts.mechanics.governance_records import TRIAL, TrialRecord
from contracts.mechanics.parameters import get_parameter
from ledger.rule import Asked
from ledger.state import StateView

TRIABLE: Final = frozenset(
    {
        "accrual_fee_basis_points",
        "commission_basis_points",
        "commission_cap_micros",
        "commission_floor_micros",
        "consent_seconds_max",
        "debt_points_max",
        "hold_seconds_max",
        "open_consent_points_max",
        "refund_grace_days",
        "refund_horizon_days",
    }
)
"""Parameters that are asked about one order at a time, so that it makes sense to differ between two."""
_WHOLE: Final = 10_000


def get_parameter_for(state: StateView, asked: Asked, name: str, member: str) -> int:
    """The value in force in this block for this sender and member."""
    known = asked.block.memo[TRIAL]
    if name in known:
        trial: TrialRecord | None = known[name]
    else:
        trial = known[name] = state.get(TRIAL, name)
    if trial is not None and is_tried(trial, name, merchant=asked.sender, member=member):
        return trial.value
    return get_parameter(state, asked.block, name)


def is_tried(trial: TrialRecord, name: str, *, merchant: str, member: str) -> bool:
    """Whether the trial's value holds for a member's order at a merchant."""
    if trial.merchants:
        return merchant in trial.merchants
    return draw(seed=trial.seed, parameter=name, member=member) < trial.members_basis_points


def draw(*, seed: str, parameter: str, member: str) -> int:
    """A member's lot, 0 … 9,999: the same for everybody who looks."""
    text = f"commonpoint/trial/v1\n{seed}\n{parameter}\n{member}"
    return int.from_bytes(sha256(text.encode("ascii")).digest()[:8], "big") % _WHOLE
