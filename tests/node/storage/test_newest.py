"""The newest rows in memory: whole bundles' beginnings or nothing, in bounded room."""

from __future__ import annotations

from ledger.log.tiles import TILE_WIDTH
from node.storage.newest import NewestRows


def fill(newest, number, *ends, row=b"row"):
    first = number * TILE_WIDTH
    for end in ends:
        newest.add(first=first, end=number * TILE_WIDTH + end, row=b"%b %d" % (row, end))
        first = number * TILE_WIDTH + end


def test_a_bundle_is_had_up_to_where_a_row_ends_and_nowhere_else():
    newest = NewestRows()
    fill(newest, 7, 10, 200, TILE_WIDTH)
    assert newest.find(7, 10) == [b"row 10"]
    assert newest.find(7, 200) == [b"row 10", b"row 200"]
    assert newest.find(7, TILE_WIDTH) == [b"row 10", b"row 200", b"row 256"]
    assert [newest.find(7, width) for width in (1, 9, 11, 199, 201, 255)] == [None] * 6
    assert newest.find(6, TILE_WIDTH) is newest.find(8, 1) is None


def test_what_has_no_beginning_here_or_a_gap_is_not_had():
    newest = NewestRows()
    newest.add(first=7 * TILE_WIDTH + 1, end=8 * TILE_WIDTH, row=b"late")
    assert newest.find(7, TILE_WIDTH) is None
    fill(newest, 8, 10)
    newest.add(first=8 * TILE_WIDTH + 11, end=9 * TILE_WIDTH, row=b"behind a gap")
    assert newest.find(8, TILE_WIDTH) is None
    assert newest.find(8, 10) == [b"row 10"]


def test_a_row_that_is_here_is_not_here_twice():
    newest = NewestRows()
    fill(newest, 0, 10, 20)
    fill(newest, 0, 10, 20, row=b"again")
    assert newest.find(0, 20) == [b"row 10", b"row 20"]


def test_its_room_is_bounded_and_the_oldest_goes_first():
    newest = NewestRows(bytes_max=1_000)
    for number in range(10):
        newest.add(first=number * TILE_WIDTH, end=(number + 1) * TILE_WIDTH, row=bytes(400))
    assert [number for number in range(10) if newest.find(number, TILE_WIDTH)] == [8, 9]
    newest.add(first=10 * TILE_WIDTH, end=11 * TILE_WIDTH, row=bytes(2_000))
    assert not any(newest.find(number, TILE_WIDTH) for number in range(11))
    fill(newest, 11, TILE_WIDTH)
    assert newest.find(11, TILE_WIDTH) == [b"row 256"]
