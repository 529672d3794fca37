"""Settlement in the model, in the order of docs/spec/settlement.md: windows from their cut to their end."""

from __future__ import annotations

from typing import Any

from tests.properties.model_state import Block, State, Window, reject
from tests.properties.model_statement import find_nets, hash_of, make_statement
from tests.properties.model_values import ceiling_of

Message = dict[str, Any]
Events = list[dict[str, Any]]
Entry = tuple[Message, dict[str, Any]]
OK = {"code": "OK"}
MINUTE = 60_000
WAITING_MAX = 128


def event(name: str, number: int) -> dict[str, Any]:
    return {"about": str(number), "name": name}


def success(events: Events) -> dict[str, Any]:
    return {"code": "OK", "events": events} if events else OK


def cut_window(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    if sender != block.operator:
        reject("NOT_OPERATOR")
    if message["effective_height"] <= block.height:
        reject("HEIGHT_NOT_AHEAD")
    if sum(window.stands in ("closed", "confirmed") for window in state.windows.values()) >= WAITING_MAX:
        reject("TOO_MANY_WINDOWS")
    state.standing["cut_at"] = message["effective_height"]
    return OK


def is_cut_due(state: State, block: Block) -> bool:
    if any(leg["reason"] == "carry" for leg in state.legs.get(block.height, ())):
        return False
    days = state.parameter("window_days", block.height)
    by_day = days > 0 and block.day >= state.standing["cut_day"] + days
    return by_day or 0 < state.standing["cut_at"] <= block.height


def cut(state: State, block: Block) -> Entry:
    """The open window ends with the block before; what enactments of this block owe is the next one's."""
    standing, number = state.standing, state.standing["window"]
    lines: dict[tuple[str, str, str], int] = {}
    for height in [height for height in state.legs if height < block.height]:
        for leg in state.legs.pop(height):
            place = leg["from"], leg["to"], leg["reason"]
            lines[place] = lines.get(place, 0) + leg["micros"]
    previous = {"previous": state.windows[number - 1].hash} if number > 1 else {}
    statement = make_statement(
        brands=state.brands,
        brought=state.brought,
        carries=state.carries,
        lines=lines,
        unit=state.parameter("payment_unit_micros", block.height),
        chain=block.chain,
        closed_at=block.time,
        currency=standing["currency"],
        first_height=standing["first_height"],
        last_height=block.height - 1,
        window=number,
        **previous,
    )
    state.carries = {row["participant"]: int(row["carry_after"]) for row in statement["positions"]}
    state.brought = {}
    state.windows[number] = Window(
        statement=statement,
        hash=hash_of(statement),
        clock=block.time + 1000 * state.parameter("confirmation_seconds", block.height),
        stands="closed",
        agreed=frozenset(),
        disputing=frozenset(),
        sides=(frozenset(),) * len(statement["transfers"]),
    )
    standing |= {"cut_at": 0, "cut_day": block.day, "first_height": block.height, "window": number + 1}
    outcome = {**success([event("WINDOW_CLOSED", number)]), "statement": state.windows[number].hash}
    return {"@type": "cut", "window": number}, outcome


def find_window(state: State, number: int) -> Window:
    if number not in state.windows:
        reject("WINDOW_UNKNOWN")
    return state.windows[number]


def parties_of(window: Window) -> list[str]:
    return [position["participant"] for position in window.statement["positions"]]


def confirm_if_agreed(state: State, block: Block, number: int) -> Events:
    """Nobody disputes, and all have agreed or the clock has spoken for them."""
    window = state.windows[number]
    agreed = block.time >= window.clock or set(parties_of(window)) <= window.agreed
    return confirm(state, block, number) if agreed and not window.disputing else []


def confirm(state: State, block: Block, number: int) -> Events:
    until = block.time + 1000 * state.parameter("payment_seconds", block.height)
    state.windows[number] = state.windows[number]._replace(stands="confirmed", clock=until)
    return [event("WINDOW_CONFIRMED", number), *settle_if_paid(state, number)]


def settle_if_paid(state: State, number: int) -> Events:
    window = state.windows[number]
    if any(len(sides) < 2 for sides in window.sides):
        return []
    state.windows[number] = window._replace(stands="settled")
    relieve(state, window)
    return [event("WINDOW_SETTLED", number)]


def relieve(state: State, window: Window) -> None:
    """What came to be owed in this window is no longer."""
    for row in (*window.statement["lines"], *window.statement["brought"]):
        state.relieved[row["from"]] = state.relieved.get(row["from"], 0) + int(row["micros"])


def bring(state: State, source: str, destination: str, micros: int, number: int) -> None:
    """This is to be paid with the open window, so its debtor owes it still."""
    if micros and source != destination:
        debt = source, destination, number
        state.brought[debt] = state.brought.get(debt, 0) + micros
        state.relieved[source] = state.relieved.get(source, 0) - micros


def countersign(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    number = message["window"]
    window = find_window(state, number)
    if window.stands != "closed":
        reject("WINDOW_NOT_CLOSED")
    if sender not in parties_of(window):
        reject("NOT_IN_WINDOW")
    if message["statement"] != window.hash:
        reject("STATEMENT_DIFFERS")
    agrees = message["verdict"] == "agree"
    check_lines(window, sender, message.get("lines"), agrees=agrees)
    disputes = sender in window.disputing
    spoken_for = block.time >= window.clock and not disputes
    if sender in window.agreed or spoken_for or (disputes and not agrees):
        reject("ALREADY_SIGNED")
    if agrees:
        window = window._replace(agreed=window.agreed | {sender}, disputing=window.disputing - {sender})
    else:
        window = window._replace(disputing=window.disputing | {sender})
    state.windows[number] = window
    return success(confirm_if_agreed(state, block, number))


def check_lines(window: Window, sender: str, places: list[int] | None, *, agrees: bool) -> None:
    lines = window.statement["lines"]
    if agrees:
        if places is not None:
            reject("LINE_UNKNOWN")
        return
    if places is None or places != sorted(set(places)) or places[-1] >= len(lines):
        reject("LINE_UNKNOWN")
    if not all(sender in (lines[place]["from"], lines[place]["to"]) for place in places):
        reject("LINE_UNKNOWN")


def attest_payment(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    number, place = message["window"], message["transfer"]
    window = find_window(state, number)
    if window.stands != "confirmed":
        reject("WINDOW_NOT_CONFIRMED")
    transfers = window.statement["transfers"]
    if place >= len(transfers):
        reject("TRANSFER_UNKNOWN")
    if sender not in (transfers[place]["from"], transfers[place]["to"]):
        reject("NOT_IN_TRANSFER")
    side = "from" if sender == transfers[place]["from"] else "to"
    if side in window.sides[place]:
        reject("ALREADY_ATTESTED")
    attest(state, number, place, {side})
    return success(settle_if_paid(state, number))


def attest(state: State, number: int, place: int, by: set[str]) -> None:
    window = state.windows[number]
    sides = (*window.sides[:place], window.sides[place] | by, *window.sides[place + 1 :])
    state.windows[number] = window._replace(sides=sides)


def set_brand_shares(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    state.brands[sender] = tuple((share["brand"], share["parts"]) for share in message["shares"])
    return OK


def find_unpaid(window: Window) -> list[tuple[int, dict[str, Any], int]]:
    """(place, transfer, micros) of what is not attested by both sides."""
    unit = window.statement["payment_unit_micros"]
    rows = zip(window.statement["transfers"], window.sides, strict=True)
    return [
        (place, transfer, transfer["units"] * unit)
        for place, (transfer, sides) in enumerate(rows)
        if len(sides) < 2
    ]


def abort(state: State, number: int) -> Events:
    window = state.windows[number]
    state.windows[number] = window._replace(stands="aborted")
    relieve(state, window)
    for _, transfer, micros in find_unpaid(window):
        bring(state, transfer["from"], transfer["to"], micros, number)
    return [event("WINDOW_ABORTED", number)]


def find_clocks(state: State) -> list[tuple[int, str, str, Any]]:
    """The minutes at which a window is confirmed or aborted, with its number."""
    return [
        (ceiling_of(window.clock, MINUTE), "w", f"{number:06}", number)
        for number, window in state.windows.items()
        if window.stands == "confirmed" or (window.stands == "closed" and not window.asked)
    ]


def tend(state: State, block: Block, number: int) -> Entry:
    """The clock has come: for its signatures, or for its payments."""
    window = state.windows[number]
    if window.stands == "confirmed":
        return {"@type": "abort", "window": number}, success(abort(state, number))
    state.windows[number] = window._replace(asked=True)
    events = confirm_if_agreed(state, block, number)
    outcome = success(events) if events else {"code": "WINDOW_NOT_CONFIRMED"}
    return {"@type": "confirm", "window": number}, outcome


def stands_somewhere(state: State, who: str) -> bool:
    """In the open window, in one that is not at its end, or in what was brought over."""
    legs = [leg for there in state.legs.values() for leg in there]
    open_lines = {(leg["from"], leg["to"], leg["reason"]): leg["micros"] for leg in legs}
    standing = set(find_nets(open_lines, state.brought))
    for window in state.windows.values():
        if window.stands in ("closed", "confirmed"):
            standing |= set(parties_of(window))
    return who in standing
