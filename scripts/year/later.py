"""What a visit leads to hours or days later: a hold that ends, goods that come back.

The data has neither, so both are drawn from the seed. A hold is captured, in all or in part, released, or
forgotten until time gives it back; the purchase it was for earns its points then, on what was not paid with
points. Of some purchases a part comes back after some days, once or twice: points that were spent on it come
back in the same share, and those it had earned are given up.

Where an issuer may owe no more, its points are not taken away from home: the household pays in money, which
its till tells an hour later.

Each is asked for in the first hour whose block comes at or after its time; `scripts.year.desk` writes it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from ledger.calendar import get_day
from scripts.year.alliance import UTC_OFFSET_MINUTES, draw_percent
from scripts.year.purchases import MILLIS_PER_HOUR, get_hour_end
from scripts.year.story import Visit

HOLD_MILLIS: Final = 48 * MILLIS_PER_HOUR
"""How long a hold lasts, from its block on."""
CAPTURE_PART_PERCENT: Final = 25
"""Of the holds, those that are captured in part only."""
RELEASE_PERCENT: Final = 10
FORGET_PERCENT: Final = 5
FORGOTTEN_MILLIS: Final = 72 * MILLIS_PER_HOUR
"""A household counts on forgotten points a day after time has given them back: a block does only so much."""
RETURN_PERCENT: Final = 3
RETURN_TWICE_PERCENT: Final = 30
"""Of the returns, those that are followed by another."""
SHARES: Final = (20, 30, 50, 100)
_MILLIS_PER_DAY: Final = 24 * MILLIS_PER_HOUR


class Later(NamedTuple):
    """Something that follows from a visit once its time has come."""

    kind: Literal["capture", "release", "forget", "pay", "return"]
    visit: Visit
    number: int
    """The first or the second of its kind for this visit."""
    share: int
    """Percent of the points held or of the order."""


class Agenda:
    """What is still to come, soonest first."""

    def __init__(self) -> None:
        self._ahead: list[tuple[int, int, str, int, Later]] = []

    def plan(self, visit: Visit) -> None:
        """Whatever this visit leads to later will come."""
        for time, later in _plan_end(visit) if visit.is_held else _plan_returns(visit):
            purchase = visit.purchase
            heapq.heappush(self._ahead, (time, purchase.basket, purchase.merchant, later.number, later))

    def plan_payment(self, visit: Visit) -> None:
        """Its points were turned down: the household pays in money, and its purchase earns for that soon."""
        later = Later("pay", visit, 0, 100)
        purchase = visit.purchase
        heapq.heappush(self._ahead, (purchase.time, purchase.basket, purchase.merchant, 0, later))
        made = visit.net_micros + (visit.spending.micros if visit.spending and visit.is_held else 0)
        self.plan(visit._replace(spending=None, net_micros=made))

    def take(self, *, time: int) -> list[Later]:
        """What has come by the block at ``time``."""
        due = []
        while self._ahead and self._ahead[0][0] <= time:
            due.append(heapq.heappop(self._ahead)[-1])
        return due


def is_over(visit: Visit, *, time: int) -> bool:
    """Whether time has given the visit's held points back by the block at ``time``."""
    return time >= get_hour_end(visit.purchase.time) + HOLD_MILLIS


def get_end_day(visit: Visit) -> int:
    """The day, in the merchants' offset, on which time gives the visit's held points back."""
    over = get_hour_end(visit.purchase.time) + HOLD_MILLIS
    return get_day(over, utc_offset_minutes=UTC_OFFSET_MINUTES)


def _plan_end(visit: Visit) -> Iterator[tuple[int, Later]]:
    made = get_hour_end(visit.purchase.time)
    drawn = _draw("end of hold", visit)
    soon = made + (1 + _draw("hours", visit) * 40 // 100) * MILLIS_PER_HOUR
    if drawn < FORGET_PERCENT:
        yield made + FORGOTTEN_MILLIS, Later("forget", visit, 0, 0)
    elif drawn < FORGET_PERCENT + RELEASE_PERCENT:
        yield soon, Later("release", visit, 0, 0)
    elif drawn < FORGET_PERCENT + RELEASE_PERCENT + CAPTURE_PART_PERCENT:
        yield soon, Later("capture", visit, 0, 40 + drawn)
    else:
        yield soon, Later("capture", visit, 0, 100)


def _plan_returns(visit: Visit) -> Iterator[tuple[int, Later]]:
    if _draw("return", visit) >= RETURN_PERCENT:
        return
    share = SHARES[_draw("share", visit) * len(SHARES) // 100]
    days = 2 + _draw("days", visit) * 24 // 100
    is_twice = share <= 50 and _draw("twice", visit) < RETURN_TWICE_PERCENT
    for number in range(2 if is_twice else 1):
        time = visit.purchase.time + (number + 1) * days * _MILLIS_PER_DAY
        yield time, Later("return", visit, number, share)


def _draw(what: str, visit: Visit) -> int:
    return draw_percent(what, visit.purchase.basket, visit.purchase.merchant)
