"""Stored records of a table, held against the replayed ones: byte for byte, none missing, none too many.

Records are compared many at a time, and one by one only where those many are not all the same. What may be
missing, because it can never matter again, is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from ledger.codec import encode
from ledger.errors import InvalidBlock

MayBeGone = Callable[[str, Any], bool]
"""Of a replayed record, by key: whether it may be missing in what is stored."""
_RECORDS_AT_ONCE: Final = 1_000
_encode_lines: Final = msgspec.json.Encoder().encode_lines


def compare_table(
    table: str,
    replayed: Iterable[tuple[str, Any]],
    stored: Iterable[tuple[str, bytes]],
    size: int,
    *,
    may_be_gone: MayBeGone,
) -> int:
    """How many records were the same. Raises `InvalidBlock` for the first that was not."""
    expected = list(replayed)
    rows = iter(stored)
    place = count = 0
    while batch := list(islice(rows, _RECORDS_AT_ONCE)):
        count += len(batch)
        if _are_alike(batch, expected[place : place + len(batch)]):
            place += len(batch)
            continue
        for found in batch:
            while place < len(expected) and expected[place][0] != found[0] and may_be_gone(*expected[place]):
                place += 1
            wanted = expected[place] if place < len(expected) else None
            place += 1
            if wanted is None or found[0] != wanted[0] or found[1] != encode(wanted[1]):
                _tell_record(table, wanted, found, size)
    left = next((each for each in expected[place:] if not may_be_gone(*each)), None)
    if left is not None:
        _tell_record(table, left, None, size)
    return count


def _are_alike(found: Sequence[tuple[str, bytes]], expected: Sequence[tuple[str, Any]]) -> bool:
    """Whether these are the very same records. Where it says no, each is still to be looked at by itself."""
    if [key for key, _ in found] != [key for key, _ in expected]:
        return False
    values = [value for _, value in found]
    if not all(type(value) is bytes for value in values):
        return False
    # Canonical JSON holds no line feed. So as many lines that are the same together are the same one by one.
    return b"\n".join([*values, b""]) == _encode_lines([record for _, record in expected])


def _tell_record(table: str, wanted: tuple[str, Any] | None, found: Sequence[Any] | None, size: int) -> None:
    """Raise for a record that is not as replayed. Its place in the log is the last leaf that the state stands
    for.
    """
    check = "RECORD_DIFFERS"
    if wanted is None:
        check = "RECORD_UNKNOWN"
    elif found is None:
        check = "RECORD_MISSING"
    elif found[0] != wanted[0]:
        # Both sides are in key order: the smaller key is the one that the other side does not have.
        check = "RECORD_MISSING" if str(wanted[0]) < str(found[0]) else "RECORD_UNKNOWN"
    raise InvalidBlock(
        check,
        expected=None if wanted is None else f"{table} {wanted[0]}: {encode(wanted[1]).decode()}",
        found=None if found is None else f"{table} {found[0]}: {_to_text(found[1])}",
        index=size - 1,
    )


def _to_text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else repr(value)
