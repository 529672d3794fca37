"""Tills: how far a terminal's own word goes where no member was asked.

At the custodian's tills, for its own program, the till's word is consent enough, within what the merchant's
govern key allows that till: an order, a day, and the number of points above which the member must be asked
after all (step-up). A till without limits has none.
"""

from __future__ import annotations

from typing import Any

from msgspec import UnsetType
from msgspec.structs import replace

from contracts.mechanics.records import TILL, TillLimits
from contracts.messages.consent_text import Consent
from ledger.errors import Rejected
from ledger.rule import Asked
from ledger.state import StateView


def use_till(
    state: StateView, asked: Asked, *, consent: Consent | UnsetType, points: int
) -> list[tuple[str, str, Any]]:
    """The changes that count what a till spends on its own word.

    Raises `Rejected` ``TILL_LIMIT`` or ``STEP_UP_REQUIRED``.
    """
    if not isinstance(consent, UnsetType) or asked.key.purpose != "till":
        return []
    limits: TillLimits | None = state.get(TILL, asked.key_id)
    if limits is None:
        return []
    day = asked.block.day
    used_day = points + (limits.used_day if limits.day == day else 0)
    if points > limits.points_order or used_day > limits.points_day:
        raise Rejected("TILL_LIMIT", points=points, used_day=used_day)
    if points > limits.step_up:
        raise Rejected("STEP_UP_REQUIRED", points=points, allowed=limits.step_up)
    return [(TILL, asked.key_id, replace(limits, day=day, used_day=used_day))]
