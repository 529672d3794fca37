"""Of a data directory every stored thing is compared: one bit in a record, a row, a tile or a note is found.

The directory is a real one: a node made each block of the history, folded and stopped. What a test changes,
it changes in the database itself, behind the node's back.
"""

from __future__ import annotations

import random
import sqlite3

import pytest

from contracts.rulebook import RULEBOOKS
from ledger.executor import make_tables
from ledger.log.merkle import compute_leaf_hashes, compute_root
from ledger.log.note import sign_checkpoint
from node.audit.sources import SourceUnavailable
from node.audit.verify import verify_ledger
from node.config import init_data_dir
from node.core import NodeCore
from node.storage.snapshot import Snapshot
from node.storage.store import open_store
from tests.node.audit.audited import audit, found_in
from tests.node.audit.written import LOG_SIGNER, flip

TABLES = sorted(make_tables(RULEBOOKS[1]))


def test_what_a_node_wrote_is_good_to_the_last_record(history, directory):
    report = audit(directory, chain=history.chain)
    assert report.is_good, report.first_bad
    assert report.size == len(history.leaves)
    # What time alone turns down leaves the store with a fold; all else is there.
    kept = {table: len(history.state.list_records(table)) for table in TABLES}
    swept = kept["nonce"] + kept["transaction"]
    assert sum(kept.values()) - swept <= report.records <= sum(kept.values())
    assert report.rows > report.operations
    assert report.unsigned_leaves == 0


def test_an_audit_changes_no_byte_of_the_database(directory):
    before = (directory / "ledger.db").read_bytes()
    audit(directory)
    assert (directory / "ledger.db").read_bytes() == before


# State records: each table, each way.


def tables_in(history):
    return [table for table in TABLES if history.state.list_records(table)]


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
    with sqlite3.connect(directory / "views.db") as connection:
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
        report = verify_ledger(snapshot, stored=snapshot)
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
