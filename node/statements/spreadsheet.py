"""A statement as CSV: rows a spreadsheet shows and never runs, as `node.api.csv_rows` writes them."""

from __future__ import annotations

from node.api.csv_rows import Units, encode_row
from node.statements.rows import AMOUNT_PLACE, COLUMNS, list_rows
from node.statements.view import Sheet


def format_csv(sheet: Sheet) -> str:
    """The table with its head."""
    lines = [encode_row(COLUMNS)]
    for row in list_rows(sheet):
        cells = list(row)
        amount = row.amount
        cells[AMOUNT_PLACE] = None if amount is None else Units(amount)
        lines.append(encode_row(cells))
    return "".join(lines)
