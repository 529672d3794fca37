"""Of a data directory every stored thing is compared: one bit in a record, a row, a tile or a note is found.

The directory is a real one: a node made each block of the history, folded and stopped. What a test changes,
it changes in the database itself, behind the node's back.
"""

from __future__ import annotations

import random
import shutil
import sqlite3

import pytest

from contracts.rulebook import RULEBOOKS
from ledger.executor import make_tables
from ledger.leaves import BLOCK_START, ENTRY_START, SYSTEM_START, TRANSACTION_START
from ledger.log.merkle import compute_leaf_hashes, compute_root
from ledger.log.note import sign_checkpoint
from ledger.log.tiles import TILE_WIDTH
from node import app
from node.audit.sources import SourceUnavailable
from node.config import init_data_dir
from node.core import NodeCore
from node.storage.snapshot import Snapshot
from node.storage.store import open_store
from tests.contracts.cast import make_signer
from tests.node.audit.written import LOG_SIGNER, find_leaf, flip, write_directory

TABLES = sorted(make_tables(RULEBOOKS[1]))


@pytest.fixture(scope="session")
def stopped(history, tmp_path_factory):
    """The directory of a node that made the whole history and was stopped. Not to be changed."""
    directory = tmp_path_factory.mktemp("stopped") / "node"
    write_directory(history, directory)
    return directory


@pytest.fixture
def directory(stopped, tmp_path):
    """A copy, to be damaged."""
    shutil.copytree(stopped, tmp_path / "node")
    return tmp_path / "node"


@pytest.fixture
def change(directory):
    """Runs statements on the database as somebody with a shell would."""

    def run(*statements):
        with sqlite3.connect(directory / "ledger.db") as connection:
            for statement, *values in statements:
                assert connection.execute(statement, values).rowcount, statement
        connection.close()

    return run


@pytest.fixture
def read(directory):
    """Reads rows of the database."""

    def run(statement, *values):
        connection = sqlite3.connect(directory / "ledger.db")
        rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    return run


def audit(directory, **how):
    return app.audit_data_dir(
        directory, **{"policy": None, "chain": None, "progress": lambda _done, _total: None, **how}
    )


def found_in(directory):
    """(index, check) of what the audit found first."""
    report = audit(directory)
    assert not report.is_good
    return report.first_bad.index, report.first_bad.check


def test_what_a_node_wrote_is_good_to_the_last_record(history, directory):
    report = audit(directory, chain=history.chain)
    assert report.is_good, report.first_bad
    assert report.size == len(history.leaves)
    assert report.records == sum(len(history.state.rows(table)) for table in TABLES)
    assert report.rows > report.operations
    assert report.unsigned_leaves == 0


def test_an_audit_changes_no_byte_of_the_database(directory):
    before = (directory / "ledger.db").read_bytes()
    audit(directory)
    assert (directory / "ledger.db").read_bytes() == before


# State records: each table, each way.


def tables_in(history):
    return [table for table in TABLES if history.state.rows(table)]


def test_the_history_fills_the_tables(history):
    # Due work is taken up when it is done, so its rows are those of the future.
    assert set(tables_in(history)) == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("seed", range(3))
def test_one_bit_in_a_record_is_found(history, directory, *, change, read, table, seed):
    chance = random.Random(seed)
    key, value = chance.choice(read(f"SELECT key, value FROM state_{table} ORDER BY key"))
    damaged = flip(value, chance.randrange(len(value)), chance.randrange(8))
    change((f"UPDATE state_{table} SET value = ? WHERE key = ?", damaged, key))
    report = audit(directory)
    assert (report.first_bad.index, report.first_bad.check) == (len(history.leaves) - 1, "RECORD_DIFFERS")
    assert key in report.first_bad.detail


@pytest.mark.parametrize("table", TABLES)
def test_a_record_too_few_or_too_many_is_found(directory, change, read, table):
    rows = read(f"SELECT key, value FROM state_{table} ORDER BY key")
    key, value = rows[len(rows) // 2]
    change((f"DELETE FROM state_{table} WHERE key = ?", key))
    assert found_in(directory)[1] == "RECORD_MISSING"
    change((f"INSERT INTO state_{table} VALUES (?, ?)", key, value))
    change((f"INSERT INTO state_{table} VALUES (?, ?)", key + "x", value))
    assert found_in(directory)[1] == "RECORD_UNKNOWN"


@pytest.mark.parametrize("table", TABLES)
def test_a_record_under_another_key_is_found(directory, change, read, table):
    ((key,),) = read(f"SELECT min(key) FROM state_{table}")
    change((f"UPDATE state_{table} SET key = ? WHERE key = ?", flip(key.encode(), 2).decode(), key))
    assert found_in(directory)[1] in ("RECORD_MISSING", "RECORD_UNKNOWN")


def test_a_forged_balance_is_told_with_both_values(directory, change, read):
    key, value = read("SELECT key, value FROM state_account LIMIT 1")[0]
    change(("UPDATE state_account SET value = ? WHERE key = ?", value.replace(b"]", b"0]", 1), key))
    detail = audit(directory).first_bad.detail
    assert value.decode() in detail
    assert value.replace(b"]", b"0]", 1).decode() in detail


# The log's own tables.


@pytest.mark.parametrize("start", [TRANSACTION_START, ENTRY_START, SYSTEM_START, BLOCK_START])
def test_one_bit_in_a_stored_leaf_is_found_at_that_leaf(history, directory, change, read, start):
    index = find_leaf(history.leaves, start, after=300)
    leaf = history.leaves[index]
    ((first, data),) = read(
        "SELECT first, data FROM segment WHERE first <= ? ORDER BY first DESC LIMIT 1", index
    )
    change(("UPDATE segment SET data = ? WHERE first = ?", data.replace(leaf, flip(leaf, 40)), first))
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
    ("the mark is moved", "UPDATE mark SET value = value - 1 WHERE name = 'fold'", None, "STATE_SIZE"),
    ("the mark is beyond the log", "UPDATE mark SET value = 9999 WHERE name = 'fold'", None, "STATE_SIZE"),
    ("the mark is lost", "DELETE FROM mark WHERE name = 'fold'", 5, "RECORD_UNKNOWN"),
    (
        "a history row is lost",
        "DELETE FROM history WHERE entry = (SELECT max(entry) FROM history)",
        "last",
        "LOOKUP_MISSING",
    ),
    (
        "a history row is changed",
        "UPDATE history SET program = 'mile' WHERE entry = (SELECT min(entry) FROM history)",
        "first",
        None,
    ),
    (
        "a history row of another segment",
        "UPDATE history SET segment = 7 WHERE entry = 500",
        500,
        "LOOKUP_MISSING",
    ),
    (
        "a history row before all segments",
        "INSERT INTO history VALUES (-1, 'm_0', 3, 'leaf')",
        "size",
        "LOOKUP_UNKNOWN",
    ),
    (
        "a reference leads elsewhere",
        "UPDATE lookup_reference SET entry = 11 WHERE entry = 500",
        11,
        "LOOKUP_UNKNOWN",
    ),
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
def test_a_bit_flipped_in_the_file_itself_is_found(history, directory, seed):
    # Past SQLite: the bytes of some leaf, wherever in the file they lie.
    chance = random.Random(seed)
    file = directory / "ledger.db"
    data = file.read_bytes()
    starts = [leaf[:60] for leaf in history.leaves if leaf[:60] in data]  # not across two pages
    assert len(starts) > len(history.leaves) // 2
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


# What is no fault.


def test_leaves_after_the_stored_checkpoint_are_counted_apart(history, directory, change):
    # As after a power cut: the log is ahead of note, state and look-ups, and the next start catches up.
    size = history.blocks[-2].head.size
    root = compute_root(compute_leaf_hashes(history.leaves[:size]))
    note = sign_checkpoint(origin=history.chain, size=size, root=root, signer=LOG_SIGNER)
    change(("UPDATE note SET size = ?, text = ?", size, note))
    report = audit(directory)
    assert report.is_good, report.first_bad
    assert report.unsigned_leaves == len(history.leaves) - size


def test_nothing_folded_yet_is_no_fault(directory):
    with sqlite3.connect(directory / "ledger.db") as connection:
        for table in (
            *[f"state_{name}" for name in TABLES],
            "history",
            "lookup_reference",
            "lookup_transaction",
        ):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM mark WHERE name = 'fold'")
    connection.close()
    report = audit(directory)
    assert report.is_good, report.first_bad
    assert (report.records, report.rows) == (0, 0)


def test_a_rebuild_makes_good_what_was_folded_wrong(history, change, directory):
    # The keys of this ledger are the cast's, so the rebuild is driven through the core.
    change(("UPDATE state_supply SET value = x'31'",), ("DELETE FROM history",))
    assert not audit(directory).is_good
    store = open_store(directory / "ledger.db", RULEBOOKS[1])
    store.fold.clear()
    store.close()
    NodeCore.open(directory / "ledger.db", genesis=history.origin.leaves, signer=LOG_SIGNER).stop()
    report = audit(directory)
    assert report.is_good, report.first_bad


def test_an_audit_sees_one_moment_of_a_ledger_that_goes_on(history, directory):
    core = NodeCore.open(directory / "ledger.db", genesis=history.origin.leaves, signer=LOG_SIGNER)
    with Snapshot(directory / "ledger.db") as snapshot:
        mark, size = snapshot.read_mark(), snapshot.read_size()
        with core._engine._cutting:
            core._chain.make_block(
                [history.sign("fresh-market", history.enrol("m_" + "9" * 26))], time=history.time
            )
            core._chain.fold_all()
        assert (snapshot.read_mark(), snapshot.read_size()) == (mark, size)
        report = app.verify_ledger(snapshot, stored=snapshot)
        assert report.is_good, report.first_bad
        assert report.size == size
    core.stop()
    report = audit(directory)
    assert report.is_good, report.first_bad
    assert report.size == size + 3


# What gives no verdict.


def test_no_database_is_no_verdict(tmp_path):
    init_data_dir(tmp_path / "node", name="trial", operator="clearing", time=0)
    with pytest.raises(SourceUnavailable) as caught:
        audit(tmp_path / "node")
    assert caught.value.code == "DATABASE_MISSING"


def test_a_database_of_another_version_is_no_verdict(directory, change):
    change(("UPDATE mark SET value = 99 WHERE name = 'schema'",))
    with pytest.raises(SourceUnavailable) as caught:
        audit(directory)
    assert caught.value.code == "SCHEMA_VERSION"


def test_a_snapshot_cannot_write(directory):
    with Snapshot(directory / "ledger.db") as snapshot, pytest.raises(SourceUnavailable):
        list(snapshot._rows("DELETE FROM note"))
