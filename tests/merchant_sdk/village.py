"""A village of an operator and two shops, and the two nodes that may serve it: a small one, and the real one.

The small node is a whole ledger in memory: the real executor, tree and note signing behind a transport, one block
a transaction, speaking docs/spec/api.md as far as the SDK asks. Nothing in it is pretended but the network and the
disk. Because it is small it can be made to forget, to fork and to lie, which the real one cannot.

`Road` is the way to either: it writes down what passes and loses or changes what a test tells it to.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
import msgspec
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms

from contracts.mechanics.lots import get_available
from contracts.messages import Grant, Message, OpenProgram, OpenSeries
from contracts.rulebook import RULEBOOKS
from ledger.calendar import get_day
from ledger.codec import from_base64url, to_base64url
from ledger.errors import Refused
from ledger.executor import Executor, apply_genesis, make_tables
from ledger.genesis import Genesis, GenesisKey, GenesisParticipant, Origin, encode_genesis, read_genesis
from ledger.keys import SeedSigner
from ledger.leaves import ENTRY_DECODER, ENTRY_START, TRANSACTION_LEAF_DECODER, TRANSACTION_START
from ledger.log.merkle import (
    compute_consistency_proof,
    compute_inclusion_proof,
    compute_leaf_hashes,
    compute_range_proof,
)
from ledger.log.note import sign_checkpoint
from ledger.log.tiles import HashTree
from ledger.log.tlog_proof import format_tlog_proof
from ledger.posting import EMPTY_ACCOUNT, get_account_key
from ledger.state import State
from ledger.transaction import TransactionDecoder, check_contents
from merchant_sdk import AsyncMerchant, Merchant
from node.api.app import make_app
from node.core import NodeCore
from node.tokens import TokenIssuer

URL = "http://127.0.0.1:8710"
START = 1_700_000_000_000
PURPOSES = ("govern", "transact", "till", "custody")
PARTICIPANTS = ("fresh", "op", "petrol")
LOG = SeedSigner(b"the log's key, thirty-two bytes.")


def seed_of(participant: str, purpose: str) -> bytes:
    return f"{participant} {purpose}".encode().ljust(32, b".")


def keys_of(participant: str, *purposes: str) -> dict[str, bytes]:
    return {purpose: seed_of(participant, purpose) for purpose in purposes or ("transact", "custody")}


def make_origin(*, clock: str = "system", name: str = "village") -> Origin:
    settings = Genesis(
        clock=clock,
        currency="EUR",
        engine="solo",
        log_key=to_base64url(LOG.public),
        name=name,
        operator="op",
        parameters=[],
        rulebook=1,
        time=START,
        utc_offset_minutes=0,
    )
    participants = [
        GenesisParticipant(
            keys=[
                GenesisKey(public=to_base64url(SeedSigner(seed_of(name, purpose)).public), purpose=purpose)
                for purpose in PURPOSES
            ],
            name=name.title(),
            participant=name,
        )
        for name in PARTICIPANTS
    ]
    return read_genesis(encode_genesis(settings, participants))


def get_system_time() -> int:
    return time.time_ns() // 1_000_000


class SmallNode(httpx2.AsyncBaseTransport):
    """A ledger in memory behind a transport."""

    def __init__(self, *, clock: str = "system") -> None:
        self.origin = make_origin(clock=clock)
        self.chain = self.origin.chain
        self.now: Callable[[], int] = get_system_time
        self.signer = LOG
        self.rulebook = RULEBOOKS[1]
        self.state = State(make_tables(self.rulebook))
        apply_genesis(self.state, self.origin, self.rulebook)
        self.state.commit()
        self.executor = Executor(state=self.state, origin=self.origin, rulebook=self.rulebook)
        self.decoder = TransactionDecoder(Message)
        self.leaves: list[bytes] = []
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.tree = HashTree(lambda level, index: self.tiles[level, index])
        self.append(list(self.origin.leaves))
        self.taken: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        self.waiting: list[tuple[Any, asyncio.Event]] = []
        self.tokens: dict[str, str] = {}
        self.nonces: set[str] = set()

    @property
    def is_simulated(self) -> bool:
        return self.origin.settings.clock == "simulated"

    def append(self, leaves: list[bytes]) -> None:
        self.leaves += leaves
        for tile in self.tree.extend(compute_leaf_hashes(leaves)):
            self.tiles[tile.level, tile.index] = tile.data

    def checkpoint(self) -> str:
        root = self.tree.root()
        return sign_checkpoint(origin=self.chain, size=self.tree.size, root=root, signer=self.signer)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        try:
            return await self.route(request, body)
        except Refused as refusal:
            return self.refuse(refusal.code, **refusal.facts)

    def refuse(self, code: str, **facts: Any) -> httpx2.Response:
        status = {"NOT_FOUND": 404, "UNKNOWN_KEY": 401, "TOKEN_INVALID": 401, "WRONG_PURPOSE": 403}
        problem = {"type": "about:blank", "title": code, "status": status.get(code, 400), "code": code, **facts}
        return httpx2.Response(problem["status"], content=msgspec.json.encode(problem))

    async def route(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        query = dict(parse_qsl(request.url.query.decode()))
        parts = [unquote(part) for part in request.url.path.split("/")[1:]]
        match [request.method, *parts]:
            case ["POST", "v1", "transactions"]:
                return await self.submit(body, query)
            case ["POST", "v1", "tokens"]:
                return self.give_token(request, body)
            case ["GET", "v1", "chain"]:
                leaves = [leaf.decode() for leaf in self.origin.leaves]
                return answer(chain=self.chain, genesis=leaves, time=self.executor.head.time, clock="?")
            case ["GET", "v1", "consistency"]:
                return answer(proof=self.prove_consistency(int(query["old"]), int(query["new"])))
            case ["GET", "checkpoint"]:
                return httpx2.Response(200, content=self.checkpoint().encode())
        self.check_token(request)
        match parts:
            case ["v1", "transactions", sender, name]:
                digest, found = self.taken.get((sender, name), ("", None))
                if found is None or query.get("digest", digest) != digest:
                    raise Refused("NOT_FOUND")
                return self.answer_taken(found, query)
            case ["v1", "programs"]:
                programs = self.state.rows("program")
                return answer(programs=[{"program": name, "issuer": each.issuer} for name, each in programs])
            case ["v1", "members", member, "balances"]:
                return answer(height=self.executor.head.height, balances=self.list_balances(member))
            case ["v1", "receipts", index]:
                return self.give_receipt(int(index))
        raise Refused("NOT_FOUND")

    async def submit(self, body: bytes, query: dict[str, str]) -> httpx2.Response:
        if int(query.get("trusted_size", 1)) > self.tree.size:
            raise Refused("BAD_SIZES", size=self.tree.size)
        transaction = self.decoder.decode(body)
        check_contents(transaction, chain=self.chain)
        key = (transaction.header.sender, transaction.header.id)
        if key not in self.taken:
            cut = asyncio.Event()
            self.waiting.append((transaction, cut))
            if not self.is_simulated:
                self.cut(self.now())
            await cut.wait()
        digest, found = self.taken[key]
        if isinstance(found, Refused):
            del self.taken[key]
            raise found
        if digest != transaction.header.digest:
            raise Refused("ID_CONFLICT")
        return self.answer_taken(found, query)

    def cut(self, time: int) -> None:
        waiting, self.waiting = self.waiting, []
        transactions = sorted(
            (transaction for transaction, _ in waiting), key=lambda each: (each.header.sender, each.header.id)
        )
        block = self.executor.execute_block(transactions, time=max(time, self.executor.head.time))
        for transaction, given in zip(transactions, block.answers, strict=True):
            header = transaction.header
            found: Any = given.refusal
            if found is None:
                found = {"height": block.head.height, "index": given.index, "time": block.time}
                found["outcomes"] = [msgspec.Raw(outcome) for outcome in given.outcomes]
            self.taken[header.sender, header.id] = (header.digest, found)
        if not block.is_empty:
            self.state.commit()
            self.append(block.leaves)
        for _, event in waiting:
            event.set()

    def answer_taken(self, found: dict[str, Any], query: dict[str, str]) -> httpx2.Response:
        end = found["index"] + 1 + len(found["outcomes"])
        size = self.tree.size
        proof = compute_range_proof(first=found["index"], end=end, size=size, node=self.tree.node)
        told = {**found, "checkpoint": self.checkpoint(), "proof": [to_base64url(each) for each in proof]}
        if "trusted_size" in query:
            told["consistency"] = self.prove_consistency(int(query["trusted_size"]), size)
        return answer(**told)

    def prove_consistency(self, old: int, new: int) -> list[str]:
        proof = compute_consistency_proof(old=old, new=new, node=self.tree.node)
        return [to_base64url(each) for each in proof]

    def give_token(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        subject = msgspec.json.decode(body)["subject"].removeprefix("participant:")
        keys = dict(self.state.rows("key"))
        publics = {
            name: load_public(key.public) for name, key in keys.items() if key.participant == subject
        }
        resolver = MappingKeyResolver(public_keys=publics, private_keys={})
        verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=resolver)
        message = httpx2.Request("POST", str(request.url), headers=request.headers, content=body)
        found = verifier.verify(
            message,
            expect_tag=self.chain,
            expect_label="commonpoint",
            require_components=("@method", "@target-uri", "content-digest"),
            body=body,
        )[0]
        if found.nonce in self.nonces:
            raise Refused("NONCE_USED")
        self.nonces.add(found.nonce)
        token = secrets.token_urlsafe()
        self.tokens[token] = subject
        return answer(token=token, expires=get_system_time() + 900_000)

    def check_token(self, request: httpx2.Request) -> str:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise Refused("TOKEN_INVALID")
        return self.tokens[token]

    def list_balances(self, member: str) -> list[dict[str, Any]]:
        rows = []
        day = get_day(self.now(), utc_offset_minutes=0)
        for program, _ in self.state.rows("program"):
            account = self.state.get("account", get_account_key(member, program)) or EMPTY_ACCOUNT
            available = get_available(account, day=day)
            rows.append(
                {
                    "program": program,
                    "points": account.points,
                    "available": available,
                    "held": account.held,
                    "lots": account.lots,
                }
            )
        return rows

    def give_receipt(self, index: int) -> httpx2.Response:
        entry = self.leaves[index]
        if not entry.startswith(ENTRY_START):
            raise Refused("NOT_FOUND")
        first = index
        while not self.leaves[first].startswith(TRANSACTION_START):
            first -= 1
        hashes = compute_inclusion_proof(index=index, size=self.tree.size, node=self.tree.node)
        return answer(
            **{"@type": "receipt"},
            entry=entry.decode(),
            epoch=0,
            proof=format_tlog_proof(index=index, hashes=hashes, checkpoint=self.checkpoint()),
            transaction=self.leaves[first].decode(),
        )

    def read_log(self) -> list[tuple[Any, Any]]:
        """Every message in the log with its outcome, oldest first: what really happened."""
        entries = [ENTRY_DECODER.decode(leaf) for leaf in self.leaves if leaf.startswith(ENTRY_START)]
        return [(msgspec.json.decode(each.message), msgspec.json.decode(each.outcome)) for each in entries]

    def count_transactions(self) -> int:
        return sum(leaf.startswith(TRANSACTION_START) for leaf in self.leaves)

    def list_counts(self) -> list[int]:
        """How many messages each transaction of the log had."""
        leaves = [leaf for leaf in self.leaves if leaf.startswith(TRANSACTION_START)]
        return [TRANSACTION_LEAF_DECODER.decode(leaf).header.count for leaf in leaves]


class RealNode:
    """The node's own core and app, without a socket."""

    def __init__(self, folder: Path) -> None:
        self.origin = make_origin()
        self.chain = self.origin.chain
        self.core = NodeCore.open(folder / "ledger.db", genesis=self.origin.leaves, signer=LOG)
        tokens = TokenIssuer(secret=bytes(32), chain=self.chain, clock=get_system_time)
        self.transport = httpx2.ASGITransport(make_app(self.core, tokens=tokens))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self.transport.handle_async_request(request)

    def read_log(self) -> list[tuple[Any, Any]]:
        leaves = self.core.read_leaves(0, self.core.head.size)
        entries = [ENTRY_DECODER.decode(leaf) for leaf in leaves if leaf.startswith(ENTRY_START)]
        return [(msgspec.json.decode(each.message), msgspec.json.decode(each.outcome)) for each in entries]


Forward = Callable[[], Awaitable[httpx2.Response]]
Fault = Callable[[Forward], Awaitable[httpx2.Response]]


class Road(httpx2.AsyncBaseTransport):
    """The way to a node. The next transactions meet the faults planned, one each."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.faults: list[Fault | None] = []
        self.sent: list[bytes] = []
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        target = request.url.raw_path.decode()
        self.asked.append(f"{request.method} {target}")

        async def forward() -> httpx2.Response:
            again = httpx2.Request(request.method, request.url, headers=request.headers, content=body)
            response = await self.node.handle_async_request(again)
            return httpx2.Response(
                response.status_code, headers=response.headers, content=await response.aread()
            )

        if not (request.method == "POST" and target.startswith("/v1/transactions")):
            return await forward()
        self.sent.append(body)
        fault = self.faults.pop(0) if self.faults else None
        return await (forward() if fault is None else fault(forward))


async def lose_reply(forward: Forward) -> httpx2.Response:
    """The node takes it and answers; the answer never arrives."""
    await forward()
    raise httpx2.ReadError("the reply was lost")


async def lose_request(_forward: Forward) -> httpx2.Response:
    """It is sent and never arrives; nobody can tell this from a lost reply."""
    raise httpx2.ReadTimeout("no answer")


async def unplug(_forward: Forward) -> httpx2.Response:
    """There is no connection."""
    raise httpx2.ConnectError("connection refused")


def say(status: int, code: str = "", **headers: str) -> Fault:
    """The node is not asked; this is the answer."""

    async def fault(_forward: Forward) -> httpx2.Response:
        body = msgspec.json.encode({"code": code, "status": status}) if code else b"<html>gateway</html>"
        return httpx2.Response(status, content=body, headers=headers)

    return fault


def change(edit: Callable[[dict[str, Any]], None]) -> Fault:
    """The node takes it; its answer is changed on the way."""

    async def fault(forward: Forward) -> httpx2.Response:
        told = msgspec.json.decode((await forward()).content)
        edit(told)
        return httpx2.Response(200, content=msgspec.json.encode(told))

    return fault


class Village:
    """A node, the road to it, and shops that use the SDK."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.road = Road(node)
        self.chain: str = node.chain

    def options(self, participant: str, **options: Any) -> dict[str, Any]:
        keys = options.pop("keys", None) or keys_of(participant)
        return {"keys": keys, "chain": self.chain, "http": self.road, **options}

    def shop(self, participant: str = "fresh", **options: Any) -> AsyncMerchant:
        return AsyncMerchant(participant, URL, **self.options(participant, **options))

    def blocking_shop(self, participant: str = "fresh", **options: Any) -> Merchant:
        return Merchant(participant, URL, **self.options(participant, **options))

    async def begin(self) -> None:
        """Both shops issue points and accept each other's."""
        for height, (name, other, par) in enumerate((("fresh", "petrol", 10_000), ("petrol", "fresh", 20_000)), 2):
            async with self.shop(name, keys=keys_of(name, "govern")) as shop:
                grants = [
                    Grant(
                        budget_day=10**9,
                        budget_total=10**12,
                        expires=2 * START,
                        kind=kind,
                        program=name,
                        to=other,
                    )
                    for kind in ("earn", "redeem", "exchange_out", "exchange_in")
                ]
                series = OpenSeries(
                    effective_height=height,
                    expiry_months=12,
                    par_accrue=par,
                    par_redeem=par,
                    program=name,
                    series="2026",
                )
                program = OpenProgram(name=name.title(), program=name, spend_per_point=1_000_000)
                results = await shop.submit([program, series, *grants])
                assert [result.code for result in results] == ["OK"] * len(results)
        self.road.sent.clear()
        self.road.asked.clear()


def answer(**told: Any) -> httpx2.Response:
    return httpx2.Response(200, content=msgspec.json.encode(told, order="sorted"))


def load_public(text: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(from_base64url(text, size=32))
