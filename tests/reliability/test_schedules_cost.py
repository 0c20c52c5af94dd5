"""What schedules cost: nothing that a scrape or a page would notice."""

from __future__ import annotations

from datetime import UTC, timedelta
from time import process_time
from zoneinfo import ZoneInfo

from exporter.schedule import Expectations, Interval, Schedule, Window

ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Asia/Shanghai")] + [UTC]
BERLIN = ZONES[0]


def test_500_schedules_of_10000_streams_are_cheap() -> None:
    """The expectation of all streams costs a scrape 5 ms at most, even at an instant that was never asked about."""
    made_of = [
        Schedule(
            (f"s{number}",),
            (
                Interval(times=((540 + number % 60, 1020),), weekdays=frozenset(range(1, 6)), zone=ZONES[number % 4]),
                Interval(times=((600, 900 + number),), days=((1, 7), (-7, -1)), zone=ZONES[number % 3]),
            ),
            (Window(1.8e9 + number * 1000, 1.8e9 + number * 1000 + 5000),),
        )
        for number in range(500)
    ]
    made = Expectations(made_of, {("tencent", f"stream-{number}"): number % 500 for number in range(10_000)})
    keys = list(made.numbers)
    took = []
    for turn in range(20):
        began = process_time()
        of = made.at(1.8e9 + turn * 61).of
        expected = [of(key).expected for key in keys]
        took.append(process_time() - began)
        assert len(set(expected)) == 2
    assert min(took) <= 0.005


def test_a_schedule_with_days_far_away_is_foreseen_in_no_time() -> None:
    """A page of 500 schedules is not held up by one that waits for decades, or for ever."""
    rare = Schedule((), (Interval(days=((29, 29),), months=frozenset({2}), weekdays=frozenset({1}), zone=BERLIN),))
    never = Schedule((), (Interval(days=((30, 30),), months=frozenset({2}), zone=BERLIN),))
    began = process_time()
    assert rare.next_change(1.8e9) is not None
    assert never.next_change(1.8e9) is None
    assert process_time() - began < 0.2
    assert timedelta(seconds=(rare.next_change(1.8e9) or 0) - 1.8e9) > timedelta(days=365 * 10)
