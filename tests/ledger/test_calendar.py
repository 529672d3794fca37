"""Days and months in whole numbers agree with the standard library's calendar from 1970 to 9999."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from ledger.calendar import MILLIS_PER_DAY, Date, compute_month_end, get_date, get_day, get_day_number
from ledger.values import NEVER

EPOCH = date(1970, 1, 1).toordinal()


def number_of(day: date) -> int:
    return day.toordinal() - EPOCH


def test_never_is_the_last_day_of_9999():
    assert number_of(date(9999, 12, 31)) == NEVER == get_day_number(Date(9999, 12, 31))


def test_every_day_of_400_years_has_its_date_and_its_number():
    for number in range(146_097):
        day = date.fromordinal(EPOCH + number)
        assert get_date(number) == (day.year, day.month, day.day)
        assert get_day_number(Date(day.year, day.month, day.day)) == number


def test_every_months_first_and_last_day_from_1970_to_9999():
    for year in range(1970, 10_000):
        for month in range(1, 13):
            first = number_of(date(year, month, 1))
            length = calendar.monthrange(year, month)[1]
            assert get_date(first) == (year, month, 1)
            assert get_date(first + length - 1) == (year, month, length)
            assert get_day_number(Date(year, month, length)) == first + length - 1


def test_days_before_1970_are_negative_and_right():
    for number in range(-719_162, 0, 97):  # from 0001-01-01
        day = date.fromordinal(EPOCH + number)
        assert get_date(number) == (day.year, day.month, day.day)
        assert get_day_number(get_date(number)) == number


@pytest.mark.parametrize("months", [0, 1, 2, 3, 6, 11, 12, 13, 36, 119, 120])
def test_a_month_end_lies_that_many_months_on(months):
    for year in range(1970, 10_000, 7):
        for month in range(1, 13):
            count = year * 12 + month - 1 + months
            then, month0 = divmod(count, 12)
            if then > 9999:
                wanted = NEVER
            else:
                wanted = number_of(date(then, month0 + 1, calendar.monthrange(then, month0 + 1)[1]))
            for day in (1, 15, calendar.monthrange(year, month)[1]):
                assert compute_month_end(number_of(date(year, month, day)), months_later=months) == wanted


def test_a_month_end_is_never_after_never():
    assert compute_month_end(NEVER, months_later=0) == NEVER
    assert compute_month_end(NEVER, months_later=120) == NEVER
    assert compute_month_end(NEVER - 31, months_later=0) == NEVER - 31
    assert compute_month_end(NEVER - 31, months_later=1) == NEVER


#   days of a leap year, a century that is none, one that is, and the turn of a year
NIGHTS = [date(1970, 1, 2), date(2024, 2, 29), date(2100, 2, 28), date(2000, 2, 29), date(9999, 12, 30)]


@pytest.mark.parametrize("night", NIGHTS)
def test_midnight_is_that_of_every_offset(night):
    for offset in range(-720, 841):
        zone = timezone(timedelta(minutes=offset))
        midnight = datetime(night.year, night.month, night.day, tzinfo=zone)
        millis = (midnight - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        assert get_day(millis, utc_offset_minutes=offset) == number_of(night)
        assert get_day(millis - 1, utc_offset_minutes=offset) == number_of(night) - 1
        assert get_day(millis + MILLIS_PER_DAY - 1, utc_offset_minutes=offset) == number_of(night)


@pytest.mark.parametrize("offset", [-720, -1, 0, 1, 330, 480, 840])
def test_any_instant_falls_on_the_day_that_clocks_there_show(offset):
    zone = timezone(timedelta(minutes=offset))
    for step in range(4_000):
        millis = step * 63_000_017_171  # through to the year 9955, at all times of day
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
        assert get_day(millis, utc_offset_minutes=offset) == number_of(moment.astimezone(zone).date())


def test_the_first_instant_lies_on_the_day_before_where_clocks_are_behind():
    assert get_day(0, utc_offset_minutes=-720) == -1
    assert get_day(0, utc_offset_minutes=0) == 0
    assert get_day(2**53 - 1, utc_offset_minutes=840) == 104_249_991
