"""Lots in the model: how they are told apart, counted, taken and given, whatever the reason."""

from __future__ import annotations

from typing import Any

from tests.properties.model_state import Block, LotKey, Lots, State, reject
from tests.properties.model_values import BALANCE_MAX, LOTS_FROM_OTHERS_MAX, LOTS_MAX

Account = tuple[str, str]
Changes = list[tuple[LotKey, int]]


def make_legs(*legs: tuple[str, str, str, int]) -> list[dict[str, Any]]:
    """Who owes whom; nobody owes himself, and nobody owes nothing."""
    return [
        {"from": source, "micros": micros, "reason": reason, "to": destination}
        for reason, source, destination, micros in legs
        if micros and source != destination
    ]


def make_rows(lots: Lots | Changes) -> list[list[Any]]:
    """Lots as an outcome spells them."""
    return [
        [expires, opened, original, points, series, spendable_from]
        for (expires, opened, series, original, spendable_from), points in lots
    ]


def make_outcome(state: State, account: Account, **facts: Any) -> dict[str, Any]:
    """A success on this account; what is None, empty or no change is left out."""
    said = {name: fact for name, fact in facts.items() if fact is not None and fact != []}
    return {"balance": state.balance(*account), "code": "OK", **said}


def check_room(
    state: State, block: Block, account: Account, gains: Lots | Changes, *, is_own: bool = True
) -> None:
    """There is room for these. What somebody else delivers opens no lot beyond the 32nd."""
    before = {like for like, _ in (*state.free(*account, block.day), *state.held(*account))}
    after = before | {like for like, _ in gains}
    opens = len(after) - len(before)
    if len(after) > LOTS_MAX or (opens > 0 and len(after) > LOTS_FROM_OTHERS_MAX and not is_own):
        reject("LOT_LIMIT")


def check_balance(state: State, account: Account, gains: Lots | Changes) -> None:
    if state.balance(*account) + sum(points for _, points in gains) > BALANCE_MAX:
        reject("BALANCE_LIMIT")


def give(state: State, block: Block, account: Account, gains: Lots | Changes) -> None:
    state.change(*account, list(gains), block.day)


def take(state: State, block: Block, account: Account, losses: Lots | Changes) -> None:
    state.change(*account, [(like, -points) for like, points in losses], block.day)


def find_arriving(state: State, account: Account, gains: Lots | Changes) -> tuple[Lots, int]:
    """What of these, in their order, is left once the account's debt is repaid, and how much that took."""
    repaid = min(state.debts.get(account, 0), sum(points for _, points in gains))
    return split(tuple(gains), repaid)[1], repaid


def repay(state: State, account: Account, repaid: int) -> dict[str, int]:
    """So many points go against the debt; what an outcome says of that."""
    if not repaid:
        return {}
    state.debts[account] -= repaid
    state.tally(account[1], "clawed_back", repaid)
    return {"debt": state.debts[account], "repaid": repaid}


def find_spendable(
    state: State, block: Block, account: Account, points: int, series: str | None = None
) -> Changes:
    """The lots that give these points, soonest expiry first, then by the series' opening height."""
    found = []
    missing = points
    for like, there in state.free(*account, block.day):
        expires, _, name, _, spendable_from = like
        if spendable_from <= block.day <= expires and series in (None, name) and missing:
            found.append((like, min(there, missing)))
            missing -= found[-1][1]
    if missing:
        reject("INSUFFICIENT_POINTS")
    return found


def split(lots: Lots, points: int) -> tuple[Lots, Lots]:
    """The first so many points of these lots, and the rest."""
    first, rest = [], []
    for like, there in lots:
        part = min(there, points)
        points -= part
        first += [(like, part)] if part else []
        rest += [(like, there - part)] if there > part else []
    return tuple(first), tuple(rest)
