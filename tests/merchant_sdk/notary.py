"""A small node, and the answers it gives to the transactions of one shop."""

from __future__ import annotations

from typing import Any

import httpx2

from contracts.messages import Enrol
from ledger.keys import SeedSigner
from ledger.policy_chain import derive_policy
from ledger.transaction import sign_transaction
from merchant_sdk import make_member_id
from merchant_sdk.origins import read_origin
from merchant_sdk.trust import Link, Trust
from tests.merchant_sdk.genesis import get_system_time, seed_of
from tests.merchant_sdk.small_node import SmallNode

MEMBERS = [make_member_id() for _ in range(30)]


class Notary:
    """A small node, and the answers it gives to transactions of one shop."""

    def __init__(self):
        self.node = SmallNode()
        self.count = 0
        self.transaction: Any = None

    def trust(self, note: str | None = None) -> Trust:
        leaves = [leaf.decode() for leaf in self.node.origin.leaves]
        origin = read_origin(leaves, chain=self.node.chain)
        return Trust(origin=origin, policy=derive_policy(origin), note=note)

    async def send(self, messages: list[Any], trusted_size: int, purpose: str = "custody") -> bytes:
        self.count += 1
        self.transaction = sign_transaction(
            messages,
            chain=self.node.chain,
            sender="fresh",
            transaction_id=f"t{self.count}",
            not_after=get_system_time() + 60_000,
            signer=SeedSigner(seed_of("fresh", purpose)),
        )
        return await self.again(trusted_size)

    async def again(self, trusted_size: int) -> bytes:
        url = f"http://node/v1/transactions?trusted_size={trusted_size}"
        request = httpx2.Request("POST", url, content=self.transaction.encode())
        response = await self.node.handle_async_request(request)
        assert response.status_code == 200, response.content
        return response.content

    async def grow(self) -> None:
        await self.send([Enrol(member=make_member_id())], 1)


def believe(trust: Trust, notary: Notary, data: bytes, trusted_size: int) -> Link | None:
    proven = trust.prove(notary.transaction, data)
    return trust.accept(proven.answer.checkpoint, trusted_size=trusted_size, proof=proven.answer.consistency)
