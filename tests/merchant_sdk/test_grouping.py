"""Calls that come together share one signed transaction, and each hears its own outcome."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from ledger.values import MESSAGES_MAX, TRANSACTION_BYTES_MAX
from merchant_sdk import InsufficientPoints, InvalidRequest, UnknownToLedger, make_member_id
from merchant_sdk.client.core import MESSAGE_BYTES_MAX
from merchant_sdk.client.grouping import IN_FLIGHT_MAX, Grouping, Lane
from tests.merchant_sdk.genesis import keys_of
from tests.merchant_sdk.road import say


class Sent(NamedTuple):
    """A group that was sent, and the means to answer it."""

    data: list[bytes]
    answer: asyncio.Future


class Line:
    """A lane, and what it sent."""

    def __init__(self, group_seconds=0.02, group_messages=MESSAGES_MAX):
        self.sent = []
        self.lane = Lane(self.send, Grouping(group_seconds, group_messages))

    async def send(self, calls):
        sent = Sent([call.data for call in calls], asyncio.get_running_loop().create_future())
        self.sent.append(sent)
        await sent.answer
        return [data + b"!" for data in sent.data]

    def add(self, *texts):
        return [self.lane.add(None, text) for text in texts]

    def groups(self):
        return [sent.data for sent in self.sent]


async def turn():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_in_one_turn_goes_at_once_and_together():
    line = Line(group_seconds=60)
    futures = line.add(b"1", b"2", b"3")
    await turn()
    assert line.groups() == [[b"1", b"2", b"3"]]
    line.sent[0].answer.set_result(None)
    assert await asyncio.gather(*futures) == [b"1!", b"2!", b"3!"]


async def test_what_comes_meanwhile_goes_as_soon_as_the_answer_is_there():
    line = Line(group_seconds=60)
    line.add(b"1")
    await turn()
    line.add(b"2")
    await turn()
    line.add(b"3")
    await turn()
    assert line.groups() == [[b"1"]]
    line.sent[0].answer.set_result(None)
    await turn()
    assert line.groups() == [[b"1"], [b"2", b"3"]]


async def test_nobody_waits_longer_than_the_bound():
    line = Line(group_seconds=0.01)
    line.add(b"1")
    await turn()
    line.add(b"2", b"3")
    await asyncio.sleep(0.05)
    assert line.groups() == [[b"1"], [b"2", b"3"]]


async def test_so_many_are_under_way_and_no_more():
    line = Line(group_seconds=0)
    for number in range(IN_FLIGHT_MAX + 5):
        line.add(b"%d" % number)
        await asyncio.sleep(0.005)
    assert len(line.sent) == IN_FLIGHT_MAX
    line.sent[0].answer.set_result(None)
    await turn()
    assert len(line.groups()[-1]) == 5


async def test_a_group_is_never_more_than_a_transaction_can_hold():
    line = Line()
    line.add(*[b"x"] * (MESSAGES_MAX + 1))
    line.add(*[b"y" * 1_000_000] * 3)
    await turn()
    draining = asyncio.create_task(line.lane.drain())
    await turn()
    for sent in line.sent:
        assert len(sent.data) <= MESSAGES_MAX
        assert sum(map(len, sent.data)) + len(sent.data) < TRANSACTION_BYTES_MAX
        sent.answer.set_result(None)
    await draining
    assert sum(len(sent.data) for sent in line.sent) == MESSAGES_MAX + 4


async def test_there_is_room_for_the_moments_that_messages_get_when_they_go():
    line = Line()
    for _ in range(4_000):
        line.lane.add(None, b"x" * 600, is_dated_by_us=True)
    draining = asyncio.create_task(line.lane.drain())
    await turn()
    grown = 600 + len("1700000000000") - len("0") + len(",")
    assert [len(sent.data) * grown <= MESSAGE_BYTES_MAX for sent in line.sent] == [True] * 2
    assert sum(len(sent.data) for sent in line.sent) == 4_000
    for sent in line.sent:
        sent.answer.set_result(None)
    await draining


async def test_who_gives_up_before_anything_is_sent_is_left_out():
    line = Line()
    first, second = line.add(b"1", b"2")
    first.cancel()
    await turn()
    assert line.groups() == [[b"2"]]
    line.sent[0].answer.set_result(None)
    assert await second == b"2!"


async def test_who_gives_up_later_disturbs_nobody():
    line = Line()
    first, second = line.add(b"1", b"2")
    await turn()
    first.cancel()
    line.sent[0].answer.set_result(None)
    assert await second == b"2!"


async def test_what_goes_wrong_is_heard_by_each_as_an_error_of_its_own():
    line = Line()
    futures = line.add(b"1", b"2")
    await turn()
    line.sent[0].answer.set_exception(InvalidRequest("all of it"))
    errors = await asyncio.gather(*futures, return_exceptions=True)
    assert [str(error) for error in errors] == ["INVALID_REQUEST: all of it"] * 2
    assert errors[0] is not errors[1]


async def test_draining_leaves_nothing_behind():
    line = Line(group_seconds=60)
    futures = line.add(b"1")
    await turn()
    futures += line.add(b"2")
    draining = asyncio.create_task(line.lane.drain())
    await turn()
    assert line.groups() == [[b"1"], [b"2"]]
    for sent in line.sent:
        sent.answer.set_result(None)
    await draining
    assert all(future.done() for future in futures)


async def test_concurrent_orders_are_one_transaction_and_each_hears_its_own(any_village):
    async with any_village.shop() as shop:
        members = await asyncio.gather(*(shop.enrol() for _ in range(20)))
        unknown = make_member_id()
        orders = [
            shop.earn(member, f"{number}.50", f"A-{number}", program="fresh")
            for number, member in enumerate([*members, unknown], start=1)
        ]
        orders.append(shop.redeem(members[0], 5, "R-1", without_code=True, program="fresh"))
        results = await asyncio.gather(*orders, return_exceptions=True)
    assert [result.points for result in results[:20]] == list(range(1, 21))
    assert [result.balance for result in results[:20]] == list(range(1, 21))
    assert [type(result) for result in results[20:]] == [UnknownToLedger, InsufficientPoints]
    assert [result.index for result in results[:20]] == list(range(results[0].index, results[0].index + 20))
    assert results[20].committed.index == results[19].index + 1
    assert len(any_village.road.sent) == 2


async def test_a_malformed_order_spoils_nobody_elses(village):
    async with village.shop() as shop:
        member = await shop.enrol()
        good, *bad = await asyncio.gather(
            shop.earn(member, "5", "A-1", program="fresh"),
            shop.earn("m_nobody", "5", "A-2", program="fresh"),
            shop.earn(member, "5", "no spaces", program="fresh"),
            shop.earn(member, 5.0, "A-4", program="fresh"),
            shop.redeem(member, 0, "R-1", without_code=True, program="fresh"),
            shop.redeem(member, 2**63, "R-2", without_code=True, program="fresh"),
            shop.earn(member, "5", "A-5", program="\ud800"),
            return_exceptions=True,
        )
    assert good.points == 5
    assert [type(error) for error in bad] == [InvalidRequest] * 6


async def test_orders_of_two_keys_are_two_transactions(village):
    async with village.shop() as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        await asyncio.gather(shop.earn(member, "5", "A-1", program="fresh"), shop.enrol())
    assert len(village.road.sent) == 2


async def test_a_refused_group_is_refused_for_each(village):
    # The key is registered as `till`, and the settings call it `custody`.
    keys = {"custody": keys_of("fresh", "till")["till"]}
    async with village.shop(keys=keys) as shop:
        errors = await asyncio.gather(shop.enrol(), shop.enrol(), return_exceptions=True)
    assert [error.code for error in errors] == ["WRONG_PURPOSE"] * 2
    assert errors[0].what_to_do == "Sign with a key of the purpose that this message asks for."
    assert len(village.road.sent) == 1


async def test_a_group_that_is_sent_again_is_the_same_bytes(village):
    async with village.shop(retries=1) as shop:
        members = await asyncio.gather(*(shop.enrol() for _ in range(5)))
        village.road.faults = [say(503, "STOPPING")]
        await asyncio.gather(*(shop.earn(m, "5", f"A-{n}", program="fresh") for n, m in enumerate(members)))
    assert village.road.sent[-1] == village.road.sent[-2]
    assert village.node.list_counts()[-1] == 5


@pytest.mark.parametrize("count", [1, 300])
async def test_orders_one_after_the_other_are_in_that_order(village, count):
    async with village.shop() as shop:
        member = await shop.enrol()
        balances = [(await shop.earn(member, "1", f"A-{n}", program="fresh")).balance for n in range(count)]
    assert balances == list(range(1, count + 1))
