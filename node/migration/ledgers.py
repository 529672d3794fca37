"""The ledger's side of a comparison: a program's movements from a day on, read entry by entry.

From a data directory, or with an auditor's or a follower's token, the log itself is read from the first block
that can matter. A participant's token does not show the log; then the histories of the members in the book
are asked for, one after the other, which is right for a few thousand and slow for a whole country. Nothing is
verified here: `commonpoint verify` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from contracts.messages import MESSAGE_DECODER, SystemMessage
from ledger.calendar import get_day
from ledger.genesis import Origin
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    ENTRY_DECODER,
    ENTRY_START,
    SYSTEM_DECODER,
    SYSTEM_START,
)
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.tiles import TILE_WIDTH, entries_path
from ledger.outcome import Outcome
from node.bundle.leaves import Leaves
from node.config import load_config
from node.migration.movements import Movement, read_movements
from node.remote.admission import open_connection
from node.remote.chain import read_origin
from node.remote.connection import Connection
from node.storage.snapshot import Snapshot

_PAGE: Final = 200
_LEAD_DAYS: Final = 1
"""An entry may say that it happened a little later than its block."""
_SYSTEM_MESSAGE: Final = msgspec.json.Decoder(SystemMessage)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class _Row(Struct, frozen=True):
    """A row of a history."""

    entry: Raw
    index: int
    time: int


class _Page(Struct, frozen=True):
    """A page of a history."""

    rows: list[_Row]
    next: int | None = None


_PAGE_DECODER: Final = msgspec.json.Decoder(_Page)
ListMovements = Callable[[int, Iterable[str]], Iterator[Movement]]
"""``list(first_day, members)``: the program's movements recorded on this day or later."""


class Side(NamedTuple):
    """The ledger, opened."""

    origin: Origin
    list_movements: ListMovements
    reads_log: bool
    """Whether all of the program is seen, or only the members in the book."""


@contextmanager
def open_directory(data: Path, *, program: str) -> Iterator[Side]:
    """A data directory's ledger."""
    config = load_config(data)
    with Snapshot(config.database) as snapshot:
        leaves = _make_leaves(snapshot.read_bundle, snapshot.read_size(), config.origin)
        yield Side(config.origin, _make_reader(leaves, config.origin, program), reads_log=True)


@contextmanager
def open_url(
    url: str,
    *,
    program: str,
    token: str | None,
    keys: Path | None,
    participant: str | None,
    chain: str | None,
) -> Iterator[Side]:
    """A node's ledger."""
    with open_connection(url, token=token, keys=keys, participant=participant, chain=chain) as connection:
        origin, _ = read_origin(connection, pinned=chain)
        note = (connection.get_file("checkpoint") or b"").decode("utf-8", "replace")
        size = parse_checkpoint(split_note(note)[0]).size
        if connection.get_file(entries_path(0, min(TILE_WIDTH, size))) is not None:
            leaves = _make_leaves(
                lambda index, width: connection.get_file(entries_path(index, width)), size, origin
            )
            yield Side(origin, _make_reader(leaves, origin, program), reads_log=True)
        else:
            yield Side(origin, _make_asker(connection, origin, program), reads_log=False)


def _make_leaves(read_bundle: Callable[[int, int], bytes | None], size: int, origin: Origin) -> Leaves:
    return Leaves(
        read_bundle,
        size=size,
        genesis=len(origin.leaves),
        utc_offset_minutes=origin.settings.utc_offset_minutes,
    )


def _make_reader(leaves: Leaves, origin: Origin, program: str) -> ListMovements:
    """Reads the log itself."""
    offset = origin.settings.utc_offset_minutes

    def list_movements(first_day: int, members: Iterable[str]) -> Iterator[Movement]:
        del members  # whoever moved points of the program is in the log
        for place in range(_find_start(leaves, origin, first_day - _LEAD_DAYS), leaves.size):
            leaf = leaves.get(place)
            if leaf.startswith((ENTRY_START, SYSTEM_START)):
                yield from _read(place, leaf, program, offset)

    return list_movements


def _make_asker(connection: Connection, origin: Origin, program: str) -> ListMovements:
    """Asks for each member's history."""
    offset = origin.settings.utc_offset_minutes

    def list_movements(first_day: int, members: Iterable[str]) -> Iterator[Movement]:
        for member in members:
            path = f"v1/members/{member}/history"
            query: dict[str, str | int] = {"limit": _PAGE, "program": program}
            while (body := connection.get_file(path, params=query)) is not None:
                page = _PAGE_DECODER.decode(body)
                for row in page.rows:
                    if get_day(row.time, utc_offset_minutes=offset) >= first_day - _LEAD_DAYS:
                        found = _read(row.index, bytes(row.entry), program, offset)
                        # A gift is in two histories; each shows its own side.
                        yield from (each for each in found if each.member == member)
                is_older = bool(page.rows) and (
                    get_day(page.rows[-1].time, utc_offset_minutes=offset) < first_day - _LEAD_DAYS
                )
                if page.next is None or is_older:
                    break
                query["before"] = page.next

    return list_movements


def _read(place: int, leaf: bytes, program: str, offset: int) -> Iterator[Movement]:
    message: Any
    if leaf.startswith(SYSTEM_START):
        system = SYSTEM_DECODER.decode(leaf)
        message, outcome = _SYSTEM_MESSAGE.decode(system.message), _OUTCOME.decode(system.outcome)
    else:
        entry = ENTRY_DECODER.decode(leaf)
        message, outcome = MESSAGE_DECODER.decode(entry.message), _OUTCOME.decode(entry.outcome)
    yield from read_movements(place, message, outcome, program=program, utc_offset_minutes=offset)


def _find_start(leaves: Leaves, origin: Origin, day: int) -> int:
    """The first leaf of the first block of this day or later."""
    offset = origin.settings.utc_offset_minutes
    low, high = len(origin.leaves), leaves.size
    start = low
    while low < high:
        middle = (low + high) // 2
        place = middle
        while place < high and not leaves.get(place).startswith(BLOCK_START):
            place += 1
        if place == high:
            high = middle
            continue
        block = BLOCK_LEAF_DECODER.decode(leaves.get(place))
        if get_day(block.time, utc_offset_minutes=offset) < day:
            low = start = place + 1
        else:
            high = min(middle, block.first)
    return start
