"""Amounts, times and hashes as people read them on a statement: exact, never rounded.

Micro-units become a decimal of the currency with its thousands apart and at least two places; more where the
amount has more. Times are in the ledger's own offset, which is said with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.calendar import MILLIS_PER_DAY, get_date

_MILLIS_PER_MINUTE = 60_000
_PLACES_MIN = 2
_MICROS_PLACES = 6


def format_amount(micros: int, *, places_min: int = _PLACES_MIN) -> str:
    """Micro-units as 1,234.50; below zero with a minus sign."""
    whole, rest = divmod(abs(micros), 10**_MICROS_PLACES)
    decimals = f"{rest:06d}".rstrip("0").ljust(places_min, "0")
    return f"{'-' if micros < 0 else ''}{whole:,}.{decimals}"


def format_amounts(column: Sequence[int]) -> list[str]:
    """Amounts that stand under each other: all with as many places as the longest needs."""
    places = max((len(format_amount(micros).rpartition(".")[2]) for micros in column), default=_PLACES_MIN)
    return [format_amount(micros, places_min=places) for micros in column]


def format_local(millis: int, *, utc_offset_minutes: int) -> str:
    """A moment in the ledger's offset, to the second: 2026-11-22 17:12:00 +08:00."""
    day, rest = divmod(millis + utc_offset_minutes * _MILLIS_PER_MINUTE, MILLIS_PER_DAY)
    date = get_date(day)
    minutes, seconds = divmod(rest // 1_000, 60)
    hours, minute = divmod(minutes, 60)
    sign = "-" if utc_offset_minutes < 0 else "+"
    offset = f"{sign}{abs(utc_offset_minutes) // 60:02d}:{abs(utc_offset_minutes) % 60:02d}"
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d} {hours:02d}:{minute:02d}:{seconds:02d} {offset}"


def format_date(millis: int, *, utc_offset_minutes: int) -> str:
    """The day on which a moment falls in the ledger's offset, as ISO 8601 has it."""
    date = get_date((millis + utc_offset_minutes * _MILLIS_PER_MINUTE) // MILLIS_PER_DAY)
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"
