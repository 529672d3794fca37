"""A merchant holds the operator's signed promise; where it is broken, one file shows it to anybody."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import msgspec
import pytest

from contracts.messages import Message
from ledger.codec import encode
from ledger.keys import SeedSigner
from ledger.promise import read_promise, sign_promise
from ledger.transaction import TransactionDecoder
from merchant_sdk import Merchant, RefusedByNode, UnknownOutcome, Unverified
from node.promising import Promiser
from tests.merchant_sdk.genesis import LOG
from tests.merchant_sdk.road import lose_reply, lose_request, say
from tests.merchant_sdk.village import RealNode, Village
from tests.node.cli.conftest import MEMBER
from tests.node.follower.conftest import founded, leader

__all__ = ["founded", "leader"]
DECODER = TransactionDecoder(Message)
SECONDS = 60


@pytest.fixture
async def village(tmp_path):
    """Served by the real node, which promises."""
    (tmp_path / "node").mkdir()
    village = Village(RealNode(tmp_path / "node"))
    village.node.core.promiser = Promiser(village.node.core, LOG, tmp_path / "node")
    try:
        await village.begin()
        yield village
    finally:
        village.node.core.stop()


async def leave_open(village, shop, reference: str, fault=lose_request) -> str:
    """An order whose fate is unknown; its transaction's id."""
    village.road.faults = [fault]
    with pytest.raises(UnknownOutcome) as caught:
        await shop.earn(MEMBER, "5", reference)
    return caught.value.transaction_id


@pytest.fixture
async def shop(village, tmp_path):
    async with village.shop(program="fresh", retries=0, outbox=tmp_path / "outbox.db") as shop:
        await shop.enrol(MEMBER)
        yield shop


async def test_what_is_open_is_promised_and_a_promise_that_was_kept_is_told_once(village, shop, tmp_path):
    name = await leave_open(village, shop, "P-1")
    (held,) = await shop.ask_promises()
    assert (held.transaction_id, held.state, held.error) == (name, "open", None)
    promise = read_promise(held.promise)
    assert (promise.id, promise.by) == (name, held.by)
    # It was taken for the promise; what came of it is found out as ever.
    (kept,) = await shop.check_promises()
    assert (kept.transaction_id, kept.state, kept.evidence_file) == (name, "kept", None)
    assert await shop.check_promises() == []
    (resent,) = await shop.flush()
    assert (resent.error, resent.results[0].code) == (None, "OK")
    assert [path.name for path in tmp_path.iterdir() if "evidence" in path.name] == []


async def test_a_promise_is_held_across_a_restart_and_asked_for_once(village, tmp_path):
    path = tmp_path / "outbox.db"
    async with village.shop(program="fresh", retries=0, outbox=path) as shop:
        await shop.enrol(MEMBER)
        name = await leave_open(village, shop, "P-1")
        first = await shop.ask_promises()
    village.road.asked.clear()
    async with village.shop(program="fresh", retries=0, outbox=path) as shop:
        assert await shop.ask_promises() == first
        assert "POST /v1/transactions?promise=yes" not in village.road.asked
        assert [(each.transaction_id, each.state) for each in await shop.check_promises()] == [(name, "kept")]


async def test_where_nobody_promises_there_is_none_and_nothing_else_changes(village, shop):
    village.node.core.promiser = None
    await leave_open(village, shop, "P-1")
    assert await shop.ask_promises() == await shop.check_promises() == []
    (resent,) = await shop.flush()
    assert resent.results[0].code == "OK"


async def test_who_wishes_it_holds_a_promise_whenever_an_outcome_is_unknown(village, tmp_path):
    path = tmp_path / "outbox.db"
    async with village.shop(program="fresh", retries=0, outbox=path, promise_seconds=30.0) as shop:
        await shop.enrol(MEMBER)
        name = await leave_open(village, shop, "P-1", lose_reply)
        # Without another word.
        assert [each.transaction_id for each in await shop.check_promises()] == [name]


async def test_who_waits_for_long_holds_a_promise_meanwhile(village, tmp_path):
    answered = asyncio.Event()

    async def wait_long(forward):
        await answered.wait()
        return await forward()

    path = tmp_path / "outbox.db"
    async with village.shop(program="fresh", outbox=path, promise_seconds=0.05) as shop:
        await shop.enrol(MEMBER)
        village.road.faults = [wait_long]
        waiting = asyncio.ensure_future(shop.earn(MEMBER, "5", "P-1"))
        end = time.monotonic() + SECONDS
        while not (held := shop._connection.outbox.list_promises("fresh")):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        assert not waiting.done()
        answered.set()
        done = await waiting
        assert held[0].pending.id == done.transaction_id
        assert [each.state for each in await shop.check_promises()] == ["kept"]


STRANGER = SeedSigner(b"somebody else's key, 32 bytes...")


def make_lies(header):
    by, replace = header.not_after, msgspec.structs.replace
    true = sign_promise(header, by=by, signer=LOG)
    return {
        "PROMISE_OF_ANOTHER": encode(sign_promise(replace(header, id="another"), by=by, signer=LOG)),
        "PROMISE_TOO_LATE": encode(sign_promise(header, by=by + 1, signer=LOG)),
        "LOG_KEY_UNKNOWN": encode(sign_promise(header, by=by, signer=STRANGER)),
        "SIGNATURE_INVALID": encode(replace(true, by=by - 1)),
        "NOT_CANONICAL": encode(true) + b" ",
        "MALFORMED": b"{}",
    }


LIES = (
    "LOG_KEY_UNKNOWN",
    "MALFORMED",
    "NOT_CANONICAL",
    "PROMISE_OF_ANOTHER",
    "PROMISE_TOO_LATE",
    "SIGNATURE_INVALID",
)


@pytest.mark.parametrize("code", LIES)
async def test_what_is_no_promise_about_ours_is_not_held(village, shop, code):
    await leave_open(village, shop, "P-1")
    header = DECODER.decode(village.road.sent[-1]).header

    async def lie(_forward):
        return httpx2.Response(202, content=make_lies(header)[code])

    village.road.faults = [lie]
    with pytest.raises(Unverified) as caught:
        await shop.ask_promises()
    assert caught.value.code == code
    assert await shop.check_promises() == []


async def test_a_node_that_cannot_be_asked_now_leaves_the_promise_open(village, shop):
    await leave_open(village, shop, "P-1")
    village.road.faults = [say(503, "BUSY")]
    with pytest.raises(RefusedByNode):
        await shop.ask_promises()
    await shop.ask_promises()
    honest, village.road.node = village.road.node, Silent()
    (told,) = await shop.check_promises()
    assert (told.state, told.error is None) == ("open", False)
    village.road.node = honest
    assert [each.state for each in await shop.check_promises()] == ["kept"]


class Silent:
    """A node that is not there."""

    async def handle_async_request(self, _request):
        raise httpx2.ConnectError("connection refused")


class Forgetful:
    """A node that promises, forgets, and says of what it forgot what its operator likes."""

    def __init__(self, node: RealNode, *, says_absent: bool) -> None:
        self._node = node
        self._says_absent = says_absent
        self.forgotten = b""

    async def handle_async_request(self, request):
        path, body = request.url.path, await request.aread()
        if request.url.query == b"promise=yes":
            self.forgotten = body
            header = DECODER.decode(body).header
            by = self._node.core.now + 10
            return httpx2.Response(202, content=encode(sign_promise(header, by=by, signer=LOG)))
        if body and body == self.forgotten:
            raise httpx2.ReadTimeout("no answer")
        if path.endswith("/absence") and not self._says_absent:
            problem = {"code": "NOT_FOUND", "status": 404}
            return httpx2.Response(404, content=msgspec.json.encode(problem))
        return await self._node.handle_async_request(request)


async def test_a_promise_that_was_broken_is_told_once_with_one_file(village, shop, tmp_path, monkeypatch):
    village.road.node = Forgetful(village.node, says_absent=True)
    name = await leave_open(village, shop, "P-1")
    (held,) = await shop.ask_promises()
    # The log's clock has not come to that time yet.
    assert [each.state for each in await shop.check_promises()] == ["open"]
    await asyncio.sleep(0.05)
    await shop.enrol()
    # A crash after the file is written and before that is noted.
    with monkeypatch.context() as patch:
        patch.setattr(shop._connection.outbox, "settle_promise", lambda _pending: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await shop.check_promises()
    await shop.enrol()
    (broken,) = await shop.check_promises()
    assert (broken.transaction_id, broken.state, broken.by) == (name, "broken", held.by)
    files = [path for path in tmp_path.iterdir() if "evidence" in path.name]
    assert files == [Path(broken.evidence_file)]
    assert await shop.check_promises() == []
    assert "NEVER_TAKEN" in {each.code for each in shop.list_evidence()}


async def test_an_operator_who_neither_shows_it_nor_denies_it_is_named(village, shop):
    village.road.node = Forgetful(village.node, says_absent=False)
    await leave_open(village, shop, "P-1")
    (held,) = await shop.ask_promises()
    assert [each.state for each in await shop.check_promises()] == ["open"]
    await asyncio.sleep(0.05)
    await shop.enrol()
    for _ in range(2):
        # It is not settled: the promise stays, to be given to an auditor.
        (told,) = await shop.check_promises()
        assert (told.state, told.promise) == ("withheld", held.promise)


def run_evidence(repository, file, *options) -> tuple[int, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", "evidence", file, "--json", *options],
        cwd=repository,
        capture_output=True,
        check=False,
        text=True,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(("word", "code"), [("FORGET", "NEVER_TAKEN"), ("LATE", "TAKEN_LATE")])
def test_a_node_that_breaks_its_promise_is_shown_to_have_done_so(leader, repository, tmp_path, word, code):
    """A node of its own, altered in nothing but this; the file is checked by the command, offline."""
    node = leader.start(module="tests.merchant_sdk.forgetful")
    keys = {"transact": leader.keys, "till": leader.keys / "till.pem"}
    path, order = tmp_path / "outbox.db", f"{word}-1"
    options = {"keys": keys, "chain": leader.chain, "program": "leaf", "retries": 0, "outbox": path}
    with Merchant(
        "fresh", node.url, timeout_seconds=1.0, lifetime_seconds=3, promise_seconds=30.0, **options
    ) as shop:
        shop.earn(MEMBER, "5", "before")
        with pytest.raises(UnknownOutcome) as caught:
            shop.earn(MEMBER, "5", order)
        name = caught.value.transaction_id
    # Another start, another day.
    end = time.monotonic() + SECONDS
    with Merchant("fresh", node.url, **options) as shop:
        while word == "LATE" and not shop.order(order):
            assert time.monotonic() < end
            time.sleep(0.1)
        for count in range(1_000):
            # The log goes on, and with it its clock.
            shop.earn(MEMBER, "5", f"after-{count}")
            (told,) = shop.check_promises()
            if told.state != "open":
                break
            assert time.monotonic() < end
            time.sleep(0.2)
        assert (told.transaction_id, told.state) == (name, "broken")
        assert shop.check_promises() == []
        # The order itself is carried out once, whatever the promise was worth.
        shop.flush()
        assert [entry.code for entry in shop.order(order)] == ["OK"]
    status, found = run_evidence(repository, told.evidence_file, "--chain", leader.chain)
    assert (status, found["proven"], found["code"]) == (0, True, code)
    assert (found["facts"]["id"], found["facts"]["sender"]) == (name, "fresh")
    assert found["against"] == [httpx2.get(f"{node.url}/v1/chain").json()["vkey"]]
    # A file in which anything was changed shows nothing.
    spoiled = tmp_path / "spoiled.json"
    spoiled.write_bytes(Path(told.evidence_file).read_bytes().replace(name.encode(), b"0" * len(name)))
    assert run_evidence(repository, spoiled, "--chain", leader.chain)[0] == 1
