"""What goes wrong with a transaction that many calls share, each of them hears, and can ask again."""

from __future__ import annotations

import asyncio

import pytest

from merchant_sdk import (
    InsufficientPoints,
    InvalidRequest,
    NotSent,
    RefusedByNode,
    UnknownOutcome,
    UnknownToLedger,
    Unverified,
    make_member_id,
)
from tests.merchant_sdk.crowd import count_messages, earn_many, name_order
from tests.merchant_sdk.road import change, lose_reply, lose_request, say, unplug


async def test_one_rejection_hits_one_caller(any_village):
    async with any_village.shop(program="fresh") as shop:
        member = await shop.enrol()
        any_village.road.sent.clear()
        told = await asyncio.gather(
            *(shop.earn(member, "1", name_order()) for _ in range(50)),
            shop.earn(make_member_id(), "1", name_order()),
            shop.redeem(member, 10**6, name_order(), without_code=True),
            shop.earn("nobody", "1", name_order()),
            return_exceptions=True,
        )
    assert [result.points for result in told[:50]] == [1] * 50
    assert [type(error) for error in told[50:]] == [UnknownToLedger, InsufficientPoints, InvalidRequest]
    assert [error.fate for error in told[50:]] == ["refused", "refused", "not_sent"]
    assert count_messages(any_village.road.sent) == [52]


def give_another_outcome(told):
    told["outcomes"][7]["balance"] += 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (unplug, (NotSent, "not_sent")),
        (say(403, "WRONG_PURPOSE"), (RefusedByNode, "refused")),
        (lose_request, (UnknownOutcome, "unknown")),
        (lose_reply, (UnknownOutcome, "unknown")),
        (say(502), (UnknownOutcome, "unknown")),
        (change(give_another_outcome), (Unverified, "unknown")),
    ],
)
async def test_what_befalls_the_transaction_befalls_each_and_is_safe_to_repeat(
    shop, village, member, fault, told
):
    references = [name_order() for _ in range(20)]
    village.road.faults = [fault]
    errors = await asyncio.gather(
        *(shop.earn(member, "1", each) for each in references), return_exceptions=True
    )
    assert {(type(error), error.fate) for error in errors} == {told}
    assert len(set(map(id, errors))) == 20
    assert len(village.road.sent) == 1
    again = await asyncio.gather(*(shop.earn(member, "1", each) for each in references))
    assert {result.is_ok for result in again} == {True}
    assert (await shop.balance(member, "fresh")).points == 20


async def test_a_lost_answer_is_asked_for_again_by_its_transaction(shop, village, member):
    references = [name_order() for _ in range(20)]
    village.road.faults = [lose_reply]
    errors = await asyncio.gather(
        *(shop.earn(member, "1", each) for each in references), return_exceptions=True
    )
    (lost,) = {error.transaction_id for error in errors}
    again = await asyncio.gather(*(shop.earn(member, "1", each) for each in references))
    # Each hears what its order did the first time: the same bytes were sent again, once for all of them.
    assert {result.transaction_id for result in again} == {lost}
    assert [result.points for result in again] == [1] * 20
    assert len(village.road.sent) == 2
    assert village.road.sent[0] == village.road.sent[1]


async def test_a_repeated_order_holds_up_nobody_elses(shop, village, member):
    lost = name_order()
    village.road.faults = [lose_reply]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "1", lost)
    released = asyncio.Event()

    async def stay_away(forward):
        if lost.encode() in village.road.sent[-1]:
            await released.wait()
        return await forward()

    village.road.faults = [stay_away] * 2
    repeated = asyncio.create_task(shop.earn(member, "1", lost))
    others = await earn_many(shop, member, 10)
    assert [result.points for result in others] == [1] * 10
    assert not repeated.done()
    released.set()
    assert (await repeated).points == 1


async def test_who_gives_up_takes_nobody_along(shop, village, member):
    is_sent = asyncio.Event()

    async def tell(forward):
        is_sent.set()
        return await forward()

    village.road.faults = [tell]
    orders = [asyncio.create_task(shop.earn(member, "1", name_order())) for _ in range(20)]
    await is_sent.wait()
    orders[3].cancel()
    done = await asyncio.gather(*orders, return_exceptions=True)
    assert isinstance(done.pop(3), asyncio.CancelledError)
    assert [result.points for result in done] == [1] * 19
    # It was sent by then, so the log holds it: giving up is no undoing.
    assert (await shop.balance(member, "fresh")).points == 20


async def test_the_moment_given_to_a_gathered_order_is_the_same_when_it_is_asked_for_again(shop, member):
    references = [name_order() for _ in range(30)]
    first = await asyncio.gather(*(shop.earn(member, "1", each) for each in references))
    await asyncio.sleep(0.01)
    again = await asyncio.gather(*(shop.earn(member, "1", each) for each in references))
    assert [result.already_done for result in again] == [True] * 30
    assert [result.first for result in again] == [result.index for result in first]
    assert [result.message for result in again] == [result.message for result in first]


async def test_the_same_order_twice_at_once_is_done_once(shop, member):
    reference = name_order()
    results = await asyncio.gather(*(shop.earn(member, "1", reference) for _ in range(5)))
    assert sorted(result.code for result in results) == ["ALREADY_DONE"] * 4 + ["OK"]
