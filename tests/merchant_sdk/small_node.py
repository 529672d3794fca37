"""A small node: a whole ledger in memory behind a transport.

The real executor, tree and note signing, one block a transaction, speaking docs/spec/api.md as far as the
SDK asks. Nothing in it is pretended but the network and the disk. Because it is small it can be made to
forget, to fork and to lie, which the real one cannot.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
import msgspec
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms

from contracts.mechanics.lots import get_available
from contracts.messages import Message
from contracts.rulebook import RULEBOOKS
from ledger.calendar import get_day
from ledger.codec import from_base64url, to_base64url
from ledger.errors import Refused
from ledger.executor import Executor, apply_genesis, make_tables
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
from tests.merchant_sdk.genesis import LOG, get_system_time, make_origin


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
        self.executor = Executor(state=self.state, origin=self.origin, rulebooks=RULEBOOKS)
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
        problem = {
            "type": "about:blank",
            "title": code,
            "status": status.get(code, 400),
            "code": code,
            **facts,
        }
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
                programs = self.state.list_records("program")
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
        keys = dict(self.state.list_records("key"))
        publics = {name: load_public(key.public) for name, key in keys.items() if key.participant == subject}
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
        for program, _ in self.state.list_records("program"):
            account = self.state.get("account", get_account_key(member, program)) or EMPTY_ACCOUNT
            available = get_available(account, day=day)
            rows.append(
                {
                    "program": program,
                    "points": account.points,
                    "available": available,
                    "held": sum(lot.points for lot in account.held),
                    "lots": account.lots,
                }
            )
        return rows

    def give_receipt(self, index: int) -> httpx2.Response:
        if index >= len(self.leaves) or not self.leaves[index].startswith(ENTRY_START):
            raise Refused("NOT_FOUND")
        entry = self.leaves[index]
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


def answer(**told: Any) -> httpx2.Response:
    return httpx2.Response(200, content=msgspec.json.encode(told, order="sorted"))


def load_public(text: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(from_base64url(text, size=32))
