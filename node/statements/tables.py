"""The tables of a statement as people read them, in one of two languages.

Every cell is text that is ready to be shown; whoever lays it out decides nothing about it. Amounts are in the
currency, exact; what is paid is apart from what is only owed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from contracts.mechanics.statement import ROUNDING_PREFIX
from node.statements.figures import format_amount, format_amounts, format_date
from node.statements.view import Sheet, sum_by_counterparty
from node.statements.wording import Language, get_kind, get_reason, get_word

ORDERS_SHOWN_MAX: Final = 2_000
"""More are for a spreadsheet, not for a page."""


class Column(NamedTuple):
    """A column's head, and how its cells stand."""

    title: str
    is_number: bool = False
    is_code: bool = False


class Table(NamedTuple):
    """A table with what is said about it."""

    title: str
    note: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    sums: Sequence[str] = ()
    """The last row, where there is something to sum up."""


class TableTeller:
    """Words and figures of one sheet in one language."""

    def __init__(self, sheet: Sheet, language: Language) -> None:
        self._sheet = sheet
        self._language = language

    def word(self, name: str) -> str:
        """A text in the language."""
        return get_word(name, self._language)

    def name(self, account: str) -> str:
        """The name, with the id where that says more."""
        shown = self._sheet.get_name(account)
        if account.startswith(ROUNDING_PREFIX):
            return f"{shown} ({self.word('rounding')})"
        return shown if shown == account else f"{shown} ({account})"

    def list_tables(self) -> list[Table]:
        """What is paid first, and what it follows from after it."""
        sheet = self._sheet
        found = [self._tell_transfers()]
        if sheet.participant is not None:
            found.append(self._tell_counterparties())
        found.append(self._tell_positions())
        if any(each.brands for each in sheet.positions):
            found.append(self._tell_brands())
        found.append(self._tell_lines())
        if sheet.brought:
            found.append(self._tell_brought())
        return found

    def _tell_transfers(self) -> Table:
        sheet = self._sheet
        return Table(
            self.word("transfers"),
            self.word("transfers_note"),
            [
                Column(self.word("transfer"), is_number=True),
                Column(self.word("debtor")),
                Column(self.word("creditor")),
                Column(self.word("amount"), is_number=True),
            ],
            [
                (
                    str(each.place),
                    self.name(each.payer),
                    self.name(each.payee),
                    format_amount(sheet.get_micros(each.units)),
                )
                for each in sheet.transfers
            ],
        )

    def _tell_counterparties(self) -> Table:
        balances = sum_by_counterparty(self._sheet)
        rows = [(each.owed, each.owes, each.owed - each.owes) for each in balances]
        told = _format_rows([*rows, _sum_columns(rows, 3)])
        return Table(
            self.word("by_counterparty"),
            self.word("by_counterparty_note"),
            [
                Column(self.word("counterparty")),
                *(Column(self.word(each), is_number=True) for each in ("credits", "debits", "net")),
            ],
            [(self.name(each.other), *row) for each, row in zip(balances, told[:-1], strict=True)],
            (self.word("sum"), *told[-1]),
        )

    def _tell_positions(self) -> Table:
        sheet = self._sheet
        rows = [
            (each.net, each.carry_before, sheet.get_micros(each.units), each.carry_after)
            for each in sheet.positions
        ]
        told = _format_rows([*rows, _sum_columns(rows, 4)])
        return Table(
            self.word("positions"),
            self.word("positions_note"),
            [
                Column(self.word("participant")),
                *(
                    Column(self.word(each), is_number=True)
                    for each in ("net", "carry_before", "payment", "carry_after")
                ),
            ],
            [
                (self.name(each.participant), *row)
                for each, row in zip(sheet.positions, told[:-1], strict=True)
            ],
            (self.word("sum"), *told[-1]) if sheet.participant is None else (),
        )

    def _tell_brands(self) -> Table:
        sheet = self._sheet
        return Table(
            self.word("brand_shares"),
            self.word("brand_shares_note"),
            [
                Column(self.word("participant")),
                Column(self.word("brand")),
                Column(self.word("amount"), is_number=True),
            ],
            [
                (self.name(each.participant), brand, format_amount(sheet.get_micros(units)))
                for each in sheet.positions
                for brand, units in each.brands
            ],
        )

    def _tell_lines(self) -> Table:
        lines = self._sheet.lines
        return Table(
            self.word("lines"),
            self.word("lines_note"),
            [
                Column(self.word("number"), is_number=True),
                *(Column(self.word(each)) for each in ("from", "to", "reason")),
                Column(self.word("amount"), is_number=True),
            ],
            [
                (
                    str(each.place),
                    self.name(each.source),
                    self.name(each.destination),
                    get_reason(each.reason, self._language),
                    amount,
                )
                for each, amount in zip(lines, format_amounts([each.micros for each in lines]), strict=True)
            ],
        )

    def _tell_brought(self) -> Table:
        brought = self._sheet.brought
        return Table(
            self.word("brought"),
            self.word("brought_note"),
            [
                Column(self.word("from")),
                Column(self.word("to")),
                Column(self.word("reason")),
                Column(self.word("amount"), is_number=True),
            ],
            [
                (
                    self.name(each.source),
                    self.name(each.destination),
                    self.word("window").format(number=each.window),
                    amount,
                )
                for each, amount in zip(
                    brought, format_amounts([each.micros for each in brought]), strict=True
                )
            ],
        )

    def tell_orders(self) -> Table:
        """The orders behind a participant's lines, as far as a page has room."""
        sheet = self._sheet
        note = self.word("orders_note")
        if len(sheet.orders) > ORDERS_SHOWN_MAX:
            cut = self.word("orders_cut").format(
                shown=f"{ORDERS_SHOWN_MAX:,}", count=f"{len(sheet.orders):,}"
            )
            note = f"{note} {cut}"
        return Table(
            self.word("orders"),
            note,
            [
                Column(self.word("entry"), is_number=True),
                *(Column(self.word(each)) for each in ("date", "kind")),
                Column(self.word("reference"), is_code=True),
                Column(self.word("member"), is_code=True),
                Column(self.word("points"), is_number=True),
                *(Column(self.word(each)) for each in ("with_whom", "reason")),
                Column(self.word("amount"), is_number=True),
            ],
            [self._tell_order(place) for place in range(min(len(sheet.orders), ORDERS_SHOWN_MAX))],
        )

    def _tell_order(self, place: int) -> Sequence[str]:
        """The amount is above zero where the participant is owed it."""
        sheet = self._sheet
        each = sheet.orders[place]
        is_owed = each.destination.removeprefix(ROUNDING_PREFIX) == sheet.participant
        other = each.source if is_owed else each.destination
        at = each.time if each.occurred_at is None else each.occurred_at
        return (
            f"{each.entry:,}",
            "" if at is None else format_date(at, utc_offset_minutes=sheet.utc_offset_minutes),
            get_kind(each.kind, self._language),
            each.reference or "",
            each.member or "",
            "" if each.points is None else f"{each.points:,}",
            sheet.get_name(other),
            get_reason(each.reason, self._language),
            format_amount(each.micros if is_owed else -each.micros),
        )


def _sum_columns(rows: Sequence[Sequence[int]], width: int) -> Sequence[int]:
    return [sum(row[place] for row in rows) for place in range(width)]


def _format_rows(rows: Sequence[Sequence[int]]) -> list[Sequence[str]]:
    """Rows of amounts, each column with its own number of places."""
    return list(zip(*map(format_amounts, zip(*rows, strict=True)), strict=True))
