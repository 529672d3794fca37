"""What a node stores beside its records: leaves, tiles, blocks, note, look-ups, copies. One bit in any of
them is found.
"""

from __future__ import annotations

import random

import pytest

from contracts.rulebook import RULEBOOKS
from ledger.executor import make_tables
from ledger.leaves import BLOCK_START, ENTRY_START, SYSTEM_START, TRANSACTION_START
from ledger.log.note import sign_checkpoint
from ledger.log.tiles import TILE_WIDTH
from node.storage.packing import pack, unpack
from tests.contracts.cast import make_signer
from tests.node.audit.audited import audit, found_in
from tests.node.audit.written import find_leaf, flip

TABLES = sorted(make_tables(RULEBOOKS[1]))


# The log's own tables.


@pytest.mark.parametrize("start", [TRANSACTION_START, ENTRY_START, SYSTEM_START, BLOCK_START])
def test_one_bit_in_a_stored_leaf_is_found_at_that_leaf(history, directory, change, read, start):
    index = find_leaf(history.leaves, start, after=300)
    leaf = history.leaves[index]
    ((first, data),) = read(
        "SELECT first, data FROM segment WHERE first <= ? ORDER BY first DESC LIMIT 1", index
    )
    damaged = pack(unpack(data).replace(leaf, flip(leaf, 40)))
    change(("UPDATE segment SET data = ? WHERE first = ?", damaged, first))
    found, check = found_in(directory)
    if index < len(history.leaves) // TILE_WIDTH * TILE_WIDTH:
        assert (found, check) == (index, "LEAF_HASH_DIFFERS")
    else:
        # The last bundle has no stored tile: the rules find it, a message at its transaction.
        assert first <= found <= index


def test_every_leaf_of_the_database_counts(directory, change, read):
    rows = read("SELECT first, data FROM segment ORDER BY first")
    for first, data in rows[:: len(rows) // 20]:
        change(("UPDATE segment SET data = ? WHERE first = ?", flip(data, len(data) - 3), first))
        index, _ = found_in(directory)
        assert index is not None
        assert index <= first + TILE_WIDTH
        change(("UPDATE segment SET data = ? WHERE first = ?", data, first))
    assert audit(directory).is_good


#   what is done to the database, index, check; `size` stands for the history's
CHANGES = [
    ("a row of leaves is lost", "DELETE FROM segment WHERE first = 256", 256, "LEAVES_MISSING"),
    ("a row of leaves is moved", "UPDATE segment SET first = 255 WHERE first = 256", 256, "LEAVES_MISSING"),
    (
        "the last row of leaves is lost",
        "DELETE FROM segment WHERE first = (SELECT max(first) FROM segment)",
        None,
        "LEAVES_MISSING",
    ),
    ("a tile is lost", "DELETE FROM tile WHERE position = 1", 256, "TILE_MISSING"),
    (
        "a tile is cut",
        "UPDATE tile SET data = substr(data, 1, 100) WHERE position = 1",
        259,
        "LEAF_HASH_DIFFERS",
    ),
    ("a tile too many", "INSERT INTO tile VALUES (1, 0, x'00')", None, "TILE_COUNT"),
    ("a block's place is lost", "DELETE FROM block WHERE height = 3", None, "BLOCK_PLACE_DIFFERS"),
    (
        "a block's height is changed",
        "UPDATE block SET height = 4 WHERE height = 5",
        None,
        "BLOCK_PLACE_DIFFERS",
    ),
    (
        "a block's time is changed",
        "UPDATE block SET time = time + 1 WHERE height = 5",
        None,
        "BLOCK_PLACE_DIFFERS",
    ),
    ("a block too many", "INSERT INTO block VALUES (10000, 999, 0)", "size", "BLOCK_PLACE_DIFFERS"),
    ("the note is lost", "DELETE FROM note", None, "CHECKPOINT_MISSING"),
    ("the note is filed elsewhere", "UPDATE note SET size = size - 1", None, "CHECKPOINT_SIZE"),
    (
        "the note's root is changed",
        "UPDATE note SET text = replace(text, '=', 'A')",
        None,
        "CHECKPOINT_MALFORMED",
    ),
    ("the mark is moved", "UPDATE views.mark SET value = value - 1 WHERE name = 'fold'", None, "STATE_SIZE"),
    (
        "the mark is beyond the log",
        "UPDATE views.mark SET value = 9999 WHERE name = 'fold'",
        None,
        "STATE_SIZE",
    ),
    ("the mark is lost", "DELETE FROM views.mark WHERE name = 'fold'", 5, "RECORD_UNKNOWN"),
    (
        "a transaction is lost",
        "DELETE FROM lookup_transaction WHERE entry = (SELECT max(entry) FROM lookup_transaction)",
        "last",
        "LOOKUP_MISSING",
    ),
    ("a transaction has another digest", "UPDATE lookup_transaction SET digest = 'x'", None, None),
]


@pytest.mark.parametrize(("_what", "statement", "index", "check"), CHANGES, ids=[row[0] for row in CHANGES])
def test_whatever_is_changed_in_the_database_is_found(
    history, directory, *, change, _what, statement, index, check
):
    assert audit(directory).is_good
    change((statement,))
    found = found_in(directory)
    assert check is None or found[1] == check
    if index == "size":
        assert found[0] == len(history.leaves)
    elif isinstance(index, int):
        assert found[0] == index


@pytest.mark.parametrize("seed", range(10))
def test_a_bit_flipped_in_the_file_itself_is_found(directory, read, seed):
    # Past SQLite: the bytes of some row of leaves, wherever in the file they lie.
    chance = random.Random(seed)
    file = directory / "ledger.db"
    rows = [row for (row,) in read("SELECT data FROM segment")]
    data = file.read_bytes()
    # Neither across two pages, nor with an older copy left in a free one.
    starts = [row[:60] for row in rows if data.count(row[:60]) == 1]
    assert len(starts) > len(rows) // 2
    place = data.find(chance.choice(starts))
    file.write_bytes(flip(data, place + chance.randrange(60), chance.randrange(8)))
    assert not audit(directory).is_good


@pytest.mark.parametrize("page", range(1, 12))
def test_a_page_of_zeros_is_bad_and_never_an_accident_of_ours(directory, page):
    file = directory / "ledger.db"
    data = file.read_bytes()
    file.write_bytes(data[: page * 4096] + bytes(4096) + data[(page + 1) * 4096 :])
    assert not audit(directory).is_good


def test_a_file_that_is_no_database_is_bad(directory):
    (directory / "ledger.db").write_bytes(b"not a database" * 1000)
    assert found_in(directory) == (None, "DATABASE_MALFORMED")


# The copies beside the database.


def test_another_genesis_or_policy_beside_the_database_is_found(history, directory):
    genesis = (directory / "genesis.jsonl").read_bytes()
    (directory / "genesis.jsonl").write_bytes(genesis.replace(b"Pharmacy", b"Pharmbcy"))
    assert found_in(directory) == (len(history.origin.leaves) - 1, "GENESIS_COPY_DIFFERS")
    (directory / "genesis.jsonl").write_bytes(genesis)
    policy = (directory / "policy.txt").read_bytes()
    (directory / "policy.txt").write_bytes(flip(policy, 50))
    assert found_in(directory) == (None, "POLICY_COPY_DIFFERS")


def test_a_checkpoint_signed_with_another_key_is_found(history, directory, change):
    note = sign_checkpoint(
        origin=history.chain, size=len(history.leaves), root=bytes(32), signer=make_signer("other")
    )
    change(("UPDATE note SET text = ?", note))
    assert found_in(directory) == (None, "LOG_SIGNATURE_MISSING")
