"""What must add up over all windows of a ledger, added up: from every statement and every record.

- windows follow one another without a gap, and each statement has the hash that its window and the next
  statement name;
- a statement follows from itself: nets from its lines, units and carries from nets, carries from the
  statement before; units, carries and nets each sum to zero, and its transfers pay exactly its units;
- all lines of all statements are what the last cut found between each pair, never more than is owed;
- what a window left unpaid was brought over, once;
- what a participant owes that is not settled is what it owes since the last cut, in windows that are not
  settled, and by what was brought over.

How a window came to its state (who agreed, who attested, what was voted on) is the replay's business.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from contracts.mechanics.records import EXPOSURE, NO_EXPOSURE
from contracts.mechanics.settlement_records import (
    BROUGHT,
    CARRY,
    OPEN_WINDOW,
    STATED,
    STATEMENT,
    WINDOW,
    OpenWindow,
    WindowRecord,
)
from contracts.messages.statement import STATEMENT_DECODER, Statement
from ledger.codec import decode, sha256, to_base64url
from ledger.errors import InvalidBlock
from ledger.state import State
from ledger.totals import DEBIT_TABLE, OWED_TABLE

_UNSETTLED: Final = ("closed", "confirmed")
_DEFAULTED: Final = "default"
_ROUNDING: Final = "rounding:"


def verify_settlement(state: State) -> None:
    """Every sum over all windows holds. Raises `InvalidBlock` with the first that does not."""
    stated: Counter[str] = Counter()
    brought: Counter[tuple[str, str, int]] = Counter()
    carries: dict[str, int] = {}
    previous: WindowRecord | None = None
    windows: list[WindowRecord] = [record for _, record in state.list_records(WINDOW)]
    for number, window in enumerate(windows, start=1):
        _check_place(state, number, window, previous)
        statement = _read_statement(state, number, window, previous)
        _check_arithmetic(statement, carries)
        _check_record(statement, window)
        carries = {one.participant: int(one.carry_after) for one in statement.positions}
        carries = {name: micros for name, micros in carries.items() if micros}
        stated.update(
            {f"{line.source}|{line.destination}|{line.reason}": int(line.micros) for line in statement.lines}
        )
        brought.update(
            {(one.source, one.destination, one.window): int(one.micros) for one in statement.brought}
        )
        previous = window
    _demand(dict(state.list_records(CARRY)) == carries, "CARRIES_DIFFER", expected=carries)
    _demand(dict(state.list_records(STATED)) == dict(stated), "STATED_DIFFERS", expected=dict(stated))
    owed = dict(state.list_records(OWED_TABLE))
    _demand(
        all(micros <= owed.get(key, 0) for key, micros in stated.items()), "STATED_ABOVE_OWED", expected=owed
    )
    _check_open(state, windows)
    now: Counter[tuple[str, str, int]] = Counter()
    for key, micros in state.list_records(BROUGHT):
        source, destination, number_text = key.split("|")
        now[source, destination, int(number_text)] += micros
    _check_brought(windows, brought + now)
    _check_relief(state, windows, owed=owed, stated=stated, now=now)


def _demand(holds: bool, code: str, *, expected: Any, found: Any = "something else") -> None:  # noqa: FBT001
    if not holds:
        raise InvalidBlock(code, expected=expected, found=found)


def _check_place(state: State, number: int, window: WindowRecord, previous: WindowRecord | None) -> None:
    """The window begins where the one before ended."""
    first = 1 if previous is None else previous.last_height + 1
    known = state.get(WINDOW, f"{number:06d}")
    _demand(known == window, "WINDOWS_NOT_CONSECUTIVE", expected=number, found=known)
    _demand(
        window.first_height == first and window.last_height >= first - 1,
        "WINDOWS_NOT_CONSECUTIVE",
        expected=f"window {number} from height {first}",
        found=(window.first_height, window.last_height),
    )


def _read_statement(
    state: State, number: int, window: WindowRecord, previous: WindowRecord | None
) -> Statement:
    """The window's statement, which has its hash and names the one before."""
    text: str | None = state.get(STATEMENT, f"{number:06d}")
    data = (text or "").encode()
    digest = to_base64url(sha256(data))
    _demand(digest == window.statement, "STATEMENT_HASH", expected=window.statement, found=digest)
    statement = decode(data, STATEMENT_DECODER)
    told = (statement.window, statement.first_height, statement.last_height, statement.closed_at)
    kept = (number, window.first_height, window.last_height, window.closed_at)
    _demand(told == kept, "STATEMENT_DIFFERS", expected=kept, found=told)
    before = None if previous is None else previous.statement
    named = statement.previous if isinstance(statement.previous, str) else None
    _demand(named == before, "STATEMENT_PREVIOUS", expected=before, found=named)
    return statement


def _check_arithmetic(statement: Statement, carries: dict[str, int]) -> None:
    """Nets follow from lines, units and carries from nets; each sums to zero; transfers pay the units."""
    nets: Counter[str] = Counter()
    for line in statement.lines:
        nets[line.source] -= int(line.micros)
        nets[line.destination.removeprefix(_ROUNDING)] += int(line.micros)
    for one in statement.brought:
        nets[one.source] -= int(one.micros)
        nets[one.destination] += int(one.micros)
    told = {one.participant: int(one.net) for one in statement.positions}
    names = sorted(nets.keys() | carries.keys())
    _demand(list(told) == names, "POSITIONS_DIFFER", expected=names, found=list(told))
    _demand(told == {name: nets[name] for name in names}, "POSITIONS_DIFFER", expected=dict(nets), found=told)
    paid: Counter[str] = Counter()
    for transfer in statement.transfers:
        paid[transfer.source] -= transfer.units
        paid[transfer.destination] += transfer.units
    unit = statement.payment_unit_micros
    for position in statement.positions:
        amount = int(position.net) + int(position.carry_before)
        after = int(position.carry_after)
        holds = (
            int(position.carry_before) == carries.get(position.participant, 0)
            and amount == position.units * unit + after
            and abs(after) < unit
            and paid[position.participant] == position.units
        )
        _demand(holds, "UNITS_DIFFER", expected=f"{amount} micros in units of {unit}", found=position)
    _demand(set(paid) <= set(told), "UNITS_DIFFER", expected=list(told), found=dict(paid))
    _demand(
        not sum(int(one.carry_after) for one in statement.positions)
        and not sum(one.units for one in statement.positions)
        and not sum(told.values()),
        "STATEMENT_NOT_ZERO",
        expected="nets, units and carries that sum to zero",
        found=statement.window,
    )


def _check_record(statement: Statement, window: WindowRecord) -> None:
    """The record says of the statement what it says itself."""
    debits: Counter[str] = Counter()
    for line in statement.lines:
        debits[line.source] += int(line.micros)
    for one in statement.brought:
        debits[one.source] += int(one.micros)
    told = (
        tuple(one.participant for one in statement.positions),
        tuple((one.source, one.destination, one.units) for one in statement.transfers),
        tuple(sorted(debits.items())),
        statement.payment_unit_micros,
    )
    kept = (
        window.parties,
        tuple((one.payer, one.payee, one.units) for one in window.transfers),
        window.debits,
        window.unit_micros,
    )
    _demand(told == kept, "WINDOW_DIFFERS", expected=told, found=kept)
    unpaid = [one for one in window.transfers if not (one.payer_reference and one.payee_reference)]
    _demand(
        window.state != "settled" or not unpaid,
        "SETTLED_UNPAID",
        expected="every transfer attested",
        found=unpaid,
    )


def _check_open(state: State, windows: list[WindowRecord]) -> None:
    """The open window comes after the last that was cut."""
    found: OpenWindow | None = state.get(OPEN_WINDOW, OPEN_WINDOW)
    number, first, opened_at = 1, 1, None
    if windows:
        number, first, opened_at = len(windows) + 1, windows[-1].last_height + 1, windows[-1].closed_at
    if found is None:
        _demand(not windows, "OPEN_WINDOW", expected=number, found=found)
    else:
        holds = (found.number, found.first_height) == (number, first)
        holds = holds and opened_at in (None, found.opened_at)
        _demand(holds, "OPEN_WINDOW", expected=(number, first, opened_at), found=found)


def _check_brought(windows: list[WindowRecord], brought: Counter[tuple[str, str, int]]) -> None:
    """What was not paid of an aborted window was brought over; and nothing else but what a default left."""
    left: Counter[tuple[str, str, int]] = Counter()
    loosely: set[int] = set()
    for number, window in enumerate(windows, start=1):
        for one in window.transfers:
            if _DEFAULTED in (one.payer_reference, one.payee_reference):
                loosely.add(number)
            if window.state == "aborted" and not (one.payer_reference and one.payee_reference):
                left[one.payer, one.payee, number] += one.units * window.unit_micros
    for key in sorted(left.keys() | brought.keys()):
        more = brought[key] - left[key]
        _demand(
            more == 0 or (more > 0 and key[2] in loosely),
            "BROUGHT_DIFFERS",
            expected=left[key],
            found={key: brought[key]},
        )


def _check_relief(
    state: State,
    windows: list[WindowRecord],
    *,
    owed: dict[str, int],
    stated: Counter[str],
    now: Counter[tuple[str, str, int]],
) -> None:
    """Who is relieved of what was settled, and of nothing else."""
    unsettled: Counter[str] = Counter()
    for key, micros in owed.items():
        unsettled[key.partition("|")[0]] += micros - stated[key]
    for window in windows:
        if window.state in _UNSETTLED:
            unsettled.update(dict(window.debits))
    for (debtor, _, _), micros in now.items():
        unsettled[debtor] += micros
    debits: dict[str, int] = dict(state.list_records(DEBIT_TABLE))
    exposures = dict(state.list_records(EXPOSURE))
    for name in sorted(unsettled.keys() | debits.keys() | exposures.keys()):
        relieved = exposures.get(name, NO_EXPOSURE).relieved
        _demand(
            debits.get(name, 0) - relieved == unsettled[name],
            "RELIEF_DIFFERS",
            expected=unsettled[name],
            found={name: debits.get(name, 0) - relieved},
        )
