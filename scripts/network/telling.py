"""The year's purchases, told to a chain that keeps real time: a week of them in one moment.

A chain with validators is never told the time (its genesis would be refused), so the demo's calendar cannot
be played on it. What households buy, earn, pay with points, exchange, hold, bring back and give away is the
demo's, decided by the same story from the same data; only when it happens is now. What follows a visit days
later follows it here as soon as the data has come as far. Nothing lapses, no week is cut and nobody votes:
that takes real weeks.

Each merchant asks a node of its own choice first, and another where that one does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

import msgspec

from contracts.messages import Grant, OpenSeries
from ledger.keys import Signer
from ledger.values import MESSAGES_MAX
from merchant_sdk import Receipt
from scripts.network.affairs import Affairs, Settled
from scripts.year.alliance import OPERATOR, TERMS, make_opening
from scripts.year.blocks import Answer, Asked, Blocks, Clearing
from scripts.year.desk import Desk, Order
from scripts.year.drive import Driver, Tell
from scripts.year.later import Agenda, Later
from scripts.year.purchases import Purchase
from scripts.year.story import Household, Story, Visit, find_households

MILLIS_PER_WEEK: Final = 7 * 86_400_000
_GRANTED_MILLIS: Final = 400 * 86_400_000


class ToldNow(NamedTuple):
    """What the purchases came to, as the merchants saw it proven."""

    operations: int
    transactions: int
    blocks: int
    codes: Mapping[tuple[str, str], int]
    receipt: Receipt | None
    """Of the last entry in which a household spent points away from home."""
    settled: Settled


def get_time() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


class RealBlocks(Blocks):
    """Blocks that nobody here has cut: the validators make them."""

    def get_time(self) -> int:
        """The clock's, for whoever signs."""
        return get_time()

    async def make(self, asked: Sequence[Asked], time: int) -> list[Answer]:
        """The proven results of all of this, in the order of the log, in however many blocks."""
        self.time = time
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [(name, group.create_task(work)) for name, work in asked]
        except ExceptionGroup as errors:
            # The first is what happened; the others only follow from it.
            raise errors.exceptions[0] from None
        told = [(name, task.result()) for name, task in tasks]
        answers = [(name, result if isinstance(result, list) else [result]) for name, result in told]
        heights = {results[0].height for _, results in answers}
        self.height = max(self.height, *heights)
        self.made += len(heights)
        self.transactions += len(asked)
        return sorted(answers, key=lambda answer: answer[1][0].index)


class CompressedAgenda(Agenda):
    """What is still to come by the data's calendar, of visits that are told as of now."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = 0
        """How far the data is told."""
        self._moved: dict[tuple[int, str], tuple[Purchase, Purchase]] = {}
        """(basket, merchant) → the purchase as the data has it, and as it is told."""

    def move(self, purchases: Sequence[Purchase], *, now: int) -> list[Purchase]:
        """The purchases as of now, one after the other, none in the future."""
        moved = []
        for before, purchase in enumerate(reversed(purchases)):
            at = purchase._replace(time=now - before)
            self._moved[purchase.basket, purchase.merchant] = (purchase, at)
            moved.append(at)
        return moved[::-1]

    def plan(self, visit: Visit) -> None:
        """As `Agenda.plan`, by the time in the data."""
        super().plan(self._with(visit, is_told=False))

    def plan_payment(self, visit: Visit) -> None:
        """As `Agenda.plan_payment`, by the time in the data."""
        super().plan_payment(self._with(visit, is_told=False))

    def take(self, *, time: int) -> list[Later]:
        """What has come by as far as the data is told, whatever real ``time`` that is.

        A hold that its merchant would forget is released: nobody waits two days here for time to do that.
        """
        del time
        return [
            later._replace(
                visit=self._with(later.visit, is_told=True),
                kind="release" if later.kind == "forget" else later.kind,
            )
            for later in super().take(time=self.reached)
        ]

    def _with(self, visit: Visit, *, is_told: bool) -> Visit:
        return visit._replace(purchase=self._moved[visit.purchase.basket, visit.purchase.merchant][is_told])


class RealTimeDriver(Driver):
    """The purchases, on their way to several nodes."""

    def __init__(self, *, urls: Sequence[str], chain: str, operator_keys: Mapping[str, Signer]) -> None:
        # Nobody cuts blocks here, so no token of the operator's is needed.
        super().__init__(url=urls[0], chain=chain, operator_token="")
        self._blocks = RealBlocks(Clearing(urls[0], operator_token=""))
        self._agenda: CompressedAgenda = CompressedAgenda()
        self._desks = {
            name: Desk(name, ",".join(_turn(urls, place)), chain=chain, clock=get_time)
            for place, name in enumerate(TERMS)
        }
        self._desks[OPERATOR] = Desk(
            OPERATOR, ",".join(urls), chain=chain, clock=get_time, keys=operator_keys
        )

    async def tell_now(self, purchases: Sequence[Purchase], *, progress: Tell) -> ToldNow:
        """Every purchase is told and proven; what came of it."""
        self._households = find_households(purchases)
        story = Story(self._households, self._book, prices=self._prices, suspended=self._suspended)
        affairs = Affairs(self._desks, self._blocks, learn=self._learn)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._clearing.close)
            for desk in self._desks.values():
                await stack.enter_async_context(desk.shop)
            await self._open()
            await self._make_block(self._enrol(_by_custodian(self._households.values())), get_time())
            await affairs.decide()
            told = 0
            for reached, week in _group_by_week(purchases):
                self._agenda.reached = reached
                now = get_time()
                orders = await self._serve(story, self._agenda.move(week, now=now), now)
                await self._make_block(list(_split(orders)), now)
                self._plan()
                told += len(week)
                progress(told, self._codes.total())
            settled = await affairs.settle()
            receipt = None
            if self._last_elsewhere is not None:
                receipt = await self._last_elsewhere.receipt()
        return ToldNow(
            operations=self._codes.total(),
            transactions=self._blocks.transactions,
            blocks=self._blocks.made,
            codes=dict(sorted(self._codes.items())),
            receipt=receipt,
            settled=settled,
        )

    async def _open(self) -> None:
        """Every merchant has opened its program: one after the other, since each series names the block from
        which it is open.
        """
        for name in TERMS:
            messages = [self._as_of_now(message) for message in make_opening(name)]
            await self._make_block([Order(name, "govern", messages)], get_time())

    def _as_of_now(self, message: Any) -> Any:
        if isinstance(message, OpenSeries):
            return msgspec.structs.replace(message, effective_height=self._blocks.height + 2)
        if isinstance(message, Grant):
            return msgspec.structs.replace(message, expires=get_time() + _GRANTED_MILLIS)
        return message


def _by_custodian(households: Iterable[Household]) -> dict[str, list[Household]]:
    found: dict[str, list[Household]] = {}
    for household in households:
        found.setdefault(household.custodian, []).append(household)
    return found


def _group_by_week(purchases: Sequence[Purchase]) -> Iterator[tuple[int, list[Purchase]]]:
    """Each week with purchases, as the millisecond in which it ends, with them in order."""
    weeks: dict[int, list[Purchase]] = {}
    for purchase in purchases:
        weeks.setdefault(purchase.time // MILLIS_PER_WEEK, []).append(purchase)
    for week, own in sorted(weeks.items()):
        yield (week + 1) * MILLIS_PER_WEEK, own


def _split(orders: Sequence[Order]) -> Iterator[Order]:
    """The same, none with more messages than a transaction may hold."""
    for order in orders:
        for place, first in enumerate(range(0, len(order.messages), MESSAGES_MAX)):
            messages = order.messages[first : first + MESSAGES_MAX]
            # The numbers from ten on are never those of a checkout that was clicked twice.
            yield order._replace(messages=messages, attempt=order.attempt if not place else 10 + place)


def _turn(urls: Sequence[str], place: int) -> list[str]:
    """The same addresses, beginning at another one."""
    first = place % len(urls)
    return [*urls[first:], *urls[:first]]
