"""When one of several intervals holds, and when that changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import chain
from typing import Final

from exporter.schedule.intervals import DAY_MINUTES, LONGEST_WAIT, Interval, Wall, merged, month_of, wall_at

LAST_YEAR: Final = 9998  # the calendar of the standard library ends a year later
DAY_SECONDS: Final = 86_400


class Coverage:
    """The union of intervals of one time zone.

    Args:
        intervals: At least one, all of the same zone.
    """

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self.intervals = tuple(intervals)
        self.zone: tzinfo = self.intervals[0].zone
        self._verdicts: dict[int, bool | None] = {0: False}

    def contains(self, wall: Wall) -> bool:
        """Say whether any of the intervals contains what the wall of the zone shows."""
        return any(each.contains(wall) for each in self.intervals)

    def next_flip(self, instant: float) -> float | None:
        """Return the first instant after one (both in Unix seconds) at which `contains` differs; None if never."""
        wall = wall_at(instant, self.zone)
        now = self.contains(wall)
        today = date(*wall[:3])
        # A clock change today may do what the calendar does not show.
        for day in chain([today], self._days_of_note(today, now)):
            for candidate in sorted(set(self._edges(day))):
                if candidate > instant and self.contains(wall_at(candidate, self.zone)) is not now:
                    return candidate
        return None

    def _edges(self, day: date) -> Iterator[float]:
        """Yield every instant of a day at which the verdict may change, and others."""
        minutes = {0, *(edge for each in self.intervals for times in each.times for edge in times)}
        for minute in minutes:
            for fold in (0, 1):
                yield (self._midnight(day) + timedelta(minutes=minute)).replace(fold=fold).timestamp()
        end = self._midnight(day + timedelta(days=1))
        yield from clock_changes(self.zone, self._midnight(day).timestamp(), end.timestamp())

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)

    def _days_of_note(self, today: date, now: bool) -> Iterator[date]:
        """Yield the days from one on that are not, by the calendar, wholly as `now`."""
        for year in self._years_of_note(today.year):
            for month in range(today.month if year == today.year else 1, 13):
                matching = [(1 << bit, each.days_in(year, month)) for bit, each in enumerate(self.intervals)]
                if not now and not any(days for _, days in matching):
                    continue
                for day in range(1, month_of(year, month)[1] + 1):
                    if self._verdict(sum(bit for bit, days in matching if day in days)) is not now:
                        yield date(year, month, day)

    def _years_of_note(self, first: int) -> list[int]:
        """Return the years in which the calendar may show something new: now, and whenever a range of years ends."""
        span = LONGEST_WAIT if any(each.days for each in self.intervals) else 2
        borders = {border for each in self.intervals for begin, end in each.years for border in (begin, end + 1)}
        starts = [first, *(border for border in borders if border > first)]
        years = {year for start in starts for year in range(start, start + span) if year <= LAST_YEAR}
        return sorted(years)

    def _verdict(self, matching: int) -> bool | None:
        """Return what a day shows on which the intervals of these bits hold: all of it, nothing, or None for a part."""
        if matching not in self._verdicts:
            holding = [each for bit, each in enumerate(self.intervals) if matching >> bit & 1]
            times = merged(times for each in holding for times in each.times or ((0, DAY_MINUTES),))
            self._verdicts[matching] = True if times == [(0, DAY_MINUTES)] else None
        return self._verdicts[matching]


def clock_changes(zone: tzinfo, start: float, end: float) -> Iterator[float]:
    """Yield the instant, to the second, at which a zone's clocks change between two; at most one for each day."""
    at = math.floor(start)
    while at < end:
        after = min(at + DAY_SECONDS, math.ceil(end))
        if _offset(zone, at) != _offset(zone, after):
            low, high = at, after
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == _offset(zone, at) else (low, middle)
            yield high
        at = after


def _offset(zone: tzinfo, instant: int) -> timedelta | None:
    return datetime.fromtimestamp(instant, zone).utcoffset()
