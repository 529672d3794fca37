"""A statement as rows of one wide table: what a spreadsheet and an analyst's tools both get.

`row` says what a row is: `transfer`, `position`, `brand`, `line`, `brought` or `order`. What a kind does not
have is empty. Money stands twice: in whole micro-units, and as a decimal of the currency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from node.api.csv_rows import format_time
from node.statements.view import Order, Sheet

COLUMNS: Final[dict[str, str]] = {
    "row": "VARCHAR",
    "window": "INTEGER",
    "number": "INTEGER",
    "participant": "VARCHAR",
    "participant_name": "VARCHAR",
    "from": "VARCHAR",
    "from_name": "VARCHAR",
    "to": "VARCHAR",
    "to_name": "VARCHAR",
    "reason": "VARCHAR",
    "micros": "DECIMAL(38,0)",
    "amount": "DECIMAL(38,6)",
    "currency": "VARCHAR",
    "units": "BIGINT",
    "carry_before_micros": "DECIMAL(38,0)",
    "carry_after_micros": "DECIMAL(38,0)",
    "brand": "VARCHAR",
    "entry": "BIGINT",
    "time": "VARCHAR",
    "occurred_at": "VARCHAR",
    "kind": "VARCHAR",
    "reference": "VARCHAR",
    "member": "VARCHAR",
    "program": "VARCHAR",
    "points": "BIGINT",
}
"""Names in order, with the types that a columnar file has them in."""


class Row(NamedTuple):
    """One row, in the order of `COLUMNS`."""

    row: str
    window: int
    number: int | None = None
    participant: str | None = None
    participant_name: str | None = None
    source: str | None = None
    source_name: str | None = None
    destination: str | None = None
    destination_name: str | None = None
    reason: str | None = None
    micros: int | None = None
    amount: int | None = None
    """As `micros`: it is shown as a decimal."""
    currency: str | None = None
    units: int | None = None
    carry_before: int | None = None
    carry_after: int | None = None
    brand: str | None = None
    entry: int | None = None
    time: str | None = None
    occurred_at: str | None = None
    kind: str | None = None
    reference: str | None = None
    member: str | None = None
    program: str | None = None
    points: int | None = None


AMOUNT_PLACE: Final = Row._fields.index("amount")


class _Maker:
    """Rows of one sheet: the window, the currency and the names are in all of them."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def make(self, row: str, micros: int, **cells: Any) -> Row:
        """A row of this kind, each account beside its name."""
        for side in ("source", "destination", "participant"):
            if side in cells:
                cells[f"{side}_name"] = self._sheet.get_name(cells[side])
        return Row(
            row=row,
            window=self._sheet.statement.window,
            micros=micros,
            amount=micros,
            currency=self._sheet.statement.currency,
        )._replace(**cells)


def list_rows(sheet: Sheet) -> Iterator[Row]:
    """Payments first, then positions with their brands, lines, what was brought over, and orders."""
    make = _Maker(sheet).make
    for transfer in sheet.transfers:
        yield make(
            "transfer",
            sheet.get_micros(transfer.units),
            number=transfer.place,
            source=transfer.payer,
            destination=transfer.payee,
            units=transfer.units,
        )
    for position in sheet.positions:
        yield make(
            "position",
            position.net,
            participant=position.participant,
            units=position.units,
            carry_before=position.carry_before,
            carry_after=position.carry_after,
        )
        for brand, units in position.brands:
            yield make(
                "brand",
                sheet.get_micros(units),
                participant=position.participant,
                units=units,
                brand=brand,
            )
    for line in sheet.lines:
        yield make(
            "line",
            line.micros,
            number=line.place,
            source=line.source,
            destination=line.destination,
            reason=line.reason,
        )
    for each in sheet.brought:
        yield make(
            "brought",
            each.micros,
            number=each.window,
            source=each.source,
            destination=each.destination,
        )
    for order in sheet.orders:
        yield _make_order(make, order)


def _make_order(make: Callable[..., Row], order: Order) -> Row:
    return make(
        "order",
        order.micros,
        source=order.source,
        destination=order.destination,
        reason=order.reason,
        entry=order.entry,
        time=None if order.time is None else format_time(order.time),
        occurred_at=None if order.occurred_at is None else format_time(order.occurred_at),
        kind=order.kind,
        reference=order.reference,
        member=order.member,
        program=order.program,
        points=order.points,
    )
