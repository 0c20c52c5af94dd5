"""What schedules cost: nothing that a scrape or a page would notice."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from exporter.schedule import Expectations, Interval, Schedule
from testbed.schedules import many
from tests.cost import calls

BERLIN = ZoneInfo("Europe/Berlin")


def test_500_schedules_of_10000_streams_are_cheap() -> None:
    """The expectation of all streams costs a scrape two calls for each, and a few for each schedule once a minute."""
    made = Expectations(many(500), {("tencent", f"stream-{number}"): number % 500 for number in range(10_000)})

    def ask(instant: float) -> None:
        of = made.at(instant).of
        assert {of(key).expected for key in made.numbers} == {True, False}

    for turn in range(20):
        instant = 1.8e9 + turn * 61
        assert calls(partial(ask, instant)) <= 2 * 10_000 + 25 * 500
        assert calls(partial(ask, instant + 1)) <= 2 * 10_000 + 25


def test_a_schedule_with_days_far_away_is_foreseen_in_no_time() -> None:
    """A page of 500 schedules is not held up by one that waits for decades, or for ever."""
    rare = Schedule((), (Interval(days=((29, 29),), months=frozenset({2}), weekdays=frozenset({1}), zone=BERLIN),))
    never = Schedule((), (Interval(days=((30, 30),), months=frozenset({2}), zone=BERLIN),))
    assert timedelta(seconds=(rare.next_change(1.8e9) or 0) - 1.8e9) > timedelta(days=365 * 10)
    assert never.next_change(1.8e9) is None
    # Fewer than two for each day of the decades that are looked through.
    assert calls(lambda: rare.next_change(1.8e9)) < 20_000
    assert calls(lambda: never.next_change(1.8e9)) < 20_000
