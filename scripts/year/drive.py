"""Tells the year to a node, hour by hour, over HTTP.

In each hour every merchant with something to ask submits it, all of them at once. When all of it waits at the
node, the clearing house has the block cut; then each merchant proves its answer, and the households learn
what they have. Only then does the next hour begin, so what is in a block depends on nobody's speed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

import httpx2
import msgspec

from contracts.messages import (
    Capture,
    Earn,
    Exchange,
    Gift,
    Hold,
    Redeem,
    Refund,
    Release,
    ReturnOrder,
)
from contracts.messages.reject_codes import OK
from merchant_sdk import Committed, Receipt
from scripts.year.alliance import BEGINS, TERMS, make_opening
from scripts.year.asking import make_end, make_enrolments, make_messages, make_return
from scripts.year.book import Book, Held
from scripts.year.desk import Desk, Order, Wallets
from scripts.year.later import Agenda, Later, get_end_day, is_over
from scripts.year.node_process import NodeFailed
from scripts.year.purchases import MILLIS_PER_HOUR, Purchase, group_by_hour
from scripts.year.story import Story, Visit, find_households, is_offline, plan_enrolments

FOUNDED: Final = BEGINS + MILLIS_PER_HOUR
"""The block in which the merchants open their programs."""
OPENED: Final = FOUNDED + MILLIS_PER_HOUR
"""The block in which the first households are enrolled; their first purchases come later that morning."""

Tell = Callable[[int, int], None]
"""Called with how many purchases are told and how many operations were committed."""


class Told(NamedTuple):
    """What the year came to, as the merchants saw it proven."""

    operations: int
    """Messages submitted and committed."""
    transactions: int
    blocks: int
    codes: Mapping[tuple[str, str], int]
    """How often each kind of message had each outcome."""
    receipt: Receipt | None
    """Of the last entry in which a household spent points away from home."""


class Clearing:
    """The clearing house at its own node: it sees what waits and has blocks cut."""

    def __init__(self, url: str, *, operator_token: str) -> None:
        self._http = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60.0)
        self._headers = {"authorization": f"Bearer {operator_token}"}

    async def cut_block(self, time: int, *, transactions: int) -> int:
        """How many transactions are in the block, which is cut as soon as ``transactions`` of them wait."""
        response = await self._http.post(
            "/v1/simulation/blocks",
            content=b'{"time":%d,"transactions":%d}' % (time, transactions),
            headers=self._headers,
        )
        response.raise_for_status()
        taken: int = msgspec.json.decode(response.content)["transactions"]
        return taken

    async def close(self) -> None:
        """Every connection is closed."""
        await self._http.aclose()


class Driver:
    """The year, on its way to one node."""

    def __init__(self, *, url: str, chain: str, operator_token: str) -> None:
        self._clearing = Clearing(url, operator_token=operator_token)
        self._desks = {merchant: Desk(merchant, url, chain=chain) for merchant in TERMS}
        self._wallets = Wallets(chain)
        self._book = Book()
        self._agenda = Agenda()
        self._offline: list[Visit] = []
        """What tills without a line have seen: they tell it when they have one again."""
        self._is_clicked_twice = False
        self._codes: Counter[tuple[str, str]] = Counter()
        self._transactions = self._blocks = 0
        self._last_elsewhere: Committed[Awaitable[Receipt]] | None = None

    async def tell_year(self, purchases: Sequence[Purchase], *, progress: Tell) -> Told:
        """Every purchase is told, in its hour; what came of it."""
        hours = group_by_hour(purchases)
        households = find_households(purchases)
        newcomers = plan_enrolments(households, [time for time, _ in hours], opening=OPENED)
        story = Story(households, self._book)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._clearing.close)
            for desk in self._desks.values():
                await stack.enter_async_context(desk.shop)
            await self._make_block([Order(name, "govern", make_opening(name)) for name in TERMS], FOUNDED)
            await self._make_block(self._enrol(newcomers.get(OPENED, {})), OPENED)
            told = 0
            for time, own in hours:
                orders = self._enrol(newcomers.get(time, {})) + await self._serve(story, own, time)
                await self._make_block(orders, time)
                told += len(own)
                progress(told, self._codes.total())
            receipt = None
            if self._last_elsewhere is not None:
                receipt = await self._last_elsewhere.receipt()
        return Told(
            operations=self._codes.total(),
            transactions=self._transactions,
            blocks=self._blocks,
            codes=dict(sorted(self._codes.items())),
            receipt=receipt,
        )

    def _enrol(self, newcomers: Mapping[str, Sequence[Any]]) -> list[Order]:
        """Each custodian's new members."""
        return [
            Order(custodian, "custody", make_enrolments(households, self._wallets))
            for custodian, households in sorted(newcomers.items())
        ]

    async def _serve(self, story: Story, purchases: Sequence[Purchase], time: int) -> list[Order]:
        """What each merchant asks for: what is left of earlier visits, then the hour's own."""
        orders: dict[str, list[Any]] = {}
        due = self._agenda.take(time=time)
        for later in due:
            orders.setdefault(later.visit.purchase.merchant, []).extend(self._follow_up(later, time))
        busy = {later.visit.household.member for later in due if later.kind == "return"}
        visits = list(story.tell_hour(purchases, time=time, busy=busy))
        if self._offline and not any(is_offline(visit.purchase) for visit in visits):
            # The line is up again: what waited comes first, each purchase as of when it was made.
            visits = self._offline + visits
            self._offline = []
        else:
            self._offline += [visit for visit in visits if is_offline(visit.purchase)]
            visits = [visit for visit in visits if not is_offline(visit.purchase)]
        quotes = await self._get_quotes(visits)
        for at, visit in enumerate(visits):
            messages = make_messages(visit, quote=quotes.get(at), wallets=self._wallets, time=time)
            orders.setdefault(visit.purchase.merchant, []).extend(messages)
            self._agenda.plan(visit)
        told = [Order(merchant, "transact", messages) for merchant, messages in orders.items() if messages]
        return told + self._click_twice(told)

    async def _get_quotes(self, visits: Sequence[Visit]) -> dict[int, Any]:
        """What each exchange of the hour would bring."""
        asked = {
            at: self._desks[visit.purchase.merchant].quote(visit)
            for at, visit in enumerate(visits)
            if visit.swap is not None
        }
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True)) if asked else {}

    def _follow_up(self, later: Later, time: int) -> list[Any]:
        """What an earlier visit leads to now."""
        if later.kind == "return":
            return make_return(later, time=time)
        if later.kind == "forget" or is_over(later.visit, time=time):
            merchant = later.visit.purchase.merchant
            day = get_end_day(later.visit)
            self._book.give_back(reference=later.visit.reference, merchant=merchant, day=day)
        return make_end(later, time=time)

    def _click_twice(self, orders: Sequence[Order]) -> list[Order]:
        """Once in the year a checkout is clicked twice: the same order in two transactions."""
        for order in orders:
            for message in order.messages if not self._is_clicked_twice else ():
                if isinstance(message, Redeem):
                    self._is_clicked_twice = True
                    return [Order(order.merchant, order.purpose, [message], attempt=2)]
        return []

    async def _make_block(self, orders: Sequence[Order], time: int) -> None:
        """All orders are in one block, proven, and learnt from."""
        if not orders:
            return
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._desks[order.merchant].submit(order, time=time))
                    for order in orders
                ]
                group.create_task(self._cut(len(tasks), time))
        except ExceptionGroup as errors:
            # The first is what happened; the others only follow from it.
            raise errors.exceptions[0] from None
        answers = [(order.merchant, task.result()) for order, task in zip(orders, tasks, strict=True)]
        self._blocks += 1
        self._transactions += len(orders)
        # In the order of the log, since points may come in by one answer and go out by the next.
        for merchant, results in sorted(answers, key=lambda answer: answer[1][0].index):
            for result in results:
                self._learn(merchant, result)
        self._book.settle_promises()

    async def _cut(self, orders: int, time: int) -> None:
        """The block is cut as soon as every order of it waits at the node."""
        taken = await self._clearing.cut_block(time, transactions=orders)
        if taken != orders:
            raise NodeFailed(f"the block at {time} holds {taken} transactions instead of {orders}")

    def _learn(self, merchant: str, result: Committed[Any]) -> None:
        """The household knows what it has after this."""
        message = result.message
        self._codes[message.__struct_config__.tag, result.code] += 1
        if result.code != OK:
            return
        if hasattr(message, "member"):
            self._book.note_debt(message.member, getattr(message, "program", ""), result.debt)
        if isinstance(message, Earn | Refund):
            self._book.add(message.member, message.program, result.lots)
        elif isinstance(message, Redeem | ReturnOrder):
            self._book.take(message.member, message.program, result.lots)
            if isinstance(message, Redeem) and result.legs:
                self._last_elsewhere = result
        elif isinstance(message, Hold):
            held = Held(message.member, message.program, result.lots)
            self._book.hold(held, reference=message.reference, merchant=merchant)
        elif isinstance(message, Capture | Release):
            self._book.end_hold(reference=message.hold, merchant=merchant)
            expired = set(result.expired)
            living = [lot for lot in result.released if lot not in expired]
            self._book.add_returned(message.member, message.program, living, repaid=result.repaid or 0)
        elif isinstance(message, Exchange):
            self._book.take(message.member, message.program, result.lots)
            self._book.add(message.recipient, message.target, result.received)
        elif isinstance(message, Gift):
            self._book.take(message.member, message.program, result.lots)
            self._book.add(message.recipient, message.program, result.lots)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of the work, on the quickest event loop there is."""
    with asyncio.Runner(loop_factory=_make_loop) as runner:
        return runner.run(work)


def _make_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - the node's own loop, where its packages are

    return uvloop.new_event_loop()
