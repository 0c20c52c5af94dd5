"""When streams are expected: Alertmanager's verdicts to the row, changes to the second, and any clock."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from exporter.config import Config, ConfigErrors, load
from exporter.providers import all_providers
from exporter.schedule import ALWAYS, NEVER, Expectations, Interval, Schedule, Window
from exporter.schedule.coverage import LAST_YEAR, Coverage, clock_changes
from exporter.schedule.intervals import merged

TABLE = Path(__file__).parent.parent / "data" / "time_intervals" / "verdicts.json.gz"
HEAD = "accounts: [{name: t, provider: tencent, secret_id: i, secret_key: k}]\n"
ZONES = [
    ZoneInfo(name)
    for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu")
] + [UTC]
BERLIN, NEW_YORK = ZONES[:2]


def config(text: str) -> Config:
    """Load a configuration with one account."""
    return load(Path("c.yml"), all_providers(), {}, lambda _path: (HEAD + text).encode())


def following(intervals: Sequence[str]) -> dict[str, Schedule]:
    """Return the schedule of each time interval, given as YAML."""
    named = "".join(f"- {{name: n{n}, time_intervals: [{each}]}}\n" for n, each in enumerate(intervals))
    streams = "".join(f"- {{name: s{n}, account: t, domain: d, expected: n{n}}}\n" for n in range(len(intervals)))
    made = config(f"time_intervals:\n{named}streams:\n{streams}").expectations
    return {each: made.schedules[made.numbers["tencent", f"s{n}"]] for n, each in enumerate(intervals)}


def errors(interval: str) -> list[str]:
    """Return what is wrong with a time interval, given as YAML."""
    try:
        following([interval])
    except ConfigErrors as found:
        return [problem.message for problem in found.problems]
    return []


def instant(zone: tzinfo, year: int, month: int, day: int, hour: int = 0, minute: int = 0, *, fold: int = 0) -> float:
    """Return the Unix seconds of a time that a wall shows."""
    return datetime(year, month, day, hour, minute, tzinfo=zone, fold=fold).timestamp()


# --- Alertmanager -----------------------------------------------------------------------------------------------------


@cache
def table() -> dict[str, Any]:
    """Return the table of Alertmanager's verdicts."""
    found: dict[str, Any] = json.loads(gzip.decompress(TABLE.read_bytes()))
    return found


STRICTER = {
    '{weekdays: [monday], location: ""}': "is empty; text is expected",
    "{}": "says nothing of when, so it would hold always; to mean that, use expected: always",
    "{location: UTC}": "says nothing of when, so it would hold always; to mean that, use expected: always",
    "{weekdays: []}": "is empty; leave the key out, or list something",
    "{times: []}": "is empty; leave the key out, or list something",
    "{years: []}": "is empty; leave the key out, or list something",
}
"""What Alertmanager takes and we refuse, besides what never comes: each is more likely a mistake than meant."""


@pytest.mark.no_cover
def test_every_verdict_is_alertmanagers() -> None:
    """Each interval that Alertmanager takes has its verdict at each instant: 300,000 rows.

    The table was made with Alertmanager's own package github.com/prometheus/alertmanager/timeinterval v0.35.0, in
    tests/data/time_intervals by `go run . | gzip -9n > verdicts.json.gz`: 180 intervals by hand and 600 by chance, at
    771 instants around clock changes, ends of months and years, leap days and a day that Samoa left out, and by chance.
    """
    instants = table()["instants"]
    taken = {one["interval"]: one["verdicts"] for one in table()["judged"] if one["verdicts"]}
    refused = {one: errors(one) for one in taken if errors(one)}
    ours = [one for one in taken if one not in refused]
    for one, told in refused.items():
        never = told == ["never comes: no day of the calendar fits all of it"]
        assert (never and "1" not in taken[one]) or told == [STRICTER[one]], one
    assert len(ours) * len(instants) > 300_000
    for one, schedule in following(ours).items():
        verdicts = "".join("01"[schedule.expects(at)] for at in instants)
        assert verdicts == taken[one], one


def test_what_alertmanager_refuses_is_refused() -> None:
    """No interval has a meaning here that it has not there."""
    refused = [one["interval"] for one in table()["judged"] if not one["verdicts"]]
    assert len(refused) > 250
    assert [one for one in refused if not errors(one)] == []


@pytest.mark.parametrize("interval", STRICTER)
def test_what_is_empty_is_refused(interval: str) -> None:
    """What Alertmanager takes for always or never because it is empty, is more likely a mistake."""
    assert errors(interval) == [STRICTER[interval]]


@pytest.mark.parametrize(
    ("fields", "comes"),
    [
        ('months: [february], days_of_month: ["30"]', False),
        ('months: ["april", "june"], days_of_month: ["31"]', False),
        ('months: [february], days_of_month: ["29"], years: ["2021:2023"]', False),
        ('months: [february], days_of_month: ["29"], years: ["2100"]', False),
        ('days_of_month: ["1"], weekdays: [monday], months: [may], years: [2026]', False),
        ('days_of_month: ["1"], weekdays: [friday], months: [may], years: [2026]', True),
        ('months: [february], days_of_month: ["29"], weekdays: [monday]', True),
        ('days_of_month: ["-31"], months: ["april:may"]', True),
        ('days_of_month: ["-31"], months: ["april"]', False),
    ],
)
def test_what_never_comes_is_an_error(fields: str, comes: bool) -> None:
    """A stream that waits for February 30 would never be missed."""
    assert (errors(f"{{{fields}}}") == []) is comes


# --- changes ----------------------------------------------------------------------------------------------------------

minutes = st.sampled_from([0, 30, 60, 90, 120, 135, 150, 180, 210, 720, 1320, 1380, 1425, 1440])
spans = st.tuples(minutes, minutes).filter(lambda span: span[0] < span[1])
days = st.sampled_from([(1, 1), (1, 7), (-7, -1), (29, 31), (-1, -1), (15, -1), (25, 31), (-31, -31)])
intervals = st.builds(
    Interval,
    times=st.lists(spans, max_size=2).map(tuple),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1) | st.just(frozenset(range(7))),
    days=st.lists(days, max_size=1).map(tuple),
    months=st.frozensets(st.integers(1, 12), min_size=6) | st.just(frozenset(range(1, 13))),
    years=st.sampled_from([(), ((2024, 2024),), ((2018, 2025), (2026, 2026))]),
    zone=st.sampled_from(ZONES),
)
# Near clock changes of the zones above, and the turn of a year.
near = st.sampled_from(
    [
        instant(BERLIN, 2026, 3, 29), instant(BERLIN, 2026, 10, 25), instant(NEW_YORK, 2025, 3, 9),
        instant(NEW_YORK, 2025, 11, 2), instant(ZONES[2], 2024, 10, 6), instant(ZONES[2], 2025, 4, 6),
        instant(ZONES[3], 2018, 11, 3, 12), instant(ZONES[3], 2018, 2, 17, 12), instant(UTC, 2024, 12, 31),
    ]
)  # fmt: skip
starts = st.builds(lambda base, seconds: base + seconds, near, st.integers(-100_000, 100_000))
windows = st.builds(
    lambda base, offset, seconds: Window(base + offset, base + offset + seconds),
    near, st.integers(-200_000, 200_000), st.sampled_from([1, 60, 3600, 90_000]),
)  # fmt: skip
schedules = st.builds(
    lambda several, opened: Schedule(("some",), tuple(several), tuple(opened)),
    st.lists(intervals, min_size=1, max_size=3), st.lists(windows, max_size=3),
)  # fmt: skip

GAP = Schedule(("gap",), (Interval(times=((120, 150),), zone=BERLIN),))
DOUBLED = Schedule(("doubled",), (Interval(times=((135, 165),), zone=BERLIN),))


@settings(max_examples=200, deadline=None)
@given(schedules, starts)
@example(GAP, instant(BERLIN, 2026, 3, 28, 12))
@example(DOUBLED, instant(BERLIN, 2026, 10, 24, 12))
@pytest.mark.no_cover
def test_the_next_change_is_the_first(schedule: Schedule, start: float) -> None:
    """What is foreseen is the first instant at which the verdict differs: so say all minutes of three days.

    After six hours only quarters of an hour are looked at, since all that the intervals and zones are made of are such.
    """
    edges = {edge for window in schedule.windows for edge in (window.start, window.end)}
    every = {start // 60 * 60 + 60 * minute for minute in range(6 * 60)}
    every |= {start // 900 * 900 + 900 * quarter for quarter in range(3 * 96)}
    now, end = schedule.expects(start), start + 3 * 86_400 - 900
    first = next((at for at in sorted(every | edges) if start < at < end and schedule.expects(at) is not now), None)
    foreseen = schedule.next_change(start)
    if first is not None:
        assert foreseen == first
    elif foreseen is not None:
        assert foreseen >= end
        assert schedule.expects(foreseen) is not now
        assert schedule.expects(foreseen - 1) is now


@settings(max_examples=60, deadline=None)
@given(st.lists(intervals, min_size=1, max_size=3), starts, st.integers(1, 10**8))
def test_nothing_changes_before_what_is_foreseen(several: list[Interval], start: float, later: int) -> None:
    """However far off the next change is, the verdict holds until then; where none is foreseen, it holds for ever."""
    schedule = Schedule(("some",), tuple(several))
    foreseen = schedule.next_change(start)
    at = start + (later if foreseen is None else later % max(1, int(foreseen - start)))
    assume(at < instant(UTC, 2037, 1, 1))
    assert schedule.expects(at) is schedule.expects(start)


@pytest.mark.parametrize(
    ("schedule", "at", "expected"),
    [
        # A window in the missing hour does not come that day; one that reaches into it begins when the clock jumps.
        (GAP, instant(BERLIN, 2026, 3, 28, 3), instant(BERLIN, 2026, 3, 30, 2)),
        (Schedule((), (Interval(times=((150, 210),), zone=BERLIN),)), instant(BERLIN, 2026, 3, 29, 1),
         instant(UTC, 2026, 3, 29, 1)),
        # One that ends in the missing hour ends when the clock jumps.
        (Schedule((), (Interval(times=((60, 150),), zone=BERLIN),)), instant(BERLIN, 2026, 3, 29, 1),
         instant(UTC, 2026, 3, 29, 1)),
        # The doubled hour counts twice: on at 02:15, off at 02:45, on again at 02:15.
        (DOUBLED, instant(BERLIN, 2026, 10, 25, 2), instant(BERLIN, 2026, 10, 25, 2, 15)),
        (DOUBLED, instant(BERLIN, 2026, 10, 25, 2, 15), instant(BERLIN, 2026, 10, 25, 2, 45)),
        (DOUBLED, instant(BERLIN, 2026, 10, 25, 2, 45), instant(BERLIN, 2026, 10, 25, 2, 15, fold=1)),
        (DOUBLED, instant(BERLIN, 2026, 10, 25, 2, 15, fold=1), instant(BERLIN, 2026, 10, 25, 2, 45, fold=1)),
        # A day that was left out.
        (Schedule((), (Interval(weekdays=frozenset({6}), zone=ZoneInfo("Pacific/Apia")),)), instant(UTC, 2011, 12, 30),
         instant(UTC, 2011, 12, 30, 10)),
        # Years, and days that come once in 28 years.
        (Schedule((), (Interval(years=((2031, 2032),), zone=BERLIN),)), 1.8e9, instant(BERLIN, 2031, 1, 1)),
        (Schedule((), (Interval(years=((2031, 2032),), zone=BERLIN),)), 1.95e9, instant(BERLIN, 2033, 1, 1)),
        (Schedule((), (Interval(days=((29, 29),), months=frozenset({2}), weekdays=frozenset({1})),)), 1.8e9,
         instant(UTC, 2044, 2, 29)),
        (Schedule((), (Interval(days=((29, 29),), months=frozenset({2}), weekdays=frozenset({4})),)),
         instant(UTC, 2080, 3, 1), instant(UTC, 2120, 2, 29)),
        (Schedule((), (Interval(months=frozenset({12}), zone=BERLIN),)), instant(UTC, 2026, 3, 1),
         instant(BERLIN, 2026, 12, 1)),
        # One hour a week is left out; and the clock goes back to the day before, one minute after midnight.
        (Schedule((), (Interval(weekdays=frozenset(range(1, 7))), Interval(times=((0, 1380),)))),
         instant(UTC, 2026, 11, 23), instant(UTC, 2026, 11, 29, 23)),
        (Schedule((), (Interval(weekdays=frozenset({0}), zone=ZoneInfo("America/St_Johns")),)),
         instant(UTC, 2010, 11, 7, 2, 30), instant(UTC, 2010, 11, 7, 2, 31)),
        (Schedule((), (Interval(weekdays=frozenset({0}), zone=ZoneInfo("America/St_Johns")),)),
         instant(UTC, 2010, 11, 7, 2, 31), instant(UTC, 2010, 11, 7, 3, 30)),
        # No change is foreseen where intervals take turns for ever, in one zone or in several.
        (Schedule((), (Interval(weekdays=frozenset(range(1, 7))), Interval(weekdays=frozenset({0})))), 1.8e9, None),
        (Schedule((), (Interval(times=((0, 720),)), Interval(times=((720, 1440),)))), 1.8e9, None),
        (Schedule((), (Interval(days=((1, 15),)), Interval(days=((16, -1),)))), 1.8e9, None),
        (Schedule((), (Interval(times=((0, 800),)), Interval(times=((0, 1440),), zone=BERLIN))), 1.8e9, None),
        (Schedule((), (Interval(times=((0, 720),)), Interval(times=((720, 1440),), zone=ZoneInfo("Etc/UTC")))), 1.8e9,
         None),
        # The day after a clock change counts from its own midnight, and the calendar goes on for very long.
        (Schedule((), (Interval(weekdays=frozenset({0}), zone=BERLIN),)), instant(BERLIN, 2026, 3, 28, 12),
         instant(BERLIN, 2026, 3, 29)),
        (Schedule((), (Interval(years=((LAST_YEAR, LAST_YEAR),)),)), instant(UTC, 9990, 1, 1),
         instant(UTC, LAST_YEAR, 1, 1)),
        # A zone takes over from another.
        (Schedule((), (Interval(times=((540, 1020),), zone=BERLIN), Interval(times=((540, 1020),), zone=NEW_YORK))),
         instant(BERLIN, 2026, 7, 1, 9), instant(NEW_YORK, 2026, 7, 1, 17)),
        (ALWAYS, 1.8e9, None),
        (NEVER, 1.8e9, None),
    ],
)  # fmt: skip
def test_changes_that_are_hard_to_foresee(schedule: Schedule, at: float, expected: float | None) -> None:
    """Clock changes, leap days, years, and turns that leave no gap."""
    assert schedule.next_change(at) == expected


class Watched(tzinfo):
    """UTC, which counts how often somebody looks at it."""

    def __init__(self) -> None:
        self.looks = 0

    def utcoffset(self, _when: datetime | None) -> timedelta:
        """Return nothing."""
        self.looks += 1
        return timedelta()

    def dst(self, _when: datetime | None) -> timedelta:
        """Return nothing."""
        return timedelta()

    def tzname(self, _when: datetime | None) -> str:
        """Return a name."""
        return "watched"


@pytest.mark.parametrize(
    "shapes",
    [
        [{"times": ((0, 720),)}, {"times": ((720, 1440),)}],
        [{"times": ((0, 800),)}, {"times": ((700, 1440),)}, {"weekdays": frozenset({3})}],
        [{"weekdays": frozenset({0})}, {"weekdays": frozenset(range(1, 7))}],
        [{"days": ((1, 15),)}, {"days": ((16, -1),), "times": ((0, 900),)}, {"times": ((900, 1440),)}],
        [{"months": frozenset({2}), "weekdays": frozenset({1}), "days": ((29, 29),)}],
    ],
)
def test_days_that_change_nothing_are_not_looked_through(shapes: list[dict[str, Any]]) -> None:
    """Forty years in which the calendar shows that nothing changes cost no look at the hours of each day."""
    zone = Watched()
    Coverage([Interval(zone=zone, **shape) for shape in shapes]).next_flip(1.8e9)
    assert zone.looks < 60


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        (BERLIN, (2026, 3, 29), [instant(UTC, 2026, 3, 29, 1)]),
        (BERLIN, (2026, 10, 25), [instant(UTC, 2026, 10, 25, 1)]),
        (BERLIN, (2026, 10, 26), []),
        (ZoneInfo("America/St_Johns"), (2010, 11, 7), [instant(UTC, 2010, 11, 7, 2, 31)]),
        (ZONES[2], (2024, 10, 6), [instant(UTC, 2024, 10, 5, 15, 30)]),
        (ZoneInfo("Africa/Monrovia"), (1972, 1, 6), [instant(UTC, 1972, 1, 7) + 2670]),
    ],
)
def test_a_clock_change_is_found_to_the_second(zone: tzinfo, day: tuple[int, int, int], expected: list[float]) -> None:
    """From whatever second on a day is looked at, its clock change is where it is, and other days have none."""
    start = instant(zone, *day)
    for later in (0, 1, 2.5):
        assert list(clock_changes(zone, start + later, start + 86_400 + later)) == expected


def test_ranges_that_meet_are_one() -> None:
    """Ranges that overlap, meet or lie within each other cover what the fewest do, in whatever order they come."""
    ranges = [(60, 90), (0, 30), (30, 40), (62, 70), (80, 100), (120, 130)]
    for turned in (ranges, ranges[::-1]):
        assert merged(iter(turned)) == [(0, 40), (60, 100), (120, 130)]


def test_maintenance_hides_what_is_expected_and_nothing_else() -> None:
    """Within a window nothing is expected, windows may overlap, and the change after them is foreseen from within."""
    office = (Interval(times=((540, 1020),)),)
    day = instant(UTC, 2026, 11, 26)
    at = [day + hour * 3600 for hour in range(24)]
    both = Schedule(("office",), office, (Window(at[10], at[12], comment="one"), Window(at[11], at[13], comment="two")))
    assert [hour for hour in range(24) if both.expects(at[hour])] == [9, 13, 14, 15, 16]
    assert [both.next_change(at[hour]) for hour in (8, 9, 10, 11, 12)] == [at[9], at[10], at[13], at[13], at[13]]
    assert (both.expects(at[10] - 0.001), both.expects(at[13] - 0.001)) == (True, False)
    opened = [both.open_window(at[hour]) for hour in (9, 10, 11, 12, 13)]
    assert [window and window.comment for window in opened] == [None, "one", "two", "two", None]
    # A window over the end of the office hours is over without any change; one outside of them changes nothing.
    over = Schedule(("office",), office, (Window(at[16], at[20]),))
    assert (over.next_change(at[16]), over.next_change(at[18])) == (day + 86_400 + at[9] - day, at[9] + 86_400)
    night = Schedule(("office",), office, (Window(at[1], at[2]), Window(at[3], at[4])))
    assert night.next_change(at[0]) == at[9]
    always = Schedule(("always",), None, (Window(at[1], at[2]),))
    assert [always.next_change(at[hour]) for hour in (0, 1, 2)] == [at[1], at[2], None]
    assert night.zone is always.zone is UTC
    never = Schedule(("never",), (), (Window(at[1], at[2]), Window(at[3], at[4])))
    assert [never.next_change(at[hour]) for hour in (0, 1, 2)] == [None, None, None]


# --- all streams ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(schedules, min_size=1, max_size=4), st.lists(starts | st.floats(1.7e9, 1.8e9), min_size=1, max_size=12))
def test_whatever_the_clock_does_the_verdicts_are_those_of_now(several: list[Schedule], instants: list[float]) -> None:
    """A clock that is set back or leaps ahead, by seconds or by years, is believed at once."""
    made = Expectations(several, {("tencent", str(n)): n for n in range(len(several))})
    for base in instants:
        for at in (base, base - 0.5, base + 61, base - 3600):
            verdicts = made.at(at)
            assert verdicts.since <= at < verdicts.until
            assert verdicts.expected == tuple(one.expects(at) for one in several)
            for n, one in enumerate(several):
                assert verdicts.of(("tencent", str(n))).expected is one.expects(at)
                assert verdicts.of(("tencent", str(n))).maintenance == one.open_window(at)


@settings(max_examples=30, deadline=None)
@given(schedules, starts)
def test_a_verdict_holds_as_long_as_it_is_kept(schedule: Schedule, start: float) -> None:
    """Verdicts are kept for a minute at most, and no change falls into the time for which they are."""
    made = Expectations([schedule])
    verdicts = made.at(start)
    assert verdicts.until - verdicts.since <= 60
    step = (verdicts.until - verdicts.since) / 16
    for at in (verdicts.since + step * part for part in range(16)):
        assert made.at(at) is verdicts
        assert schedule.expects(at) is verdicts.by_number[0].expected
    (one,) = verdicts.by_number
    assert one.next_change == schedule.next_change(start)


def test_verdicts_are_kept_for_a_minute_or_up_to_the_next_edge_of_maintenance() -> None:
    """What was decided counts on its own side of each edge only, to whichever side the clock goes."""
    minute = instant(UTC, 2026, 11, 26, 12)
    opened = (Window(minute + 10, minute + 20), Window(minute + 90, minute + 150))
    made = Expectations([Schedule(("always",), None, opened)])
    spans = [(-60, 0), (0, 10), (10, 20), (20, 60), (60, 90), (90, 120), (120, 150), (150, 180)]
    for start, end in [*spans, *reversed(spans), *spans[::2], *spans[1::2]]:
        for at in (start, start + 5, end - 0.5):
            verdicts = made.at(minute + at)
            assert (verdicts.since - minute, verdicts.until - minute) == (start, end)
            inside = any(window.start <= minute + start < window.end for window in opened)
            assert verdicts.expected == (not inside,)


def test_all_schedules_of_a_zone_look_at_its_wall_once() -> None:
    """However many schedules there are, a verdict on all of them costs one look at each zone's wall."""
    zone = Watched()
    made = [Schedule((f"{hour}",), (Interval(times=((60 * hour, 1440),), zone=zone),)) for hour in range(24)]
    assert sum(Expectations(made).at(instant(UTC, 2026, 11, 26, 12)).expected) == 13
    assert zone.looks < 4


def test_each_stream_follows_its_own_schedule() -> None:
    """What is expected of it, what changes next and what maintenance is under way are those of its own schedule."""
    now, key = instant(UTC, 2026, 11, 26, 12), ("tencent", "own")
    opened = Window(now - 60, now + 60)
    own = Schedule(("office",), (Interval(times=((540, 1020),)),), (opened,))
    made = Expectations([ALWAYS, own], {key: 1})
    verdicts = made.at(now)
    assert [verdicts.of(("tencent", name)).expected for name in ("own", "other")] == [False, True]
    assert (verdicts.of(key).next_change, verdicts.of(key).maintenance) == (now + 60, opened)
    assert not Expectations([own]).at(0.5).of(key).expected, "from the first second of Unix time on"


def test_a_stream_that_follows_nothing_else_follows_the_first() -> None:
    """Without a word on schedules every stream is expected always."""
    verdict = Expectations().at(1.8e9).of(("tencent", "any"))
    assert (verdict.expected, verdict.next_change, verdict.maintenance) == (True, None, None)
