"""Killed at any point, shared by processes and threads, on a disk that fails: what was stored is carried out
once, none is lost, none is stuck.

Real processes, a real node, SIGKILL. What a shop was about to ask and what it was told is in its diary; what
happened is in the ledger.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import pytest

from merchant_sdk.outbox import Outbox
from tests.conftest import FULL
from tests.merchant_sdk.dying_shop import DONE
from tests.merchant_sdk.shops import check_in_order, leave_open, name_orders

RANDOM_KILLS = 200 if FULL else 12
OUTBOX = "merchant_sdk.outbox:Outbox"
TRANSPORT = "merchant_sdk.transport:Transport"
SUBMITTER = "merchant_sdk.client.submission:Submitter"
EARNING = [
    f"{where}:{when}"
    for where in (
        f"{OUTBOX}.put",
        f"{TRANSPORT}.send_transaction",
        f"{SUBMITTER}._believe",
        f"{OUTBOX}.mark_done",
    )
    for when in ("before", "after")
]
CARRYING = [
    f"{where}:{when}"
    for where in (f"{OUTBOX}.list_queued", f"{OUTBOX}.put_carrier", f"{TRANSPORT}.send_transaction")
    for when in ("before", "after")
] + [f"{OUTBOX}.mark_done:{when}" for when in ("before", "after")]


@pytest.mark.parametrize("occurrence", [1, 4])
@pytest.mark.parametrize("place", EARNING)
async def test_a_shop_killed_at_any_step_earns_once(shops, place, occurrence):
    orders = name_orders(8)
    status = shops.run("earn", references=orders, place=place, occurrence=occurrence)
    assert status == -signal.SIGKILL, shops.log
    assert shops.list_noted("failed") == []
    await shops.settle()
    done = shops.count_done()
    # What was told done is done; what was only asked is done once or not at all, and asking again settles it.
    told = [line[1] for line in shops.diary if line[0] == "done"]
    assert all(done[order] == 1 for order in told)
    assert all(done[order] <= 1 for order in orders)
    assert shops.run("earn", references=orders) == DONE
    # Of what was sent the outbox knew the moment as well: asked for again, it is still the same order.
    assert shops.list_noted("failed") == []
    done = shops.count_done()
    assert [done[order] for order in orders] == [1] * len(orders)


@pytest.mark.parametrize("place", CARRYING)
async def test_a_shop_killed_at_any_step_of_draining_carries_each_once_and_in_order(shops, place):
    orders = name_orders(20)
    assert shops.run("queue", references=orders, urls=["http://127.0.0.1:9"]) == DONE, shops.log
    assert shops.list_noted("queued") == orders
    assert shops.run("flush", place=place) == -signal.SIGKILL, shops.log
    await shops.settle()
    check_in_order(shops, orders)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_was_queued_before_a_kill_is_carried_and_the_rest_at_most_once(shops, when):
    orders = name_orders(20)
    place = f"{OUTBOX}.queue:{when}"
    assert shops.run("queue", references=orders, place=place, occurrence=3) == -signal.SIGKILL
    promised = shops.list_noted("queued")
    assert promised == orders[:10]
    await shops.settle()
    done = shops.count_done()
    count = 15 if when == "after" else 10
    assert [done[order] for order in orders] == [1] * count + [0] * (20 - count)


async def test_a_shop_killed_at_random_again_and_again_loses_nothing_and_doubles_nothing(shops):
    rng = random.Random(4)
    orders = []
    for _ in range(RANDOM_KILLS):
        part = name_orders(40)
        orders += part
        before = len(shops.diary)
        pid = shops.start("earn", references=part, threads=4)
        shops.wait_for("done", 1, before)
        await asyncio.sleep(rng.uniform(0, 0.08))
        os.kill(pid, signal.SIGKILL)
        assert shops.wait(pid) in {-signal.SIGKILL, DONE}
    assert shops.list_noted("failed") == []
    await shops.settle()
    done = shops.count_done()
    told = {line[1] for line in shops.diary if line[0] == "done"}
    assert len(told) >= RANDOM_KILLS
    assert all(done[order] == 1 for order in told)
    asked = set(shops.list_noted("asked"))
    assert all(done[order] <= 1 for order in asked)
    assert not any(done[order] for order in set(orders) - asked)


@pytest.mark.parametrize("is_killed", [False, True])
async def test_processes_and_threads_that_flush_at_once_take_each_transaction_once(shops, is_killed):
    orders = await leave_open(shops, 40)
    queued = name_orders(30)
    assert shops.run("queue", references=queued) == DONE
    gate = shops.outbox.with_name("gate")
    before = len(shops.diary)
    pids = [shops.start("flush", threads=3, gate=str(gate)) for _ in range(3)]
    shops.wait_for("open", 3, before)
    gate.touch()
    if is_killed:
        await asyncio.sleep(0.03)
        os.kill(pids[0], signal.SIGKILL)
    statuses = [shops.wait(pid) for pid in pids]
    assert statuses[1:] == [DONE, DONE], shops.log
    if is_killed:
        await shops.settle()
    outbox = Outbox(shops.outbox)
    left = (outbox.count_waiting("fresh"), outbox.count_queued("fresh"))
    assert left == (0, 0), [line for line in shops.diary if line[0] == "resent" and line[2:] != ["done"]]
    outbox.close()
    done = shops.count_done()
    assert [done[order] for order in orders] == [1] * 40
    check_in_order(shops, queued)
    resent = [line[1] for line in shops.diary if line[0] == "resent"]
    assert len(resent) == len(set(resent)), "no transaction was told twice"
    if not is_killed:
        assert len(resent) >= 41


async def test_what_a_dead_process_had_in_hand_is_taken_up_at_once(shops):
    """Its lease runs for another minute; nobody waits for that."""
    (order,) = name_orders(1)
    place = f"{TRANSPORT}.send_transaction:before"
    assert shops.run("earn", references=[order], place=place) == -signal.SIGKILL
    begun = time.monotonic()
    async with shops.harbour.shop(outbox=shops.outbox) as shop:
        (resent,) = await shop.flush()
        assert [result.code for result in resent.results] == ["OK"]
    assert time.monotonic() - begun < 5
