"""Caps: how much a participant may owe, set by the operator or by vote, never above what covers it."""

from __future__ import annotations

from msgspec.structs import replace

from contracts.mechanics.records import EXPOSURE, NO_EXPOSURE, PARTICIPANT, Exposure
from contracts.mechanics.settlement_records import COVER, Cover
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def set_cap(
    state: StateView, block: BlockContext, participant: str, *, cap: int
) -> tuple[str, str, Exposure]:
    """The change after which a participant may owe this much. Raises `Rejected` ``PARTICIPANT_UNKNOWN`` or
    ``CAP_ABOVE_COVER``.

    A cover that has expired is no reason to refuse: until it is attested anew it lets nothing be owed anyway.
    """
    if state.get(PARTICIPANT, participant) is None:
        raise Rejected("PARTICIPANT_UNKNOWN", participant=participant)
    cover: Cover | None = state.get(COVER, participant)
    if cover is not None and cover.expires > block.time and cap > cover.cover:
        raise Rejected("CAP_ABOVE_COVER", cap=cap, cover=cover.cover)
    exposure = state.get(EXPOSURE, participant) or NO_EXPOSURE
    return EXPOSURE, participant, replace(exposure, cap=cap)
