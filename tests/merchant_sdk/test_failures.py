"""Whatever breaks half-way, an order is carried out once or not at all, and the shop finds out which."""

from __future__ import annotations

import httpx2
import msgspec
import pytest

from merchant_sdk import (
    AlreadyExists,
    NotSent,
    RefusedByNode,
    UnknownOutcome,
    make_member_id,
)
from tests.merchant_sdk.genesis import get_system_time
from tests.merchant_sdk.road import lose_reply, lose_request, say, unplug


def earned(village, reference="A-1"):
    """What the log says happened under a reference."""
    return [out["code"] for message, out in village.node.read_log() if message.get("reference") == reference]


async def test_a_lost_reply_is_asked_for_again_with_the_same_bytes(village):
    async with village.shop(retries=2, program="fresh") as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        village.road.faults = [lose_reply, lose_reply]
        done = await shop.earn(member, "5", "A-1")
    assert (done.points, done.already_done) == (5, False)
    assert len(village.road.sent) == 3
    assert len(set(village.road.sent)) == 1
    assert earned(village) == ["OK"]


@pytest.mark.parametrize(("fault", "happened"), [(lose_reply, ["OK"]), (lose_request, [])])
async def test_an_unknown_outcome_is_found_out_later(village, shop, member, fault, happened):
    village.road.faults = [fault]
    with pytest.raises(UnknownOutcome) as caught:
        await shop.earn(member, "5", "A-1")
    assert earned(village) == happened
    assert shop.count_waiting() == 1
    (resent,) = await shop.flush()
    assert resent.transaction_id == caught.value.transaction_id
    assert resent.error is None
    assert [(result.code, result.points, result.message.reference) for result in resent.results] == [
        ("OK", 5, "A-1")
    ]
    assert len(set(village.road.sent)) == 1
    assert earned(village) == ["OK"]
    assert shop.count_waiting() == 0
    assert await shop.flush() == []


async def test_the_same_order_asked_for_again_after_an_unknown_outcome_counts_once(village, shop, member):
    village.road.faults = [lose_reply]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", "A-1")
    done = await shop.earn(member, "5", "A-1")
    assert (done.code, done.points) == ("OK", 5)
    assert earned(village) == ["OK"]
    assert shop.count_waiting() == 0
    # Known by now, it is another transaction that is told so.
    again = await shop.earn(member, "5", "A-1")
    assert again.already_done
    assert again.index != again.first
    receipt = await again.receipt()
    assert (receipt.index, receipt.code, receipt.message.reference) == (done.index, "OK", "A-1")
    assert (await shop.balance(member)).points == 5
    assert sorted(earned(village)) == ["ALREADY_DONE", "OK"]


async def test_what_was_not_sent_is_not_sent_later(village, shop, member):
    village.road.faults = [unplug]
    with pytest.raises(NotSent) as caught:
        await shop.earn(member, "5", "A-1")
    assert caught.value.may_retry
    assert shop.count_waiting() == 0
    assert await shop.flush() == []
    assert earned(village) == []


@pytest.mark.parametrize(("status", "code"), [(429, "BUSY"), (401, "UNKNOWN_KEY"), (403, "WRONG_PURPOSE")])
async def test_what_was_refused_is_not_sent_later(village, shop, member, status, code):
    village.road.faults = [say(status, code)]
    with pytest.raises(RefusedByNode) as caught:
        await shop.earn(member, "5", "A-1")
    assert (caught.value.code, caught.value.status) == (code, status)
    assert await shop.flush() == []
    assert earned(village) == []


async def test_a_flush_that_meets_trouble_keeps_the_bytes(village, shop, member):
    village.road.faults = [lose_request, unplug, say(429, "BUSY"), say(500, "INTERNAL")]
    with pytest.raises(UnknownOutcome) as caught:
        await shop.earn(member, "5", "A-1")
    errors = [(await shop.flush())[0].error for _ in range(3)]
    # What may have been taken before is not known to be unsent or refused because it is so this time.
    assert [error.fate for error in errors] == ["unknown"] * 3
    assert {error.transaction_id for error in errors} == {caught.value.transaction_id}
    ((resent,), left) = (await shop.flush(), shop.count_waiting())
    assert resent.results[0].points == 5
    assert left == 0
    assert len(set(village.road.sent)) == 1


async def test_what_expired_unseen_is_signed_anew_under_the_same_reference(village, shop, member):
    village.road.faults = [lose_request]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", "A-1")
    village.node.now = lambda: get_system_time() + 3_600_000
    (resent,) = await shop.flush()
    assert [result.code for result in resent.results] == ["OK"]
    assert resent.results[0].transaction_id != resent.transaction_id
    assert earned(village) == ["OK"]
    # It was looked up by its id before anything was signed anew.
    assert any(resent.transaction_id in asked for asked in village.road.asked)
    assert shop.count_waiting() == 0


async def test_what_expired_after_it_was_taken_keeps_its_first_answer(village, shop, member):
    village.road.faults = [lose_reply]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", "A-1")
    village.node.now = lambda: get_system_time() + 3_600_000
    (resent,) = await shop.flush()
    assert [result.code for result in resent.results] == ["OK"]
    assert resent.results[0].transaction_id == resent.transaction_id


async def test_a_node_that_forgot_its_first_answer_is_asked_by_id(village, shop, member):
    """Some node says that the bytes expired although it took them: its log knows better."""
    village.road.faults = [lose_reply, say(400, "EXPIRED")]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", "A-1")
    (resent,) = await shop.flush()
    assert [result.code for result in resent.results] == ["OK"]
    assert earned(village) == ["OK"]


@pytest.mark.parametrize("status", [404, 502])
async def test_a_gateway_that_lost_its_way_does_not_say_what_the_log_holds(village, shop, member, status):
    """The bytes expired, and the question for their id goes astray: nothing is signed anew on that."""
    village.road.faults = [lose_reply, say(400, "EXPIRED")]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", "A-1")
    forward = village.node.handle_async_request

    async def lose_look_ups(request):
        if request.method == "GET" and request.url.path.startswith("/v1/transactions"):
            return await say(status)(None)
        return await forward(request)

    village.node.handle_async_request = lose_look_ups
    (resent,) = await shop.flush()
    assert (resent.error.fate, len(set(village.road.sent))) == ("unknown", 1)
    village.node.handle_async_request = forward
    (resent,) = await shop.flush()
    assert resent.results[0].code == "OK"
    assert earned(village) == ["OK"]


@pytest.mark.parametrize("told", [10**30, -5, True, "soon", None, 2**53])
async def test_a_node_that_tells_an_absurd_time_sets_nobodys_clock(village, shop, member, told):
    before = shop._connection.core.get_time()
    body = msgspec.json.encode({"code": "EXPIRED", "status": 400, "time": told})

    async def absurd(_forward):
        return httpx2.Response(400, content=body)

    village.road.faults = [absurd]
    with pytest.raises(RefusedByNode) as caught:
        await shop.earn(member, "5", "A-1")
    assert (caught.value.code, caught.value.fate) == ("EXPIRED", "refused")
    assert abs(shop._connection.core.get_time() - before) < 60_000


async def test_a_till_with_a_wrong_clock_is_told_the_time(village, shop, member):
    for ahead in (30 * 86_400_000, 40 * 86_400_000):
        village.node.now = lambda ahead=ahead: get_system_time() + ahead
        done = await shop.earn(member, "5", f"A-{ahead}")
        assert done.points == 5


async def test_a_lifetime_that_is_too_long_is_shortened(village):
    async with village.shop(program="fresh", lifetime_seconds=86_400) as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        assert (await shop.earn(member, "5", "A-1")).points == 5
        assert len(village.road.sent) == 1


async def test_an_enrolment_that_was_signed_anew_enrols_once(village, shop):
    village.road.faults = [lose_reply]
    member = make_member_id()
    with pytest.raises(UnknownOutcome):
        await shop.enrol(member)
    assert await shop.enrol(member) == member
    assert await shop.flush() == []
    with pytest.raises(AlreadyExists):
        await shop.enrol(member)
