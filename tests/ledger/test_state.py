"""The state answers the same whatever stands behind it, and forgets what a block or an attempt undid."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ledger.errors import InvariantBroken
from ledger.state import State

TABLES = ("animal", "plant")


class Shelf:
    """A record source of dictionaries: everything up to the last fold, and how often it was asked."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {"animal": {}, "plant": {}, "due": {}}
        self.loads: list[dict[str, list[str]]] = []

    def load(self, wanted: Mapping[str, Sequence[str]]) -> list[tuple[str, str, Any]]:
        self.loads.append({table: list(keys) for table, keys in wanted.items()})
        return [
            (table, key, self.tables[table][key])
            for table, keys in wanted.items()
            for key in keys
            if key in self.tables[table]
        ]

    def first_due(self, *, before: str, limit: int) -> list[str]:
        return sorted(key for key in self.tables["due"] if key < before)[:limit]

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        return sorted(self.tables[table].items())

    def fold(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        for table, records in changes.items():
            for key, record in records.items():
                if record is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = record


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def write(state: State, *rows: tuple[str, str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """One block that writes these records."""
    state.begin()
    for row in rows:
        state.put(*row)
    return state.commit().records


def test_what_a_block_wrote_is_seen_at_once_and_current_after_its_commit():
    state = State(TABLES)
    state.begin()
    state.put("animal", "cat", 1)
    assert (state.get("animal", "cat"), state.get_current("animal", "cat")) == (1, None)
    assert state.pending("animal") == {"cat": 1}
    assert state.commit().records == {"animal": {"cat": 1}}
    assert (state.get("animal", "cat"), state.get_current("animal", "cat")) == (1, 1)
    assert state.pending("animal") == {}


def test_what_is_rolled_back_never_was():
    state = State(TABLES)
    write(state, ("animal", "cat", 1))
    state.begin()
    state.put("animal", "cat", 2)
    state.put("plant", "oak", 3)
    state.put("animal", "cat", None)
    state.roll_back()
    assert (state.get("animal", "cat"), state.get("plant", "oak")) == (1, None)
    assert write(state, ("plant", "elm", 4)) == {"plant": {"elm": 4}}


def test_one_block_at_a_time():
    state = State(TABLES)
    state.begin()
    with pytest.raises(InvariantBroken, match="BLOCK_ALREADY_BEGUN"):
        state.begin()
    state.roll_back()
    state.begin()


def test_a_removed_record_is_gone_and_takes_no_room():
    state = State(TABLES)
    write(state, ("animal", "cat", 1), ("animal", "dog", 2))
    assert write(state, ("animal", "cat", None)) == {"animal": {"cat": None}}
    assert list(state.rows("animal")) == [("dog", 2)]


def test_an_attempt_is_undone_to_the_letter():
    state = State(TABLES)
    write(state, ("animal", "cat", 1))
    state.begin()
    state.put("animal", "dog", 5)
    state.begin_atomic()
    for row in [("animal", "cat", 2), ("animal", "cat", None), ("animal", "dog", 6), ("plant", "oak", 7)]:
        state.put(*row)
    state.put("animal", "cat", 9)
    state.roll_back_atomic()
    assert state.pending("animal") == {"dog": 5}
    assert state.pending("plant") == {}
    state.put("plant", "elm", 8)
    assert state.commit().records == {"animal": {"dog": 5}, "plant": {"elm": 8}}


def test_an_attempt_that_ended_is_not_undone_by_the_next():
    state = State(TABLES)
    state.begin()
    state.begin_atomic()
    state.put("animal", "cat", 1)
    state.end_atomic()
    state.begin_atomic()
    state.put("animal", "cat", 2)
    state.roll_back_atomic()
    assert state.get("animal", "cat") == 1
    state.roll_back()


def test_a_record_is_found_wherever_it_is(shelf):
    shelf.tables["animal"] = {"cat": 1, "dog": 2}
    state = State(TABLES, shelf)
    write(state, ("animal", "dog", 3))
    assert [state.get("animal", name) for name in ("cat", "dog", "cow")] == [1, 3, None]
    loads = len(shelf.loads)
    assert [state.get("animal", name) for name in ("cat", "dog", "cow")] == [1, 3, None]
    assert len(shelf.loads) == loads, "what is there, and what is not, is asked for once"


def test_what_was_removed_is_not_found_again_behind(shelf):
    shelf.tables["animal"] = {"cat": 1}
    state = State(TABLES, shelf)
    write(state, ("animal", "cat", None))
    assert state.get("animal", "cat") is None
    state.prefetch([("animal", "cat")])
    assert state.get("animal", "cat") is None
    assert state.peek("animal", "cat", shelf) is None


def test_prefetch_asks_once_for_what_is_not_there_and_changes_no_answer(shelf):
    shelf.tables["animal"] = {"cat": 1, "dog": 2}
    shelf.tables["plant"] = {"oak": 3}
    state = State(TABLES, shelf)
    write(state, ("animal", "dog", 4))
    state.prefetch(
        [("animal", "cat"), ("animal", "dog"), ("animal", "cat"), ("plant", "oak"), ("plant", "fir")]
    )
    assert shelf.loads == [{"animal": ["cat"], "plant": ["oak", "fir"]}]
    assert [state.get("animal", name) for name in ("cat", "dog")] == [1, 4]
    assert [state.get("plant", name) for name in ("oak", "fir")] == [3, None]
    state.prefetch([("animal", "cat"), ("plant", "fir")])
    assert len(shelf.loads) == 1


def test_a_resident_table_is_whole_and_never_asked_for(shelf):
    shelf.tables["animal"] = {"cat": 1}
    state = State(TABLES, shelf, resident=["animal"])
    assert [state.get("animal", name) for name in ("cat", "dog")] == [1, None]
    state.prefetch([("animal", "dog")])
    assert state.peek("animal", "dog", shelf) is None
    assert shelf.loads == []
    write(state, ("animal", "cat", None), ("animal", "dog", 2))
    assert state.list_remembered("animal") == [("dog", 2)]
    state.forget(keep_below=0)
    assert state.get("animal", "dog") == 2
    assert shelf.loads == []


def test_a_look_from_another_thread_sees_what_is_committed_and_leaves_no_trace(shelf):
    shelf.tables["animal"] = {"cat": 1}
    state = State(TABLES, shelf)
    state.begin()
    state.put("animal", "cat", 2)
    assert state.peek("animal", "cat", shelf) == 1
    assert state.list_remembered("animal") == []
    state.commit()
    assert state.peek("animal", "cat", shelf) == 2
    assert state.peek("animal", "dog", shelf) is None
    assert State(TABLES).peek("animal", "cat", None) is None


def test_what_was_folded_can_be_forgotten(shelf):
    state = State(TABLES, shelf)
    changes = write(state, ("animal", "cat", 1), ("animal", "dog", 2), ("plant", "oak", 3))
    shelf.fold(changes)
    state.forget(keep_below=1)
    assert state.list_remembered("animal") == []
    assert state.list_remembered("plant") == [("oak", 3)]
    assert [state.get("animal", name) for name in ("cat", "dog")] == [1, 2]


def test_nothing_is_forgotten_where_nothing_stands_behind():
    state = State(TABLES)
    with pytest.raises(InvariantBroken, match="NOTHING_BEHIND_THE_STATE"):
        state.forget(keep_below=0)


def test_only_a_whole_state_is_listed(shelf):
    with pytest.raises(InvariantBroken, match="STATE_NOT_WHOLE"):
        State(TABLES, shelf).rows("animal")


def due(state: State, before: str = "0000009", limit: int = 99) -> list[str]:
    return state.first_due(before=before, limit=limit)


def test_due_work_is_found_in_order_of_key_and_below_its_day():
    state = State(TABLES)
    names = ["0000003|b", "0000003|a", "0000001|z", "0000012|a", "0000009|a"]
    write(state, *[("due", name, 1) for name in names])
    assert due(state) == ["0000001|z", "0000003|a", "0000003|b"]
    assert due(state, limit=2) == ["0000001|z", "0000003|a"]
    assert due(state, limit=0) == []
    assert due(state, before="0000013") == sorted(names)
    assert due(state, before="0000001") == []


def test_due_work_of_a_block_rolled_back_is_not_found():
    state = State(TABLES)
    write(state, ("due", "0000001|a", 1))
    state.begin()
    state.put("due", "0000002|b", 1)
    state.put("due", "0000001|a", None)
    state.roll_back()
    assert due(state) == ["0000001|a"]


def test_due_work_that_was_done_may_come_again():
    state = State(TABLES)
    write(state, ("due", "0000001|a", 1))
    write(state, ("due", "0000001|a", None))
    assert due(state) == []
    write(state, ("due", "0000001|a", 1))
    assert due(state) == ["0000001|a"]


def test_due_work_done_hides_what_is_stored_and_makes_room_for_the_next(shelf):
    shelf.tables["due"] = {f"000000{number}|x": 1 for number in range(1, 7)}
    state = State(TABLES, shelf)
    write(state, ("due", "0000001|x", None), ("due", "0000002|x", None), ("due", "0000003|a", 1))
    assert due(state, limit=2) == ["0000003|a", "0000003|x"]
    assert due(state) == ["0000003|a", "0000003|x", "0000004|x", "0000005|x", "0000006|x"]


@pytest.mark.parametrize("seed", range(6))
def test_due_work_is_the_same_with_and_without_a_source_between_any_folds(seed):
    """Keys come and go at random; folds, roll-backs and forgetting happen at random; the answers agree."""
    choose = random.Random(seed)
    shelf = Shelf()
    plain, folded = State(TABLES), State(TABLES, shelf)
    waiting: list[Mapping[str, Mapping[str, Any]]] = []
    present: set[str] = set()
    for _ in range(400):
        rows = [
            ("due", f"{choose.randrange(30):07d}|{choose.choice('abcd')}", choose.choice([1, None]))
            for _ in range(choose.randrange(6))
        ]
        if choose.random() < 0.1:
            for state in (plain, folded):
                state.begin()
                for row in rows:
                    state.put(*row)
                state.roll_back()
        else:
            write(plain, *rows)
            waiting.append(write(folded, *rows))
            for _, key, record in rows:
                present.discard(key)
                present |= {key} if record else set()
        if choose.random() < 0.2:
            for changes in waiting:
                shelf.fold(changes)
            waiting.clear()
            folded.forget(keep_below=choose.choice([0, 5, 10_000]))
        before, limit = f"{choose.randrange(31):07d}", choose.randrange(1, 8)
        wanted = sorted(key for key in present if key < before)[:limit]
        assert due(plain, before, limit) == due(folded, before, limit) == wanted


@pytest.mark.parametrize("seed", range(4))
def test_a_state_with_a_source_answers_like_one_without(seed):
    choose = random.Random(seed)
    shelf = Shelf()
    plain, folded = State(TABLES), State(TABLES, shelf, resident=["plant"])
    waiting: list[Mapping[str, Mapping[str, Any]]] = []
    for _ in range(300):
        keys = [(choose.choice(TABLES), str(choose.randrange(40))) for _ in range(6)]
        if choose.random() < 0.5:
            folded.prefetch(keys)
        for state in (plain, folded):
            state.begin()
        for number, (table, key) in enumerate(keys):
            value = choose.choice([None, number])
            if number == 2:
                plain.begin_atomic()
                folded.begin_atomic()
            for state in (plain, folded):
                state.put(table, key, value)
            assert plain.get(table, key) == folded.get(table, key) == value
        if choose.random() < 0.5:
            plain.roll_back_atomic()
            folded.roll_back_atomic()
        plain.end_atomic()
        folded.end_atomic()
        if choose.random() < 0.2:
            plain.roll_back()
            folded.roll_back()
        else:
            plain.commit()
            waiting.append(folded.commit().records)
        if choose.random() < 0.1:
            for changes in waiting:
                shelf.fold(changes)
            waiting.clear()
            folded.forget(keep_below=choose.choice([0, 20]))
        for table in TABLES:
            for key in map(str, range(40)):
                assert plain.get(table, key) == folded.get(table, key) == folded.peek(table, key, shelf)


class Counted(str):
    """A key that counts how often keys are compared."""

    compared = 0

    def __lt__(self, other: str) -> bool:
        Counted.compared += 1
        return str.__lt__(self, other)


def test_a_blocks_share_of_due_work_costs_no_more_when_more_is_waiting():
    """A month end with many lapsing lots: each block takes its share, and does not sort the rest again."""
    costs = []
    for waiting in (2_000, 16_000):
        state = State(TABLES)
        write(
            state,
            *[("due", Counted(f"0000001|{number * 7919 % waiting:06d}"), 1) for number in range(waiting)],
        )
        taken = 0
        Counted.compared = 0
        for _ in range(20):
            share = due(state, limit=64)
            taken += len(share)
            write(state, *[("due", key, None) for key in share])
        assert taken == 20 * 64
        costs.append(Counted.compared)
    # One sort of a day is as it must be (eight times as many keys: about eleven times the comparisons);
    # sorting it again for every block is not.
    assert costs[1] < 16_000 * 14 * 2
