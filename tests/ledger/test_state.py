"""The state answers the same whatever stands behind it, and forgets what a block or an attempt undid."""

from __future__ import annotations

import random

import pytest

from ledger.errors import InvariantBroken
from ledger.state import State
from tests.ledger.shelf import TABLES, Folding, Shelf, write


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


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
    assert list(state.list_records("animal")) == [("dog", 2)]


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
    state.prefetch([[("animal", "cat")]])
    assert state.get("animal", "cat") is None
    assert state.peek("animal", "cat", shelf) is None


def test_prefetch_asks_once_for_what_is_not_there_and_changes_no_answer(shelf):
    shelf.tables["animal"] = {"cat": 1, "dog": 2}
    shelf.tables["plant"] = {"oak": 3}
    state = State(TABLES, shelf)
    write(state, ("animal", "dog", 4))
    state.prefetch(
        [[("animal", "cat"), ("animal", "dog")], [("animal", "cat"), ("plant", "oak"), ("plant", "fir")]]
    )
    assert shelf.loads == [{"animal": ["cat"], "plant": ["oak", "fir"]}]
    assert [state.get("animal", name) for name in ("cat", "dog")] == [1, 4]
    assert [state.get("plant", name) for name in ("oak", "fir")] == [3, None]
    state.prefetch([[("animal", "cat")], [("plant", "fir")]])
    assert len(shelf.loads) == 1


def test_what_is_not_there_is_asked_for_once_until_a_fold_makes_room(shelf):
    state = State(TABLES, shelf)
    state.prefetch([[("animal", "cat")]])
    write(state, ("plant", "oak", 1))
    assert state.get("animal", "cat") is None
    write(state, ("animal", "cat", 2))
    write(state, ("animal", "cat", None))
    assert state.get("animal", "cat") is None
    assert len(shelf.loads) == 1
    state.begin_fold()
    shelf.tables["animal"]["dog"] = 3
    state.end_fold(unfolded={}, keep_below=0)
    assert [state.get("animal", name) for name in ("cat", "dog")] == [None, 3]
    assert len(shelf.loads) == 3


def test_what_could_not_be_asked_for_is_not_taken_for_absent():
    class Torn(Shelf):
        def load(self, wanted):
            for found in super().load(wanted):
                yield found
                raise OSError("the disk is gone")

    shelf = Torn()
    shelf.tables["animal"] = {"cat": 1, "dog": 2}
    state = State(TABLES, shelf)
    with pytest.raises(OSError, match="gone"):
        state.prefetch([[("animal", "cat"), ("animal", "dog")]])
    assert state.list_remembered("animal") == []


def test_a_resident_table_is_whole_and_never_asked_for(shelf):
    shelf.tables["animal"] = {"cat": 1}
    state = State(TABLES, shelf, resident=["animal"])
    assert [state.get("animal", name) for name in ("cat", "dog")] == [1, None]
    state.prefetch([[("animal", "dog")]])
    assert state.peek("animal", "dog", shelf) is None
    assert shelf.loads == []
    write(state, ("animal", "cat", None), ("animal", "dog", 2))
    assert state.list_remembered("animal") == [("dog", 2)]
    state.begin_fold()
    state.end_fold(unfolded={}, keep_below=0)
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
    state.begin_fold()
    shelf.fold(changes)
    state.end_fold(unfolded={}, keep_below=1)
    assert state.list_remembered("animal") == []
    assert state.list_remembered("plant") == [("oak", 3)]
    assert [state.get("animal", name) for name in ("cat", "dog")] == [1, 2]


def test_what_was_written_while_a_fold_was_on_its_way_stays(shelf):
    state = State(TABLES, shelf)
    changes = write(state, ("animal", "cat", 1), ("animal", "dog", 2), ("animal", "cow", 3))
    state.begin_fold()
    later = write(state, ("animal", "cat", 7), ("animal", "dog", None))
    shelf.fold(changes)
    assert [state.get("animal", name) for name in ("cat", "dog", "cow")] == [7, None, 3]
    state.end_fold(unfolded=later, keep_below=0)
    assert state.list_remembered("animal") == [("cat", 7), ("dog", None)]
    assert [state.get("animal", name) for name in ("cat", "dog", "cow")] == [7, None, 3]


def test_nothing_is_forgotten_where_nothing_stands_behind():
    """A fold that began without a source would lose sight of all due work written so far."""
    state = State(TABLES)
    write(state, ("due", "0000001|a", 1))
    with pytest.raises(InvariantBroken, match="NOTHING_BEHIND_THE_STATE"):
        state.begin_fold()
    with pytest.raises(InvariantBroken, match="NOTHING_BEHIND_THE_STATE"):
        state.end_fold(unfolded={}, keep_below=0)
    assert state.first_due(before="0000002", limit=1) == ["0000001|a"]


def test_one_fold_at_a_time(shelf):
    """What the first has on its way would be forgotten by a second that begins before it has arrived."""
    state = State(TABLES, shelf)
    write(state, ("due", "0000001|a", 1))
    state.begin_fold()
    with pytest.raises(InvariantBroken):
        state.begin_fold()
    assert state.first_due(before="0000002", limit=1) == ["0000001|a"]


def test_only_a_whole_state_is_listed(shelf):
    with pytest.raises(InvariantBroken, match="TABLE_NOT_WHOLE"):
        State(TABLES, shelf).list_records("animal")


@pytest.mark.parametrize("seed", range(4))
def test_a_state_with_a_source_answers_like_one_without(seed):
    """Blocks write, undo and are rolled back at random; folds take their time; every answer is the same."""
    choose = random.Random(seed)
    shelf = Shelf()
    plain, folded = State(TABLES), State(TABLES, shelf, resident=["plant"])
    folding = Folding(folded, shelf)
    for _ in range(300):
        keys = [(choose.choice(TABLES), str(choose.randrange(40))) for _ in range(6)]
        if choose.random() < 0.5:
            folded.prefetch([keys])
        is_undone, is_rolled_back = choose.random() < 0.5, choose.random() < 0.2
        values = [choose.choice([None, number]) for number in range(6)]
        for state in (plain, folded):
            state.begin()
            for number, (table, key) in enumerate(keys):
                if number == 2:
                    state.begin_atomic()
                state.put(table, key, values[number])
                assert state.get(table, key) == values[number]
            if is_undone:
                state.roll_back_atomic()
            state.end_atomic()
        if is_rolled_back:
            plain.roll_back()
            folded.roll_back()
        else:
            plain.commit()
            folding.note(folded.commit().records)
        folding.go_on(choose)
        for table in TABLES:
            for key in map(str, range(40)):
                assert plain.get(table, key) == folded.get(table, key) == folded.peek(table, key, shelf)
