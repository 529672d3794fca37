"""What was earned without a line is sent later, in order and with its own time; nothing is lost by a kill."""

from __future__ import annotations

import time

import pytest

from merchant_sdk import ConfigurationError, InvalidRequest, NotSent, UnknownOutcome
from node.sandbox import sandbox
from tests.merchant_sdk.killing import kill_after


@pytest.fixture
def alliance():
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        yield alliance


@pytest.fixture
def shop(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


@pytest.fixture
def member(shop):
    """A member with 1,000 points."""
    member = shop.enrol()
    shop.earn(member, "1000", "A-0")
    return member


def reopen(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


def test_what_was_earned_without_a_line_is_sent_later_in_order_and_with_its_own_time(
    alliance, shop, member, tmp_path
):
    queued = []
    with alliance.offline():
        with pytest.raises(NotSent):
            shop.earn(member, "5", "A-1")
        for number in range(1, 6):
            queued.append(shop.earn_later(member, f"{number}", f"A-{number}"))
            alliance.clock.advance(minutes=1)
        # A double click is one order.
        shop.earn_later(member, "5", "A-5")
        assert shop.count_queued() == 5
        (away,) = shop.flush()
        assert away.error.fate == "unknown"
        assert shop.count_queued() == 5
    shop.close()
    again = reopen(alliance, tmp_path)
    alliance.clock.advance(days=2)
    results = [result for resent in again.flush() for result in resent.results]
    assert [result.code for result in results] == ["OK"] * 5
    assert [result.points for result in results] == [1, 2, 3, 4, 5]
    assert [result.message.occurred_at for result in results] == [each.occurred_at for each in queued]
    assert [each.occurred_at - queued[0].occurred_at for each in queued] == [
        0,
        60_000,
        120_000,
        180_000,
        240_000,
    ]
    assert again.count_queued() == 0
    assert again.flush() == []
    assert again.balance(member).points == 1_015


def test_an_order_waits_once_whatever_else_is_said_of_it_meanwhile(alliance, shop, member, tmp_path):
    with alliance.offline():
        first = shop.earn_later(member, "5", "A-1")
        alliance.clock.advance(hours=20)
        # Another process on the same file, too.
        assert reopen(alliance, tmp_path).earn_later(member, "5", "A-1") == first
        for wrong in ({"amount": "6"}, {"member": "m_" + "0" * 26}):
            with pytest.raises(InvalidRequest, match="waits under this number"):
                shop.earn_later(**{"member": member, "amount": "5", **wrong}, reference="A-1")
        # It will be sent, so nobody may say that it was not.
        with pytest.raises(UnknownOutcome, match="waits in the queue"):
            shop.earn(member, "5", "A-1")
        assert shop.count_queued() == 1
        # After a day a till may have begun its numbers anew.
        alliance.clock.advance(hours=5)
        shop.earn_later(member, "7", "A-1")
    results = [result for resent in shop.flush() for result in resent.results]
    assert [(result.code, result.points) for result in results] == [("OK", 5), ("REFERENCE_CONFLICT", None)]


def test_a_rejection_is_told_beside_the_successes(alliance, shop, member):
    with alliance.offline():
        shop.earn_later(member, "5", "A-1")
        shop.earn_later("m_00000000000000000000000000", "5", "A-2")
        shop.earn_later(member, "7", "A-3", occurred_at=alliance.clock() - 500 * 86_400_000)
        shop.earn_later(member, "9", "A-4")
    results = [result for resent in shop.flush() for result in resent.results]
    assert [(result.message.reference, result.code) for result in results] == [
        ("A-1", "OK"),
        ("A-2", "MEMBER_UNKNOWN"),
        ("A-3", "OCCURRED_TOO_LONG_AGO"),
        ("A-4", "OK"),
    ]
    # It is in the log as well, for whoever did not hear it.
    assert [entry.code for entry in shop.order("A-2")] == ["MEMBER_UNKNOWN"]


def test_what_cannot_be_right_is_said_at_once(alliance, shop, member, tmp_path):
    with pytest.raises(InvalidRequest):
        shop.earn_later(member, 5.0, "A-1")
    with pytest.raises(InvalidRequest):
        shop.earn_later("somebody", "5", "A-1")
    with pytest.raises(ConfigurationError, match="outbox"):
        alliance.merchant("fresh", program="fresh").earn_later(member, "5", "A-1")
    with alliance.offline():
        nameless = alliance.merchant("fresh", outbox=tmp_path / "another.db", retries=0)
        with pytest.raises(ConfigurationError, match="program="):
            nameless.earn_later(member, "5", "A-1")
    assert shop.count_queued() == 0


EARNING = """
import os, sys
from merchant_sdk import Merchant

shop = Merchant("fresh", "http://127.0.0.1:9", key=bytes(32), chain=sys.argv[1], outbox=sys.argv[2],
                program="fresh", retries=0)
number = 0
while True:
    number += 1
    queued = shop.earn_later(sys.argv[3], "1", f"{sys.argv[4]}-{number}")
    os.write(1, f"{queued.reference} {queued.occurred_at}\\n".encode())
"""


def test_a_till_killed_while_it_earns_loses_nothing_it_was_told_is_written_down(
    alliance, shop, member, tmp_path, repository
):
    path = tmp_path / "outbox.db"
    told = kill_after([EARNING, alliance.chain, str(path), member, "K"], 20, repository)
    # This time is the machine's; the sandbox's has to be ahead of it for orders not to lie in the future.
    alliance.clock.advance(seconds=max(0, time.time_ns() // 10**9 - alliance.clock() // 1000) + 60)
    found = {result.message.reference: result for resent in shop.flush() for result in resent.results}
    for line in told:
        reference, occurred_at = line.split()
        assert found[reference].code == "OK"
        assert found[reference].message.occurred_at == int(occurred_at)
    # At most the one that was under way was written and not told.
    assert len(found) - len(told) in (0, 1)
