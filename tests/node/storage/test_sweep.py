"""What can never matter again leaves the state's storage, and nobody can tell from what is decided."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import event

from contracts.mechanics.records import RETENTION_DAYS, ReferenceRecord
from contracts.mechanics.tables import RETENTION
from contracts.messages import Hold
from ledger.calendar import get_day
from ledger.executor import Head
from ledger.leaves import ENTRY_DECODER, ENTRY_START
from ledger.transaction import RememberedTransaction, TransactionDecoder
from node.audit.verify import verify_ledger
from node.storage.lookups import LookupRows
from node.storage.snapshot import Snapshot
from node.storage.store import open_store
from node.storage.sweep import HOUR_MILLIS, ROWS_BESIDES, Sweep
from tests.contracts.cast import DAY_MILLIS, FRESH, START, member_id
from tests.node.engine.town import RULEBOOK, Town, points_of
from tests.node.storage.chronicle import DAYS, Chronicle

DECODER = TransactionDecoder(RULEBOOK.message_type)


class Told(NamedTuple):
    """What came of a chronicle."""

    town: Town
    head: Head
    leaves: list[bytes]
    refusals: list[str]
    """With what each transaction was turned down, or that it was not."""


def tell(folder: Path) -> Told:
    """The chronicle in a ledger of its own, every block past intake, so that the state alone decides."""
    folder.mkdir()
    town = Town(folder, kind="simulated")
    core = town.open()
    refusals = []
    with core._engine._cutting:
        for time, transactions in Chronicle(town).tell():
            block = core._chain.make_block([DECODER.decode(data) for data in transactions], time=time)
            refusals += [answer.refusal.code if answer.refusal else "" for answer in block.answers]
            core._chain.fold_if_due()
        core._chain.fold_all()
    told = Told(town, core.head, core.read_leaves(0, core.head.size), refusals)
    town.close()
    return told


@pytest.fixture(scope="module", autouse=True)
def small_memory():
    """Folds come every few days, and what is folded leaves memory: what rules read is what is stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.folding.FOLD_RECORDS_MAX", 80)
        patch.setattr("node.folding.REMEMBERED_RECORDS_MAX", 0)
        yield


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return tell(tmp_path_factory.mktemp("swept") / "ledger")


def read(town: Town, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(town.database.with_name("views.db"))) as connection, connection:
        return connection.execute(statement, values).fetchall()


def count(town: Town, table: str) -> int:
    return read(town, f"SELECT count(*) FROM {table}")[0][0]


def audit(town: Town) -> Any:
    with Snapshot(town.database) as snapshot:
        return verify_ledger(snapshot, stored=snapshot).first_bad


def test_with_and_without_the_sweep_the_same_is_decided(swept, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sweep, "run", lambda *_arguments: None)
        kept = tell(tmp_path / "ledger")
    assert swept.leaves == kept.leaves
    assert swept.refusals == kept.refusals
    # What is told apart here really is kept there.
    for table in RETENTION:
        assert count(kept.town, f"state_{table}") >= count(swept.town, f"state_{table}")
    for table in ("earned", "spent", "hold", "nonce"):
        assert count(kept.town, f"state_{table}") > count(swept.town, f"state_{table}") + 100, table
    assert count(kept.town, "state_transaction") > 2_000
    # And the chronicle asks for it: each of these answers was given many times.
    entries = [ENTRY_DECODER.decode(leaf) for leaf in swept.leaves if leaf.startswith(ENTRY_START)]
    codes = [msgspec.json.decode(entry.outcome)["code"] for entry in entries]
    for code in ("OK", "ALREADY_DONE", "OCCURRED_TOO_LONG_AGO", "ORIGINAL_UNKNOWN", "REFUND_TOO_LATE"):
        assert codes.count(code) > 100, code
    assert swept.refusals.count("ID_CONFLICT") > 1_000


def test_a_ledger_of_years_stores_what_its_retention_spans(swept):
    today = get_day(swept.head.time, utc_offset_minutes=480)
    slack = 20  # days: a fold comes every few of them, and the day is counted with care
    for table, days in RETENTION.items():
        keys = [row[0] for row in read(swept.town, f"SELECT key FROM state_{table} ORDER BY key")]
        assert all(int(key[:7]) >= today - days - slack for key in keys), table
        if table in ("earned", "spent", "hold"):
            assert days <= len({key[:7] for key in keys}) <= days + slack, table
    assert 0 < count(swept.town, "state_transaction") < 4 * slack
    assert count(swept.town, "leaving") < 4 * slack
    assert count(swept.town, "lookup_transaction") > 2 * DAYS, "an id is looked up for ever"


def test_a_swept_ledger_passes_its_audit_and_so_does_one_made_anew(swept):
    assert audit(swept.town) is None
    before = {table: count(swept.town, f"state_{table}") for table in RETENTION}
    rebuild(swept.town)
    assert audit(swept.town) is None
    after = {table: count(swept.town, f"state_{table}") for table in RETENTION}
    assert before.keys() == after.keys()
    assert all(abs(before[table] - after[table]) <= 60 for table in before), (before, after)


def rebuild(town: Town) -> None:
    """As `commonpoint rebuild` does."""
    store = open_store(town.database, RULEBOOK)
    store.fold.clear()
    assert count(town, "leaving") == 0
    store.close()
    head = town.open().head
    town.close()
    assert head.size > 0


@pytest.mark.parametrize("table", ["earned", "spent", "hold"])
def test_what_may_still_matter_may_not_be_missing(swept, table):
    today = get_day(swept.head.time, utc_offset_minutes=480)
    oldest = f"{today - RETENTION_DAYS:07d}"
    key, value = read(
        swept.town, f"SELECT key, value FROM state_{table} WHERE key >= ? ORDER BY key LIMIT 1", oldest
    )[0]
    assert key.startswith(oldest), "on this very day it may still be asked for"
    read(swept.town, f"DELETE FROM state_{table} WHERE key = ?", key)
    assert audit(swept.town).check == "RECORD_MISSING"
    read(swept.town, f"INSERT INTO state_{table} (key, value) VALUES (?, ?)", key, value)
    assert audit(swept.town) is None


def test_what_is_kept_longer_than_it_must_be_is_still_what_was_written(swept):
    rows = read(swept.town, "SELECT key, value FROM state_earned ORDER BY key LIMIT 1")
    key, value = rows[0]
    other = f"{int(key[:7]) - 500:07d}{key[7:]}"
    read(swept.town, "INSERT INTO state_earned (key, value) VALUES (?, ?)", other, value)
    assert audit(swept.town).check == "RECORD_UNKNOWN"
    read(swept.town, "DELETE FROM state_earned WHERE key = ?", other)
    assert audit(swept.town) is None


def test_work_that_is_years_overdue_finds_what_it_is_about(tmp_path):
    town = Town(tmp_path, kind="simulated", parameters={"due_entries_max": 1})
    core = town.open()
    town.settle(core)
    holds = [
        Hold(
            expires=START + DAY_MILLIS,
            member=member_id(1),
            occurred_at=START,
            points=10,
            program="leaf",
            reference=f"held-{number}",
        )
        for number in range(4)
    ]
    core.submit(town.sign(FRESH, "holds", town.earn(1, points=100), *holds))
    core.cut_block(START + 1)
    core._chain.fold_all()
    later = START + (RETENTION_DAYS + 100) * DAY_MILLIS
    for number in range(12):
        core.cut_block(later + number)
        core._chain.fold_all()
    assert points_of(core, 1) == 0, "given back, and lapsed"
    core.submit(town.sign(FRESH, "again", town.earn(2, occurred_at=later), not_after=later + 60_000))
    core.cut_block(later + 60)
    town.close()
    assert count(town, "state_due") == 1
    assert count(town, "state_hold") == 0, "with nothing overdue they could go"
    assert audit(town) is None


def fold(store, *, time: int, **changes: dict[str, Any]) -> None:
    head = Head(1, time, 1, "", 0, 0, 0)
    store.fold.fold(size=1, changes={"head": {"head": head}, **changes}, lookups=LookupRows())


def number_of(store, table: str) -> int:
    return store.fold._database.ask(f"SELECT count(*) FROM {table}").scalar()


def test_a_fold_sweeps_a_bounded_number_of_rows_and_always_more_than_it_writes(store):
    old = {f"0000100|{number:06d}": ReferenceRecord(1, "x") for number in range(3 * ROWS_BESIDES)}
    fold(store, time=0, reference=old)
    assert number_of(store, "state_reference") == len(old)
    later = 2_000 * DAY_MILLIS
    sizes = []
    for turn in range(4):
        new = {f"0002000|{turn}-{number}": ReferenceRecord(1, "x") for number in range(500)}
        fold(store, time=later, reference=new)
        sizes.append(number_of(store, "state_reference"))
    assert sizes == [4_000, 2_000, 1_500, 2_000]
    assert min(key for key, _ in store.fold.list_records("reference")).startswith("0002000")


def test_no_fold_reads_a_table_through(tmp_path):
    store = open_store(tmp_path / "ledger.db", RULEBOOK)
    told: list[tuple[str, Any]] = []
    event.listen(
        store.fold._database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, values, *_rest: told.append((statement, values)),
    )
    fold(store, time=DAY_MILLIS, transaction={"fresh|1": RememberedTransaction("x", 1)})
    deletes = [each for each in told if each[0].startswith(("DELETE", "SELECT"))]
    assert len(deletes) >= len(RETENTION) + 3
    for statement, values in deletes:
        plan = store.fold._database.ask(f"EXPLAIN QUERY PLAN {statement}", *values).all()
        # A subquery's rows and the argument that is an array are no tables.
        scans = [row[3] for row in plan if row[3].startswith("SCAN") and "json_each" not in row[3]]
        assert scans == [], statement
    store.close()


def test_an_id_leaves_an_hour_after_its_time_and_not_before(store):
    times = {"fresh|a": 10 * HOUR_MILLIS, "fresh|b": 11 * HOUR_MILLIS - 1, "fresh|c": 11 * HOUR_MILLIS}
    remembered = {key: RememberedTransaction("x", time) for key, time in times.items()}
    fold(store, time=10 * HOUR_MILLIS, transaction=remembered)
    fold(store, time=12 * HOUR_MILLIS - 1)
    assert [key for key, _ in store.fold.list_records("transaction")] == sorted(times)
    fold(store, time=12 * HOUR_MILLIS)
    assert [key for key, _ in store.fold.list_records("transaction")] == ["fresh|c"]
    assert number_of(store, "leaving") == 1


def test_an_id_that_was_taken_again_stays_for_its_second_time(store):
    first, second = RememberedTransaction("x", HOUR_MILLIS), RememberedTransaction("y", 9 * HOUR_MILLIS)
    fold(store, time=HOUR_MILLIS, transaction={"fresh|a": first})
    fold(store, time=2 * HOUR_MILLIS, transaction={"fresh|a": second})
    fold(store, time=8 * HOUR_MILLIS)
    assert store.fold.list_records("transaction") == [("fresh|a", second)]
    fold(store, time=11 * HOUR_MILLIS)
    assert store.fold.list_records("transaction") == []
    assert number_of(store, "leaving") == 0


def test_a_swept_ledger_starts_again_where_it_stood(swept):
    core = swept.town.open()
    try:
        assert core.head == swept.head
        _, newest, *_ = Chronicle(swept.town)._tell_day(DAYS - 1)
        assert core.submit(newest).result(10).height == swept.head.height
        _, old, *_ = Chronicle(swept.town)._tell_day(50)
        assert core.submit(old).result(10).height < 100, "its first answer, however old"
    finally:
        swept.town.close()
