"""Chunks: what is looked up by a name, many entries to a row of the database.

An entry and its name a row would cost more than the entry itself. So names are dealt to buckets, and what one
fold brings for a bucket is one row: a list of entry, name and what goes with it, three at a time, in log
order. Rows are placed by segment, bucket and first entry; so a search reads one bucket a segment, and what
small folds leave behind is as much as their entries, in neighbouring rows.

A chunk is canonical JSON, packed as leaves are. Which names and entries there are is not its business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import msgspec

from ledger.codec import encode
from ledger.errors import Unverified
from node.storage.packing import pack, unpack
from node.storage.schema import SEGMENT_BITS

Named = tuple[int, str, str]
"""An entry, the name it is found by, and what goes with it."""

BUCKET_BITS: Final = 10
"""A thousand buckets: of a full segment each holds a thousand entries."""
BUCKET_MASK: Final = (1 << BUCKET_BITS) - 1
_CHUNK_ENTRIES: Final = 512
"""A chunk of a name that everybody uses is cut after so many: a search unpacks what it reads."""
_FIELDS: Final = 3

_decode: Final = msgspec.json.Decoder(list[int | str]).decode


def get_bucket(name: str) -> int:
    """The bucket of a name, the same in every process for ever."""
    return crc32(name.encode()) & BUCKET_MASK


def compute_place(*, segment: int, bucket: int) -> int:
    """Where the chunks of a bucket begin in a segment; those of the next begin where they end."""
    return ((segment << BUCKET_BITS) + bucket) << SEGMENT_BITS


def find_range(segment: int, name: str, *, end: int) -> tuple[int, int]:
    """The places in a segment where chunks of this name can stand that begin before entry ``end``: from the
    first on, below the second.
    """
    first = compute_place(segment=segment, bucket=get_bucket(name))
    return first, first + min(1 << SEGMENT_BITS, end - (segment << SEGMENT_BITS))


def find_segment(place: int) -> int:
    """The segment of a chunk."""
    return place >> (SEGMENT_BITS + BUCKET_BITS)


def find_first(place: int) -> int:
    """The first entry of a chunk."""
    return (find_segment(place) << SEGMENT_BITS) + (place & _offset_mask())


class NamedEntries:
    """Entries to be found by name, as they come in log order."""

    def __init__(self) -> None:
        self.buckets: defaultdict[int, list[Any]] = defaultdict(list)
        """What a chunk is made of, by bucket."""

    def add(self, index: int, name: str, beside: str) -> None:
        """This entry is found by this name."""
        self.buckets[crc32(name.encode()) & BUCKET_MASK] += (index, name, beside)

    def find(self, name: str) -> list[tuple[int, str]]:
        """The entries of a name, and what goes with each. Any thread."""
        # Added to at once, three at a time, so a copy is whole.
        found = list(self.buckets.get(get_bucket(name), ()))
        return [(index, beside) for index, who, beside in _group(found) if who == name]

    def __iter__(self) -> Iterator[Named]:
        """All of them, by bucket."""
        for bucket in sorted(self.buckets):
            yield from _group(list(self.buckets[bucket]))

    def make_rows(self) -> list[tuple[int, bytes]]:
        """The chunks and their places, in order."""
        rows = [
            (compute_place(segment=segment, bucket=bucket) + (some[0] & _offset_mask()), pack(encode(some)))
            for bucket, flat in self.buckets.items()
            for segment, some in _cut(flat)
        ]
        rows.sort()
        return rows


def find_in_chunk(data: bytes, name: str) -> list[tuple[int, str]]:
    """The entries of a name in a chunk, and what goes with each. Raises `Unverified` for a broken one."""
    flat = unpack(data)
    # Most chunks of the bucket do not hold the name: it would stand there as JSON writes it.
    if encode(name) not in flat:
        return []
    return [(index, beside) for index, who, beside in _group(_read(flat)) if who == name]


def read_chunk(place: int, data: bytes) -> list[Named]:
    """All entries of a chunk that stands in its place, as it would be made.

    Raises `Unverified` ``CHUNK_MALFORMED`` for any other.
    """
    rows = list(_group(_read(unpack(data))))
    made = NamedEntries()
    for index, name, beside in rows:
        if type(index) is not int or type(name) is not str or type(beside) is not str:
            raise Unverified("CHUNK_MALFORMED", place=place)
        made.add(index, name, beside)
    again = [(where, unpack(packed)) for where, packed in made.make_rows()]
    is_ordered = all(one[0] <= two[0] for one, two in pairwise(rows))
    if again != [(place, unpack(data))] or not is_ordered:
        raise Unverified("CHUNK_MALFORMED", place=place)
    return rows


def _read(flat: bytes) -> list[Any]:
    try:
        return _decode(flat)
    except msgspec.MsgspecError as error:
        raise Unverified("CHUNK_MALFORMED", reason=str(error)) from None


def _group(flat: list[Any]) -> Iterable[Named]:
    """Three at a time; what is left over is dropped."""
    fields = iter(flat)
    return zip(fields, fields, fields, strict=False)


def _offset_mask() -> int:
    return (1 << SEGMENT_BITS) - 1


def _cut(flat: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """In parts that lie in one segment, and of which none begins with an entry that another holds too."""
    segment = flat[0] >> SEGMENT_BITS
    if segment == flat[-_FIELDS] >> SEGMENT_BITS and len(flat) <= _CHUNK_ENTRIES * _FIELDS:
        yield segment, flat
        return
    start = 0
    for place in range(_FIELDS, len(flat), _FIELDS):
        index = flat[place]
        is_full = place - start >= _CHUNK_ENTRIES * _FIELDS and index != flat[place - _FIELDS]
        if is_full or index >> SEGMENT_BITS != segment:
            yield segment, flat[start:place]
            start, segment = place, index >> SEGMENT_BITS
    yield segment, flat[start:]
