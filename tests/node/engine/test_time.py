"""Time: only ever the block's, never back; and what falls due is done though nobody asks."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest

from contracts.messages import Enrol, SystemMessage
from ledger.errors import Refused
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START, SYSTEM_DECODER, SYSTEM_START
from tests.contracts.cast import DAY_MILLIS, FRESH, START, member_id
from tests.node.engine.town import HOUR_MILLIS, OUTCOMES, Town, codes_of, points_of, refusal_of, submit

SYSTEM_MESSAGES = msgspec.json.Decoder(SystemMessage)
YEAR_AND_A_MONTH = START + 400 * DAY_MILLIS
"""By then every point of `leaf` has lapsed: it lives twelve months."""


def wait_until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.005)


def expired_in(core, first: int) -> list[tuple[str, int]]:
    """Member and points of each expiry entry from a leaf on."""
    found = []
    for leaf in core.read_leaves(first, core.head.size) if core.head.size > first else []:
        if leaf.startswith(SYSTEM_START):
            shape = SYSTEM_DECODER.decode(leaf)
            message, outcome = SYSTEM_MESSAGES.decode(shape.message), OUTCOMES.decode(shape.outcome)
            assert outcome.code == "OK"
            found.append((message.member, outcome.points))
    return found


def block_times(core, first: int = 0) -> list[int]:
    leaves = core.read_leaves(first, core.head.size)
    return [BLOCK_LEAF_DECODER.decode(leaf).time for leaf in leaves if leaf.startswith(BLOCK_START)]


def test_a_clock_that_is_set_back_does_not_stop_the_chain(town):
    core = town.open()
    town.settle(core)
    for at in (START + 50_000, START + 20_000, START - 10**9, START + 50_001):
        town.clock.at = at
        assert codes_of(submit(core, town.sign(FRESH, f"t{at}", town.earn(at)))) == {"OK"}
    assert block_times(core)[-4:] == [START + 50_000] * 3 + [START + 50_001]
    core.stop()
    # A node that starts with a clock behind its own log goes on from the log's time, too.
    town.clock.at = START
    core = town.open()
    assert submit(core, town.sign(FRESH, "again", town.earn(5))).time == START + 50_001


def test_an_idle_chain_is_idle(town, monkeypatch):
    monkeypatch.setattr("node.engine.solo._IDLE_SECONDS", 0.01)
    monkeypatch.setattr("node.engine.solo._DUE_WORK_SECONDS", 0.01)
    core = town.open()
    town.settle(core)
    head, checkpoint = core.head, core.checkpoint
    looked = []
    monkeypatch.setattr(type(core._chain), "fold_when_idle", lambda _chain: looked.append(1))
    wait_until(lambda: len(looked) > 10)
    assert (core.head, core.checkpoint) == (head, checkpoint)


def test_a_chain_that_takes_nothing_any_more_is_idle_until_it_is_stopped(town, monkeypatch):
    core = town.open()
    begun = time.monotonic()
    core.close_intake()
    looks = []
    monkeypatch.setattr("node.engine.solo._IDLE_SECONDS", 0.05)
    monkeypatch.setattr(core._chain, "fold_when_idle", lambda: looks.append(None))
    time.sleep(0.5)
    seconds = time.monotonic() - begun
    assert len(looks) <= seconds / 0.05 + 2, "it looks again and again"


def test_what_falls_due_on_an_idle_chain_is_done_bounded_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("node.engine.solo._IDLE_SECONDS", 0.01)
    monkeypatch.setattr("node.engine.solo._DUE_WORK_SECONDS", 1.0)
    town = Town(tmp_path, parameters={"due_entries_max": 2})
    core = town.open()
    town.settle(core, members=5)
    messages = [town.earn(number, member=number, points=number) for number in range(5, 0, -1)]
    submit(core, town.sign(FRESH, "earn", *messages))
    size, height = core.head.size, core.head.height
    town.clock.at = YEAR_AND_A_MONTH
    wait_until(lambda: core.head.height > height)
    begun = time.monotonic()
    wait_until(lambda: core.head.height == height + 3)
    # The first block looks after a second; what it leaves over does not wait two seconds more.
    assert time.monotonic() - begun < 1.5
    members = [member_id(number) for number in range(1, 6)]
    assert expired_in(core, size) == list(zip(members, range(1, 6), strict=True))
    assert core.head.size == size + 5 + 3
    assert [points_of(core, number) for number in range(1, 6)] == [0] * 5
    assert core.get_record("tally", "leaf|expired") == 15
    head = core.head
    time.sleep(0.1)
    assert core.head == head, "when nothing is due any more, nothing is done"
    town.close()
    core = town.open()
    assert core.head == head
    town.close()


def test_due_work_comes_first_in_a_block_that_somebody_asked_for(told_town):
    core = told_town.open()
    told_town.settle(core)
    submit(core, told_town.sign(FRESH, "earn", told_town.earn(1, points=30)))
    (lot,) = core.get_record("account", f"{member_id(1)}|leaf").lots
    size = core.head.size
    midnight = (lot.expires + 1) * DAY_MILLIS - 480 * 60_000
    assert core.cut_block(midnight - 1).size == size, "the last day is a day of use"
    late = core.submit(told_town.sign(FRESH, "late", Enrol(member=member_id(9))))
    core.cut_block(midnight)
    assert refusal_of(late) == "EXPIRED"
    assert expired_in(core, size) == [(member_id(1), 30)]
    assert core.cut_block(midnight).size == size + 2, "once"


def test_a_told_chain_goes_forward_or_stands_and_never_back(told_town):
    core = told_town.open()
    told_town.settle(core)
    assert core.cut_block(START + 1000).time == START, "an empty block is none, and its time is nobody's"
    submit_told = told_town.sign(FRESH, "one", told_town.earn(1))
    core.submit(submit_told)
    assert core.cut_block(START + 1000).time == START + 1000
    future = core.submit(told_town.sign(FRESH, "two", told_town.earn(2)))
    for wrong, code in ((START + 999, "TIME_BACKWARDS"), (-1, "TIME_BACKWARDS"), (2**60, "BAD_REQUEST")):
        with pytest.raises(Refused, match=code):
            core.cut_block(wrong)
    assert not future.done()
    assert core.waiting == 1
    assert core.cut_block(START + 1000).time == START + 1000
    assert codes_of(future.result(0)) == {"OK"}
    core.stop()
    core = told_town.open()
    assert core.head.time == START + 1000
    with pytest.raises(Refused, match="TIME_BACKWARDS"):
        core.cut_block(START + 999)


def test_on_a_told_chain_the_block_alone_judges_the_time(told_town):
    core = told_town.open()
    told_town.settle(core)
    told_town.clock.at = START + 10**12
    later = START + 30 * DAY_MILLIS
    past, soon, now, far = (
        core.submit(told_town.sign(FRESH, f"t{number}", told_town.earn(number), not_after=not_after))
        for number, not_after in enumerate((START, later - 1, later + HOUR_MILLIS, later + HOUR_MILLIS + 1))
    )
    core.cut_block(later)
    assert [refusal_of(future) for future in (past, soon, far)] == ["EXPIRED", "EXPIRED", "NOT_AFTER_TOO_FAR"]
    assert codes_of(now.result(0)) == {"OK"}
    with pytest.raises(Refused, match="EXPIRED"):
        core.submit(told_town.sign(FRESH, "old", told_town.earn(9), not_after=later - 1))


def test_nobody_tells_a_chain_with_a_clock_when_to_cut(town):
    core = town.open()
    with pytest.raises(Refused, match="NOT_FOUND"):
        core.cut_block(START)


def test_whoever_waits_for_a_height_is_woken_when_it_comes(town):
    core = town.open()
    town.settle(core)
    height = core.head.height
    assert core.wait_for_height(height, 0)
    assert not core.wait_for_height(height + 1, 0.01)
    core.submit(town.sign(FRESH, "one", town.earn(1)))
    assert core.wait_for_height(height + 1, 20)
    assert core.head.height == height + 1
