"""Lines of opening balances, each checked by itself and against the others before anything is sent.

    customer,points,earned,expires
    10021,1200,2025-11-03,2026-11-30
    10021,300,2026-01-15,never
    10022,0,,

One line is one lot: so many points of one customer, earned on one day, good until another. A customer may
have several, no two with the same days: that is an export that wrote something twice. A line without points
enrols a customer who has none. Whether the ledger takes a line is the ledger's to say; what is found here
spares the trip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from ledger.calendar import compute_month_end, get_date
from ledger.values import NEVER, POINTS_MAX
from node.migration.cells import Unread, read_customer, read_day, read_whole
from node.migration.table import Fault, Row, Table

REQUIRED: Final = ("customer", "points", "earned", "expires")


class Balance(NamedTuple):
    """A line that can be sent."""

    line: int
    customer: str
    points: int
    """0: the customer is enrolled, and that is all."""
    earned_day: int
    expires_day: int


class Terms(NamedTuple):
    """What the ledger will hold a line against."""

    today: int
    expiry_months: int | None
    """The series' policy; 0 = points never lapse; None: not known, so the ledger will say."""
    slack_days: int = 0
    """1 where the chain's offset is not known, so nobody knows which day it is there."""


class Totals:
    """What the lines read so far come to."""

    def __init__(self) -> None:
        self.lines = 0
        self.lots = 0
        self.points = 0
        self.rejected = 0
        self.by_month: Counter[str] = Counter()
        """Points by the month in which they lapse."""
        self._customers: set[int] = set()
        self._lots: dict[int, int] = {}

    @property
    def customers(self) -> int:
        """How many there are."""
        return len(self._customers)

    def add(self, balance: Balance) -> None:
        """Count a good line."""
        self.lines += 1
        self._customers.add(_hash(balance.customer))
        if balance.points:
            self.lots += 1
            self.points += balance.points
            self.by_month[format_month(balance.expires_day)] += balance.points

    def find_twin(self, balance: Balance) -> int | None:
        """The line that said the same customer and days before, if one did."""
        # 96 bits of a hash instead of the text: a file of millions fits, and no two lines meet by chance.
        key = _hash(f"{balance.customer}\n{balance.earned_day}\n{balance.expires_day}")
        first = self._lots.setdefault(key, balance.line)
        return None if first == balance.line else first


def read_balances(table: Table, *, terms: Terms, totals: Totals) -> Iterator[Balance | Fault]:
    """Every line, as what it says or why it cannot be sent; counted in ``totals``."""
    for row in table:
        found = row if isinstance(row, Fault) else _read(row, terms)
        if isinstance(found, Balance):
            twin = totals.find_twin(found)
            if twin is not None:
                told = f"line {twin} has the same customer and days: add them up on one line"
                found = Fault(found.line, "DUPLICATE", told)
        if isinstance(found, Balance):
            totals.add(found)
        else:
            totals.rejected += 1
        yield found


def _read(row: Row, terms: Terms) -> Balance | Fault:
    cells = row.cells
    readers: list[tuple[str, Callable[[str], object]]] = [
        ("customer", read_customer),
        ("points", lambda text: read_whole(text, least=0, most=POINTS_MAX)),
    ]
    if cells["points"] != "0":
        readers += [("earned", read_day), ("expires", lambda text: read_day(text, may_be_never=True))]
    values: dict[str, object] = {}
    for column, read in readers:
        try:
            values[column] = read(cells[column])
        except Unread as error:
            return Fault(row.line, column.upper(), f"{column}: {error}")
    if cells["points"] == "0":
        if cells["earned"] or cells["expires"]:
            return Fault(row.line, "POINTS", "points: 0, yet with days; leave them empty to enrol only")
        return Balance(row.line, cells["customer"], 0, 0, 0)
    days = read_day(cells["earned"]), read_day(cells["expires"], may_be_never=True)
    return _check_days(row.line, cells["customer"], int(cells["points"]), days, terms)


def _check_days(
    line: int, customer: str, points: int, days: tuple[int, int], terms: Terms
) -> Balance | Fault:
    earned, expires = days
    if earned > terms.today + terms.slack_days:
        return Fault(line, "EARNED", f"earned: {format_day_of(earned)} is after today")
    if expires < earned:
        return Fault(line, "EXPIRES", f"expires: {format_day_of(expires)} is before it was earned")
    if expires < terms.today - terms.slack_days:
        return Fault(line, "EXPIRES", f"expires: {format_day_of(expires)} is over: there is nothing to bring")
    if terms.expiry_months is not None:
        latest = compute_month_end(earned, months_later=terms.expiry_months) if terms.expiry_months else NEVER
        if expires > latest:
            told = f"expires: later than the series allows for that day: {format_day_of(latest)}"
            return Fault(line, "EXPIRES", told)
    return Balance(line, customer, points, earned, expires)


def format_day_of(day: int) -> str:
    """A day as the file has it."""
    if day == NEVER:
        return "never"
    date = get_date(day)
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def format_month(day: int) -> str:
    """The month of a day."""
    return "never" if day == NEVER else format_day_of(day)[:7]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=12).digest(), "big")
