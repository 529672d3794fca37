"""The synchronous face is the asynchronous one, from as many threads as one likes."""

from __future__ import annotations

import inspect
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from typing import get_type_hints

import pytest

from merchant_sdk import (
    AsyncMerchant,
    ConfigurationError,
    Merchant,
    UnknownOutcome,
    UnknownToLedger,
    make_member_id,
)
from tests.merchant_sdk.road import lose_reply
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import Village


@pytest.fixture
def shop(village):
    with village.blocking_shop(program="fresh", retries=0) as shop:
        yield shop


@pytest.fixture
def village():
    """Begun by a synchronous fixture, for synchronous tests."""
    import asyncio

    village = Village(SmallNode())
    asyncio.run(village.begin())
    return village


def list_verbs(face):
    return {name: value for name, value in inspect.getmembers(face) if not name.startswith("_")}


def test_both_faces_have_the_same_verbs_with_the_same_words():
    blocking, asynchronous = list_verbs(Merchant), list_verbs(AsyncMerchant)
    assert set(blocking) == set(asynchronous)
    for name, verb in blocking.items():
        twin = asynchronous[name]
        assert inspect.getdoc(verb) == inspect.getdoc(twin), name
        if isinstance(verb, property):
            continue
        assert str(inspect.signature(verb).parameters) == str(inspect.signature(twin).parameters), name
        assert not inspect.iscoroutinefunction(verb)
    assert get_type_hints(Merchant.__init__)["options"] == get_type_hints(AsyncMerchant.__init__)["options"]


def test_a_till_earns_and_spends(shop):
    member = shop.enrol()
    done = shop.earn(member, "45.60", "A-1")
    assert (done.points, done.balance) == (45, 45)
    assert done.receipt().code == "OK"
    assert shop.redeem(member, 5, "R-1", without_code=True).balance == 40
    assert shop.balance(member).points == 40
    assert shop.participant == "fresh"
    assert "log" in shop.policy()
    with pytest.raises(UnknownToLedger):
        shop.earn(make_member_id(), "5", "A-2")


def test_many_tills_at_once_share_transactions(village, shop):
    member = shop.enrol()
    village.road.sent.clear()
    with ThreadPoolExecutor(32) as tills:
        results = list(tills.map(lambda n: shop.earn(member, "1", f"A-{n}"), range(400)))
    assert {result.points for result in results} == {1}
    assert max(result.balance for result in results) == 400
    assert len({result.index for result in results}) == 400
    # Each till waits for its own answer, so at most 32 orders are under way at a time.
    assert len(village.road.sent) < 200


def test_what_is_unknown_is_found_out(village, shop):
    village.road.faults = [lose_reply]
    member = make_member_id()
    with pytest.raises(UnknownOutcome):
        shop.enrol(member)
    assert shop.count_waiting() == 1
    (resent,) = shop.flush()
    assert resent.results[0].message.member == member
    assert resent.results[0].receipt().sender == "fresh"


def test_a_closed_merchant_says_so(village):
    shop = village.blocking_shop()
    shop.connect()
    shop.close()
    shop.close()
    with pytest.raises(ConfigurationError, match="closed"):
        shop.enrol()


def test_settings_that_are_wrong_leave_no_thread_behind():
    import threading

    before = threading.active_count()
    with pytest.raises(ConfigurationError):
        Merchant("fresh", "http://127.0.0.1:1", key=b"short")
    assert threading.active_count() == before


def ask_after_fork(shop, told):
    try:
        shop.enrol()
    except ConfigurationError as error:
        told.send(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_merchant_made_before_a_fork_says_so(shop):
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=ask_after_fork, args=(shop, there))
    process.start()
    assert here.poll(30)
    assert "after the fork" in here.recv()
    process.join(30)
