"""A statement as a Parquet file, for those who count with it: the same rows as the CSV, each column typed.

Money is in exact decimals, never in floats. Texts are as the ledger has them: nothing runs a Parquet file.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from node.api.csv_rows import Units
from node.statements.extras import load
from node.statements.rows import AMOUNT_PLACE, COLUMNS, Row, list_rows
from node.statements.view import Sheet


def make_parquet(sheet: Sheet) -> bytes:
    """The file's bytes. Raises `Unusable` ``EXTRA_MISSING``."""
    duckdb: Any = load("duckdb")
    with TemporaryDirectory(prefix="commonpoint-") as folder:
        # By way of a file: reading one is what the engine is quick at, row by row it is not.
        told, made = Path(folder, "rows.csv"), Path(folder, "rows.parquet")
        with told.open("w", encoding="utf-8", newline="") as file:
            file.writelines(map(_format_row, list_rows(sheet)))
        with duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False}) as connection:
            rows = connection.read_csv(
                str(told), header=False, columns=COLUMNS, delimiter=",", quotechar='"', escapechar='"'
            )
            rows.write_parquet(str(made), compression="zstd")
        return made.read_bytes()


def _format_row(row: Row) -> str:
    cells = list(map(_format_cell, row))
    cells[AMOUNT_PLACE] = "" if row.amount is None else str(Units(row.amount))
    return ",".join(cells) + "\n"


def _format_cell(cell: int | str | None) -> str:
    """A text always in quotes, so that what has none is a number or is not there."""
    if cell is None:
        return ""
    return str(cell) if isinstance(cell, int) else '"' + cell.replace('"', '""') + '"'
