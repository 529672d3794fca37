"""The fold as where the state comes from: at every moment the two answer as one big dictionary would."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from ledger.due import MINUTE_DIGITS
from ledger.state import State
from node.storage.lookups import LookupRows
from tests.node.engine.town import run_threads


def fold(store, size: int, **changes: dict[str, Any]) -> None:
    store.fold.fold(size=size, changes=changes, lookups=LookupRows())


def test_records_are_found_by_key_replaced_and_removed(store):
    keys = [f"fresh|{number}" for number in range(2000)]
    fold(store, 5, tally={key: number for number, key in enumerate(keys)})
    assert store.fold.read_mark() == 5
    wanted = [*keys[::7], "nobody|0"]
    found = store.fold.load({"tally": wanted, "supply": ["x"]})
    assert sorted(found) == sorted(("tally", key, keys.index(key)) for key in keys[::7])
    fold(store, 9, tally={keys[0]: 77, keys[1]: None, "new|1": 1})
    assert store.fold.read_mark() == 9
    assert store.fold.load({"tally": keys[:2]}) == [("tally", keys[0], 77)]
    assert dict(store.fold.list_records("tally"))["new|1"] == 1
    assert [key for key, _ in store.fold.list_records("tally")] == sorted([*keys, "new|1"])[:1] + sorted(
        key for key in [*keys, "new|1"] if key != keys[1]
    )[1:]


@pytest.mark.parametrize("key", ["a'b", 'a"b', "a\\b", "a,b", "[1]", "通分", "a%b_c", "", " "])
def test_no_key_is_taken_for_something_else(store, key):
    fold(store, 1, tally={key: 1, "other": 2})
    assert store.fold.load({"tally": [key]}) == [("tally", key, 1)]
    fold(store, 2, tally={key: None})
    assert store.fold.list_records("tally") == [("other", 2)]


def test_numbers_beyond_64_bits_are_kept(store):
    fold(store, 1, position={"a": 2**80, "b": -(2**80)})
    assert store.fold.list_records("position") == [("a", 2**80), ("b", -(2**80))]


def test_a_fold_is_whole_or_it_is_not(store):
    fold(store, 5, tally={"a": 1}, supply={"a": 1})
    rows = LookupRows()
    rows.history.add(3, "m_1", "leaf")
    store.fold.fold(size=6, changes={}, lookups=rows)
    # The same row again: refused, and with it the records that were written before it.
    with pytest.raises(DBAPIError):
        store.fold.fold(size=7, changes={"tally": {"a": 2, "b": 2}, "supply": {"a": None}}, lookups=rows)
    assert store.fold.read_mark() == 6
    assert store.fold.list_records("tally") == [("a", 1)]
    assert store.fold.list_records("supply") == [("a", 1)]


def test_cleared_it_is_as_if_there_had_never_been_a_fold(store):
    fold(store, 5, tally={"a": 1}, account={})
    store.fold.clear()
    assert store.fold.read_mark() is None
    assert store.fold.list_records("tally") == []


def minute_key(minute: int, name: int) -> str:
    return f"{minute:0{MINUTE_DIGITS}d}|m_{name}|leaf"


class Model:
    """Two tables as plain dictionaries, and the state that must answer like them."""

    def __init__(self, store, seed: int) -> None:
        self.state = State(store.tables, store.fold, resident=["supply"])
        self.tables: dict[str, dict[str, int]] = {"tally": {}, "supply": {}, "due": {}}
        self._draw = random.Random(seed)
        self._store = store
        self._size = 0
        self._unfolded: dict[str, dict[str, Any]] = {}

    def make_key(self, table: str) -> str:
        if table == "due":
            return minute_key(self._draw.randint(1, 12), self._draw.randint(1, 9))
        return f"k{self._draw.randint(1, 60)}"

    def block(self) -> None:
        """A block that reads, writes, removes, and is sometimes rolled back in part or as a whole."""
        state, draw = self.state, self._draw
        state.prefetch([[("tally", self.make_key("tally")) for _ in range(draw.randint(0, 9))]])
        state.begin()
        minute = f"{draw.randint(1, 13):0{MINUTE_DIGITS}d}"
        limit = draw.randint(0, 12)
        due = sorted(key for key in self.tables["due"] if key < minute)[:limit]
        assert state.first_due(before=minute, limit=limit) == due
        written = {table: dict(records) for table, records in self.tables.items()}
        for key in due[: draw.randint(0, 12)]:
            state.put("due", key, None)
            del written["due"][key]
        for _ in range(draw.randint(1, 12)):
            table = draw.choice(tuple(self.tables))
            key = self.make_key(table)
            assert state.get(table, key) == written[table].get(key)
            assert state.get_current(table, key) == self.tables[table].get(key)
            value = draw.choice((None, 1, 2, 3))
            state.put(table, key, value)
            written[table].pop(key, None)
            if value is not None:
                written[table][key] = value
        if draw.random() < 0.2:
            state.roll_back()
            return
        self.tables = written
        for table, records in state.commit().records.items():
            self._unfolded.setdefault(table, {}).update(records)

    def trade(self) -> None:
        self.check()
        self.block()
        self.check()

    def check(self) -> None:
        for table, records in self.tables.items():
            for _ in range(5):
                key = self.make_key(table)
                assert self.state.get_current(table, key) == records.get(key), (table, key)
                assert self.state.peek(table, key, self._store.fold) == records.get(key), (table, key)

    def begin_fold(self) -> dict[str, dict[str, Any]]:
        self.state.begin_fold()
        changes, self._unfolded = self._unfolded, {}
        return changes

    def write_fold(self, changes: dict[str, dict[str, Any]]) -> None:
        self._size += 1
        self._store.fold.fold(size=self._size, changes=changes, lookups=LookupRows())

    def end_fold(self, keep_below: int) -> None:
        self.state.end_fold(unfolded=self._unfolded, keep_below=keep_below)


@pytest.mark.parametrize("keep_below", [0, 10, 10**6])
@pytest.mark.parametrize("seed", range(3))
def test_the_state_over_a_fold_answers_as_if_all_of_it_were_in_memory(store, dose, seed, keep_below):
    """At every moment: before a fold, while it is on its way, when it is written and nobody knows, after."""
    model = Model(store, seed)
    for _ in range(dose):
        model.trade()
        changes = model.begin_fold()
        model.trade()
        model.write_fold(changes)
        model.trade()
        model.end_fold(keep_below)
        model.trade()
    restarted = State(store.tables, store.fold, resident=["supply"])
    model.write_fold(model.begin_fold())
    for table, records in model.tables.items():
        assert dict(store.fold.list_records(table)) == records
        for key in records:
            if table != "supply":
                assert restarted.get_current(table, key) == records[key]


def test_a_reader_on_another_thread_never_sees_a_value_that_was_not_committed(store, dose):
    """One record counts up. Whatever a reader sees was true then, and never is an older value seen later."""
    state = State(store.tables, store.fold)
    is_over = []

    def count() -> None:
        try:
            for number in range(1, dose * 4):
                state.begin()
                state.put("tally", "counter", number)
                changes = state.commit().records
                if number % 3 == 0:
                    state.begin_fold()
                    store.fold.fold(size=number, changes=changes, lookups=LookupRows())
                    state.end_fold(unfolded={}, keep_below=0)
        finally:
            is_over.append(True)

    def read() -> None:
        last = 0
        while not is_over:
            found = state.peek("tally", "counter", store.fold) or 0
            assert found >= last
            last = found

    run_threads(count, read, read)
