"""Faults that are nobody's but ours: nothing is acknowledged that is not durable, nobody is left waiting, the
node says so and stops, and the next start is right.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress
from typing import NamedTuple

import pytest

from ledger.errors import CommonpointError, InvalidBlock, InvariantBroken, Refused
from node.audit.replay import Replay
from node.chain import ChainKeeper
from node.storage.fold import FoldStore
from node.storage.log import LogStore
from tests.contracts.cast import FRESH, START
from tests.node.engine.gate import Gate
from tests.node.engine.town import codes_of, points_of, refusal_of, submit

NO_SPACE = OSError(28, "No space left on device")


class Fault(NamedTuple):
    """A method that fails once, before or after it has done its work."""

    owner: type
    method: str
    when: str
    persists: bool
    """Whether the block in hand is durable all the same."""

    def __str__(self) -> str:
        return f"{self.when} {self.method}"


BEFORE_THE_ANSWER = [
    Fault(LogStore, "append", "before", persists=False),
    Fault(LogStore, "append", "after", persists=True),
    Fault(ChainKeeper, "take_up", "before", persists=True),
    Fault(LogStore, "check_read_back", "before", persists=True),
    Fault(ChainKeeper, "_sign", "before", persists=True),
    Fault(ChainKeeper, "_sign", "after", persists=True),
]
AFTER_THE_ANSWER = [
    Fault(LogStore, "write_note", "before", persists=True),
    Fault(LogStore, "write_note", "after", persists=True),
    Fault(FoldStore, "fold", "before", persists=True),
    Fault(FoldStore, "fold", "after", persists=True),
]


@pytest.fixture(params=["told", "clock"])
def a_town(request, town, told_town, monkeypatch):
    """A town of each kind: who cuts the blocks makes a difference to who meets the fault."""
    monkeypatch.setattr("node.engine.solo._QUIET_SECONDS", 0.02)
    return told_town if request.param == "told" else town


@pytest.fixture
def break_once(monkeypatch):
    """Makes a method fail the next time."""

    def break_it(fault: Fault) -> None:
        method = getattr(fault.owner, fault.method)

        def broken(*args, **named):
            monkeypatch.setattr(fault.owner, fault.method, method)
            if fault.when == "after":
                method(*args, **named)
            raise NO_SPACE

        monkeypatch.setattr(fault.owner, fault.method, broken)

    return break_it


def send(core, town, name: str, number: int):
    """A future, and a block cut for it where one must be told. The fault itself is met by whoever cuts."""
    future = core.submit(town.sign(FRESH, name, town.earn(number)))
    if core.origin.settings.clock == "simulated":
        with suppress(OSError):
            core.cut_block(core.head.time)
    return future


def wait_until_stopped(core) -> None:
    end = time.monotonic() + 20
    while core.is_ready:
        assert time.monotonic() < end, "the node goes on as if nothing had happened"
        time.sleep(0.01)


def check_stopped(core, town) -> None:
    """It says that it is not ready, takes nothing, stands where it stood, and can be stopped."""
    assert not core.is_ready
    head, checkpoint = core.head, core.checkpoint
    with pytest.raises(Refused, match="STOPPING"):
        core.submit(town.sign(FRESH, "later", town.earn(99)))
    if core.origin.settings.clock == "simulated":
        with pytest.raises(Refused, match="STOPPING"):
            core.cut_block(core.head.time)
        time.sleep(0.1)  # longer than it takes a told chain to fold what a pause leaves
    assert (core.head, core.checkpoint) == (head, checkpoint)
    core.stop()
    assert not core.is_ready


def check_replay(core) -> None:
    replay = Replay.begin(core.read_leaves(0, core.head.size))
    assert [block.executed.head for block in replay][-1] == core.head


@pytest.mark.parametrize("fault", BEFORE_THE_ANSWER, ids=str)
def test_what_fails_before_the_answer_is_not_acknowledged(a_town, break_once, fault):
    failed = threading.Event()
    core = a_town.open()
    a_town.settle(core)
    core.on_failure = failed.set
    taken = submit(core, a_town.sign(FRESH, "good", a_town.earn(1)))
    head, checkpoint = core.head, core.checkpoint
    break_once(fault)
    future = send(core, a_town, "bad", 2)
    assert refusal_of(future) == "STOPPING"
    assert failed.wait(10)
    check_stopped(core, a_town)
    assert (core.head, core.checkpoint) == (head, checkpoint)

    core = a_town.open()
    assert core.find_transaction(FRESH, "good")[1] == taken
    found = core.find_transaction(FRESH, "bad")
    assert (found is not None) == fault.persists
    assert points_of(core, 1) == 10 + 10 * fault.persists
    check_replay(core)
    again = submit(core, a_town.sign(FRESH, "bad", a_town.earn(2)))
    assert codes_of(again) == {"OK"}
    assert not fault.persists or again == found[1]
    assert points_of(core, 1) == 20


@pytest.mark.parametrize("fault", AFTER_THE_ANSWER, ids=str)
def test_what_fails_after_the_answer_stops_the_node_and_the_answer_stands(a_town, break_once, fault):
    core = a_town.open()
    a_town.settle(core)
    break_once(fault)
    taken = send(core, a_town, "good", 1).result(10)
    wait_until_stopped(core)
    check_stopped(core, a_town)

    core = a_town.open()
    assert core.find_transaction(FRESH, "good")[1] == taken
    check_replay(core)
    assert submit(core, a_town.sign(FRESH, "good", a_town.earn(1))) == taken
    assert codes_of(submit(core, a_town.sign(FRESH, "next", a_town.earn(2)))) == {"OK"}
    assert points_of(core, 1) == 20


@pytest.mark.parametrize("fault", [BEFORE_THE_ANSWER[0], BEFORE_THE_ANSWER[3]], ids=str)
def test_whoever_waits_behind_a_fault_is_sent_away_too(town, break_once, fault):
    gate = Gate()
    core = town.open(on_step=gate)
    town.settle(core)
    gate.close("executed")
    break_once(fault)
    in_hand = core.submit(town.sign(FRESH, "in-hand", town.earn(1)))
    with gate.held():
        waiting = [core.submit(town.sign(FRESH, f"t{number}", town.earn(number))) for number in range(2, 30)]
        repeat = core.submit(town.sign(FRESH, "in-hand", town.earn(1)))
    assert {refusal_of(future) for future in (in_hand, repeat, *waiting)} == {"STOPPING"}
    assert core.waiting == 0


def test_a_fault_in_the_middle_of_the_answers_leaves_nobody_waiting(a_town, monkeypatch):
    gate = Gate()
    core = a_town.open(on_step=gate)
    a_town.settle(core)
    told = core.origin.settings.clock == "simulated"
    make_taken = ChainKeeper.make_taken

    def fail_at_the_third(block, answer):
        if len(block.answers) == 3 and answer is block.answers[2]:
            raise NO_SPACE
        return make_taken(block, answer)

    # The second block answers two of its three; the log has them all.
    monkeypatch.setattr(ChainKeeper, "make_taken", staticmethod(fail_at_the_third))
    gate.close("executed")
    first = core.submit(a_town.sign(FRESH, "t0", a_town.earn(1)))
    cutting = threading.Thread(target=core.cut_block, args=(START,))
    if told:
        cutting.start()
    with gate.held():
        futures = [core.submit(a_town.sign(FRESH, f"t{number}", a_town.earn(number))) for number in (2, 3, 4)]
    assert codes_of(first.result(10)) == {"OK"}
    if told:
        cutting.join(10)
        with pytest.raises(OSError, match="No space"):
            core.cut_block(START)
    results = [future.exception(10) for future in futures]
    assert [getattr(error, "code", None) for error in results] == [None, None, "STOPPING"]
    core.stop()
    core = a_town.open()
    assert points_of(core, 1) == 40


def test_a_fault_that_cannot_even_be_logged_leaves_nobody_waiting(town, break_once, monkeypatch):
    core = town.open()
    town.settle(core)

    def broken_pipe(*_args, **_facts):
        raise BrokenPipeError

    monkeypatch.setattr("node.engine.answering.log.critical", broken_pipe, raising=False)
    monkeypatch.setattr(threading, "excepthook", lambda _told: None)
    failed = threading.Event()
    core.on_failure = failed.set
    break_once(BEFORE_THE_ANSWER[0])
    assert refusal_of(core.submit(town.sign(FRESH, "bad", town.earn(2)))) == "STOPPING"
    assert not core.is_ready
    assert failed.wait(10)


def test_whoever_is_told_of_a_fault_may_stop_the_node(a_town, break_once):
    core = a_town.open()
    a_town.settle(core)
    stopped = threading.Event()

    def stop() -> None:
        core.stop()
        stopped.set()

    core.on_failure = stop
    break_once(BEFORE_THE_ANSWER[0])
    assert refusal_of(send(core, a_town, "bad", 2)) == "STOPPING"
    assert stopped.wait(20)


def flip_bit(town, *, query: str, update: str) -> None:
    """One bit of the last stored value is another one, as if the disk had done it."""
    with sqlite3.connect(town.database) as connection:
        key, data = connection.execute(query).fetchone()
        damaged = bytes([*data[:-3], data[-3] ^ 1, *data[-2:]])
        connection.execute(update, (damaged, key))
    connection.close()


def flip_last_leaf(town) -> None:
    flip_bit(
        town,
        query="SELECT first, data FROM segment ORDER BY first DESC LIMIT 1",
        update="UPDATE segment SET data = ? WHERE first = ?",
    )


def test_what_does_not_read_back_is_not_signed_and_does_not_start_again(a_town):
    steps: list[str] = []

    def damage(step: str) -> None:
        steps.append(step)
        if step == "appended" and armed:
            flip_last_leaf(a_town)

    armed: list[bool] = []
    core = a_town.open(on_step=damage)
    a_town.settle(core)
    checkpoint = core.checkpoint
    armed.append(True)
    future = core.submit(a_town.sign(FRESH, "bad", a_town.earn(1)))
    if core.origin.settings.clock == "simulated":
        with pytest.raises(InvariantBroken, match="READ_BACK_DIFFERS"):
            core.cut_block(START)
    assert refusal_of(future) == "STOPPING"
    armed.clear()
    assert steps[-2:] == ["appended", "committed"]
    check_stopped(core, a_town)
    assert core.checkpoint == checkpoint
    # What the disk holds is not what was decided, and no checkpoint vouches for it: no start goes over it.
    for _ in range(2):
        with pytest.raises(CommonpointError) as refused:
            a_town.open()
        assert isinstance(refused.value, InvariantBroken | InvalidBlock)
