"""What a vote does to a window, in the model: a dispute decided, a window aborted, a default shared."""

from __future__ import annotations

from typing import Any

from tests.properties.model_exposure import find_cover
from tests.properties.model_settlement import (
    abort,
    attest,
    bring,
    confirm_if_agreed,
    find_unpaid,
    find_window,
    settle_if_paid,
)
from tests.properties.model_state import Block, State, Window, reject
from tests.properties.model_statement import apportion

Message = dict[str, Any]
INTEGER_MAX = 2**53 - 1
DRAWS_MAX = 80


def find_confirmed(state: State, number: int) -> Window:
    window = find_window(state, number)
    if window.stands != "confirmed":
        reject("WINDOW_NOT_CONFIRMED")
    return window


def resolve_dispute(state: State, block: Block, action: Message) -> dict[str, Any]:
    number = action["window"]
    window = find_window(state, number)
    if action["participant"] not in window.disputing:
        reject("NO_DISPUTE")
    corrections = action["corrections"]
    present = set(state.participants) - set(state.removed)
    if any(who not in present for each in corrections for who in (each["from"], each["to"])):
        reject("PARTICIPANT_UNKNOWN")
    legs = [{**each, "reason": "correction"} for each in corrections if each["from"] != each["to"]]
    state.owe(legs)
    decided = {action["participant"]}
    state.windows[number] = window._replace(
        agreed=window.agreed | decided, disputing=window.disputing - decided
    )
    return {"events": confirm_if_agreed(state, block, number), "legs": legs}


def abort_window(state: State, _block: Block, action: Message) -> dict[str, Any]:
    find_confirmed(state, action["window"])
    return {"events": abort(state, action["window"])}


def find_claims(window: Window, debtor: str) -> list[tuple[str, int]]:
    """To whom the debtor's rows with each creditor owe more than that one's owe it, in order."""
    claims: dict[str, int] = {}
    for row in (*window.statement["lines"], *window.statement["brought"]):
        if row["from"] == debtor and not row["to"].startswith("rounding:"):
            claims[row["to"]] = claims.get(row["to"], 0) + int(row["micros"])
        if row["to"] == debtor:
            claims[row["from"]] = claims.get(row["from"], 0) - int(row["micros"])
    return [(who, claim) for who, claim in sorted(claims.items()) if claim > 0]


def merge(due: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Where a carry alone made it owe, it has no creditors: who would be paid goes without."""
    payees = sorted({payee for payee, _ in due})
    return [(who, sum(micros for payee, micros in due if payee == who)) for who in payees]


def declare_default(state: State, block: Block, action: Message) -> dict[str, Any]:
    number, debtor = action["window"], action["participant"]
    window = find_confirmed(state, number)
    if debtor == block.operator:
        reject("OPERATOR_STAYS")
    unpaid = [row for row in find_unpaid(window) if row[1]["from"] == debtor]
    if not unpaid:
        reject("NOTHING_OWED")
    missing = sum(micros for _, _, micros in unpaid)
    cover = find_cover(state, block, debtor)
    sources = []
    for name in ("cover", "reserve", "fund"):
        there = state.standing["fund"] if name == "fund" else getattr(cover, name, 0)
        given = min(there, missing)
        missing -= given
        sources.append((f"backing:{name}", given))
        if name == "fund":
            state.standing["fund"] -= given
        elif given:
            stands = state.covers[debtor]
            state.covers[debtor] = stands._replace(**{name: getattr(stands, name) - given})
    due = [(transfer["to"], micros) for _, transfer, micros in unpaid]
    sources += apportion(missing, find_claims(window, debtor) or merge(due))
    spread(state, number, list(sources), due)
    for place, _, _ in unpaid:
        attest(state, number, place, {"from", "to"})
    state.suspended[debtor] = True
    draws = [
        {"micros": min(micros - told, INTEGER_MAX), "source": source}
        for source, micros in sources
        for told in range(0, min(micros, DRAWS_MAX * INTEGER_MAX), INTEGER_MAX)
    ][:DRAWS_MAX]
    return {"draws": draws, "events": settle_if_paid(state, number)}


def spread(state: State, number: int, sources: list[tuple[str, int]], due: list[tuple[str, int]]) -> None:
    """Who pays whom: the sources in order, the transfers in order; what creditors pay they owe from now."""
    for payee, micros in due:
        left = micros
        while left and sources:
            source, there = sources.pop(0)
            part = min(there, left)
            left -= part
            if there > part:
                sources.insert(0, (source, there - part))
            if not source.startswith("backing:"):
                bring(state, source, payee, part, number)
