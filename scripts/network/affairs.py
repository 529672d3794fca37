"""What the alliance decides and settles while nobody is in charge: one vote, one window to its last payment.

A lower commission is proposed by one merchant and voted on by others, each at a node of its own choice. In
the end the clearing house cuts the window; every participant reads the statement at its own node,
has it verified and held to its own books, and countersigns; payers and payees attest what their banks did
(the references are made up, as no bank takes part).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from merchant_sdk import NotFound
from scripts.year import plans
from scripts.year.alliance import OPERATOR, SUPERMARKET
from scripts.year.blocks import Asked, Blocks
from scripts.year.charter import choose_ballots
from scripts.year.council import Learn
from scripts.year.desk import Desk
from scripts.year.node_process import NodeFailed

FUND: Final = "10.00"
WINDOW: Final = 1
_BEHIND_SECONDS: Final = 20.0
"""So long a node may be behind the one that has shown something first."""
_LOOK_SECONDS: Final = 0.1
T = TypeVar("T")


class Settled(NamedTuple):
    """What came of it."""

    motion: str
    """`enacted`, or what the proposal is where the ledger did not come so far."""
    window: str
    """The window's state in the end."""
    statement: str
    signed: int
    """Participants who countersigned."""
    transfers: int
    """Payments that payer and payee attested."""


class Affairs:
    """One vote and one window."""

    def __init__(self, desks: Mapping[str, Desk], blocks: Blocks, *, learn: Learn) -> None:
        self._desks = desks
        self._blocks = blocks
        self._learn = learn
        self._motion = ""

    async def decide(self) -> None:
        """A lower commission has passed; it is enacted ten blocks later."""
        motion = plans.make_general()
        self._motion = motion.proposal
        proposer = self._desks[motion.proposer].shop
        await self._ask([(motion.proposer, proposer.propose(motion.actions, proposal=motion.proposal))])
        # All ballots are needed, in whichever order they come: without any one of them it has not passed.
        await self._ask(
            [
                (name, self._vote(name, "yes"))
                for name, is_for in choose_ballots(motion.kind, against=motion.against).items()
                if is_for
            ]
        )

    async def settle(self) -> Settled:
        """The window is cut, signed by everybody who stands in it, and paid."""
        operator = self._desks[OPERATOR].shop
        # The message takes one block; the one after begins with the cut.
        await self._ask([(OPERATOR, operator.cut_window(self._blocks.height + 2))])
        await self._ask([(OPERATOR, operator.attest_fund(FUND))])
        read = await asyncio.gather(
            *(_be_patient(partial(desk.read_statement, WINDOW)) for desk in self._desks.values())
        )
        statements = dict(zip(self._desks, read, strict=True))
        statement = statements[OPERATOR]
        if len({each.hash for each in read}) != 1:
            raise NodeFailed("two nodes show two statements of one window")
        names = [position.participant for position in statement.content.positions]
        await self._ask(
            [(name, self._desks[name].shop.countersign(statements[name], "agree")) for name in names]
        )
        transfers = statement.content.transfers
        await self._ask(
            [
                (name, self._desks[name].shop.attest_payment(WINDOW, place, f"bank-{place}-{side}"))
                for place, each in enumerate(transfers)
                for name, side in ((each.source, "out"), (each.destination, "in"))
            ]
        )
        window = await operator.window(WINDOW)
        motion = await self._desks[SUPERMARKET].shop.proposal(self._motion)
        return Settled(motion.state, window.state, window.statement, len(names), len(transfers))

    async def _vote(self, name: str, choice: Any) -> Any:
        return await _be_patient(lambda: self._desks[name].shop.vote(self._motion, choice))

    async def _ask(self, asked: list[Asked]) -> None:
        if not asked:
            return
        for name, results in await self._blocks.make(asked, time.time_ns() // 1_000_000):
            for result in results:
                if not result.is_ok:
                    raise NodeFailed(f"{name} was told {result.code}")
                self._learn(name, result)


async def _be_patient(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer of a node that may be a block behind another one."""
    end = time.monotonic() + _BEHIND_SECONDS
    while True:
        try:
            return await ask()
        except NotFound:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(_LOOK_SECONDS)
