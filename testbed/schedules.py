"""Many schedules, no two of them alike."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

from exporter.schedule import Interval, Schedule, Window

ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Shanghai")] + [UTC]


def many(count: int) -> list[Schedule]:
    """Return so many schedules of two intervals and a window each, in four zones."""
    return [
        Schedule(
            (f"s{number}",),
            (
                Interval(times=((540 + number % 60, 1020),), weekdays=frozenset(range(1, 6)), zone=ZONES[number % 4]),
                Interval(times=((600, 900 + number),), days=((1, 7), (-7, -1)), zone=ZONES[number % 3]),
            ),
            (Window(1.8e9 + number * 1000, 1.8e9 + number * 1000 + 5000),),
        )
        for number in range(count)
    ]
