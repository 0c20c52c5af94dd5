"""Pacing, back-off and breaker: arithmetic on a time that the tests own."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rounds.pace import LEAST_SHARE, LEVEL, PAUSE, Breaker, Pace, paced
from exporter.window import WINDOW, window

RATES = st.floats(1, 2000)


def calls(pace: Pace, count: int, late: Random, most: float, start: float = 0.0) -> list[float]:
    """Return when calls go out if each is made as soon as allowed, by a clock that wakes up late by up to `most`."""
    now, made = start, []
    for _ in range(count):
        queued = False
        while (wait := pace.wait(now)) > 0:
            now += wait + late.uniform(0, most)
            queued = True
        pace.take(now, queued)
        made.append(now)
    return made


def busiest(times: list[float], seconds: float = 1.0) -> int:
    """Return the most calls in any window of that length, its end left out."""
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@settings(max_examples=60, deadline=None)
@given(rate=st.integers(1, 300), most=st.sampled_from([0.0, 0.001, 0.02, 0.3, 2.0]), seed=st.integers())
def test_no_second_holds_more_than_the_rate(rate: int, most: float, seed: int) -> None:
    """However late the process wakes up, no window of one second has more calls than are kept."""
    assert busiest(calls(Pace(rate), 3 * rate + 5, Random(seed), most)) <= rate


@settings(max_examples=60, deadline=None)
@given(rate=RATES, gaps=st.lists(st.floats(0, 3), max_size=60))
def test_demand_that_comes_and_goes_makes_no_burst(rate: float, gaps: list[float]) -> None:
    """Time without demand is not saved up: what comes after it is spaced as ever."""
    pace, now, made = Pace(rate), 0.0, []
    for gap in gaps:
        now += gap
        for _ in range(5):
            queued = pace.wait(now) > 0
            while (wait := pace.wait(now)) > 0:
                now += wait
            pace.take(now, queued)
            made.append(now)
    assert busiest(made) <= max(1, rate)


@settings(max_examples=15, deadline=None)
@given(rate=st.integers(20, 200), most=st.sampled_from([0.0, 0.0005, 0.001]), seed=st.integers())
def test_nearly_all_of_the_rate_is_used(rate: int, most: float, seed: int) -> None:
    """A wake-up late by a millisecond is made good: at least 92 % of the rate goes out while there is demand."""
    made = calls(Pace(rate), 10 * rate, Random(seed), most)
    assert len(made) / made[-1] >= 0.92 * rate


@pytest.mark.parametrize(
    ("late", "queued", "left"), [(0.0, True, 1.0), (0.004, True, 0.96), (5.0, True, 0.5), (0.004, False, 1.0)]
)
def test_a_late_wake_up_is_made_good_at_twice_the_pace_at_most(late: float, queued: bool, left: float) -> None:
    """A call that queued and came late shortens the next gap, at most to half of it; no other call does."""
    pace = Pace(10)
    gap = 1 / paced(10)
    pace.take(0.0)
    assert pace.wait(0.0) == pytest.approx(gap)
    pace.take(gap + late * gap * 10, queued)
    assert pace.wait(gap + late * gap * 10) == pytest.approx(left * gap)


@given(rate=st.floats(0.01, 5000))
def test_a_window_holds_the_rate_and_nearly_all_of_it(rate: float) -> None:
    """However odd the rate, its window allows no second more than the rate, or one call, and wastes little."""
    most, seconds = window(rate)
    assert 1 <= most <= max(1.0, rate)
    assert seconds > 1
    assert paced(rate) == most / seconds
    assert paced(rate) <= rate
    assert paced(rate) >= 0.96 * min(rate, int(rate) or rate) - 1e-9


def test_a_rate_below_one_is_one_call_in_so_many_seconds() -> None:
    """A tenth of a call a second is a call every ten seconds, a little more slowly."""
    made = calls(Pace(0.1), 5, Random(1), 0.0)
    assert all(10.0 <= later - sooner <= 10.5 for sooner, later in pairwise(made))


def test_throttling_halves_the_rate_and_it_comes_back() -> None:
    """Half at once; after some seconds it grows, slowly at first, up to the limit and no further."""
    pace = Pace(100)
    pace.throttled(0.0)
    shown = [pace.rate(seconds) for seconds in (0, PAUSE + LEVEL, 10, 10.5, 11, 15, 1000)]
    assert shown[:2] == [50, 50]
    assert shown == sorted(shown)
    assert 50 <= shown[2] < 55
    assert shown[-2:] == [100, 100]


def test_the_way_back_is_slow_at_first() -> None:
    """Level for 8.5 seconds after the pause, then by the third power of the time, seen in whole seconds."""
    pace = Pace(100)
    pace.throttled(0.0)
    assert [pace.rate(PAUSE + seconds) for seconds in (8.0, 9.0, 9.9)] == [
        50, pytest.approx(50 * (1 + (0.5 / 1.3) ** 3)), pytest.approx(50 * (1 + (0.5 / 1.3) ** 3)),
    ]  # fmt: skip


@pytest.mark.parametrize(("rate", "wait"), [(10, WINDOW / 10), (2, WINDOW / 2), (0.5, WINDOW), (1 / 60, WINDOW)])
def test_what_another_process_may_have_used_is_one_second(rate: float, wait: float) -> None:
    """Calls began evenly until a time: the next is due one gap later, and where gaps are long, after that second."""
    assert Pace(rate, 100.0).wait(100.0) == pytest.approx(wait)


@pytest.mark.parametrize(("sent", "rate"), [(40, 0.97 * 40), (90, 50 * (1 + (0.7 / 1.3) ** 3)), (10, 25.0)])
def test_growth_that_found_the_limit_falls_back_to_what_came_through(sent: int, rate: float) -> None:
    """The calls of the second before tell what a cloud lets through; not more than was tried, nor less than half."""
    pace = Pace(100)
    pace.throttled(0.0)
    for number in range(70):
        pace.take(8.3 + number * 0.01)
    for number in range(sent):
        pace.take(9.25 + number * 0.01)
    pace.throttled(10.3, None, 10.2)
    assert pace.rate(10.3) == pytest.approx(rate)
    assert pace.wait(10.3) >= 10.2 + 0.5 - 10.3


@pytest.mark.parametrize(("sent", "rate"), [(49, 0.85 * 50), (30, 0.97 * 30), (20, 25.0)])
def test_a_refusal_on_the_way_back_cuts_the_rate(sent: int, rate: float) -> None:
    """A refusal soon after another takes 15 %, or all that did not come through, but no more than half."""
    pace = Pace(100)
    pace.throttled(0.0)
    for number in range(sent):
        pace.take(1.1 + number * 0.015)
    pace.throttled(2.1, None, 2.05)
    assert pace.rate(2.1) == pytest.approx(rate)


def test_refused_calls_did_not_come_through() -> None:
    """Of the second before a refusal those calls count that were not refused themselves."""
    pace = Pace(100)
    pace.throttled(0.0)
    pace.throttled(1.6, None, 1.5)
    assert pace.rate(1.6) == 25
    for number in range(30):
        pace.take(1.6 + number * 0.025)
    for number in range(10):
        pace.throttled(2.45, None, 1.61 + number * 0.075)
    assert pace.rate(2.45) == 25
    pace.throttled(2.6, None, 2.55)
    assert pace.rate(2.6) == pytest.approx(0.97 * 20)


def test_a_refusal_of_a_call_before_the_cut_is_no_news() -> None:
    """However late its answer comes, a call that went out at the old rate says nothing of the new one."""
    pace = Pace(100)
    pace.throttled(0.0)
    pace.throttled(5.0, None, 0.5)
    pace.throttled(5.0, None, PAUSE)
    assert pace.rate(5.0) == 50
    pace.throttled(5.1, None, PAUSE + 0.01)
    assert pace.rate(5.1) == 25


def test_a_low_limit_is_lowered_to_half_at_most() -> None:
    """Below one call in a second there is little to lower; a higher limit goes down to one call in two seconds."""
    low, high = Pace(0.4), Pace(10)
    for number in range(9):
        low.throttled(3.0 * number)
        high.throttled(3.0 * number)
    assert (low.rate(25.0), high.rate(25.0)) == (0.2, 0.5)
    high.take(30.0)
    assert high.wait(30.0) == pytest.approx(2 * WINDOW)


def test_demand_after_a_pause_begins_near_the_rate_that_was_throttled_and_grows() -> None:
    """Time in which nobody called proves nothing: half of the limit at first, all of it some seconds later."""
    pace = Pace(100)
    pace.throttled(0.0)
    pace.take(20.0)
    assert pace.wait(20.0) == pytest.approx(WINDOW / 50)
    made = calls(pace, 500, Random(1), 0.0, start=20.1)
    assert sum(20.1 <= time < 21.1 for time in made) <= 51
    assert sum(23.5 <= time < 24.5 for time in made) >= 95
    steady = Pace(1)
    steady.throttled(0.0)
    made = calls(steady, 30, Random(1), 0.0)
    assert sum(15.0 <= time < 25.0 for time in made) >= 9


def test_refusals_of_calls_in_flight_together_count_once() -> None:
    """Thirty answers that come within a second are one refusal; one that comes later is another."""
    pace = Pace(100)
    for number in range(30):
        pace.throttled(number / 100)
    assert pace.rate(0.3) == 50
    pace.throttled(1.1)
    assert pace.rate(1.1) == 25


def test_the_rate_never_falls_below_a_share() -> None:
    """An endless outage leaves a trickle that finds out when it is over."""
    pace = Pace(64)
    for number in range(100):
        pace.throttled(2.0 * number)
    assert pace.rate(200.0) == pytest.approx(64 * LEAST_SHARE)
    assert pace.rate(198.0 + 15.0) == 64


def test_no_second_holds_more_than_the_halved_rate() -> None:
    """After a refusal the calls thin out at once, not only when the next step comes."""
    pace = Pace(100)
    calls(pace, 50, Random(1), 0.0)
    pace.throttled(0.6)
    later = [time for time in calls(pace, 100, Random(1), 0.0, start=0.6) if time < 5.6]
    assert busiest(later) <= 50


def test_a_hint_is_waited_out() -> None:
    """A provider that says how long to wait is asked nothing before, and the longest hint stands."""
    pace = Pace(100)
    pace.throttled(10.0, 3.0)
    pace.throttled(10.5, 1.0)
    assert pace.wait(10.5) == pytest.approx(2.5)
    assert pace.wait(13.0) <= 1 / paced(50)
    assert pace.wait(14.0) == 0


def test_another_limit_keeps_throttling_and_use() -> None:
    """A reload neither forgives a refusal nor forgets the last call."""
    pace = Pace(100)
    pace.take(0.0)
    due = pace.wait(0.0)
    pace.throttled(0.0, 4.0)
    pace.change(200)
    assert (pace.limit, pace.rate(0.0)) == (200, 50)
    assert pace.wait(0.0) == 4.0 > due
    assert [pace.rate(seconds) for seconds in (5, 25)] == [50, 200]
    pace.change(10)
    assert pace.rate(30.0) == 10


@pytest.mark.parametrize("first", [True, False])
def test_of_two_paces_that_become_one_the_slower_rate_holds(first: bool) -> None:
    """Where both were throttled, whichever takes in the other keeps the lower rate and the longer wait."""
    slow, slower = Pace(64), Pace(64)
    slow.throttled(10.0, 3.0)
    for seconds in (10.0, 12.0, 14.0):
        slower.throttled(seconds)
    low = slower.rate(15.0)
    assert low < slow.rate(15.0) == 32
    one, other = (slow, slower) if first else (slower, slow)
    one.absorb(other, 15.0)
    assert one.rate(15.0) == low
    assert one.wait(15.0) == max(slow.wait(15.0), slower.wait(15.0))


def test_calls_of_two_paces_that_become_one_are_counted_together() -> None:
    """The second behind a merge holds the calls of both, in the order in which they went out."""
    one, other = Pace(4), Pace(4)
    for seconds in (0.0, 0.3, 0.6):
        one.take(seconds)
        other.take(seconds + 0.1)
    one.absorb(other, 0.7)
    # Six calls are in the window: the next one waits until no more than three are left.
    assert one.wait(0.7) == pytest.approx(0.3 + WINDOW - 0.7)
    assert one.wait(3.0) == 0
    one.throttled(3.0)
    assert one.rate(3.0) == 2
    one, other = Pace(4), Pace(4)
    for seconds in (0.0, 0.2):
        one.take(seconds)
        other.take(seconds + 0.1)
    one.absorb(other, 0.3)
    assert one.wait(0.3) == pytest.approx(WINDOW - 0.3)


def test_a_pace_is_settled_when_nothing_of_it_matters_any_more() -> None:
    """Not before its last call has left the window, nor while it is held or its rate is lowered."""
    pace = Pace(10)
    assert pace.settled(0.0)
    pace.take(0.0)
    # A late wake-up: the next call is due by the time at which this one was.
    pace.take(0.5, queued=True)
    assert [pace.settled(seconds) for seconds in (0.5, 1.5, 1.53, 0.5 + WINDOW + 0.01)] == [False, False, False, True]
    assert [Pace(10, 100.0).settled(seconds) for seconds in (99.0, 102.0)] == [False, True]
    slow = Pace(0.1)
    slow.take(0.0)
    assert [slow.settled(seconds) for seconds in (5.0, 10.0, 10.5)] == [False, False, True]
    held = Pace(10)
    held.throttled(0.0, 20.0)
    assert [held.settled(seconds) for seconds in (10.0, 20.5, 25.0, 40.0)] == [False, False, False, True]


def test_the_breaker_opens_after_bad_rounds_in_a_row_and_closes_at_the_first_answer() -> None:
    """Three bad rounds in a row open it, two do not, and any answer closes it at once."""
    breaker, seen = Breaker(), []
    for good in (False, False, True, False, False, False, False, True, False):
        if good:
            breaker.answered()
        else:
            breaker.failed()
        seen.append(breaker.open)
    assert seen == [False, False, False, False, False, True, True, False, False]
