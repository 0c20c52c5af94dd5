"""When each stream should be live: its schedule, and the verdict on all streams at an instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cached_property
from itertools import groupby
from typing import Final, NamedTuple

from exporter.schedule.coverage import Coverage
from exporter.schedule.intervals import Interval, Wall, wall_at

Key = tuple[str, str]  # provider, stream name
Walls = dict[tzinfo, Wall]

MOST_HANDOVERS: Final = 400
"""Where time zones take over from each other, nothing is foreseen after so many times."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of maintenance, in Unix seconds, its end left out. `match` has the labels of the streams it is for."""

    start: float
    end: float
    match: tuple[tuple[str, str], ...] = ()
    comment: str = ""


@dataclass(frozen=True)
class Schedule:
    """When streams should be live: while one of the intervals holds and no window is open.

    Attributes:
        names: What the configuration says: `always`, `never`, or names of time intervals.
        intervals: The time intervals of these names; None for always.
        windows: The maintenance of these streams.
    """

    names: tuple[str, ...]
    intervals: tuple[Interval, ...] | None = None
    windows: tuple[Window, ...] = ()

    @property
    def zone(self) -> tzinfo:
        """The time zone to show its times in: that of its first interval."""
        return self.intervals[0].zone if self.intervals else UTC

    def expects(self, instant: float, walls: Walls | None = None) -> bool:
        """Say whether the streams should be live at an instant in Unix seconds.

        Args:
            instant: The instant.
            walls: What the walls of time zones show then, as far as somebody has looked; grows.
        """
        if any(window.start <= instant < window.end for window in self.windows):
            return False
        return self.intervals is None or self._covers(instant, {} if walls is None else walls)

    def next_change(self, instant: float) -> float | None:
        """Return the first instant after one at which `expects` differs; None if none is foreseen."""
        expected = self.expects(instant)
        turn = self._next_turn(instant)
        while turn is not None and self.expects(turn) is expected:
            turn = self._next_turn(turn)
        return turn

    def open_window(self, instant: float) -> Window | None:
        """Return the maintenance under way at an instant; of several, what ends last."""
        windows = (window for window in self.windows if window.start <= instant < window.end)
        return max(windows, key=lambda window: window.end, default=None)

    def _next_turn(self, at: float) -> float | None:
        """Return the first instant after one at which either the intervals' verdict or maintenance may change."""
        if (window := self.open_window(at)) is not None:
            return window.end
        starts = (window.start for window in self.windows if window.start > at)
        return min((turn for turn in (*starts, self._next_flip(at)) if turn is not None), default=None)

    def _covers(self, instant: float, walls: Walls) -> bool:
        for interval in self.intervals or ():
            wall = walls.get(interval.zone)
            if wall is None:
                wall = walls[interval.zone] = wall_at(instant, interval.zone)
            if interval.contains(wall):
                return True
        return False

    def _next_flip(self, at: float) -> float | None:
        """Return the first instant after one at which the intervals' verdict differs; windows do not count."""
        if not self._holding(at):
            flips = (each.next_flip(at) for each in self._coverages)
            return min((flip for flip in flips if flip is not None), default=None)
        for _ in range(MOST_HANDOVERS):
            ends = [each.next_flip(at) for each in self._holding(at)]
            if None in ends:
                return None
            at = max(end for end in ends if end is not None)
            if not self._holding(at):
                return at
        return None

    def _holding(self, at: float) -> list[Coverage]:
        return [each for each in self._coverages if each.contains(wall_at(at, each.zone))]

    @cached_property
    def _coverages(self) -> list[Coverage]:
        """The intervals by time zone."""
        ordered = sorted(self.intervals or (), key=lambda each: str(each.zone))
        return [Coverage(each) for _, each in groupby(ordered, key=lambda each: each.zone)]


ALWAYS: Final = Schedule(("always",))
NEVER: Final = Schedule(("never",), intervals=())


@dataclass(frozen=True)
class Expectation:
    """Whether the streams of a schedule should be live at an instant in Unix seconds."""

    expected: bool
    schedule: Schedule
    at: float

    @cached_property
    def next_change(self) -> float | None:
        """When this ends, in Unix seconds; None if no end is foreseen."""
        return self.schedule.next_change(self.at)

    @property
    def maintenance(self) -> Window | None:
        """The maintenance under way."""
        return self.schedule.open_window(self.at)


class Verdicts(NamedTuple):
    """What is expected of all streams, from an instant on and before another, both in Unix seconds."""

    since: float
    until: float
    by_number: tuple[Expectation, ...]
    numbers: Mapping[Key, int]

    def of(self, key: Key) -> Expectation:
        """Return what is expected of a stream."""
        return self.by_number[self.numbers.get(key, 0)]

    @property
    def expected(self) -> tuple[bool, ...]:
        """The verdict on each distinct schedule: while it is equal, nothing has changed for any stream."""
        return tuple(each.expected for each in self.by_number)


class Expectations:
    """When each stream of a configuration should be live.

    Args:
        schedules: The distinct schedules.
        numbers: For each stream, which of them it follows; a stream that is not there follows the first.
    """

    def __init__(self, schedules: Sequence[Schedule] = (ALWAYS,), numbers: Mapping[Key, int] | None = None) -> None:
        self.schedules = tuple(schedules)
        self.numbers = numbers or {}
        self._edges = sorted({edge for one in schedules for each in one.windows for edge in (each.start, each.end)})
        self._last = Verdicts(0.0, 0.0, (), self.numbers)

    def at(self, instant: float) -> Verdicts:
        """Return what is expected at an instant in Unix seconds; each schedule is looked at once a minute at most.

        The walls of all time zones turn to the next minute at once, since none differs from UTC by seconds any more.
        """
        if not self._last.since <= instant < self._last.until:
            minute, edge = instant // 60 * 60, bisect_right(self._edges, instant)
            since = max([minute, *self._edges[edge - 1 : edge]])
            until = min([minute + 60, *self._edges[edge : edge + 1]])
            walls: Walls = {}
            found = (Expectation(one.expects(instant, walls), one, instant) for one in self.schedules)
            self._last = Verdicts(since, until, tuple(found), self.numbers)
        return self._last
