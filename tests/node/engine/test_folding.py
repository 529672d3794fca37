"""Folding follows in the background: blocks do not wait for it, but it never falls far behind."""

from __future__ import annotations

import threading
import time

import pytest

from contracts.messages import Enrol
from tests.contracts.cast import FRESH, PETROL, member_id
from tests.node.engine.gate import Gate
from tests.node.engine.town import codes_of, points_of, refusal_of, submit


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def core(town, gate, monkeypatch):
    """A node that folds only when enough has gathered: forty records, or a hundred look-up rows."""
    monkeypatch.setattr("node.engine.solo._IDLE_SECONDS", 30.0)
    monkeypatch.setattr("node.folding.FOLD_RECORDS_MAX", 40)
    monkeypatch.setattr("node.folding.FOLD_ROWS_MAX", 100)
    core = town.open(on_step=gate)
    town.settle(core)
    core._chain.fold_all()
    gate.steps.clear()
    return core


def wait_for(is_so) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


def enrol(town, number: int, *, members: int) -> bytes:
    """A transaction that changes a record a member, and two more."""
    messages = [Enrol(member=member_id(1000 * number + each)) for each in range(1, members + 1)]
    return town.sign(FRESH, f"enrol-{number}", *messages)


def test_blocks_go_on_while_a_fold_is_under_way(town, core, gate):
    gate.close("folded")
    submit(core, enrol(town, 1, members=50))
    with gate.held():
        # State and look-ups of that block are on their way: what they say can be read all the same.
        for number in range(2, 7):
            taken = submit(core, enrol(town, number, members=4))
            assert codes_of(taken) == {"OK"}
            assert core.find_history(member_id(1000 * number + 1), None, None, 9) == [taken.index + 1]
        assert core.get_record("member", member_id(1001)).custodian == FRESH
        assert core.find_transaction(FRESH, "enrol-1")[1].height == core.head.height - 5
        assert len(core.find_history(member_id(1007), None, None, 9)) == 1
        again = submit(core, town.sign(PETROL, "again", *[Enrol(member=member_id(1001))]))
        assert codes_of(again) == {"MEMBER_EXISTS"}
    wait_for(lambda: gate.steps["folded"] == 1)


def test_a_node_waits_for_a_fold_before_it_begins_the_next(town, core, gate):
    """What a start has to execute again is bounded, also on a disk that is slower than the trade."""
    gate.close("folded")
    submit(core, enrol(town, 1, members=50))
    with gate.held():
        # This one is answered; the fold after it is due, and the engine waits for the one before.
        assert codes_of(submit(core, enrol(town, 2, members=50))) == {"OK"}
        late = core.submit(enrol(town, 3, members=1))
        time.sleep(0.1)
        assert not late.done()
    assert codes_of(late.result(20)) == {"OK"}
    wait_for(lambda: gate.steps["folded"] == 2)


def test_what_is_turned_down_is_folded_too(town, core, gate):
    """It changes no record but is looked up like any other; nobody fills the memory with it."""
    for number in range(6):
        refused = town.sign(FRESH, f"again-{number}", *[Enrol(member=member_id(1))] * 30)
        assert codes_of(submit(core, refused)) == {"MEMBER_EXISTS"}
    wait_for(lambda: gate.steps["folded"] >= 1)
    assert core._chain.store.lookups.unfolded.count < 100


def test_a_stop_waits_for_the_fold_under_way_and_folds_the_rest(town, core, gate):
    gate.close("folded")
    submit(core, enrol(town, 1, members=50))
    submit(core, enrol(town, 2, members=1))
    stopping = threading.Thread(target=core.stop)
    with gate.held():
        stopping.start()
        stopping.join(0.1)
        assert stopping.is_alive()
    stopping.join(20)
    assert not stopping.is_alive()
    assert gate.steps["folded"] == 2
    executed = Gate()
    again = town.open(on_step=executed)
    assert (again.head, again.checkpoint) == (core.head, core.checkpoint)
    assert executed.steps["folded"] == 0, "nothing was left to do"


def test_a_fold_that_fails_stops_the_node_at_its_next_step(town, core, monkeypatch):
    def fail(*_args, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(core._chain.store.fold), "fold", fail)
    first = submit(core, enrol(town, 1, members=50))
    folding = core._chain._folder
    wait_for(lambda: folding._under_way is not None and folding._under_way.done())
    second = submit(core, enrol(town, 2, members=1))
    wait_for(lambda: not core.is_ready)
    core.stop()
    monkeypatch.undo()
    core = town.open()
    for number, taken in ((1, first), (2, second)):
        assert core.find_transaction(FRESH, f"enrol-{number}")[1] == taken


def test_a_node_stopped_by_a_fault_does_not_fold_what_is_in_doubt(town, core, gate, monkeypatch):
    def fail(*_args, **_named):
        raise OSError(5, "Input/output error")

    submit(core, enrol(town, 1, members=3))
    monkeypatch.setattr(type(core._chain.store.log), "check_read_back", fail)
    assert refusal_of(core.submit(enrol(town, 2, members=100))) == "STOPPING"
    core.stop()
    assert gate.steps["folded"] == 0
    assert core._chain.store.log.size > core.head.size


def test_a_record_that_was_emptied_is_gone_after_the_fold_too(town, core):
    submit(core, town.sign(FRESH, "earn", town.earn(1, points=5)))
    core._chain.fold_all()
    submit(core, town.sign(FRESH, "spend", town.redeem(1, points=5)))
    for _ in range(2):
        assert core.get_record("account", f"{member_id(1)}|leaf") is None
        core._chain.fold_all()
    core.stop()
    core = town.open()
    assert points_of(core, 1) == 0
    assert core.get_record("account", f"{member_id(1)}|leaf") is None
