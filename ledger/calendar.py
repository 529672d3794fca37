"""Days and months in whole numbers, in the chain's fixed UTC offset.

A day is the number of days since 1970-01-01 of the proleptic Gregorian calendar. There are no time zones with
rules, no leap seconds and no library whose tables could differ between two nodes. The conversion counts in
400-year eras that begin on the first of March, so that the leap day is the last of its year.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.values import NEVER

MILLIS_PER_DAY = 86_400_000
_DAYS_PER_ERA = 146_097  # 400 Gregorian years
_EPOCH_SHIFT = 719_468  # days from 0000-03-01 to 1970-01-01


class Date(NamedTuple):
    """A calendar day as people write it."""

    year: int
    month: int
    day: int


def get_day(time: int, *, utc_offset_minutes: int) -> int:
    """The day on which the instant ``time`` (milliseconds UTC) falls in that offset."""
    return (time + utc_offset_minutes * 60_000) // MILLIS_PER_DAY


def get_date(day: int) -> Date:
    """The year, month and day of month of a day number."""
    era, day_of_era = divmod(day + _EPOCH_SHIFT, _DAYS_PER_ERA)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153  # 0 = March
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = era * 400 + year_of_era + (1 if month <= 2 else 0)
    return Date(year, month, day_of_year - (153 * shifted_month + 2) // 5 + 1)


def get_day_number(date: Date) -> int:
    """The day number of a calendar date (which must exist)."""
    year = date.year - (1 if date.month <= 2 else 0)
    era, year_of_era = divmod(year, 400)
    shifted_month = date.month - 3 if date.month > 2 else date.month + 9
    day_of_year = (153 * shifted_month + 2) // 5 + date.day - 1
    return (
        era * _DAYS_PER_ERA
        + 365 * year_of_era
        + year_of_era // 4
        - year_of_era // 100
        + day_of_year
        - _EPOCH_SHIFT
    )


def compute_month_end(day: int, *, months_later: int) -> int:
    """The last day of the month that lies ``months_later`` months after the month of ``day``, at most
    `NEVER`.
    """
    date = get_date(day)
    # The month after the wanted one, counted from January of year 0; its first day less one is the end we
    # want.
    years, month0 = divmod(date.year * 12 + date.month - 1 + months_later + 1, 12)
    return min(get_day_number(Date(years, month0 + 1, 1)) - 1, NEVER)
