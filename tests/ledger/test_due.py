"""Due work is found in order, the same on every node, however much of it is waiting."""

from __future__ import annotations

import random

import pytest

from ledger.state import State
from tests.ledger.shelf import TABLES, Folding, Shelf, write


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def due(state: State, before: str = "0000000009", limit: int = 99) -> list[str]:
    return state.first_due(before=before, limit=limit)


def test_due_work_is_found_in_order_of_key_and_below_its_minute():
    state = State(TABLES)
    names = ["0000000003|b", "0000000003|a", "0000000001|z", "0000000012|a", "0000000009|a"]
    write(state, *[("due", name, 1) for name in names])
    assert due(state) == ["0000000001|z", "0000000003|a", "0000000003|b"]
    assert due(state, limit=2) == ["0000000001|z", "0000000003|a"]
    assert due(state, limit=0) == []
    assert due(state, before="0000000013") == sorted(names)
    assert due(state, before="0000000001") == []


def test_due_work_of_a_block_rolled_back_is_not_found():
    state = State(TABLES)
    write(state, ("due", "0000000001|a", 1))
    state.begin()
    state.put("due", "0000000002|b", 1)
    state.put("due", "0000000001|a", None)
    state.roll_back()
    assert due(state) == ["0000000001|a"]


def test_due_work_that_was_done_may_come_again():
    state = State(TABLES)
    write(state, ("due", "0000000001|a", 1))
    write(state, ("due", "0000000001|a", None))
    assert due(state) == []
    write(state, ("due", "0000000001|a", 1))
    assert due(state) == ["0000000001|a"]


def test_due_work_done_hides_what_is_stored_and_makes_room_for_the_next(shelf):
    shelf.tables["due"] = {f"000000000{number}|x": 1 for number in range(1, 7)}
    state = State(TABLES, shelf)
    write(state, ("due", "0000000001|x", None), ("due", "0000000002|x", None), ("due", "0000000003|a", 1))
    assert due(state, limit=2) == ["0000000003|a", "0000000003|x"]
    assert due(state) == ["0000000003|a", "0000000003|x", "0000000004|x", "0000000005|x", "0000000006|x"]


@pytest.mark.parametrize("seed", range(6))
def test_due_work_is_the_same_with_and_without_a_source_between_any_folds(seed):
    """Keys come and go, blocks are rolled back and folds take their time, at random; the answers agree."""
    choose = random.Random(seed)
    shelf = Shelf()
    plain, folded = State(TABLES), State(TABLES, shelf)
    folding = Folding(folded, shelf)
    present: set[str] = set()
    for _ in range(400):
        rows = [
            ("due", f"{choose.randrange(30):010d}|{choose.choice('abcd')}", choose.choice([1, None]))
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
            folding.note(write(folded, *rows))
            for _, key, record in rows:
                present.discard(key)
                present |= {key} if record else set()
        folding.go_on(choose)
        before, limit = f"{choose.randrange(31):010d}", choose.randrange(1, 8)
        wanted = sorted(key for key in present if key < before)[:limit]
        assert due(plain, before, limit) == due(folded, before, limit) == wanted


class Counted(str):  # noqa: SLOT000 - it counts for its class
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
            *[
                ("due", Counted(f"0000000000001|{number * 7919 % waiting:06d}"), 1)
                for number in range(waiting)
            ],
        )
        taken = 0
        Counted.compared = 0
        for _ in range(20):
            share = due(state, limit=64)
            taken += len(share)
            write(state, *[("due", key, None) for key in share])
        assert taken == 20 * 64
        costs.append(Counted.compared)
    # One sort of a minute is as it must be (eight times as many keys: about eleven times the comparisons);
    # sorting it again for every block is not.
    assert costs[1] < 16_000 * 14 * 2
