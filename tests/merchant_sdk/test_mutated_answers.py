"""Thousands of changed answers: each is refused with a typed error, or what comes of it is true.

A real node behind a way that lies (`liar`). What is proven (results, receipts, checkpoints, histories) must
be true to the letter, whatever was changed. What is only a node's word (balances, lines of a history) must at
least be what it claims to be in kind. Nothing hangs, and no error is untyped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from contracts.messages import Earn
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.tiles import HashTree
from merchant_sdk import Balance, CommonpointError, HistoryEntry, Position, Quote
from merchant_sdk.client.core import Signed
from tests.conftest import FULL
from tests.merchant_sdk.genesis import URL, get_system_time, keys_of
from tests.merchant_sdk.liar import Liar, Lies
from tests.merchant_sdk.village import AsyncMerchant, RealNode, Village

TIMES = 15 if FULL else 1
SEED = 2_000
#   the question, and how many changed answers it gets
DOSES = {
    "POST /v1/transactions": 700,
    "GET /v1/transactions": 200,
    "GET /v1/receipts": 300,
    "GET /v1/consistency": 200,
    "GET /checkpoint": 200,
    "GET /v1/chain": 100,
    "balances": 100,
    "history": 100,
    "GET /v1/orders": 30,
    "GET /v1/positions": 30,
    "GET /v1/quote": 20,
    "POST /v1/tokens": 20,
}
PATHS = {"balances": "GET /v1/members", "history": "GET /v1/members"}


def test_the_dose_is_two_thousand():
    assert sum(DOSES.values()) == 2_000


class Court:
    """A shop whose answers are changed, and what is true."""

    def __init__(self, node: RealNode, shop: AsyncMerchant, liar: Liar, member: str) -> None:
        self.node = node
        self.shop = shop
        self.liar = liar
        self.member = member
        self.done: Any = None
        self.notes: list[str] = []

    @property
    def connection(self):
        return self.shop._connection

    @property
    def trust(self):
        return self.connection._submitter.trust

    async def begin(self) -> None:
        """Some trade, so that there are old truths to replay and proofs of some length."""
        for number in range(12):
            await self.shop.earn(self.member, "7", f"M-{number}")
            self.notes.append(self.node.core.checkpoint)
        messages = [
            Earn(
                amount=amount,
                member=self.member,
                occurred_at=get_system_time(),
                program="fresh",
                reference=name,
            )
            for amount, name in ((5_000_000, "S-1"), (6_000_000, "S-2"), (7_000_000, "S-1"))
        ]
        self.messages = messages
        self.done = await self.shop.submit(messages, transaction_id="mine")
        assert [each.code for each in self.done] == ["OK", "OK", "REFERENCE_CONFLICT"]
        for number in range(12, 24):
            await self.shop.earn(self.member, "7", f"M-{number}")
            self.notes.append(self.node.core.checkpoint)
        pending = self.connection.outbox.find("fresh", "mine")
        self.signed = Signed.read(pending)
        self.roots = compute_roots(self.node.core.read_leaves(0, self.node.core.head.size))

    async def ask(self, kind: str) -> Any:
        """The question, asked through the SDK."""
        match kind:
            case "POST /v1/transactions":
                return await self.shop.submit(self.messages, transaction_id="mine")
            case "GET /v1/transactions":
                return await self.connection._submitter.look_up(self.signed)
            case "GET /v1/receipts":
                return await self.shop.receipt(self.done[0].index)
            case "GET /checkpoint" | "GET /v1/chain":
                return await self.connection._meeting.greet(URL)
            case "GET /v1/consistency":
                # From a tree that was trusted to the one the node shows.
                return await self.connection._submitter.accept(self.node.core.checkpoint)
            case "balances":
                return await self.shop.balances(self.member)
            case "history":
                return [entry async for entry in self.shop.history(self.member)]
            case "GET /v1/orders":
                return await self.shop.order("S-1")
            case "GET /v1/positions":
                return await self.shop.positions()
            case "GET /v1/quote":
                return await self.shop.quote(program="fresh", series="2026", target="petrol", points=10)
            case _:
                self.connection.reader._tokens.forget()
                return await self.shop.balances(self.member)

    def go_back(self, rng) -> None:
        """Trust as it was some time ago: then there is something to prove."""
        note = rng.choice(self.notes)
        trust = self.trust
        trust.__init__(origin=self.node.origin, policy=trust.policy, note=note)

    def judge(self, kind: str, found: Any) -> None:
        """What was returned is true; or of its kind, where it is only a node's word."""
        match kind:
            case "POST /v1/transactions" | "GET /v1/transactions":
                assert found is None or tell(found) == tell(self.done)
            case "GET /v1/receipts":
                done = self.done[0]
                told = (found.index, found.code, found.outcome, found.height, found.time, found.sender)
                assert told == (done.index, done.code, done.outcome, done.height, done.time, "fresh")
                assert (found.message, found.transaction_id) == (self.messages[0], "mine")
                self.check_checkpoint(found.checkpoint.size, found.checkpoint.root)
            case "balances" | "POST /v1/tokens":
                assert all(check_kind(each, Balance) for each in found)
            case "history" | "GET /v1/orders":
                assert all(check_kind(each, HistoryEntry) and isinstance(each.kind, str) for each in found)
            case "GET /v1/positions":
                assert all(check_kind(each, Position) and each.net for each in found)
            case "GET /v1/quote":
                assert check_kind(found, Quote)
            case _:
                assert found is None

    def check_trust(self) -> None:
        """Whatever was said, what is trusted is the log as it truly was."""
        self.check_checkpoint(self.trust._trusted.size, self.trust._trusted.root)
        for size, root in self.trust._known.items():
            self.check_checkpoint(size, root)

    def check_checkpoint(self, size: int, root: bytes) -> None:
        assert self.roots[size] == root


def compute_roots(leaves: list[bytes]) -> dict[int, bytes]:
    """The root of the log at every size it has had."""
    tiles: dict[tuple[int, int], bytes] = {}
    tree = HashTree(lambda level, index: tiles[level, index])
    roots = {}
    for leaf in leaves:
        for tile in tree.extend(compute_leaf_hashes([leaf])):
            tiles[tile.level, tile.index] = tile.data
        roots[tree.size] = tree.root()
    return roots


def tell(results) -> list[tuple[Any, ...]]:
    return [(each.index, each.height, each.time, each.outcome, each.message) for each in results]


def check_kind(value: Any, kind: type) -> bool:
    """The value survives its own type's decoder: every field is what it is said to be."""
    return isinstance(msgspec.convert(msgspec.to_builtins(value), kind), kind)


@pytest.fixture
async def court(tmp_path):
    node = RealNode(tmp_path)
    village = Village(node)
    await village.begin()
    liar = Liar(node)
    options = {"keys": keys_of("fresh"), "chain": village.chain, "program": "fresh", "retries": 0}
    shop = AsyncMerchant("fresh", URL, outbox=tmp_path / "outbox.db", http=liar, **options)
    court = Court(node, shop, liar, await shop.enrol())
    await court.begin()
    yield court
    await shop.close()
    node.core.stop()


@pytest.mark.parametrize("kind", DOSES)
async def test_a_changed_answer_is_refused_or_what_comes_of_it_is_true(court, kind):
    lies = Lies(SEED + list(DOSES).index(kind), court.liar.kept, court.notes)
    await court.ask(kind)
    endings: Counter[str] = Counter()
    fates: set[str] = set()
    # A node gives one key 256 tokens in two minutes, and no more.
    dose = DOSES[kind] * (TIMES if kind != "POST /v1/tokens" else 1)
    for number in range(dose):
        if number % 2:
            court.go_back(lies.rng)
        court.liar.target = PATHS.get(kind, kind)
        court.liar.lie = lies.draw(kind)
        try:
            async with asyncio.timeout(10):
                found = await court.ask(kind)
        except CommonpointError as error:
            endings[error.code] += 1
            fates.add(error.fate)
        else:
            court.judge(kind, found)
            endings["true"] += 1
        court.liar.lie = None
        court.check_trust()
    assert endings.total() == dose
    if kind == "POST /v1/transactions":
        # It stood in the log by then: nobody may call it refused or not sent.
        assert fates == {"unknown"}
    # Both happen: lies are found, and what does not matter does no harm.
    assert len(endings) > 1, endings
    # And when nobody lies any more, all is as it was.
    court.judge(kind, await court.ask(kind))
