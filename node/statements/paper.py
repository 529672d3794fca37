"""A statement as a paper that people read: what a page and a document both show, in one of two languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UnsetType

from node.statements.figures import format_amount, format_local
from node.statements.tables import Table, TableTeller
from node.statements.view import Sheet
from node.statements.wording import Language


class Fact(NamedTuple):
    """One thing that is said of the whole."""

    label: str
    value: str
    is_code: bool = False


class Paper(NamedTuple):
    """All that is said, in order."""

    language: Language
    title: str
    subtitle: str
    headline: Sequence[Fact]
    """What a reader looks for first."""
    facts: Sequence[Fact]
    tables: Sequence[Table]
    closing: str
    command: str


def make_paper(sheet: Sheet, language: Language, *, with_orders: bool) -> Paper:
    """What is shown of the sheet."""
    teller = TableTeller(sheet, language)
    statement = sheet.statement
    title = f"{teller.word('statement')} · {teller.word('window').format(number=statement.window)}"
    if sheet.participant is None:
        subtitle = teller.word("whole")
    else:
        subtitle = teller.word("side_of").format(name=teller.name(sheet.participant))
    tables = teller.list_tables()
    if with_orders and sheet.orders:
        tables.append(teller.tell_orders())
    return Paper(
        language=language,
        title=title,
        subtitle=subtitle,
        headline=_list_headline(sheet, teller),
        facts=_list_facts(sheet, teller),
        tables=tables,
        closing=teller.word("verify"),
        command=f"commonpoint settlement statement --data DIR --window {statement.window} --format json",
    )


def _list_facts(sheet: Sheet, teller: TableTeller) -> list[Fact]:
    statement = sheet.statement
    closed = format_local(statement.closed_at, utc_offset_minutes=sheet.utc_offset_minutes)
    facts = [
        Fact(teller.word("chain"), statement.chain, is_code=True),
        Fact(teller.word("closed"), closed),
        Fact(teller.word("heights"), f"{statement.first_height:,} – {statement.last_height:,}"),
        Fact(teller.word("accounted"), statement.currency),
        Fact(teller.word("unit"), format_amount(statement.payment_unit_micros)),
        Fact(teller.word("hash"), sheet.digest, is_code=True),
    ]
    if not isinstance(statement.previous, UnsetType):
        facts.append(Fact(teller.word("previous"), statement.previous, is_code=True))
    return facts


def _list_headline(sheet: Sheet, teller: TableTeller) -> list[Fact]:
    """For one participant, what it pays or is paid; for all, how much is paid in how many payments."""
    currency = sheet.statement.currency
    if sheet.participant is None:
        moved = sum(each.units for each in sheet.transfers)
        return [
            Fact(teller.word("transfers"), f"{len(sheet.transfers):,}"),
            Fact(teller.word("sum"), f"{currency} {format_amount(sheet.get_micros(moved))}"),
        ]
    units = sum(each.units for each in sheet.positions)
    if not units:
        return [Fact(teller.word("payment"), teller.word("settled"))]
    verb = teller.word("receives" if units > 0 else "pays")
    amount = format_amount(abs(sheet.get_micros(units)))
    return [Fact(teller.word("payment"), f"{verb} {currency} {amount}")]
