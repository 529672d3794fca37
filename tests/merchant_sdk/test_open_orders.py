"""As long as it is open what came of an order, no later call for it says that nothing was taken.

A real node, a real socket and a bad road. The call's reply is lost; then it is made again: without a line, in
another process, with a fresh points code, for other points.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from merchant_sdk import InvalidRequest, NotSent, ReferenceConflict, UnknownOutcome, Wallet
from tests.merchant_sdk.genesis import get_system_time
from tests.merchant_sdk.harbour import reset_after, reset_before, swallow
from tests.merchant_sdk.shops import name_orders


class Till(NamedTuple):
    """What a call needs: where, who pays, and under which number."""

    harbour: Any
    path: Path
    wallet: Wallet
    number: str

    def code(self, points: int = 40):
        return self.wallet.points_code("fresh", points, acceptor="fresh")


async def nothing(_shop, _till):
    """Needs nothing before."""


async def hold_first(shop, till):
    return await shop.hold(till.wallet.consent_for_hold("fresh", 40, "fresh"), 30, till.number)


async def redeem_first(shop, till):
    await shop.redeem(till.code(), 30, till.number)


class Verb(NamedTuple):
    prepare: Callable[[Any, Till], Awaitable[Any]]
    call: Callable[[Any, Till], Awaitable[Any]]
    """The same order whenever it is made; where a code is needed, with a fresh one."""


VERBS = {
    "earn": Verb(nothing, lambda shop, till: shop.earn(till.wallet.member, "5", till.number)),
    "redeem": Verb(nothing, lambda shop, till: shop.redeem(till.code(), 30, till.number)),
    "redeem without a code": Verb(
        nothing, lambda shop, till: shop.redeem(till.wallet.member, 30, till.number, without_code=True)
    ),
    "hold": Verb(nothing, hold_first),
    "capture": Verb(hold_first, lambda shop, till: shop.capture(till.number, 20)),
    "release": Verb(hold_first, lambda shop, till: shop.release(till.number)),
    "refund": Verb(redeem_first, lambda shop, till: shop.refund(till.number, f"{till.number}-back")),
    "return_order": Verb(
        lambda shop, till: shop.earn(till.wallet.member, "9", till.number),
        lambda shop, till: shop.return_order(till.number, f"{till.number}-back", "4"),
    ),
}


@pytest.fixture
async def till(harbour, tmp_path):
    """A member with 100 points, and an order number."""
    wallet = Wallet(harbour.chain, clock=lambda: get_system_time() + harbour.ahead)
    async with harbour.shop() as shop:
        await shop.enrol(wallet)
        await shop.earn(wallet.member, "100", name_orders(1)[0])
    return Till(harbour, tmp_path / "outbox.db", wallet, *name_orders(1))


def list_entries(verb: str, till: Till) -> list[str]:
    """What the ledger says of this order's verb."""
    kind = verb.partition(" ")[0]
    return [
        outcome["code"]
        for message, outcome in till.harbour.node.read_log()
        if message["@type"] == kind
        and till.number in (message.get("hold"), message.get("original"), message.get("reference"))
    ]


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("fault", [reset_before, reset_after])
@pytest.mark.parametrize("verb", VERBS)
async def test_no_line_never_makes_an_open_order_one_that_was_not_sent(road, till, verb, fault, is_restarted):
    shop = till.harbour.shop(road.url, outbox=till.path)
    await VERBS[verb].prepare(shop, till)
    road.faults = [fault]
    with pytest.raises(UnknownOutcome) as first:
        await VERBS[verb].call(shop, till)
    await road.close()
    if is_restarted:
        await shop.close()
        # The new program does not even know its own program's name without asking a node.
        shop = till.harbour.shop(road.url, outbox=till.path, program=None)
    with pytest.raises(UnknownOutcome) as again:
        await VERBS[verb].call(shop, till)
    assert (again.value.fate, again.value.transaction_id) == ("unknown", first.value.transaction_id)
    assert shop.count_waiting() == 1
    await shop.close()
    async with till.harbour.shop(outbox=till.path) as later:
        assert (await VERBS[verb].call(later, till)).is_ok
        assert (await later.flush(), later.count_waiting()) == ([], 0)
    assert list_entries(verb, till) == ["OK"]


async def test_an_order_that_never_left_is_still_told_so(road, till):
    async with till.harbour.shop(road.url, outbox=till.path) as shop:
        road.faults = [reset_after]
        with pytest.raises(UnknownOutcome):
            await shop.redeem(till.code(), 30, till.number)
        await road.close()
        others = (
            shop.redeem(till.code(), 30, f"{till.number}0"),
            shop.earn(till.wallet.member, "5", till.number),
            shop.refund(till.number, f"{till.number}-back"),
        )
        for other in others:
            with pytest.raises(NotSent) as caught:
                await other
            assert (caught.value.fate, caught.value.transaction_id) == ("not_sent", None)


@pytest.mark.parametrize("verb", ["redeem", "hold"])
@pytest.mark.parametrize("fault", [reset_before, reset_after])
async def test_a_fresh_code_is_answered_with_what_the_first_one_did(road, till, verb, fault):
    async with till.harbour.shop(road.url, outbox=till.path) as shop:
        road.faults = [fault]
        with pytest.raises(UnknownOutcome) as first:
            await VERBS[verb].call(shop, till)
        # Lost once more: it is the same transaction that stays open, and there is no second one.
        road.faults = [fault]
        with pytest.raises(UnknownOutcome) as again:
            await VERBS[verb].call(shop, till)
        assert again.value.transaction_id == first.value.transaction_id
        assert shop.count_waiting() == 1
        done = await VERBS[verb].call(shop, till)
        assert (done.code, done.transaction_id) == ("OK", first.value.transaction_id)
        assert shop.count_waiting() == 0
    assert list_entries(verb, till) == ["OK"]


@pytest.mark.parametrize("fault", [reset_before, reset_after])
async def test_another_process_settles_what_this_one_left_open(road, till, fault):
    """The customer's second click lands at another worker, which never heard of the first."""
    async with (
        till.harbour.shop(road.url, outbox=till.path) as left,
        till.harbour.shop(road.url, outbox=till.path) as right,
    ):
        road.faults = [fault]
        with pytest.raises(UnknownOutcome) as first:
            await left.redeem(till.code(), 30, till.number)
        done = await right.redeem(till.code(), 30, till.number)
        assert (done.code, done.transaction_id) == ("OK", first.value.transaction_id)
        assert (left.count_waiting(), await left.flush()) == (0, [])
        road.faults = [fault]
        with pytest.raises(UnknownOutcome) as second:
            await left.redeem(till.code(), 30, f"{till.number}-2")
        await road.close()
        with pytest.raises(UnknownOutcome) as again:
            await right.redeem(till.code(), 30, f"{till.number}-2")
        assert again.value.transaction_id == second.value.transaction_id
    assert list_entries("redeem", till) == ["OK"]


async def test_what_another_process_has_in_hand_is_not_called_unsent(road, till):
    away = till.harbour.shop("http://127.0.0.1:9", outbox=till.path)
    async with till.harbour.shop(road.url, outbox=till.path) as shop:
        shop._connection._transport._answer_seconds_max = 0.2
        heard = []

        async def ask_meanwhile(way):
            with pytest.raises(UnknownOutcome) as caught:
                await away.redeem(till.code(), 30, till.number)
            heard.append(caught.value.transaction_id)
            await swallow(way)

        road.faults = [ask_meanwhile]
        with pytest.raises(UnknownOutcome) as first:
            await shop.redeem(till.code(), 30, till.number)
        assert heard == [first.value.transaction_id]
    await away.close()


async def test_a_fresh_code_is_used_where_the_first_one_surely_did_nothing(road, till):
    async with till.harbour.shop(road.url, outbox=till.path) as shop:
        road.faults = [reset_before]
        with pytest.raises(UnknownOutcome):
            await shop.redeem(till.code(), 30, till.number)
        # Both the bytes and the member's consent in them expire.
        till.harbour.ahead += 3_600_000
        assert (await shop.redeem(till.code(), 30, till.number)).code == "OK"
        assert shop.count_waiting() == 0
    assert list_entries("redeem", till) == ["CONSENT_EXPIRED", "OK"]


async def test_other_points_under_an_open_number_are_settled_by_the_ledger(road, till):
    async with till.harbour.shop(road.url, outbox=till.path) as shop:
        road.faults = [reset_before]
        with pytest.raises(UnknownOutcome):
            await shop.redeem(till.code(), 30, till.number)
        with pytest.raises(ReferenceConflict):
            await shop.redeem(till.code(), 31, till.number)
        assert shop.count_waiting() == 0
    assert list_entries("redeem", till) == ["OK", "REFERENCE_CONFLICT"]


async def test_a_mistake_in_the_second_call_does_not_hide_the_first(road, till):
    async with till.harbour.shop(road.url, outbox=till.path) as shop:
        road.faults = [reset_after]
        with pytest.raises(UnknownOutcome) as first:
            await shop.redeem(till.code(), 30, till.number)
        for wrong in (till.wallet.member, till.wallet.consent_for_hold("fresh", 40, "fresh")):
            with pytest.raises(InvalidRequest) as caught:
                await shop.redeem(wrong, 30, till.number)
            assert (caught.value.fate, caught.value.transaction_id) == ("unknown", first.value.transaction_id)
            assert "flush()" in caught.value.what_to_do


async def test_an_enrolment_that_may_have_happened_is_not_called_unsent(road, till):
    wallet = Wallet(till.harbour.chain, clock=lambda: get_system_time() + till.harbour.ahead)
    shop = till.harbour.shop(road.url, outbox=till.path)
    road.faults = [reset_after]
    with pytest.raises(UnknownOutcome) as first:
        await shop.enrol(wallet)
    await road.close()
    await shop.close()
    shop = till.harbour.shop(road.url, outbox=till.path)
    with pytest.raises(UnknownOutcome) as again:
        await shop.enrol(wallet)
    assert again.value.transaction_id == first.value.transaction_id
    await shop.close()


async def test_what_went_wrong_is_said_once(till):
    shop = till.harbour.shop("http://127.0.0.1:9")
    with pytest.raises(NotSent) as caught:
        await shop.connect()
    assert [str(caught.value).count(part) for part in ("NOT_SENT", "http://127.0.0.1:9")] == [1, 1]
    await shop.close()
