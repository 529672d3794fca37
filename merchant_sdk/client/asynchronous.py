"""A merchant's order system speaks to the ledger in verbs: enrol, earn, redeem, hold, capture, refund, gift,
exchange, balance, history, receipt.

    async with AsyncMerchant("fresh", url, key=seed, chain="alliance/5f…", outbox="outbox.db") as shop:
        done = await shop.earn(member, "45.60", reference="A-1029")
        print(done.points, done.balance)

Calls that come together travel as one signed transaction. A verb returns when the answer has proven itself
and raises one of `merchant_sdk.errors` otherwise. An order is safe to ask for again under its reference,
always.

`merchant_sdk.Merchant` is the same for programs without an event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import Self, Unpack

from merchant_sdk.client.options import Options
from merchant_sdk.client.verbs import Verbs
from merchant_sdk.receipt import Receipt
from merchant_sdk.results import Committed

Later = Awaitable[Committed[Awaitable[Receipt]]]
"""A result to be awaited."""


class AsyncMerchant(Verbs[Awaitable[Receipt], Later]):
    """A participant at the ledger, for programs with an event loop."""

    def __init__(
        self,
        participant: str | None = None,
        url: str | Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            participant,
            url,
            fetch_receipt=self.receipt,
            capture_with=self.capture,
            release_with=self.release,
            settle_with=self.settle_allowance,
            wait_with=self.wait_witnessed,
            **options,
        )

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
