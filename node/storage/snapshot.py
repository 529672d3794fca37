"""One moment of a ledger's databases, read for an audit: nothing is written, nothing is repaired, nothing is
believed.

A single read transaction spans the whole audit, so a node that goes on writing changes nothing in what is
seen. The views are looked at before the log, so what they stand for is in the log that is seen; where they
are not there, nothing was folded. What a database itself finds broken is a finding of the audit; what cannot
be opened or is locked means that no audit took place.

It is a `node.audit.sources.LeafSource` and a `node.audit.stored.StoredViews`; values are handed on as they
are stored, whatever their type, since a value of another type is a change too.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from ledger.errors import Unverified
from ledger.log.tiles import TILE_WIDTH
from node.audit.lookups import HISTORY, REFERENCES, TRANSACTIONS, Row
from node.audit.sources import SourceUnavailable
from node.storage.chunks import compute_place, find_first, read_chunk
from node.storage.moment import Moment
from node.storage.packing import unpack
from node.storage.place import Place, PostgresqlPlace
from node.storage.schema import LOG_VERSION, SEGMENT_BITS, VIEWS_VERSION
from node.storage.sqlite_moment import SqliteMoment

_CHUNKED: Final = {HISTORY: "history", REFERENCES: "lookup_reference"}
_BROKEN: Final = ("", "a broken chunk")
"""Stands in a row for what no entry can say."""


class Snapshot:
    """A ledger's databases as of the moment they were opened. Raises `SourceUnavailable` or, for broken ones,
    `InvalidBlock`.
    """

    has_partial_tiles: Final = False
    segment_leaves: Final = 1 << SEGMENT_BITS

    def __init__(self, place: Place) -> None:
        self._moment = _open_moment(place)
        self.has_views = self._moment.has_views
        """Views may be deleted: whoever starts a node makes them again."""
        self._log_mark, self._views_mark = self._moment.marks
        try:
            self._check_version()
        except BaseException:
            self.close()
            raise

    def _check_version(self) -> None:
        marks = {self._log_mark: LOG_VERSION}
        if self.has_views:
            marks[self._views_mark] = VIEWS_VERSION
        for mark, version in marks.items():
            found = self._get(f"SELECT value FROM {mark} WHERE name = 'schema'")
            if found != version:
                raise SourceUnavailable("SCHEMA_VERSION", expected=version, found=found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The moment is let go of."""
        self._moment.close()

    def read_checkpoint(self) -> str:
        """The newest stored checkpoint, or an empty text."""
        text = self._get("SELECT text FROM note ORDER BY size DESC LIMIT 1")
        return text if isinstance(text, str) else ""

    def read_note_size(self) -> int | None:
        """The size it is filed under."""
        size: int | None = self._get("SELECT size FROM note ORDER BY size DESC LIMIT 1")
        return size

    def read_size(self) -> int:
        """How many leaves are stored, as the last row of them says."""
        for first, data in self._rows("SELECT first, data FROM segment ORDER BY first DESC LIMIT 1"):
            return int(first) + _count_leaves(_unpack(data))
        return 0

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """The leaves of a bundle up to the first that is missing."""
        first = index * TILE_WIDTH
        parts: list[bytes] = []
        place = first
        for begin, data in self._rows(
            "SELECT first, data FROM segment WHERE first >= ? AND first < ? ORDER BY first",
            first,
            first + width,
        ):
            if begin != place:
                break
            parts.append(_unpack(data))
            place += _count_leaves(parts[-1])
        return b"".join(parts) or None

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A full hash tile as stored."""
        del width  # only full ones are stored
        tile = self._get("SELECT data FROM tile WHERE level = ? AND position = ?", level, index)
        return tile if isinstance(tile, bytes) else None

    def count_tiles(self) -> int:
        """How many full hash tiles are stored."""
        return int(self._get("SELECT count(*) FROM tile"))

    def read_mark(self) -> int | None:
        """The tree size that records and look-ups stand for, or None."""
        if not self.has_views:
            return None
        mark: int | None = self._get(f"SELECT value FROM {self._views_mark} WHERE name = 'fold'")
        return mark

    def list_blocks(self) -> Iterator[tuple[int, int, int]]:
        """Every block in order: index of its leaf, height, time."""
        for row in self._rows("SELECT last, height, time FROM block ORDER BY last"):
            yield row[0], row[1], row[2]

    def find_block(self, height: int) -> int | None:
        """The index of the block leaf of this height, as filed."""
        found: int | None = self._get("SELECT last FROM block WHERE height = ?", height)
        return found

    def list_records(self, table: str) -> Iterator[tuple[str, bytes]]:
        """Every record of a state table in key order, as stored."""
        if not self.has_views:
            return
        for row in self._rows(f"SELECT key, value FROM state_{table} ORDER BY key"):
            yield row[0], row[1]

    def find_records(self, table: str, prefix: str) -> Iterator[tuple[str, bytes]]:
        """The records of a state table whose keys begin so, in key order, as stored."""
        for row in self._rows(
            f"SELECT key, value FROM state_{table} WHERE key >= ? AND key < ? ORDER BY key",
            prefix,
            prefix + "\U0010ffff",
        ):
            yield row[0], row[1]

    def list_lookups(self, lookup: str, segment: int) -> Iterator[Row]:
        """Every look-up row of one segment. Of a chunk that is not as it would have been made, one row that
        no entry brings.
        """
        if not self.has_views:
            return
        if lookup == TRANSACTIONS:
            yield from self._rows(
                "SELECT entry, sender, id, digest FROM lookup_transaction WHERE segment = ?", segment
            )
            return
        begin, end = (compute_place(segment=each, bucket=0) for each in (segment, segment + 1))
        for place, data in self._rows(
            f"SELECT place, data FROM {_CHUNKED[lookup]} WHERE place >= ? AND place < ?", begin, end
        ):
            for index, name, beside in _read_chunk(place, data):
                yield (index, name, beside) if lookup == HISTORY else (index, beside, name)

    def find_lookup_outside(self, segment: int) -> Row | None:
        """A look-up row of no segment from 0 to this one, if there is any."""
        if not self.has_views:
            return None
        for row in self._rows(
            "SELECT entry, sender, id, digest FROM lookup_transaction"
            " WHERE segment > ? OR segment < 0 LIMIT 1",
            segment,
        ):
            return row
        end = compute_place(segment=segment + 1, bucket=0)
        for table in _CHUNKED.values():
            for place, data in self._rows(
                f"SELECT place, data FROM {table} WHERE place >= ? OR place < 0 LIMIT 1", end
            ):
                return _read_chunk(place, data)[0]
        return None

    def _get(self, statement: str, *values: int | str) -> Any:
        """The first value of the first row, or None."""
        return next((row[0] for row in self._rows(statement, *values)), None)

    def _rows(self, statement: str, *values: int | str) -> Iterator[Row]:
        """The rows as plain tuples."""
        return self._moment.rows(statement, *values)


def _unpack(row: Any) -> bytes:
    """The leaves that a stored row holds; none where it is no row of leaves or its packing is broken."""
    try:
        return unpack(row) if isinstance(row, bytes) else b""
    except Unverified:
        return b""


def _read_chunk(place: int, data: Any) -> list[Row]:
    """The rows of a chunk, or the one that stands for a broken one."""
    broken: list[Row] = [(find_first(place), *_BROKEN)]
    try:
        return list(read_chunk(place, data)) if isinstance(data, bytes) else broken
    except Unverified:
        return broken


def _count_leaves(data: bytes) -> int:
    """How many leaves a bundle holds; of a broken one those before the break."""
    count = position = 0
    end = len(data)
    while position + 2 <= end:
        position += 2 + (data[position] << 8) + data[position + 1]
        count += position <= end
    return count


def _open_moment(place: Place) -> Moment:
    """The present moment of the databases there. Raises as `Moment.rows`."""
    if isinstance(place, PostgresqlPlace):
        # The driver is an extra, which a node over SQLite does without: where it is missing, this says so.
        from node.storage.postgresql import load_driver  # noqa: PLC0415

        load_driver()
        from node.storage.postgresql_moment import PostgresqlMoment  # noqa: PLC0415

        return PostgresqlMoment(place)
    return SqliteMoment(place)
