"""Tells the year to a node, hour by hour, over HTTP.

In each hour every merchant with something to ask submits it, all of them at once. When all of it waits at the
node, the clearing house has the block cut; then each merchant proves its answer, and the households learn
what they have. Then the alliance sees to its own affairs (`scripts.year.affairs`), and only then does the
next hour begin.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

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
from scripts.year.affairs import Affairs
from scripts.year.alliance import BEGINS, OPERATOR, SUPERMARKET, TERMS, make_opening
from scripts.year.asking import make_end, make_enrolments, make_messages, make_payment, make_return
from scripts.year.blocks import Blocks, Clearing
from scripts.year.book import Book, Held
from scripts.year.charter import compute_covers
from scripts.year.desk import Desk, Order, Wallets
from scripts.year.later import Agenda, Later, get_end_day, is_over
from scripts.year.purchases import MILLIS_PER_HOUR, Purchase, group_by_hour
from scripts.year.story import Household, Story, Visit, find_households, is_offline, plan_enrolments

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
    prices: Mapping[str, int]
    """Program → `par_redeem` in the end."""


class Driver:
    """The year, on its way to one node."""

    def __init__(self, *, url: str, chain: str, operator_token: str) -> None:
        self._clearing = Clearing(url, operator_token=operator_token)
        self._blocks = Blocks(self._clearing)
        self._desks = {
            name: Desk(name, url, chain=chain, clock=self._blocks.get_time) for name in (*TERMS, OPERATOR)
        }
        self._prices = {name: terms.par_redeem for name, terms in TERMS.items()}
        self._wallets = Wallets(chain)
        self._book = Book()
        self._households: dict[int, Household] = {}
        self._suspended: set[str] = set()
        self._agenda = Agenda()
        self._visits: list[Visit] = []
        """Those of this hour."""
        self._offline: list[Visit] = []
        """What tills without a line have seen: they tell it when they have one again."""
        self._is_clicked_twice = False
        self._codes: Counter[tuple[str, str]] = Counter()
        self._turned_down: set[tuple[str, str]] = set()
        """(merchant, order) of this hour whose points could not be taken: their issuer may owe no more."""
        self._last_elsewhere: Committed[Awaitable[Receipt]] | None = None

    async def tell_year(self, purchases: Sequence[Purchase], *, progress: Tell) -> Told:
        """Every purchase is told, in its hour; what came of it."""
        hours = group_by_hour(purchases)
        households = self._households = find_households(purchases)
        newcomers = plan_enrolments(households, [time for time, _ in hours], opening=OPENED)
        story = Story(households, self._book, prices=self._prices, suspended=self._suspended)
        affairs = Affairs(
            self._desks,
            self._blocks,
            learn=self._learn,
            prices=self._prices,
            suspended=self._suspended,
            covers=compute_covers(purchases),
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._clearing.close)
            for desk in self._desks.values():
                await stack.enter_async_context(desk.shop)
            await self._make_block([Order(name, "govern", make_opening(name)) for name in TERMS], FOUNDED)
            await self._make_block(self._enrol(newcomers.get(OPENED, {})), OPENED)
            await affairs.begin()
            told = 0
            for time, own in hours:
                await affairs.prepare_hour(time)
                orders = self._enrol(newcomers.get(time, {})) + await self._serve(story, own, time)
                await self._make_block(orders, time)
                if self._turned_down:
                    affairs.note_cap()
                self._plan()
                await affairs.end_hour()
                told += len(own)
                progress(told, self._codes.total())
            await affairs.finish()
            receipt = None
            if self._last_elsewhere is not None:
                receipt = await self._last_elsewhere.receipt()
        return Told(
            operations=self._codes.total(),
            transactions=self._blocks.transactions,
            blocks=self._blocks.made,
            codes=dict(sorted(self._codes.items())),
            receipt=receipt,
            prices=dict(self._prices),
        )

    def _enrol(self, newcomers: Mapping[str, Sequence[Household]]) -> list[Order]:
        """Each custodian's new members."""
        return [
            Order(custodian, "custody", make_enrolments(households, self._wallets))
            for custodian, households in sorted(self._find_homes(newcomers).items())
        ]

    def _find_homes(self, newcomers: Mapping[str, Sequence[Household]]) -> dict[str, list[Household]]:
        """Who enrols whom: the supermarket does it for a merchant that is suspended."""
        homes: dict[str, list[Household]] = {}
        for custodian, households in newcomers.items():
            home = SUPERMARKET if custodian in self._suspended else custodian
            for household in households:
                self._households[household.number] = household._replace(custodian=home)
                homes.setdefault(home, []).append(self._households[household.number])
        return homes

    async def _serve(self, story: Story, purchases: Sequence[Purchase], time: int) -> list[Order]:
        """What each merchant asks for: what is left of earlier visits, then the hour's own."""
        orders: dict[str, list[Any]] = {}
        due = self._agenda.take(time=time)
        for later in due:
            asked = [each for each in self._follow_up(later, time) if not self._is_barred(later, each)]
            orders.setdefault(later.visit.purchase.merchant, []).extend(asked)
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
        self._visits = visits
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
        if later.kind == "pay":
            return make_payment(later)
        if later.kind == "forget" or is_over(later.visit, time=time):
            merchant = later.visit.purchase.merchant
            day = get_end_day(later.visit)
            self._book.give_back(reference=later.visit.reference, merchant=merchant, day=day)
        return make_end(later, time=time)

    def _is_barred(self, later: Later, message: Any) -> bool:
        """Whether it would earn points at a merchant that is suspended, or of one."""
        own = {later.visit.purchase.merchant, getattr(message, "program", "")}
        return isinstance(message, Earn) and not self._suspended.isdisjoint(own)

    def _click_twice(self, orders: Sequence[Order]) -> list[Order]:
        """Once in the year a checkout is clicked twice: the same order in two transactions."""
        for order in orders:
            for message in order.messages if not self._is_clicked_twice else ():
                if isinstance(message, Redeem):
                    self._is_clicked_twice = True
                    return [Order(order.merchant, order.purpose, [message], attempt=2)]
        return []

    def _plan(self) -> None:
        """What this hour's visits lead to later is on the agenda."""
        for visit in self._visits:
            if (visit.purchase.merchant, visit.reference) in self._turned_down:
                self._agenda.plan_payment(visit)
            else:
                self._agenda.plan(visit)
        self._visits = []
        self._turned_down.clear()

    async def _make_block(self, orders: Sequence[Order], time: int) -> None:
        """All orders are in one block, proven, and learnt from."""
        if not orders:
            return
        asked = [(order.merchant, self._desks[order.merchant].submit(order, time=time)) for order in orders]
        # In the order of the log, since points may come in by one answer and go out by the next.
        for merchant, results in await self._blocks.make(asked, time):
            for result in results:
                self._learn(merchant, result)
        self._book.settle_promises()

    def _learn(self, merchant: str, result: Committed[Any]) -> None:
        """The household knows what it has after this."""
        message = result.message
        self._codes[message.__struct_config__.tag, result.code] += 1
        if result.code != OK:
            if result.code == "ISSUER_CAP" and isinstance(message, Redeem | Hold):
                self._turned_down.add((merchant, message.reference))
            return
        if result.legs:
            self._desks[merchant].note(result)
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
