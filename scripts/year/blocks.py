"""Blocks of the simulated chain: asked for by several, cut by the clearing house, answered to each.

What is asked for a block waits at the node until all of it is there; only then is the block cut. So what is
in it depends on nobody's speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple

import httpx2
import msgspec

from merchant_sdk import Committed
from scripts.year.node_process import NodeFailed

STEP_MILLIS: Final = 180_000
"""What is not asked at a till comes between two hours, in blocks so far apart."""


class _Cut(NamedTuple):
    height: int
    transactions: int


class Clearing:
    """The clearing house at its own node: it sees what waits and has blocks cut."""

    def __init__(self, url: str, *, operator_token: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60.0)
        self._headers = {"authorization": f"Bearer {operator_token}"}

    async def cut_block(self, time: int, *, transactions: int) -> _Cut:
        """The block, which is cut as soon as ``transactions`` of them wait."""
        response = await self._http.post(
            "/v1/simulation/blocks",
            content=b'{"time":%d,"transactions":%d}' % (time, transactions),
            headers=self._headers,
        )
        response.raise_for_status()
        told = msgspec.json.decode(response.content)
        return _Cut(told["height"], told["transactions"])

    async def close(self) -> None:
        """Every connection is closed."""
        await self._http.aclose()


Asked = tuple[str, Coroutine[Any, Any, Any]]
"""Who asks, and the one transaction that becomes of it."""
Answer = tuple[str, list[Committed[Any]]]


class Blocks:
    """One block after the other."""

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing
        self.time = 0
        """Of the block in hand, or the last one."""
        self.height = 0
        self.made = self.transactions = 0

    def get_time(self) -> int:
        """The ledger's time, for whoever signs."""
        return self.time

    async def make(self, asked: Sequence[Asked], time: int) -> list[Answer]:
        """The proven results of a block with all of this in it, in the order of the log."""
        self.time = time
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for _, work in asked]
                cut = group.create_task(self._cut(len(asked)))
        except ExceptionGroup as errors:
            # The first is what happened; the others only follow from it.
            raise errors.exceptions[0] from None
        self.height = cut.result()
        self.made += 1
        self.transactions += len(asked)
        answers = [
            (name, result if isinstance(result, list) else [result])
            for (name, _), result in zip(asked, [task.result() for task in tasks], strict=True)
        ]
        return sorted(answers, key=lambda answer: answer[1][0].index)

    async def make_next(self, asked: Sequence[Asked], *, not_before: int = 0) -> list[Answer]:
        """As `make`, soon after the last block."""
        return await self.make(asked, max(self.time + STEP_MILLIS, not_before))

    async def _cut(self, asked: int) -> int:
        cut = await self._clearing.cut_block(self.time, transactions=asked)
        if cut.transactions != asked:
            raise NodeFailed(
                f"the block at {self.time} holds {cut.transactions} transactions instead of {asked}"
            )
        return cut.height
