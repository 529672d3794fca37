"""The alliance's own affairs through the year: weeks are closed, signed and paid, and things are decided.

A block of every seventh day cuts the week. Each participant then reads the statement, has it verified, holds
its own lines to its books and countersigns; two days later payers and payees attest what their banks did
(here their references are made up, as no bank takes part). On the way one week is disputed, one issuer comes
to the end of its cover, and one merchant stops paying: `scripts.year.plans` says when and how much.

All of it goes through the SDK's verbs, with each participant's own govern key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from ledger.calendar import MILLIS_PER_DAY, get_day
from merchant_sdk import Statement
from scripts.year import plans
from scripts.year.alliance import BEGINS, ENDS, OPERATOR, SUPERMARKET, UTC_OFFSET_MINUTES
from scripts.year.blocks import Asked, Blocks
from scripts.year.charter import BRANDS, FUND_MICROS, WINDOW_DAYS
from scripts.year.council import Council, Learn
from scripts.year.desk import Desk

PAID_AFTER_MILLIS: Final = 2 * MILLIS_PER_DAY
_FIRST_DAY: Final = get_day(BEGINS, utc_offset_minutes=UTC_OFFSET_MINUTES)
_MICROS: Final = 1_000_000


class Affairs:
    """Windows, payments and votes, between the hours of the tills."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        blocks: Blocks,
        *,
        learn: Learn,
        prices: dict[str, int],
        suspended: set[str],
        covers: Mapping[str, int],
    ) -> None:
        self._desks = desks
        self._blocks = blocks
        self._council = Council(desks, blocks, learn=learn)
        self._prices = prices
        self._suspended = suspended
        self._covers = covers
        self._window = 1
        self._opened_day = _FIRST_DAY
        self._unpaid: dict[int, tuple[int, Statement]] = {}
        """Window → when it is paid, and its statement."""
        self._done: set[str] = set()
        """What has been taken up of the year's plans."""
        self._defaulter: str | None = None
        self._is_capped = False

    async def begin(self) -> None:
        """The supermarket has said how it splits what it is paid."""
        await self._council.ask([(SUPERMARKET, self._desks[SUPERMARKET].shop.set_brand_shares(BRANDS))])

    def note_cap(self) -> None:
        """An issuer's points were turned down away from home: it may owe no more."""
        self._is_capped = True

    async def prepare_hour(self, time: int) -> None:
        """What comes before the block at this time has come."""
        while due := [window for window, (at, _) in self._unpaid.items() if at < time]:
            await self._pay(due[0])
        await self._council.prepare_hour()

    async def end_hour(self) -> None:
        """What the block just made has led to."""
        await self._council.see_to_enactments()
        if self._get_day() - self._opened_day >= WINDOW_DAYS:
            await self._close()

    async def finish(self) -> None:
        """The last window is cut by the clearing house, signed and paid like the others."""
        operator = self._desks[OPERATOR].shop
        # The message takes one block; the one after begins with the cut.
        await self._council.ask([(OPERATOR, operator.cut_window(self._blocks.height + 2))])
        await self._council.ask([])
        await self._close()
        await self.prepare_hour(ENDS)

    def _get_day(self) -> int:
        return get_day(self._blocks.time, utc_offset_minutes=UTC_OFFSET_MINUTES)

    async def _close(self) -> None:
        """The window that was cut is read, checked and signed by everybody who stands in it."""
        window, self._window = self._window, self._window + 1
        self._opened_day = self._get_day()
        read = await asyncio.gather(*(desk.read_statement(window) for desk in self._desks.values()))
        statements = dict(zip(self._desks, read, strict=True))
        statement = statements[OPERATOR]
        dispute = None
        if self._is_time("dispute", plans.DISPUTE_WEEK):
            dispute = plans.find_dispute(statement)
        asked: list[Asked] = []
        for position in statement.content.positions:
            name = position.participant
            shop = self._desks[name].shop
            if dispute is not None and name == dispute.issuer:
                asked.append((name, shop.countersign(statements[name], "dispute", lines=[dispute.line])))
            else:
                asked.append((name, shop.countersign(statements[name], "agree")))
        await self._council.ask(asked)
        if dispute is not None:
            await self._resolve(window, dispute)
        self._unpaid[window] = (self._blocks.time + PAID_AFTER_MILLIS, statement)
        await self._take_up_plans()

    async def _resolve(self, window: int, dispute: plans.Dispute) -> None:
        """One order of the line was never handed over: by vote it is owed back."""
        order = self._desks[dispute.acceptor].get_example(dispute.issuer)
        if order is None:
            raise ValueError(f"window {window} has a line without an order")
        self._done.add("dispute")
        await self._council.decide_now(plans.make_resolution(window, dispute, micros=order.micros))

    def _is_time(self, what: str, week: int) -> bool:
        return what not in self._done and self._get_day() - _FIRST_DAY >= week * 7

    async def _take_up_plans(self) -> None:
        """Whatever of the year's plans has its time is decided, or attested."""
        operator = self._desks[OPERATOR].shop
        if self._is_time("covers", plans.COVERS_WEEK):
            self._done.add("covers")
            await self._council.ask(
                [(OPERATOR, self._attest_cover(name, micros)) for name, micros in self._covers.items()]
            )
            await self._council.ask([(OPERATOR, operator.attest_fund(_format(FUND_MICROS)))])
            await self._council.decide(plans.make_caps(self._covers))
        if self._is_time("par", plans.PAR_WEEK):
            self._done.add("par")
            await self._council.decide(plans.make_par(), self._lower_par)
        if self._is_time("trial", plans.TRIAL_WEEK):
            self._done.add("trial")
            await self._council.decide(plans.make_trial())
        if self._is_capped and "raise" not in self._done:
            self._done.add("raise")
            cover = self._covers[plans.SQUEEZED]
            await self._council.ask([(OPERATOR, self._attest_cover(plans.SQUEEZED, cover))])
        if self._is_time("general", plans.GENERAL_WEEK):
            self._done.add("general")
            await self._council.decide(plans.make_general())

    def _lower_par(self) -> None:
        self._prices[plans.FALLING] = plans.PAR_REDEEM

    async def _pay(self, window: int) -> None:
        """Payers and payees have attested the window's transfers; all of them but one, once it is late."""
        due, statement = self._unpaid.pop(window)
        if self._defaulter is None and self._is_time("default", plans.DEFAULT_WEEK):
            self._defaulter = plans.find_defaulter(statement)
        late = None if "default" in self._done else self._defaulter
        asked: list[Asked] = []
        for place, each in enumerate(statement.content.transfers):
            if each.source == late:
                continue
            for name, side in ((each.source, "out"), (each.destination, "in")):
                reference = f"bank-w{window}-{place}-{side}"
                asked.append((name, self._desks[name].shop.attest_payment(window, place, reference)))
        await self._council.ask(asked, not_before=due)
        if any(each.source == late for each in statement.content.transfers):
            await self._bear(window, statement)
        if self._is_time("squeeze", plans.SQUEEZE_WEEK):
            await self._squeeze(statement)

    async def _squeeze(self, statement: Statement) -> None:
        """Less stands behind an issuer: three fifths of what it came to owe in the week before."""
        cover = plans.sum_debits(statement, plans.SQUEEZED) * 3 // 5
        if cover:
            self._done.add("squeeze")
            await self._council.ask([(OPERATOR, self._attest_cover(plans.SQUEEZED, cover))])

    async def _bear(self, window: int, statement: Statement) -> None:
        """The first time its clock runs out, and it is brought over; the second time, it is a default."""
        if "late" not in self._done:
            self._done.add("late")
            return
        self._done.add("default")
        defaulter = self._defaulter or ""
        unit = statement.content.payment_unit_micros
        owed = sum(each.units for each in statement.content.transfers if each.source == defaulter) * unit
        # Two fifths, one and one are there: what is left of it, its creditors go without.
        fifth = owed // 5
        operator = self._desks[OPERATOR].shop
        await self._council.ask(
            [
                (OPERATOR, self._attest_cover(defaulter, 2 * fifth, reserve=fifth)),
                (OPERATOR, operator.attest_fund(_format(fifth))),
            ]
        )
        await self._council.decide_now(
            plans.make_default(window, defaulter), lambda: self._suspended.add(defaulter)
        )

    async def _attest_cover(self, name: str, cover: int, *, reserve: int = 0) -> object:
        return await self._desks[OPERATOR].shop.attest_cover(
            name, _format(cover), expires=ENDS, reserve=_format(reserve)
        )


def _format(micros: int) -> str:
    return f"{micros // _MICROS}.{micros % _MICROS:06d}"
