"""Chunks: each entry is found by its names and by no other, and what is read is what was made."""

from __future__ import annotations

import random

import pytest

from ledger.codec import encode
from ledger.errors import Unverified
from node.storage.chunks import (
    NamedEntries,
    find_first,
    find_in_chunk,
    find_range,
    find_segment,
    get_bucket,
    read_chunk,
)
from node.storage.packing import pack, unpack
from node.storage.schema import SEGMENT_BITS

NAMES = [
    *(f"m_{number:026d}" for number in range(40)),
    "",
    'quoted "name"',
    "back\\slash",
    "zwölf €",
    "a,b]",
    "1",
    "[1",
]


def make_entries(seed: int, *, count: int, first: int = 0, names=NAMES) -> NamedEntries:
    """Entries in log order, some of them of several names and some of one name twice."""
    chance = random.Random(seed)
    entries, index = NamedEntries(), first
    for _ in range(count):
        entries.add(index, chance.choice(names), chance.choice(["leaf", "mile", ""]))
        index += chance.choice([0, 1, 1, 1, 40])
    return entries


#   entries, the first of them: in one segment, across the border of two, far into a long log
@pytest.mark.parametrize("first", [0, (1 << SEGMENT_BITS) - 9_000, (1 << 52) - 5])
@pytest.mark.parametrize("count", [0, 1, 30, 1_500])
def test_every_entry_is_found_by_its_name_and_by_no_other(count, first):
    entries = make_entries(count, count=count, first=first)
    everything = list(entries)
    rows = entries.make_rows()
    assert sorted(row for place, data in rows for row in read_chunk(place, data)) == sorted(everything)
    assert [place for place, _ in rows] == sorted({place for place, _ in rows})
    for name in [*NAMES, "nobody"]:
        expected = [(index, beside) for index, who, beside in everything if who == name]
        assert entries.find(name) == expected
        found = []
        for segment in sorted({find_segment(place) for place, _ in rows}):
            begin, end = find_range(segment, name, end=2**53)
            found += [
                each for place, data in rows if begin <= place < end for each in find_in_chunk(data, name)
            ]
        assert found == expected


def test_a_search_below_an_entry_reads_no_chunk_that_begins_later():
    entries = make_entries(1, count=500)
    for place, data in entries.make_rows():
        name = read_chunk(place, data)[0][1]
        first = find_first(place)
        for end, is_read in ((first, False), (first + 1, True), (2**53, True)):
            begin, beyond = find_range(0, name, end=end)
            assert (begin <= place < beyond) == is_read


def test_what_a_later_fold_brings_stands_behind_what_an_earlier_one_brought():
    one, other = make_entries(1, count=500), make_entries(2, count=500, first=50_000)
    for bucket in {get_bucket(name) for name in NAMES}:
        begin = min(find_range(0, name, end=2**53)[0] for name in NAMES if get_bucket(name) == bucket)
        earlier, later = (
            [place for place, _ in each.make_rows() if begin <= place < begin + (1 << SEGMENT_BITS)]
            for each in (one, other)
        )
        assert max(earlier, default=-1) < min(later, default=2**62)


def test_a_name_that_everybody_uses_is_cut_between_entries():
    entries = NamedEntries()
    # Three rows an entry, all of one name: as if every merchant had but one reference.
    for number in range(6_000):
        entries.add(number // 3, "the same", f"sender-{number % 3}")
    rows = entries.make_rows()
    assert len(rows) > 10
    firsts = [find_first(place) for place, _ in rows]
    assert firsts == sorted(set(firsts))
    assert [row for place, data in rows for row in read_chunk(place, data)] == list(entries)
    assert max(len(unpack(data)) for _, data in rows) < 20_000


def test_a_chunk_that_stands_elsewhere_or_says_something_else_is_broken():
    entries = make_entries(3, count=200)
    for place, data in entries.make_rows():
        flat = unpack(data)
        rows = read_chunk(place, data)
        backwards = [field for row in reversed(rows) for field in row]
        others = [b" " + flat, flat[:-1], flat + b" ", b"[]", b"", b"[0]", encode([None])]
        if len({index for index, _, _ in rows}) > 1:
            others.append(encode(backwards))
        for other in others:
            with pytest.raises(Unverified):
                read_chunk(place, pack(other))
        for other in (place + 1, place + (1 << SEGMENT_BITS), -1):
            with pytest.raises(Unverified):
                read_chunk(other, data)
