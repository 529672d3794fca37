"""Several addresses of one ledger: a dead one costs little, a wrong one is named, and nobody gets more of us
than an answer needs.
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import time
from contextlib import ExitStack

import pytest

from merchant_sdk import NotSent, UnknownOutcome, Unverified, responses, transport
from merchant_sdk.addresses import BANNED_SECONDS, REST_SECONDS, Addresses
from tests.merchant_sdk.harbour import BadRoad, Harbour, say, stream

CONNECT_SECONDS = 0.4


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two nodes of one ledger; one is shown everything, and the other stays behind."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "first").mkdir()
    with Harbour(folder / "first"):
        pass
    shutil.copytree(folder / "first", folder / "second")
    with (
        Harbour(folder / "first", has_begun=True) as ahead,
        Harbour(folder / "second", has_begun=True) as behind,
    ):
        assert ahead.chain == behind.chain
        yield ahead, behind


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """The same chain string and the same log key, and another history: what a log must never do."""
    with Harbour(tmp_path_factory.mktemp("stranger")) as harbour:
        yield harbour


@pytest.fixture(scope="module")
def harbour(twins):
    return twins[0]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(transport, "_CONNECT_SECONDS", CONNECT_SECONDS)


@pytest.fixture
def black_hole():
    """An address at which a connection is neither taken nor refused."""
    with ExitStack() as open_:
        server = open_.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            filler = open_.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_address_that_answered_last_is_asked_until_it_fails():
    clock = Clock()
    addresses = Addresses(("a", "b", "c"), clock=clock)
    assert addresses.current == "a"
    for _ in range(5):
        addresses.leave("a")
    assert addresses.current == "b"
    clock.now += REST_SECONDS + 1
    assert addresses.current == "b"
    addresses.leave("b")
    assert addresses.current == "c"
    addresses.leave("c", BANNED_SECONDS)
    assert addresses.current == "a"
    # Where all are resting, the one whose rest ends first.
    clock.now += 1
    addresses.leave("a")
    assert addresses.current == "b"
    assert addresses.choose({"b"}) == "a"
    assert addresses.choose({"a", "b", "c"}) == "b"


async def test_a_dead_first_address_costs_one_time_out_once(harbour, black_hole):
    shop = harbour.shop(black_hole, harbour.url)
    begun = time.monotonic()
    member = await shop.enrol()
    first = time.monotonic() - begun
    begun = time.monotonic()
    for number in range(10):
        await shop.earn(member, "5", f"F-{number}")
        await shop.balance(member)
    assert first >= CONNECT_SECONDS
    assert time.monotonic() - begun < CONNECT_SECONDS * 5
    await shop.close()


async def test_many_calls_at_once_pass_a_dead_address_together(harbour, black_hole):
    async with harbour.shop(harbour.url) as shop:
        members = await asyncio.gather(*(shop.enrol() for _ in range(20)))
    async with BadRoad(harbour.port) as road, harbour.shop(road.url, harbour.url, black_hole) as shop:
        await shop.connect()
        await road.close()
        done = await asyncio.gather(*(shop.earn(m, "5", f"G-{n}") for n, m in enumerate(members)))
    assert all(result.is_ok for result in done)


async def test_nothing_was_sent_is_said_only_after_every_address_was_tried(harbour):
    dead = ["http://127.0.0.1:9", "http://127.0.0.1:10", "http://127.0.0.1:11"]
    shop = harbour.shop(*dead, harbour.url)
    assert (await shop.enrol()).startswith("m_")
    await shop.close()
    shop = harbour.shop(*dead)
    with pytest.raises(NotSent) as caught:
        await shop.enrol()
    assert caught.value.fate == "not_sent"
    await shop.close()


@pytest.mark.parametrize("count", [0, 200])
async def test_a_node_of_another_history_is_named_and_given_nothing(harbour, stranger, tmp_path, count):
    async with stranger.shop() as shop:
        # Once it has fewer entries than what was proven to us, once more.
        for _ in range(count):
            await shop.enrol()
    async with (
        BadRoad(harbour.port) as good,
        BadRoad(stranger.port) as evil,
        harbour.shop(good.url, evil.url, harbour.url, outbox=tmp_path / "outbox.db") as shop,
    ):
        member = await shop.enrol()
        reference = f"H-{count}"
        await good.close()
        with pytest.raises(Unverified) as caught:
            await shop.earn(member, "5", reference)
        assert caught.value.code == "HISTORY_REWRITTEN"
        assert evil.url in str(caught.value)
        assert (caught.value.fate, evil.seen, shop.count_waiting()) == ("not_sent", 0, 0)
        (evidence,) = shop.list_evidence()
        assert evidence.found == stranger.node.core.checkpoint
        # Said once, loudly; the shop goes on with a node that proves what it says.
        assert (await shop.earn(member, "5", reference)).points == 5
        assert evil.seen == 0
    assert harbour.list_outcomes(reference) == ["OK"]


async def test_a_node_of_another_chain_is_named_and_given_nothing(harbour, tmp_path):
    async with BadRoad(harbour.port) as road, harbour.shop(road.url, outbox=tmp_path / "o.db") as shop:
        wrong = harbour.shop(road.url, chain=f"village/{'0' * 32}", outbox=tmp_path / "outbox.db")
        with pytest.raises(Unverified) as caught:
            await wrong.enrol()
        assert (caught.value.code, caught.value.fate) == ("WRONG_CHAIN", "not_sent")
        assert road.url in str(caught.value)
        assert [each.code for each in wrong.list_evidence()] == ["WRONG_CHAIN"]
        assert road.seen == 0
        await wrong.close()
        await shop.enrol()


async def test_a_node_that_is_behind_is_passed_over_and_never_believed_about_now(twins, tmp_path):
    ahead, behind = twins
    path = tmp_path / "outbox.db"
    async with BadRoad(ahead.port) as front, BadRoad(behind.port) as back:
        async with ahead.shop(front.url, outbox=path) as shop:
            member = await shop.enrol()
            assert (await shop.earn(member, "5", "B-1")).points == 5
        # The other one first: it lacks what was proven to us, so the next one is asked.
        async with ahead.shop(back.url, front.url, outbox=path) as shop:
            assert (await shop.earn(member, "5", "B-2")).balance == 10
            assert (await shop.balance(member)).points == 10
            assert back.seen == 0
            await front.close()
            with pytest.raises(NotSent) as caught:
                await shop.earn(member, "5", "B-3")
            assert (caught.value.fate, caught.value.may_retry) == ("not_sent", True)
            assert shop.list_evidence() == []
    assert ahead.list_outcomes("B-3") == behind.list_outcomes("B-3") == []


async def test_a_token_is_shown_only_to_the_node_that_gave_it(harbour):
    async with (
        BadRoad(harbour.port) as one,
        BadRoad(harbour.port) as two,
        harbour.shop(one.url, two.url, retries=2) as shop,
    ):
        member = await shop.enrol()
        await shop.balance(member)
        await one.close()
        assert (await shop.balance(member)).points == 0

        def list_tokens(road):
            lines = [line for each in road.requests for line in each.split(b"\r\n")]
            return {line for line in lines if line.lower().startswith(b"authorization:")}

        assert len(list_tokens(one)) == len(list_tokens(two)) == 1
        assert list_tokens(one).isdisjoint(list_tokens(two))


GIGABYTES = b"content-length: 9000000000\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
MEGABYTE = b"x" * 2**20
ENDLESS = {
    "gigabytes": (GIGABYTES, MEGABYTE),
    "chunks": (CHUNKED, b"100000\r\n" + MEGABYTE + b"\r\n"),
    "spaces": (CHUNKED, b"1\r\n \r\n"),
    "head lines": (b"", b"x: " + b"y" * 1000 + b"\r\n"),
    "a head line": (b"x: ", MEGABYTE),
    "a drip": (GIGABYTES, b" "),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_an_endless_answer_is_cut_off(harbour, name, monkeypatch, tmp_path):
    monkeypatch.setattr(responses, "ANSWER_BYTES_MAX", 8 * 2**20)
    async with (
        BadRoad(harbour.port) as road,
        harbour.shop(road.url, outbox=tmp_path / "o.db", timeout_seconds=0.5) as shop,
    ):
        member = await shop.enrol()
        road.faults = [stream(*ENDLESS[name])]
        begun = time.monotonic()
        with pytest.raises(UnknownOutcome):
            await shop.earn(member, "5", f"E-{name.replace(' ', '-')}")
        assert time.monotonic() - begun < 3
        assert (await shop.flush())[0].results[0].code == "OK"


async def test_a_packed_answer_is_not_unpacked(harbour, tmp_path):
    bomb = gzip.compress(bytes(50 * 2**20))
    async with (
        BadRoad(harbour.port) as road,
        harbour.shop(road.url, outbox=tmp_path / "outbox.db") as shop,
    ):
        member = await shop.enrol()
        road.faults = [say(200, bomb, "content-encoding: gzip", is_taken=True)]
        with pytest.raises(UnknownOutcome, match="packed"):
            await shop.earn(member, "5", "Z-1")
        assert all(b"accept-encoding: identity" in each.lower() for each in road.requests)
        assert (await shop.earn(member, "5", "Z-1")).code == "OK"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(harbour, tmp_path, status):
    async with (
        BadRoad(harbour.port) as road,
        BadRoad(harbour.port) as elsewhere,
        harbour.shop(road.url, outbox=tmp_path / "outbox.db") as shop,
    ):
        member = await shop.enrol()
        road.faults = [say(status, b"", f"location: {elsewhere.url}/v1/transactions")]
        with pytest.raises(UnknownOutcome):
            await shop.earn(member, "5", f"R-{status}")
        assert elsewhere.requests == []
        assert (await shop.flush())[0].error is None


async def test_no_cookie_is_kept(harbour):
    async with BadRoad(harbour.port) as road:
        road.extra = b"set-cookie: who=you\r\n"
        async with harbour.shop(road.url) as shop:
            await shop.balance(await shop.enrol())
        assert not any(b"cookie:" in each.lower() for each in road.requests)
