"""A merchant that knows a leader and its followers reads what it wrote, whoever answers.

A transaction goes to who takes it; an address that fails rests, and comes back.
"""

from __future__ import annotations

import asyncio
import time
from functools import cached_property

import httpx2
import pytest

from merchant_sdk import AsyncMerchant, RefusedByNode, UnknownOutcome
from merchant_sdk.addresses import LEARNED_MAX, REST_SECONDS, REST_SECONDS_MAX, Addresses
from tests.merchant_sdk.harbour import BadRoad, reset_after, reset_before, say
from tests.node.cli.conftest import MEMBER
from tests.node.follower.conftest import Leader, Process, founded, leader

__all__ = ["founded", "leader"]

LOW = say(503, b'{"code":"STORAGE_LOW","status":503}', "retry-after: 30")
FOLLOWS = b'{"code":"NOT_READY","leader":"%b","status":503}'


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_an_address_rests_twice_as_long_each_time_until_it_answers():
    clock = Clock()
    addresses = Addresses(("a", "b"), clock=clock)
    for expected in (REST_SECONDS, 2 * REST_SECONDS, 4 * REST_SECONDS):
        addresses.leave("a")
        # Others that failed at it meanwhile change nothing.
        addresses.leave("a")
        assert addresses.choose({"b"}) == "a"
        addresses.leave("b", 0.0)
        clock.now += expected - 0.1
        assert addresses.choose(()) == "b"
        clock.now += 0.2
        addresses._current = "a"
        assert addresses.choose(()) == "a"
    for _ in range(20):
        addresses.leave("a")
        clock.now += REST_SECONDS_MAX + 0.1
        assert addresses._resting["a"] < clock.now
    addresses.praise("a")
    addresses.leave("a")
    assert addresses._resting["a"] == clock.now + REST_SECONDS


def test_who_follows_is_asked_everything_but_to_take_a_transaction():
    clock = Clock()
    addresses = Addresses(("a", "b"), clock=clock)
    addresses.note_follower("a")
    assert (addresses.choose(()), addresses.choose((), is_submitting=True)) == ("a", "b")
    # Where there is nobody else it is asked all the same.
    assert addresses.choose({"b"}, is_submitting=True) == "a"
    # And some day it may be a leader.
    clock.now += 31
    assert addresses.choose((), is_submitting=True) == "a"


#   who tells, the address it names, whether that is gone to
NAMED = [
    ("https://follower.example", "https://leader.example", True),
    ("https://follower.example", "https://leader.example:8443", True),
    ("http://10.0.0.2:8710", "http://10.0.0.1:8710", True),
    ("http://127.0.0.1:8711", "http://127.0.0.1:8710", True),
    ("http://127.0.0.1:8711", "http://localhost:8710", True),
    ("https://follower.example", "http://leader.example", False),
    ("http://10.0.0.2:8710", "http://127.0.0.1:8710", False),
    ("http://10.0.0.2:8710", "http://[::1]:8710", False),
    ("http://follower.example", "http://localhost", False),
    ("http://127.0.0.1:8711", "http://10.0.0.1:8710", False),
    ("https://follower.example", "https://user:word@leader.example", False),
    ("https://follower.example", "https://leader.example/?a=b", False),
    ("https://follower.example", "ftp://leader.example", False),
    ("https://follower.example", "leader", False),
    ("https://follower.example", "https://[", False),
]


@pytest.mark.parametrize(("told_by", "named", "is_taken"), NAMED)
def test_a_node_sends_us_on_to_no_place_it_could_not_be_itself(told_by, named, is_taken):
    addresses = Addresses((told_by,))
    addresses.learn(named, told_by=told_by)
    assert (named in addresses.all) is is_taken


def test_no_node_can_make_us_remember_addresses_without_end():
    addresses = Addresses(("https://a.example",))
    for number in range(100):
        addresses.learn(f"https://{number}.example", told_by="https://a.example")
    assert len(addresses.all) == 1 + LEARNED_MAX


class Alliance:
    """A leader, and where it is asked for a follower that is up to date, and one that stays where it is."""

    def __init__(self, leader: Leader, folder) -> None:
        self.leader = leader
        self.led = leader.start()
        self._folder = folder

    @cached_property
    def follower(self) -> Process:
        return self.leader.follow(self._folder / "follower", self.led.url)

    @cached_property
    def behind(self) -> Process:
        """To be asked for before anything is written that it shall not have."""
        mirror = self.leader.mirror(self.led.url, self._folder / "mirror")
        return self.leader.follow(self._folder / "behind", mirror)

    def shop(self, *urls: str, **options) -> AsyncMerchant:
        keys = {"transact": self.leader.keys, "till": self.leader.keys / "till.pem"}
        return AsyncMerchant(
            "fresh", list(urls), keys=keys, chain=self.leader.chain, program="leaf", retries=0, **options
        )

    def count(self, process, route) -> float:
        """How many times a node has answered there."""
        lines = httpx2.get(f"{process.url}/metrics").text.splitlines()
        wanted = [
            line for line in lines if line.startswith("commonpoint_http_requests_total") and route in line
        ]
        return sum(float(line.rpartition(" ")[2]) for line in wanted)


@pytest.fixture
def alliance(leader, tmp_path):
    return Alliance(leader, tmp_path)


async def test_the_follower_reads_the_leader_takes_and_what_was_written_is_read(alliance):
    async with alliance.shop(alliance.follower.url, alliance.led.url) as shop:
        points = (await shop.balance(MEMBER)).points
        for number in range(8):
            result = await shop.earn(MEMBER, "5", f"A-{number}")
            assert result.balance == points + 5 * (number + 1)
            # At once, from another node than the one that took it.
            assert (await shop.balance(MEMBER)).points == result.balance
    assert alliance.count(alliance.follower, "/v1/members/{member}/balances") == 9
    # It was asked to take one, and after that no more.
    assert alliance.count(alliance.follower, 'route="/v1/transactions"') == 1


async def test_who_knows_a_follower_alone_is_led_to_the_leader(alliance):
    async with alliance.shop(alliance.follower.url) as shop:
        result = await shop.earn(MEMBER, "5", "L-1")
        assert (result.code, (await shop.balance(MEMBER)).points) == ("OK", result.balance)
    assert alliance.count(alliance.led, 'route="/v1/transactions"') == 1


async def test_a_node_that_is_behind_never_answers_for_what_was_written_since(alliance, tmp_path):
    async with alliance.shop(alliance.behind.url, alliance.led.url, outbox=tmp_path / "outbox.db") as shop:
        before = (await shop.balance(MEMBER)).points
        result = await shop.earn(MEMBER, "5", "B-1")
        begun = time.monotonic()
        assert (await shop.balance(MEMBER)).points == result.balance == before + 5
        # The one behind was waited for and then passed over; while it rests, others answer at once.
        assert time.monotonic() - begun < 10
        assert [entry.index for entry in await shop.order("B-1")] == [result.index]


async def test_what_is_unknown_is_asked_of_who_takes_transactions(alliance, tmp_path):
    port = int(alliance.led.url.rsplit(":", 1)[1])
    async with (
        BadRoad(port) as road,
        alliance.shop(alliance.behind.url, road.url, outbox=tmp_path / "outbox.db") as shop,
    ):
        first = await shop.earn(MEMBER, "5", "U-0")
        road.faults = [reset_after]
        with pytest.raises(UnknownOutcome) as caught:
            await shop.earn(MEMBER, "5", "U-1")
        (resent,) = await shop.flush()
        assert (resent.transaction_id, resent.error) == (caught.value.transaction_id, None)
        (result,) = resent.results
        assert (result.code, result.balance) == ("OK", first.balance + 5)


async def test_only_who_takes_transactions_is_believed_that_one_was_never_taken(alliance, tmp_path):
    port = int(alliance.led.url.rsplit(":", 1)[1])
    asked = 'route="/v1/transactions/{sender}/{id}"'
    async with (
        BadRoad(port) as road,
        alliance.shop(
            alliance.behind.url, road.url, outbox=tmp_path / "outbox.db", lifetime_seconds=2
        ) as shop,
    ):
        await shop.balance(MEMBER)
        road.faults = [reset_before]
        with pytest.raises(UnknownOutcome):
            await shop.earn(MEMBER, "5", "X-1")
        await asyncio.sleep(2.2)
        # It has expired; so it is asked for by its id, and signed anew where it is not known.
        (resent,) = await shop.flush()
        assert (resent.error, resent.results[0].code) == (None, "OK")
    assert (alliance.count(alliance.behind, asked), alliance.count(alliance.led, asked)) == (0, 1)


async def test_a_node_without_room_is_passed_over_at_once(alliance):
    port = int(alliance.led.url.rsplit(":", 1)[1])
    async with (
        BadRoad(port) as full,
        BadRoad(port) as other,
        alliance.shop(full.url, other.url) as shop,
    ):
        full.faults = [LOW]
        assert (await shop.earn(MEMBER, "5", "S-1")).code == "OK"
        assert (full.seen, other.seen) == (1, 1)
        # It goes on answering what moves nothing, and is not asked to take the next one.
        asked = len(full.requests)
        await shop.balance(MEMBER)
        await shop.earn(MEMBER, "5", "S-2")
        assert (full.seen, other.seen, len(full.requests) > asked) == (1, 2, True)


@pytest.mark.parametrize("fault", [LOW, say(503, FOLLOWS % b"http://127.0.0.1:9", "retry-after: 1")])
async def test_where_nobody_takes_it_nothing_was_taken_and_that_is_said(alliance, tmp_path, fault):
    port = int(alliance.led.url.rsplit(":", 1)[1])
    async with (
        BadRoad(port) as road,
        alliance.shop(road.url, outbox=tmp_path / "outbox.db") as shop,
    ):
        await shop.balance(MEMBER)
        road.faults = [fault]
        with pytest.raises(RefusedByNode) as caught:
            await shop.earn(MEMBER, "5", "N-1")
        assert (caught.value.fate, caught.value.may_retry) == ("refused", True)
        assert shop.count_waiting() == 0
        assert (await shop.earn(MEMBER, "5", "N-1")).code == "OK"
