"""A node, small or real, the road to it, and shops that use the SDK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from contracts.messages import Grant, OpenProgram, OpenSeries
from ledger.keys import Signer
from ledger.leaves import ENTRY_DECODER, ENTRY_START
from merchant_sdk import AsyncMerchant, Merchant
from node.api.app import make_app
from node.api.limits import UNLIMITED
from node.core import NodeCore
from node.tokens import TokenIssuer
from tests.merchant_sdk.genesis import LOG, START, URL, get_system_time, keys_of, make_origin
from tests.merchant_sdk.road import Road


class RealNode:
    """The node's own core and app, without a socket."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], int] = get_system_time, signer: Signer = LOG
    ) -> None:
        self.origin = make_origin()
        self.chain = self.origin.chain
        self.core = NodeCore.open(
            folder / "ledger.db", genesis=self.origin.leaves, signer=signer, clock=clock
        )
        tokens = TokenIssuer(secret=bytes(32), chain=self.chain, clock=get_system_time)
        # Thousands of questions a second come from one test.
        self.app = make_app(self.core, tokens=tokens, rates=UNLIMITED)
        self.transport = httpx2.ASGITransport(self.app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self.transport.handle_async_request(request)

    def read_log(self) -> list[tuple[Any, Any]]:
        leaves = self.core.read_leaves(0, self.core.head.size)
        entries = [ENTRY_DECODER.decode(leaf) for leaf in leaves if leaf.startswith(ENTRY_START)]
        return [(msgspec.json.decode(each.message), msgspec.json.decode(each.outcome)) for each in entries]


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
        for height, (name, other, par) in enumerate(
            (("fresh", "petrol", 10_000), ("petrol", "fresh", 20_000)), 2
        ):
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
