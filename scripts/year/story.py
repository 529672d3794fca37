"""What happens in an hour: who earns, who pays with points and where, who exchanges, who is enrolled.

Each purchase earns points at its merchant, on what was not paid with points. The household may pay with some:

- **elsewhere**, with its most valuable points of another merchant, where the data shows that it handed in
  a coupon, and on a few other visits;
- **at home**, with the merchant's own points, on a share of visits once they are worth half a dollar.

Some visits also collect a partner's points (`PARTNER_EARNINGS`), and now and then a household exchanges
points that it has into those it would rather have, or gives some to whoever was at a till before it. Some of
what is spent elsewhere is only held at first (`scripts.year.later`). For one day the supermarket's line is
down: its tills earn as ever, and take no points. Which visits these are follows from the seed; whether
there are points enough, from the book of verified answers. So the same year is told every time.

Nothing here talks to a node: `scripts.year.drive` does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.calendar import MILLIS_PER_DAY, Date, get_day, get_day_number
from scripts.year.alliance import (
    EXCHANGES,
    PARTNER_EARNINGS,
    SUPERMARKET,
    TERMS,
    UTC_OFFSET_MINUTES,
    draw_percent,
    get_member_id,
)
from scripts.year.book import Book
from scripts.year.purchases import Purchase

MICROS_PER_CENT: Final = 10_000
HOME_PERCENT: Final = 30
"""Visits on which a household thinks of paying with the merchant's own points."""
HOME_LEAST_MICROS: Final = 500_000
ELSEWHERE_PERCENT: Final = 4
"""Visits without a coupon on which it looks for points of other merchants."""
ELSEWHERE_LEAST_MICROS: Final = 250_000
EXCHANGE_PERCENT: Final = 2
EXCHANGE_LEAST_MICROS: Final = 1_000_000
HOLD_PERCENT: Final = 25
"""Of what is spent elsewhere, how much is held first."""
GIFT_PERCENT: Final = 1
GIFT_LEAST_MICROS: Final = 500_000
OFFLINE_MERCHANT: Final = SUPERMARKET
OFFLINE_DAY: Final = get_day_number(Date(2017, 6, 15))
_PARTNERS: Final = {earning.merchant: earning for earning in PARTNER_EARNINGS}


class Household(NamedTuple):
    """A household of the data as the alliance knows it."""

    number: int
    member: str
    custodian: str
    """Its home merchant, which enrols it."""
    enrolled_after: int
    """The day, in the merchants' offset, before which it must be enrolled: that of its first purchase."""


class Spending(NamedTuple):
    """Points that pay for part of a purchase."""

    program: str
    points: int
    needs_code: bool
    """At its custodian's own tills, for the custodian's own points, a household needs no points code."""
    is_held: bool
    """The points are set aside first, and taken later."""
    micros: int
    """What they pay for, at the par of the day."""


class Swap(NamedTuple):
    """Points to be exchanged, all of them or as many as come out even."""

    program: str
    target: str
    points: int


class Present(NamedTuple):
    """Points that the household gives to another."""

    program: str
    points: int
    recipient: Household


class Visit(NamedTuple):
    """A purchase and what it leads to, in this order."""

    purchase: Purchase
    household: Household
    reference: str
    spending: Spending | None
    net_micros: int
    """What was not paid with points, and so earns some."""
    also: str | None
    """A partner's program that is collected as well."""
    swap: Swap | None
    present: Present | None

    @property
    def is_held(self) -> bool:
        """Whether its points are only set aside: then it earns when that ends."""
        return self.spending is not None and self.spending.is_held

    @property
    def programs(self) -> tuple[str, ...]:
        """Whose points it earns."""
        return (self.purchase.merchant,) if self.also is None else (self.purchase.merchant, self.also)


def find_households(purchases: Sequence[Purchase]) -> dict[int, Household]:
    """Every household with its home merchant: that of a visit drawn by the seed, so mostly a favourite."""
    visits: dict[int, list[Purchase]] = {}
    for purchase in purchases:
        visits.setdefault(purchase.household, []).append(purchase)
    return {
        number: Household(
            number=number,
            member=get_member_id(number),
            custodian=own[draw_percent("home", number) * len(own) // 100].merchant,
            enrolled_after=_day_of(own[0].time),
        )
        for number, own in sorted(visits.items())
    }


def plan_enrolments(
    households: dict[int, Household], hours: Sequence[int], *, opening: int
) -> dict[int, dict[str, list[Household]]]:
    """Who is enrolled in which block, by custodian: in the last block before the day of the first purchase.

    ``hours`` are the ends of the hours with purchases; ``opening`` is the time of a block before them all.
    """
    times = [opening, *hours]
    plan: dict[int, dict[str, list[Household]]] = {}
    for household in households.values():
        midnight = household.enrolled_after * MILLIS_PER_DAY - UTC_OFFSET_MINUTES * 60_000
        time = times[max(0, bisect_right(times, midnight) - 1)]
        plan.setdefault(time, {}).setdefault(household.custodian, []).append(household)
    return plan


class Story:
    """Decides visit by visit; told in the order of time."""

    def __init__(
        self,
        households: dict[int, Household],
        book: Book,
        *,
        prices: Mapping[str, int] | None = None,
        suspended: Collection[str] = (),
    ) -> None:
        self._households = households
        self._book = book
        self._prices = prices or {name: terms.par_redeem for name, terms in TERMS.items()}
        """Program → `par_redeem` in force: a vote may change it."""
        self._suspended = suspended
        """Whose points are neither given out nor taken elsewhere, and who tells nothing new."""
        self._before: Household | None = None
        """Who was at a till last."""

    def tell_hour(
        self, purchases: Sequence[Purchase], *, time: int, busy: Collection[str] = ()
    ) -> Iterator[Visit]:
        """What each purchase of an hour leads to. ``time`` is the block's, which decides what has lapsed.

        ``busy`` are members who bring goods back this hour: what that leaves them is not known before.
        """
        day = _day_of(time)
        for purchase in purchases:
            household = self._households[purchase.household]
            if purchase.merchant in self._suspended:
                continue
            may_pay = not is_offline(purchase) and household.member not in busy
            spending = self._decide_spending(purchase, household, day) if may_pay else None
            micros = purchase.cents * MICROS_PER_CENT
            if spending is not None:
                micros -= spending.micros
            partner = _PARTNERS.get(purchase.merchant)
            is_also = (
                partner is not None
                and partner.program not in self._suspended
                and self._draw("also", purchase) < partner.percent
            )
            yield Visit(
                purchase=purchase,
                household=household,
                reference=f"b{purchase.basket}",
                spending=spending,
                net_micros=micros,
                also=partner.program if partner is not None and is_also else None,
                swap=self._decide_swap(purchase, household, day) if may_pay else None,
                present=self._decide_present(purchase, household, day) if may_pay else None,
            )
            self._before = household

    def _decide_spending(self, purchase: Purchase, household: Household, day: int) -> Spending | None:
        """Points that pay for part of the purchase, promised in the book."""
        wants_elsewhere = purchase.is_coupon or self._draw("elsewhere", purchase) < ELSEWHERE_PERCENT
        own = purchase.merchant
        if wants_elsewhere:
            worth, program = max(
                (self._get_worth(household, other, day), other)
                for other in TERMS
                if other != own and other not in self._suspended
            )
            least = ELSEWHERE_LEAST_MICROS
        elif self._draw("home", purchase) < HOME_PERCENT:
            worth, program, least = self._get_worth(household, own, day), own, HOME_LEAST_MICROS
        else:
            return None
        if worth < least:
            return None
        points = min(worth, purchase.cents * MICROS_PER_CENT) // self._prices[program]
        if not points:
            return None
        self._book.promise(household.member, program, points)
        is_held = program != own and self._draw("hold", purchase) < HOLD_PERCENT
        needs_code = not household.custodian == own == program
        micros = points * self._prices[program]
        return Spending(program, points, needs_code=needs_code, is_held=is_held, micros=micros)

    def _decide_swap(self, purchase: Purchase, household: Household, day: int) -> Swap | None:
        """An exchange of all points of one program, promised in the book."""
        if self._draw("exchange", purchase) >= EXCHANGE_PERCENT:
            return None
        worthwhile = [
            pair
            for pair in EXCHANGES
            if not any(name in self._suspended for name in pair)
            and self._get_worth(household, pair[0], day) >= EXCHANGE_LEAST_MICROS
        ]
        if not worthwhile:
            return None
        program, target = worthwhile[self._draw("pair", purchase) * len(worthwhile) // 100]
        points = self._book.get_available(household.member, program, day=day)
        self._book.promise(household.member, program, points)
        return Swap(program, target, points)

    def _decide_present(self, purchase: Purchase, household: Household, day: int) -> Present | None:
        """Half of the merchant's points for another household, promised in the book."""
        other, program = self._before, purchase.merchant
        if other is None or other == household or self._draw("gift", purchase) >= GIFT_PERCENT:
            return None
        if self._get_worth(household, program, day) < GIFT_LEAST_MICROS:
            return None
        points = self._book.get_available(household.member, program, day=day) // 2
        self._book.promise(household.member, program, points)
        return Present(program, points, other)

    def _get_worth(self, household: Household, program: str, day: int) -> int:
        """Micros that a household's spendable points of a program pay for."""
        return self._book.get_available(household.member, program, day=day) * self._prices[program]

    @staticmethod
    def _draw(what: str, purchase: Purchase) -> int:
        return draw_percent(what, purchase.basket, purchase.merchant)


def is_offline(purchase: Purchase) -> bool:
    """Whether the till had no line: what it earned waits for the next day."""
    return purchase.merchant == OFFLINE_MERCHANT and _day_of(purchase.time) == OFFLINE_DAY


def _day_of(time: int) -> int:
    return get_day(time, utc_offset_minutes=UTC_OFFSET_MINUTES)
