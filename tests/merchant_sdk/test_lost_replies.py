"""Whatever is cut, wherever: the same call repeated ends in one effect, and the error never says more than is
known.

A real node, a real socket, and a bad road between. After every fault the call is made again as it was. The
ledger then holds the order once; and what the first error said of its fate was true then and stays true.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import NamedTuple

import pytest

from merchant_sdk import (
    CommonpointError,
    UnknownOutcome,
    Wallet,
    transport,
)
from tests.conftest import FULL
from tests.merchant_sdk.genesis import get_system_time
from tests.merchant_sdk.harbour import (
    OK_HEAD,
    babble,
    cut_answer,
    cut_request,
    delay,
    deliver_twice,
    deliver_twice_and_lose,
    drip,
    half_and_be_silent,
    hold_back,
    reset_after,
    reset_before,
    say,
    swallow,
    take_and_be_silent,
)

STRIDE = 1 if FULL else 17
"""Every so many bytes a cut; a full run cuts at each."""
REQUEST_BYTES, ANSWER_BYTES = 1_100, 1_500
"""More than a request and an answer of the sweep have; a place past the end is the end."""
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(transport, "_CONNECT_SECONDS", 0.5)


@pytest.fixture
async def shop(harbour, road, tmp_path):
    async with harbour.shop(road.url, outbox=tmp_path / "outbox.db") as shop:
        yield shop


@pytest.fixture
async def member(shop):
    return await shop.enrol()


def give_patience(shop, seconds: float) -> None:
    """So long it waits for a node from now on."""
    way = shop._connection._transport
    way._timeout_seconds = way._answer_seconds_max = seconds


def name_order() -> str:
    return f"L-{next(_numbers)}"


class Told(NamedTuple):
    """What the first call of an order said of its fate, and what it had cost by then."""

    reference: str
    fate: str
    outcomes: list[str]
    seen: int


async def meet_fault(harbour, road, shop, member, fault, *, is_slow: bool = False) -> Told:
    """The order is asked for through the fault, which takes longer than anybody would wait."""
    reference = name_order()
    if is_slow:
        give_patience(shop, 0.2)
    before = road.seen
    road.faults = [fault]
    try:
        await shop.earn(member, "5", reference)
    except CommonpointError as error:
        # What is unknown has a name.
        fate = error.fate if bool(error.transaction_id) == (error.fate == "unknown") else "nameless"
    else:
        fate = "done"
    give_patience(shop, 30)
    return Told(reference, fate, harbour.list_outcomes(reference), road.seen - before)


async def check_once(harbour, shop, member, told: Told) -> None:
    """The same call again, then a flush; the order stands once and nothing is left open."""
    again = await shop.earn(member, "5", told.reference)
    assert again.is_ok
    assert await shop.flush() == []
    assert shop.count_waiting() == 0
    done = [code for code in harbour.list_outcomes(told.reference) if code == "OK"]
    assert done == ["OK"], told
    if told.fate == "not_sent":
        assert (told.seen, told.outcomes) == (0, []), told
    if told.fate == "refused":
        assert told.outcomes == [], told


@pytest.mark.parametrize("part", ["request", "answer", "answer, reset"])
async def test_a_cut_at_any_byte_ends_in_one_effect(harbour, road, shop, member, part):
    length = REQUEST_BYTES if part == "request" else ANSWER_BYTES
    fates = set()
    for place in [*range(0, length, STRIDE), length]:
        if part == "request":
            fault = cut_request(place)
        else:
            fault = cut_answer(place, is_reset=part.endswith("reset"))
        told = await meet_fault(harbour, road, shop, member, fault)
        await check_once(harbour, shop, member, told)
        fates.add(told.fate)
    assert fates == {"unknown"}


CHUNK_THAT_LIES = OK_HEAD + b"transfer-encoding: chunked\r\n\r\nffffffff\r\nx"
TWO_LENGTHS = OK_HEAD + b"content-length: 5\r\ncontent-length: 7\r\n\r\nab"
BUSY = b'{"code":"BUSY","status":429}'
STOPPING = b'{"code":"STOPPING","status":503}'
HTML = "content-type: text/html"
#   what happens on the way, and what the error says of the order's fate ("done": there is none)
FAULTS = {
    "reset before it is read": (reset_before, "unknown"),
    "reset after it was taken": (reset_after, "unknown"),
    "swallowed": (swallow, "unknown"),
    "taken, then silence": (take_and_be_silent, "unknown"),
    "half an answer, then silence": (half_and_be_silent, "unknown"),
    "an answer that drips": (drip, "unknown"),
    "a delay": (delay, "done"),
    "delivered twice": (deliver_twice, "done"),
    "delivered twice and lost": (deliver_twice_and_lose, "unknown"),
    "held back for later": (hold_back, "unknown"),
    "busy": (say(429, BUSY), "refused"),
    "busy, with a time": (say(429, BUSY, "retry-after: 1"), "refused"),
    "slowed down by a gateway": (say(429, b"", "retry-after: 1"), "unknown"),
    "a gateway's 502 before": (say(502), "unknown"),
    "a gateway's 502 after": (say(502, is_taken=True), "unknown"),
    "a gateway's 504 after": (say(504, b"", "retry-after: 0", is_taken=True), "unknown"),
    "stopping": (say(503, STOPPING, "retry-after: 0"), "unknown"),
    "a fault of the node": (say(500, b'{"code":"INTERNAL","status":500}', is_taken=True), "unknown"),
    "a gateway's 403 after": (say(403, b"<html>no</html>", HTML, is_taken=True), "unknown"),
    "a gateway's 404 after": (say(404, is_taken=True), "unknown"),
    "a request time-out after": (say(408, is_taken=True), "unknown"),
    "a portal's page": (say(200, b"<html>log in</html>", HTML, is_taken=True), "unknown"),
    "a redirect": (say(307, b"", "location: http://127.0.0.1:9/", is_taken=True), "unknown"),
    "an empty answer": (say(200, b"", "content-type: application/json", is_taken=True), "unknown"),
    "an answer of another kind": (say(200, b'{"ok":true}', is_taken=True), "unknown"),
    "accepted, it says": (say(202, b"{}", is_taken=True), "unknown"),
    "no HTTP at all": (babble(b"SSH-2.0-OpenSSH_9.6\r\n"), "unknown"),
    "two lengths": (babble(TWO_LENGTHS), "unknown"),
    "a chunk that lies": (babble(CHUNK_THAT_LIES), "unknown"),
    "only goes on": (babble(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "unknown"),
    "a flood of heads": (babble(OK_HEAD + b"x: y\r\n" * 50_000), "unknown"),
}  # fmt: skip


SLOW = {"swallowed", "taken, then silence", "half an answer, then silence", "an answer that drips"}


@pytest.mark.parametrize("name", FAULTS)
async def test_what_goes_wrong_on_the_way_ends_in_one_effect(harbour, road, shop, member, name):
    fault, fate = FAULTS[name]
    told = await meet_fault(harbour, road, shop, member, fault, is_slow=name in SLOW)
    assert told.fate == fate
    await check_once(harbour, shop, member, told)
    for request in road.late:
        # It arrives after all, when the order was long settled.
        reader, writer = await asyncio.open_connection("127.0.0.1", harbour.port)
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert harbour.list_outcomes(told.reference).count("OK") == 1
    assert (await shop.balance(member)).points == 5


@pytest.mark.parametrize("name", ["reset before it is read", "reset after it was taken"])
@pytest.mark.parametrize(
    "how", ["the same call", "flush", "the same call after a restart", "flush after one"]
)
async def test_what_was_unknown_is_settled_even_when_the_bytes_have_expired(
    harbour, road, tmp_path, name, how
):
    path = tmp_path / "outbox.db"
    shop = harbour.shop(road.url, outbox=path)
    member = await shop.enrol()
    told = await meet_fault(harbour, road, shop, member, FAULTS[name][0])
    assert told.fate == "unknown"
    harbour.ahead += 3_600_000
    if "one" in how or "restart" in how:
        await shop.close()
        shop = harbour.shop(road.url, outbox=path)
    if how.startswith("flush"):
        (resent,) = await shop.flush()
        assert [result.code for result in resent.results] == ["OK"]
    else:
        assert (await shop.earn(member, "5", told.reference)).code == "OK"
    assert shop.count_waiting() == 0
    assert harbour.list_outcomes(told.reference) == ["OK"]
    assert (await shop.balance(member)).points == 5
    await shop.close()


@pytest.mark.parametrize(
    "name", ["reset before it is read", "reset after it was taken", "a gateway's 502 after"]
)
async def test_every_verb_ends_in_one_effect(harbour, road, tmp_path, name):
    fault = FAULTS[name][0]
    reference = name_order()
    async with harbour.shop(road.url, outbox=tmp_path / "one.db") as shop:
        wallet = Wallet(harbour.chain, clock=lambda: get_system_time() + harbour.ahead)
        road.faults = [fault]
        with pytest.raises(UnknownOutcome):
            await shop.enrol(wallet.member, wallet.possession())
        assert await shop.enrol(wallet.member, wallet.possession()) == wallet.member
        await shop.earn(wallet.member, "100", name_order())
        code = wallet.points_code("fresh", 40, acceptor="fresh")
        road.faults = [fault]
        with pytest.raises(UnknownOutcome):
            await shop.redeem(code, 30, reference)
        assert (await shop.redeem(code, 30, reference)).balance == 70
        quote = await shop.quote(program="fresh", series="2026", target="petrol", points=20)
        consent = wallet.consent_for_exchange(quote)
        road.faults = [fault]
        with pytest.raises(UnknownOutcome):
            await shop.exchange(consent, quote, reference)
        assert (await shop.exchange(consent, quote, reference)).is_ok
        assert harbour.list_outcomes(reference) == ["OK", "OK"]
        assert (await shop.balance(wallet.member)).points == 50
        enrolled = [m for m, _ in harbour.node.read_log() if m.get("member") == wallet.member]
        assert len([m for m in enrolled if m["@type"] == "enrol"]) == 1
