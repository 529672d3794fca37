"""Blocks: what waits becomes one, in order; a full pool says so; what is refused leaves no trace."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from contracts.messages import AddKey, RevokeKey
from ledger.errors import Refused
from ledger.leaves import BLOCK_LEAF_DECODER, TRANSACTION_LEAF_DECODER, TRANSACTION_START
from tests.contracts.cast import FRESH, PETROL, START, make_signer, public_of
from tests.node.engine.gate import Gate
from tests.node.engine.town import (
    codes_of,
    points_of,
    refusal_of,
    run_clock,
    run_threads,
    submit,
    submit_all,
)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def core(town, gate):
    """A node that stands at a gate with one block in hand, once the gate is closed."""
    core = town.open(on_step=gate)
    town.settle(core)
    return core


def ids_in(core, first: int = 0) -> list[tuple[str, str]]:
    """Sender and id of every transaction in the log from a leaf on."""
    leaves = core.read_leaves(first, core.head.size)
    headers = [
        TRANSACTION_LEAF_DECODER.decode(leaf).header for leaf in leaves if leaf.startswith(TRANSACTION_START)
    ]
    return [(header.sender, header.id) for header in headers]


def test_what_gathers_while_a_block_is_made_becomes_the_next_one(town, core, gate):
    gate.close("executed")
    first = core.submit(town.sign(FRESH, "first", town.earn(0)))
    with gate.held():
        waiting = [core.submit(town.sign(FRESH, f"t{number}", town.earn(number))) for number in range(1, 41)]
        assert core.waiting == 40
    heights = {future.result(10).height for future in waiting}
    assert heights == {first.result().height + 1}
    assert [index for _, index in ids_in(core)][-41:] == ["first", *[f"t{number}" for number in range(1, 41)]]
    assert core.waiting == 0


def test_many_senders_at_once_share_blocks_and_each_hears_its_own_answer(town):
    core = town.open(clock=run_clock())
    town.settle(core)
    heard: dict[str, object] = {}

    def trade(sender: int) -> None:
        for number in range(12):
            data = town.sign(FRESH, f"{sender}-{number}", town.earn(sender * 100 + number, points=number + 1))
            heard[f"{sender}-{number}"] = submit(core, data)

    run_threads(*[lambda sender=sender: trade(sender) for sender in range(16)])
    assert len(heard) == 16 * 12
    for name, taken in heard.items():
        assert core.find_transaction(FRESH, name)[1] == taken
    assert points_of(core, 1) == 16 * sum(range(1, 13))
    blocks = {taken.height for taken in heard.values()}
    assert len(blocks) < len(heard) / 2, "a block serves many"
    assert core.head.height == 3 + len(blocks)


def test_a_block_takes_whole_transactions_up_to_its_bound_in_order_of_arrival(town, core, gate, monkeypatch):
    monkeypatch.setattr("node.mempool.BLOCK_MESSAGES_MAX", 10)
    gate.close("executed")
    first = core.submit(town.sign(FRESH, "first", town.earn(0)))
    sizes = [4, 4, 4, 25, 1, 9, 1]
    with gate.held():
        waiting = [
            core.submit(town.sign(FRESH, f"t{number}", *[town.earn(number * 100 + n) for n in range(size)]))
            for number, size in enumerate(sizes)
        ]
    heights = [future.result(10).height - first.result().height for future in waiting]
    # A transaction larger than the bound has a block of its own; none is split, none overtakes another.
    assert heights == [1, 1, 2, 3, 4, 4, 5]


@pytest.mark.parametrize("bound", [("TRANSACTIONS_MAX", 3), ("MESSAGES_MAX", 6)])
def test_a_full_pool_says_busy_and_keeps_what_it_has_taken(town, core, gate, monkeypatch, bound):
    monkeypatch.setattr(f"node.mempool.{bound[0]}", bound[1])
    gate.close("executed")
    first = core.submit(town.sign(FRESH, "first", town.earn(0)))
    with gate.held():
        waiting = [
            core.submit(town.sign(FRESH, f"t{number}", town.earn(number), town.earn(number + 100)))
            for number in range(1, 4)
        ]
        more = town.sign(FRESH, "more", town.earn(9))
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                core.submit(more)
            assert refused.value.code == "BUSY"
        # Who is in already is not turned away for asking again.
        again = core.submit(town.sign(FRESH, "t1", town.earn(1), town.earn(101)))
    assert [codes_of(future.result(10)) for future in (first, *waiting, again)] == [{"OK"}] * 5
    assert core.find_transaction(FRESH, "more") is None
    assert codes_of(submit(core, more)) == {"OK"}
    assert points_of(core, 1) == 80


def test_a_pool_that_was_emptied_has_its_whole_room_again(town, core, monkeypatch):
    monkeypatch.setattr("node.mempool.MESSAGES_MAX", 3)
    for number in range(5):
        messages = [town.earn(number * 10 + each) for each in range(3)]
        assert codes_of(submit(core, town.sign(FRESH, f"t{number}", *messages))) == {"OK"}


def test_a_key_revoked_between_intake_and_block_is_turned_down_there(town, core, gate):
    gate.close("executed")
    key = make_signer(FRESH, "transact").key_id
    revoked = core.submit(town.sign(FRESH, "revoke", RevokeKey(key=key)))
    with gate.held():
        late = core.submit(town.sign(FRESH, "late", town.earn(1)))
        good = core.submit(town.sign(FRESH, "good", town.earn(2), purpose="till"))
    assert codes_of(revoked.result(10)) == {"OK"}
    assert refusal_of(late) == "KEY_NOT_VALID"
    assert codes_of(good.result(10)) == {"OK"}
    assert core.find_transaction(FRESH, "late") is None
    assert (FRESH, "late") not in ids_in(core)
    assert points_of(core, 1) == 10
    with pytest.raises(Refused, match="KEY_NOT_VALID"):
        core.submit(town.sign(FRESH, "later", town.earn(3)))


def test_a_block_of_nothing_but_refused_transactions_leaves_no_trace(town, core, gate):
    gate.close("executed")
    key = make_signer(FRESH, "transact").key_id
    revoked = core.submit(town.sign(FRESH, "revoke", RevokeKey(key=key)))
    with gate.held():
        late = [core.submit(town.sign(FRESH, f"late-{number}", town.earn(number))) for number in range(3)]
    height = revoked.result(10).height
    assert [refusal_of(future) for future in late] == ["KEY_NOT_VALID"] * 3
    assert core.head.height == height
    taken = submit(core, town.sign(PETROL, "next", town.earn(7, sender=PETROL)))
    assert taken.height == height + 1
    block = BLOCK_LEAF_DECODER.decode(core.read_leaves(core.head.size - 1, core.head.size)[0])
    assert (block.first, block.totals.transactions) == (core.head.size - 3, 5)


def test_a_key_added_in_a_block_counts_from_the_next(town, core):
    signer = make_signer("new")
    submit(core, town.sign(FRESH, "add", AddKey(public=public_of(signer), purpose="till")))
    data = town.sign(FRESH, "with-it", town.earn(1), signer=signer)
    assert codes_of(submit(core, data)) == {"OK"}


def test_a_simulated_block_is_ordered_by_sender_and_id_whatever_order_it_came_in(told_town):
    core = told_town.open()
    told_town.settle(core)
    names = [(sender, f"t{number}") for sender in (FRESH, PETROL) for number in range(12)]
    shuffled = random.Random(7).sample(names, len(names))
    size = core.head.size
    futures = [
        core.submit(told_town.sign(sender, name, told_town.earn(number, sender=sender)))
        for number, (sender, name) in enumerate(shuffled)
    ]
    assert not any(future.done() for future in futures)
    head = core.cut_block(START + 5)
    assert all(future.done() for future in futures)
    assert ids_in(core, size) == sorted(names)
    assert (head, head.time, head.height) == (core.head, START + 5, 4)


def test_an_answer_that_nobody_waits_for_any_more_disturbs_nobody(town, core, gate):
    """A request that is cut off cancels its wait: neither the engine nor others who asked the same notice."""
    data = town.sign(FRESH, "shared", town.earn(1))
    gate.close("executed")
    core.submit(data)

    async def ask_and_give_up() -> None:
        future = asyncio.wrap_future(core.submit(data))
        future.cancel()
        await asyncio.sleep(0)
        assert future.cancelled()

    with gate.held():
        asyncio.run(ask_and_give_up())
        other = core.submit(data)
        assert not other.cancel()
    assert codes_of(other.result(10)) == {"OK"}
    assert core.is_ready
    assert codes_of(submit(core, town.sign(FRESH, "next", town.earn(2)))) == {"OK"}


def test_a_stop_finishes_and_answers_the_block_in_hand_and_sends_the_rest_away(town, core, gate):
    failed = threading.Event()
    core.on_failure = failed.set
    gate.close("executed")
    in_hand = core.submit(town.sign(FRESH, "in-hand", town.earn(1)))
    with gate.held():
        waiting = core.submit(town.sign(FRESH, "waiting", town.earn(2)))
        stopping = threading.Thread(target=core.stop)
        stopping.start()
        assert refusal_of(waiting) == "STOPPING"
        assert not core.is_ready
        with pytest.raises(Refused, match="STOPPING"):
            core.submit(town.sign(FRESH, "later", town.earn(3)))
        assert not in_hand.done()
    stopping.join(10)
    assert codes_of(in_hand.result(0)) == {"OK"}
    assert not failed.is_set()
    core = town.open()
    assert core.find_transaction(FRESH, "in-hand")[1] == in_hand.result()
    assert core.find_transaction(FRESH, "waiting") is None
    assert points_of(core, 1) == 10


def test_what_is_sent_just_when_a_node_stops_is_answered_one_way_or_the_other(town):
    core = town.open(clock=run_clock())
    town.settle(core)
    futures = []
    enough = threading.Event()

    def send() -> None:
        for number in range(100_000):
            futures.append((number, core.submit(town.sign(FRESH, f"t{number}", town.earn(number)))))
            if number == 20:
                enough.set()

    def stop() -> None:
        assert enough.wait(10)
        core.stop()

    with pytest.raises(Refused, match="STOPPING"):
        run_threads(send, stop)
    taken = {number for number, future in futures if future.exception(0) is None}
    assert {refusal_of(future) for number, future in futures if number not in taken} <= {"STOPPING"}
    core = town.open(clock=run_clock())
    assert {int(name[1:]) for sender, name in ids_in(core) if name.startswith("t")} == taken
    assert points_of(core, 1) == 10 * len(taken)


def test_a_submission_is_answered_by_the_block_that_another_thread_cuts(told_town):
    core = told_town.open()
    told_town.settle(core)

    def trade(sender: int) -> None:
        for number in range(5):
            data = told_town.sign(FRESH, f"{sender}-{number}", told_town.earn(sender * 10 + number))
            assert codes_of(submit(core, data)) == {"OK"}

    run_threads(*[lambda sender=sender: trade(sender) for sender in range(6)])
    assert points_of(core, 1) == 300


def test_answers_to_a_burst_come_in_the_order_of_the_log(town, core):
    burst = [town.sign(FRESH, f"t{number}", town.earn(number)) for number in range(200)]
    taken = submit_all(core, burst)
    assert [each.index for each in taken] == sorted(each.index for each in taken)
    assert points_of(core, 1) == 2000
