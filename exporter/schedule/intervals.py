"""Time intervals in Alertmanager's meaning: which wall times they contain.

The meaning is that of its package `timeinterval`:
https://github.com/prometheus/alertmanager/blob/main/timeinterval/timeinterval.go
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple

Range = tuple[int, int]
"""A first and a last number, both included."""

DAY_MINUTES: Final = 24 * 60
ALL_WEEKDAYS: Final = frozenset(range(7))
ALL_MONTHS: Final = frozenset(range(1, 13))

FIRST_YEAR: Final = 2001
LONGEST_WAIT: Final = 41
"""Years within which the calendar shows all that it has to show: February 29 falls on a given weekday once in 28 years,
or in 40 where a century has no leap year."""


class Wall(NamedTuple):
    """What a clock and a calendar on the wall show."""

    year: int
    month: int
    day: int
    minute: int  # of the day
    weekday: int  # 0 is Sunday


def wall_at(instant: float, zone: tzinfo) -> Wall:
    """Return what a wall in a time zone shows at an instant in Unix seconds."""
    local = datetime.fromtimestamp(math.floor(instant), zone)
    return Wall(local.year, local.month, local.day, local.hour * 60 + local.minute, local.isoweekday() % 7)


@lru_cache(maxsize=512)
def month_of(year: int, month: int) -> tuple[int, int]:
    """Return the weekday of a month's first day, 0 being Sunday, and its number of days."""
    first, length = monthrange(year, month)
    return (first + 1) % 7, length


@dataclass(frozen=True, slots=True)
class Interval:
    """When all that is given holds; what is empty holds always.

    Attributes:
        times: Minutes of the day, each from the first up to, and without, the last.
        weekdays: 0 is Sunday.
        days: Days of the month; negative ones count from its end.
        months: 1 is January.
        years: Ranges of years.
        zone: Where the wall is.
    """

    times: tuple[Range, ...] = ()
    weekdays: frozenset[int] = ALL_WEEKDAYS
    days: tuple[Range, ...] = ()
    months: frozenset[int] = ALL_MONTHS
    years: tuple[Range, ...] = ()
    zone: tzinfo = UTC

    def contains(self, wall: Wall) -> bool:
        """Say whether it contains what the wall of its zone shows."""
        year, month, day, minute, weekday = wall
        if weekday not in self.weekdays or month not in self.months:
            return False
        if self.times and not any(start <= minute < end for start, end in self.times):
            return False
        if self.years and not self.has_month(year, month):
            return False
        return not self.days or self._has_day(year, month, day)

    def has_month(self, year: int, month: int) -> bool:
        """Say whether any day of a month may be in it."""
        return month in self.months and (not self.years or any(first <= year <= last for first, last in self.years))

    def ever(self) -> bool:
        """Say whether the calendar has a day that it contains some time of."""
        years = self.years or ((FIRST_YEAR, FIRST_YEAR + LONGEST_WAIT),)
        return any(
            self.days_in(year, month)
            for first, last in years
            for year in range(first, min(last, first + LONGEST_WAIT) + 1)
            for month in range(1, 13)
        )

    def days_in(self, year: int, month: int) -> frozenset[int]:
        """Return the days of a month that it contains some time of."""
        if not self.has_month(year, month):
            return frozenset()
        first, length = month_of(year, month)
        days = (day for day in range(1, length + 1) if (first + day - 1) % 7 in self.weekdays)
        return frozenset(day for day in days if self._has_day(year, month, day))

    def _has_day(self, year: int, month: int, day: int) -> bool:
        after = month_of(year, month)[1] + 1
        turned = (tuple(after + one if one < 0 else one for one in days) for days in self.days)
        return not self.days or any(first <= day <= last for first, last in turned)


def merged(ranges: Iterator[Range]) -> list[Range]:
    """Return ranges, each without its end, as the fewest that cover the same."""
    whole: list[Range] = []
    for start, end in sorted(ranges):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole
