"""CSV as systems and spreadsheets really write it, read line by line, each fault with the line it is in.

Taken: UTF-8 with or without a byte order mark, any line ending, comma, semicolon or tab, quoted cells, empty
lines, spaces around a value. Refused: columns nobody asked for (what is not needed has no business here),
cells that a spreadsheet would execute, line breaks inside a cell, lines with more or fewer cells than the
first. A file is read once from front to end and never held in memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from node.keystore import Unusable

CELL_CHARACTERS_MAX: Final = 4_096
_SEPARATORS: Final = ",;\t"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula."""
_CHUNK_BYTES: Final = 1 << 16


class Fault(NamedTuple):
    """Why a line cannot be used."""

    line: int
    code: str
    told: str


class Row(NamedTuple):
    """A line's cells by column, those that are not there empty."""

    line: int
    cells: dict[str, str]


class Table:
    """The lines of a file that is open."""

    def __init__(
        self, text: Any, source: _Hashed, *, required: Sequence[str], optional: Sequence[str]
    ) -> None:
        self._source = source
        self._line = 0
        self._lines = self._count(text)
        head = next(self._lines, "")
        self._separator = _find_separator(head)
        self.columns = _read_head(head, self._separator, required=required, optional=optional)
        """As the first line names them."""

    def __iter__(self) -> Iterator[Row | Fault]:
        """Every line that is not empty, as what it holds or why it cannot be used."""
        csv.field_size_limit(CELL_CHARACTERS_MAX)
        reader = csv.reader(self._lines, delimiter=self._separator, strict=True)
        while True:
            line = self._line + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Fault(line, "LINE_BROKEN", _tell_csv_error(error))
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield self._read(line, cells)

    @property
    def sha256(self) -> str:
        """The hash of the bytes read so far: of the file, once all lines were taken."""
        return self._source.digest.hexdigest()

    def _read(self, line: int, cells: list[str]) -> Row | Fault:
        if len(cells) != len(self.columns):
            told = f"{len(cells)} cells where the first line names {len(self.columns)} columns"
            return Fault(line, "CELLS", told)
        values = {column: cell.strip(" ") for column, cell in zip(self.columns, cells, strict=True)}
        for column, value in values.items():
            fault = _find_fault(value)
            if fault is not None:
                return Fault(line, fault[0], f"{column}: {fault[1]}")
        return Row(line, values)

    def _count(self, text: Iterator[str]) -> Iterator[str]:
        for line in text:
            self._line += 1
            yield line


@contextmanager
def open_table(path: Path, *, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Table]:
    """The file's lines. Raises `Unusable` where it is no such table."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        advice = "Name a CSV file that can be read."
        raise Unusable("FILE_UNREADABLE", advice=advice, path=str(path), reason=error.strerror) from None
    with file:
        source = _Hashed(file)
        # A byte that is no UTF-8 becomes a lone surrogate, so that the line with it can be named.
        text = io.TextIOWrapper(
            io.BufferedReader(source, _CHUNK_BYTES), "utf-8-sig", errors="surrogateescape", newline=""
        )
        try:
            yield Table(text, source, required=required, optional=optional)
        except OSError as error:
            raise Unusable(
                "FILE_UNREADABLE", advice="Name a CSV file.", path=str(path), reason=error.strerror
            ) from None


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(buffer)
        self.digest.update(memoryview(buffer)[:count])
        return count


def _find_separator(head: str) -> str:
    """The separator that the first line has most of: a comma, unless another is."""
    return max(_SEPARATORS, key=head.count) if head else ","


def _read_head(head: str, separator: str, *, required: Sequence[str], optional: Sequence[str]) -> list[str]:
    known = (*required, *optional)
    advice = f"The first line names the columns: {', '.join(required)}"
    advice += f"; if you like, {', '.join(optional)}." if optional else "."
    if "\x00" in head:
        raise Unusable("NOT_UTF_8", advice="Save the file as CSV in UTF-8.")
    try:
        cells = next(csv.reader([head], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise Unusable("COLUMNS", advice=advice, reason=_tell_csv_error(error)) from None
    columns = [cell.strip().lower() for cell in cells]
    for column in columns:
        if column not in known:
            raise Unusable(
                "COLUMN_UNKNOWN",
                advice=f"Leave it out: names and the like have no business here. {advice}",
                column=column[:40].encode("ascii", "backslashreplace").decode(),
            )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    missing = [column for column in required if column not in columns]
    if twice or missing:
        raise Unusable("COLUMNS", advice=advice, missing=", ".join(missing), twice=", ".join(twice))
    return columns


def _find_fault(value: str) -> tuple[str, str] | None:
    """What is wrong with a cell, whatever column it is in."""
    if "\n" in value or "\r" in value:
        return "LINE_BREAK", "a line break inside a cell; perhaps a quotation mark is missing"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "NOT_UTF_8", "not UTF-8; save the file as CSV in UTF-8"
    if any(character < " " or character == "\x7f" for character in value):
        return "CONTROL_CHARACTER", "a control character"
    if value.startswith(_FORMULA) and not _is_negative(value):
        return "FORMULA", f"begins with {value[0]!r}, which a spreadsheet takes for a formula"
    return None


def _is_negative(value: str) -> bool:
    digits = value[1:].replace(".", "", 1).replace(",", "")
    return value[0] == "-" and digits.isascii() and digits.isdigit()


def _tell_csv_error(error: csv.Error) -> str:
    told = str(error)
    if "field larger" in told:
        return f"a cell of more than {CELL_CHARACTERS_MAX} characters; perhaps a quotation mark is missing"
    if "unexpected end" in told:
        return "a quotation mark is opened and never closed"
    if "NUL" in told:
        return "a NUL character; save the file as CSV in UTF-8"
    return "a quotation mark inside a cell; a quoted cell ends at the next separator"
