"""Packed rows: what comes out is what went in, whatever it was; what was damaged or overblown never does."""

from __future__ import annotations

import random

import pytest
import zstandard

from ledger.errors import Unverified
from ledger.log.tiles import encode_bundle
from node.storage.packing import BUNDLE_BYTES_MAX, PACKED_FROM_BYTES, pack, unpack

MAGIC = zstandard.FRAME_HEADER


def make_bundle(leaves: int, *, seed: int = 1) -> bytes:
    draw = random.Random(seed)
    return encode_bundle(
        [
            b'{"@type":"entry","message":{"member":"m_%026x","points":%d}}'
            % (draw.getrandbits(100), draw.randrange(10**4))
            for _ in range(leaves)
        ]
    )


@pytest.mark.parametrize("leaves", [1, 2, 5, 50, 256])
def test_leaves_come_back_and_many_take_less_room(leaves):
    bundle = make_bundle(leaves)
    row = pack(bundle)
    assert unpack(row) == bundle
    assert len(row) <= len(bundle)
    if leaves >= 50:
        assert len(row) < len(bundle) / 2


def test_what_cannot_be_made_smaller_stays_as_it_is():
    noise = random.Random(1).randbytes(2 * PACKED_FROM_BYTES)
    bundle = encode_bundle([noise])
    assert pack(bundle) == bundle == unpack(bundle)


@pytest.mark.parametrize("size", [5, PACKED_FROM_BYTES, 3 * PACKED_FROM_BYTES])
def test_no_bundle_is_taken_for_a_packed_one(size):
    """A bundle whose first bytes are those of a frame is packed, though it is small or becomes larger."""
    bundle = MAGIC + random.Random(2).randbytes(size - len(MAGIC))
    row = pack(bundle)
    assert row != bundle
    assert unpack(row) == bundle
    assert unpack(pack(row)) == row


def test_the_largest_bundle_is_unpacked_and_a_larger_one_is_not():
    largest = bytes(BUNDLE_BYTES_MAX)
    row = pack(largest)
    assert len(row) < 10_000
    assert unpack(row) == largest
    with pytest.raises(Unverified, match="ROW_MALFORMED"):
        unpack(pack(largest + b"x"))
    # One that promises a terabyte is not believed, and no room is made for it.
    bomb = MAGIC + bytes([0b1110_0100]) + (2**40).to_bytes(8, "little") + row[9:]
    with pytest.raises(Unverified, match="ROW_MALFORMED"):
        unpack(bomb)


def test_a_frame_that_does_not_say_its_size_or_sum_is_not_unpacked():
    bundle = make_bundle(50)
    for how in ({"write_content_size": False, "write_checksum": True}, {"write_checksum": False}):
        with pytest.raises(Unverified, match="ROW_MALFORMED"):
            unpack(zstandard.ZstdCompressor(**how).compress(bundle))


def test_out_of_a_damaged_row_comes_what_went_in_or_nothing():
    bundle = make_bundle(30)
    row = pack(bundle)
    assert row.startswith(MAGIC)
    unnoticed = 0
    for place in range(len(MAGIC), len(row)):
        for bit in range(8):
            # A few bits of a frame mean nothing.
            unnoticed += comes_out(bytes([*row[:place], row[place] ^ 1 << bit, *row[place + 1 :]]), bundle)
        assert not comes_out(row[:place], bundle)
    assert not comes_out(row + b"\0", bundle)
    assert not comes_out(row + row, bundle)
    assert unnoticed < len(row) // 10


def comes_out(row: bytes, bundle: bytes) -> bool:
    try:
        found = unpack(row)
    except Unverified as error:
        return error.code != "ROW_MALFORMED"
    assert found == bundle
    return True
