"""Look-ups that are kept many to a row: whatever is changed in one is found."""

from __future__ import annotations

import random
import re

import pytest

from node.storage.chunks import NamedEntries, find_first, read_chunk
from node.storage.packing import pack, unpack
from node.storage.schema import SEGMENT_BITS
from tests.node.audit.audited import audit, found_in
from tests.node.audit.written import flip


@pytest.fixture
def chunks(read):
    """The chunks of a table in their order: place, data."""
    return lambda table: read(f"SELECT place, data FROM {table} ORDER BY place")


@pytest.fixture
def put(change):
    """Stores a chunk in the place of another, or takes one away."""

    def run(table, place, chunk):
        change((f"DELETE FROM {table} WHERE place = ?", place))
        if chunk is not None:
            change((f"INSERT INTO {table} VALUES (?, ?)", *chunk))

    return run


def make_chunk(rows):
    """The one chunk of these rows, as an insider who knows how makes it; None of no rows."""
    entries = NamedEntries()
    for row in rows:
        entries.add(*row)
    made = entries.make_rows()
    assert len(made) <= 1
    return made[0] if made else None


@pytest.fixture
def some(chunks):
    """A chunk from the middle of a table, and its rows."""

    def run(table):
        found = chunks(table)
        assert len(found) > 20
        place, data = found[len(found) // 2]
        return place, data, read_chunk(place, data)

    return run


@pytest.mark.parametrize("table", ["history", "lookup_reference"])
def test_a_chunk_that_is_lost_is_found(directory, some, put, table):
    place, _, rows = some(table)
    put(table, place, None)
    assert found_in(directory) == (min(index for index, _, _ in rows), "LOOKUP_MISSING")


@pytest.mark.parametrize("table", ["history", "lookup_reference"])
def test_an_entry_that_is_taken_out_of_a_chunk_is_found(directory, chunks, put, table):
    place, data = next(each for each in chunks(table) if len(read_chunk(*each)) > 2)
    first, *rest = read_chunk(place, data)
    put(table, place, make_chunk(rest))
    assert found_in(directory) == (first[0], "LOOKUP_MISSING")


@pytest.mark.parametrize("table", ["history", "lookup_reference"])
def test_an_entry_that_goes_with_something_else_is_found(directory, some, put, table):
    place, _, ((index, name, _), *rest) = some(table)
    put(table, place, make_chunk([(index, name, "mile"), *rest]))
    assert found_in(directory)[0] == index


def test_a_reference_that_leads_elsewhere_is_found(directory, some, put):
    place, _, ((index, name, sender), *rest) = some("lookup_reference")
    put("lookup_reference", place, make_chunk([(index - 1, name, sender), *rest]))
    assert found_in(directory)[0] in (index - 1, index)


def test_an_entry_of_a_member_that_it_does_not_concern_is_found(directory, chunks, put):
    one, other = chunks("history")[:2]
    (index, _, program), mine = read_chunk(*one)[0], read_chunk(*other)
    put("history", other[0], make_chunk(sorted([*mine, (index, mine[0][1], program)])))
    assert found_in(directory) == (index, "LOOKUP_UNKNOWN")


#   where a chunk is moved to: another bucket, another segment, before all of them
@pytest.mark.parametrize("by", [1 << SEGMENT_BITS, 7 << 10 << SEGMENT_BITS, -1 << 62, 1])
def test_a_chunk_where_no_search_would_look_for_it_is_found(directory, some, put, by):
    place, data, _ = some("history")
    put("history", place, (place + by, data))
    index, check = found_in(directory)
    assert index is not None
    assert check in ("LOOKUP_MISSING", "LOOKUP_UNKNOWN")


#   before all segments, and after them
@pytest.mark.parametrize("place", [-1, 9 << 10 << SEGMENT_BITS])
def test_a_chunk_too_many_is_found(history, directory, some, change, place):
    change(("INSERT INTO history VALUES (?, ?)", place, some("history")[1]))
    assert found_in(directory) == (len(history.leaves), "LOOKUP_UNKNOWN")


#   the same entries in another spelling, and what are none: what is put in the place of what, once or always
SPELLINGS = [
    (rb"^", b" "),
    (rb",", b", "),
    (rb"\]$", b",1]"),
    (rb"^.*$", b"[]"),
    (rb"^.*$", b"{}"),
    (rb"^.*$", b""),
    (rb"^.*$", b"\xff"),
    (rb"\"", b""),
    (rb"^.*$", b'["1","2","3"]'),
]


@pytest.mark.parametrize(("old", "new"), SPELLINGS)
def test_a_chunk_in_another_spelling_is_found(directory, some, put, old, new):
    place, data, _ = some("history")
    put("history", place, (place, pack(re.sub(old, new, unpack(data)))))
    index, check = found_in(directory)
    assert index is not None
    assert check in ("LOOKUP_MISSING", "LOOKUP_UNKNOWN")


@pytest.mark.parametrize("seed", range(5))
def test_one_bit_anywhere_in_a_chunk_is_found(directory, some, put, seed):
    place, data, _ = some("lookup_reference")
    bit = random.Random(seed).randrange(8 * len(data))
    put("lookup_reference", place, (place, flip(data, bit // 8, bit % 8)))
    assert not audit(directory).is_good


def test_a_place_says_the_first_entry(chunks):
    for table in ("history", "lookup_reference"):
        for place, data in chunks(table):
            assert find_first(place) == read_chunk(place, data)[0][0]
