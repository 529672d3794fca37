"""A shop that was killed, closed or interrupted finds its orders again, each of them once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from contracts.messages import Earn, Enrol
from merchant_sdk import (
    ConfigurationError,
    InvalidRequest,
    ReferenceConflict,
    UnknownOutcome,
    make_member_id,
)
from merchant_sdk.outbox import Outbox
from tests.merchant_sdk.genesis import get_system_time, keys_of
from tests.merchant_sdk.road import lose_reply, lose_request, unplug
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import Village


async def test_the_moment_of_an_order_survives_a_crash(village, tmp_path, member, shop):
    """Asked for again by another process, it is still the same order and not another one of today."""
    village.road.faults = [lose_reply]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", "A-1")
    await shop.close()
    await asyncio.sleep(0.005)
    async with village.shop(outbox=tmp_path / "outbox.db", program="fresh") as again:
        done = await again.earn(member, "5", "A-1")
        assert (done.code, done.points) == ("OK", 5)
        assert (await again.earn(member, "5", "A-1")).already_done
        with pytest.raises(ReferenceConflict):
            await again.earn(member, "6", "A-1")


async def test_the_same_id_is_the_same_transaction(village, shop, member):
    message = Earn(
        amount=5_000_000, member=member, occurred_at=get_system_time(), program="fresh", reference="A-1"
    )
    village.road.faults = [lose_reply]
    with pytest.raises(UnknownOutcome):
        await shop.submit([message], transaction_id="my-own")
    (done,) = await shop.submit([message], transaction_id="my-own")
    (again,) = await shop.submit([message], transaction_id="my-own")
    assert (done.code, done.index) == (again.code, again.index) == ("OK", done.index)
    assert len(set(village.road.sent)) == 1
    with pytest.raises(InvalidRequest, match="other messages"):
        await shop.submit([Enrol(member=make_member_id())], transaction_id="my-own")
    village.road.faults = [lose_request, unplug]
    with pytest.raises(UnknownOutcome):
        await shop.submit([Enrol(member=make_member_id())], transaction_id="lost")
    assert shop.count_waiting() == 1


async def test_one_that_is_unknown_stays_unknown_while_no_node_answers(village, shop):
    message = Enrol(member=make_member_id())
    village.road.faults = [lose_reply, unplug]
    for _ in range(2):
        with pytest.raises(UnknownOutcome):
            await shop.submit([message], transaction_id="mine")
    (resent,) = await shop.flush()
    assert resent.results[0].is_ok


async def test_giving_up_on_an_order_under_way_leaves_it_to_be_found_out(village, shop):
    taken = asyncio.Event()

    async def hang(forward):
        await forward()
        taken.set()
        await asyncio.sleep(60)

    village.road.faults = [hang]
    task = asyncio.create_task(shop.submit([Enrol(member=make_member_id())]))
    await taken.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (resent,) = await shop.flush()
    assert resent.results[0].is_ok


async def test_a_closed_shop_says_so(shop):
    await shop.close()
    await shop.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await shop.enrol()


CRASHING = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[1])
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import Village

async def main():
    village = Village(SmallNode())
    async def never(forward):
        # The bytes are on their way: stored, sent, and the machine dies.
        os.write(1, village.road.sent[-1])
        os.kill(os.getpid(), signal.SIGKILL)
    shop = village.shop(outbox=sys.argv[2])
    await shop.connect()
    village.road.faults = [never]
    await shop.enrol("m_00000000000000000000000000")

asyncio.run(main())
"""


@pytest.fixture
def crash(tmp_path, repository):
    """A shop that was killed while it sent: the path of its outbox, and the bytes that were on their way."""
    path = tmp_path / "crashed.db"
    command = [sys.executable, "-c", CRASHING, str(repository), str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return path, done.stdout


async def test_a_shop_that_is_killed_while_it_sends_sends_the_same_bytes_when_it_is_back(crash):
    path, sent = crash
    village = Village(SmallNode())
    async with village.shop(outbox=path) as shop:
        (resent,) = await shop.flush()
        assert resent.results[0].code == "OK"
        assert resent.results[0].message == Enrol(member="m_00000000000000000000000000")
    assert village.road.sent == [sent]


async def test_two_processes_share_an_outbox_and_what_they_trust(village, tmp_path):
    path = tmp_path / "outbox.db"
    async with village.shop(outbox=path, retries=0) as one, village.shop(outbox=path, retries=0) as two:
        village.road.faults = [lose_reply, lose_reply, lose_reply]
        members = [make_member_id() for _ in range(3)]
        for shop, member in zip((one, two, one), members, strict=True):
            with pytest.raises(UnknownOutcome):
                await shop.enrol(member)
        found = await asyncio.gather(one.flush(), two.flush())
        enrolled = [resent.results[0].message.member for each in found for resent in each]
        assert sorted(enrolled) == sorted(members)
    outbox = Outbox(path)
    assert outbox.load_note(village.chain) == village.node.checkpoint()
    outbox.close()


async def test_a_key_that_is_missing_is_named_before_anything_is_sent(village):
    async with village.shop(keys=keys_of("fresh", "transact")) as shop:
        with pytest.raises(ConfigurationError, match="custody"):
            await shop.enrol()
        with pytest.raises(ConfigurationError, match="separately"):
            await shop.submit(
                [
                    Enrol(member=make_member_id()),
                    Earn(amount=1, member=make_member_id(), occurred_at=1, program="fresh", reference="A"),
                ]
            )
    assert village.road.sent == []
