"""The parts `expected`, `time_intervals` and `maintenance` of a configuration: when each stream should be live."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import Any, Final

from exporter.config.findings import Findings
from exporter.config.positions import value_at
from exporter.config.problems import Place
from exporter.config.time_shapes import ExpectedShape, IntervalShape, NamedShape, TimesShape, WindowShape
from exporter.config.wording import Keys, already_taken, listed
from exporter.config.zones import UnknownZone
from exporter.fields import carries_credential
from exporter.model import Stream
from exporter.providers.reading import printable
from exporter.schedule import ALWAYS, NEVER, Expectations, Interval, Schedule, Window
from exporter.schedule.coverage import Coverage
from exporter.schedule.intervals import ALL_MONTHS, ALL_WEEKDAYS, Range, wall_at
from exporter.spelling import did_you_mean

RESERVED: Final = {"always": ALWAYS, "never": NEVER}
OWN_LABELS: Final = ("provider", "account", "stream")

_NAMED_KEYS: Final = Keys((*NamedShape.model_fields, *IntervalShape.model_fields, *TimesShape.model_fields))
_WINDOW_KEYS: Final = Keys(
    tuple(WindowShape.model_fields),
    absent={"match": "is missing; name labels, such as {team: esports}, or write {} for all streams"},
)

Find = Callable[[str], tzinfo]
"""Returns a time zone by its name; raises UnknownZone."""


class Schedules:
    """Reads when streams should be live, and says of each which schedule it follows.

    Args:
        findings: Where errors and warnings go.
        zone: Finds time zones.
        options: The values that labels of maintenance may have, where they are known: `provider` and `account`.
        now: Unix seconds; what is over by then is warned about.
    """

    def __init__(self, findings: Findings, zone: Find, options: Mapping[str, Collection[str]], now: float) -> None:
        self.findings = findings
        self.options = options
        self.now = now
        self._zone = zone
        self._default: tuple[str, ...] = ("always",)
        self._intervals: dict[str, tuple[Interval, ...]] = {}
        self._places: dict[str, Place] = {}
        self._windows: list[tuple[Window, Place]] = []
        self._known: set[tuple[str, ...]] = set()
        self._complete = True
        self.raw: dict[str, Any] = {}

    def read(self, raw: Mapping[str, Any]) -> None:
        """Read these parts of the configuration's top."""
        self.raw = {key: raw[key] for key in ("expected", "time_intervals", "maintenance") if key in raw}
        for index, each in enumerate(self.findings.list_of(raw.get("time_intervals", []), ("time_intervals",))):
            self._read_named(each, ("time_intervals", index))
        for index, each in enumerate(self.findings.list_of(raw.get("maintenance", []), ("maintenance",))):
            self._read_window(each, ("maintenance", index))
        given = {key: raw[key] for key in ("expected",) if key in raw}
        if (default := self.findings.validated(ExpectedShape, given, ())) is not None:
            self._default = tuple(default.expected)
            self.check(self._default, ("expected",))

    def _read_named(self, raw: Any, place: Place) -> None:
        shape = self.findings.validated(NamedShape, raw, place, _NAMED_KEYS)
        if not isinstance(raw, dict):
            return
        self._check_zones(raw.get("time_intervals"), (*place, "time_intervals"))
        name = raw.get("name")
        if not isinstance(name, str) or carries_credential(name):
            return
        if name in RESERVED:
            self.findings.wrong((*place, "name"), "is a word of its own for `expected`; use another name")
        first = self._places.setdefault(name, (*place, "name"))
        if first != (*place, "name"):
            here = self.findings.document
            self.findings.wrong((*place, "name"), already_taken("a time interval", name), first=(here, first))
        elif shape is not None:
            inner = (*place, "time_intervals")
            self._intervals[name] = tuple(self._interval(*each, inner) for each in enumerate(shape.time_intervals))

    def _check_zones(self, raw: Any, place: Place) -> None:
        """Check the time zones, even if something else is wrong with the intervals."""
        for index, each in enumerate(raw if isinstance(raw, list) else ()):
            name = each.get("location") if isinstance(each, dict) else None
            try:
                self._zone(name if isinstance(name, str) and name else "UTC")
            except UnknownZone as unknown:
                self.findings.wrong((*place, index, "location"), str(unknown))

    def _read_window(self, raw: Any, place: Place) -> None:
        match = raw.get("match") if isinstance(raw, dict) else None
        for label, options in self.options.items():
            value = match.get(label) if isinstance(match, dict) else None
            if isinstance(value, str) and value not in options:
                problem = f"no {label} has this name{did_you_mean(value, options)}"
                self.findings.wrong((*place, "match", label), problem)
        shape = self.findings.validated(WindowShape, raw, place, _WINDOW_KEYS)
        if shape is None:
            return
        window = Window(shape.start, shape.end, tuple(sorted(shape.match.items())), shape.comment)
        self._windows.append((window, place))

    def _interval(self, index: int, shape: IntervalShape, around: Place) -> Interval:
        place = (*around, index)
        zone: tzinfo = UTC
        with suppress(UnknownZone):  # it has been told
            zone = self._zone(shape.location)
        interval = interval_of(shape, zone)
        if not interval.ever():
            self.findings.wrong(place, "never comes: no day of the calendar fits all of it")
        elif self.now and interval.years and _is_over(interval, self.now):
            self.findings.warn((*place, "years"), "is over: this interval does not come again")
        return interval

    # --- streams -----------------------------------------------------------------------------------------------------

    def check(self, names: Sequence[str] | None, place: Place) -> None:
        """Check the names that a stream, or the default, is expected by."""
        if names is None or tuple(names) in self._known:
            return
        listed = isinstance(value_at(self.findings.document.value, place), list)
        before: set[str] = set()
        right = True
        for index, name in enumerate(names):
            if problem := self._problem(name, names, before):
                self.findings.wrong((*place, index) if listed else place, problem)
                right = False
            before.add(name)
        if right:
            self._known.add(tuple(names))

    def _problem(self, name: str, names: Sequence[str], before: set[str]) -> str:
        if name in before:
            return "stands twice"
        if name in RESERVED:
            return "stands alone; with always or never, leave out the other names" if len(names) > 1 else ""
        if name in self._places:
            return ""
        known = [printable(each, 64) for each in self._places if each not in RESERVED]
        there = "the intervals are" if len(known) > 1 else "the only one is"
        options = f"; {there} {listed(known)}" if known else "; there are none"
        meant = did_you_mean(name, [*RESERVED, *known])
        return f"no time interval has this name{options}{meant}"

    def expectations(self, streams: Iterable[tuple[str, Stream]], *, complete: bool = True) -> Expectations:
        """Return when each stream should be live, given as (provider, stream).

        Warn of what no stream follows, if these are all streams.
        """
        streams, self._complete = list(streams), complete
        if not self._windows and all(stream.expected is None for _, stream in streams):
            self._warn_of_idle(set(self._default if streams else ()))
            return Expectations([self._schedule(self._default, ())])
        windows = _Windows([window for window, _ in self._windows])
        schedules: dict[tuple[tuple[str, ...], tuple[int, ...]], int] = {}
        numbers = {}
        for provider, stream in streams:
            names = self._default if stream.expected is None else tuple(stream.expected)
            choice = names, windows.of(provider, stream)
            numbers[provider, stream.name] = schedules.setdefault(choice, len(schedules))
        self._warn_of_idle({name for names, _ in schedules for name in names})
        self._warn_of_windows(streams, {index for _, opened in schedules for index in opened})
        made = [self._schedule(names, [self._windows[index][0] for index in opened]) for names, opened in schedules]
        return Expectations(made or [ALWAYS], numbers)

    def _schedule(self, names: tuple[str, ...], windows: Iterable[Window]) -> Schedule:
        intervals: tuple[Interval, ...] | None = tuple(each for name in names for each in self._intervals.get(name, ()))
        if names == ALWAYS.names:
            intervals = None
        return Schedule(names, intervals, tuple(windows))

    def _warn_of_idle(self, used: set[str]) -> None:
        for name, place in self._places.items():
            if name not in used and self._complete:
                self.findings.warn(place, "no stream follows this time interval")

    def _warn_of_windows(self, streams: Sequence[tuple[str, Stream]], used: set[int]) -> None:
        labels = {label for _, stream in streams for label in stream.labels}
        for index, (window, place) in enumerate(self._windows):
            if self.now >= window.end:
                self.findings.warn(place, "is over; it can go")
            elif index not in used and self._complete:
                strange = next((label for label, _ in window.match if label not in labels.union(OWN_LABELS)), None)
                if strange is None:
                    self.findings.warn((*place, "match"), "no stream has these labels; values are compared as they are")
                else:
                    meant = did_you_mean(strange, sorted(labels.union(OWN_LABELS)))
                    self.findings.warn((*place, "match", strange), f"no stream has this label{meant}", at_key=True)


def interval_of(shape: IntervalShape, zone: tzinfo) -> Interval:
    """Return a time interval as it is decided by."""
    return Interval(
        times=tuple((each.start_time, each.end_time) for each in shape.times),
        weekdays=frozenset(_around(shape.weekdays, 7)) if shape.weekdays else ALL_WEEKDAYS,
        days=tuple(shape.days_of_month),
        months=frozenset(month for first, last in shape.months for month in range(first, last + 1))
        if shape.months
        else ALL_MONTHS,
        years=tuple(shape.years),
        zone=zone,
    )


def _around(ranges: Iterable[Range], turn: int) -> Iterator[int]:
    """Yield the numbers of ranges that may go over the end of the week and begin anew."""
    for first, last in ranges:
        yield from (number % turn for number in range(first, last + 1 + turn * (last < first)))


def _is_over(interval: Interval, now: float) -> bool:
    coverage = Coverage([interval])
    return not coverage.contains(wall_at(now, interval.zone)) and coverage.next_flip(now) is None


class _Windows:
    """Finds the maintenance of streams; those that differ in no label that matters are looked at once."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self.labels = sorted({label for window in windows for label, _ in window.match if label != "stream"})
        self.named: dict[str, list[int]] = {}
        self.common: list[int] = []
        self.windows = windows
        self.seen: dict[tuple[str, ...], list[int]] = {}
        for index, window in enumerate(windows):
            name = dict(window.match).get("stream")
            (self.common if name is None else self.named.setdefault(name, [])).append(index)

    def of(self, provider: str, stream: Stream) -> tuple[int, ...]:
        """Return the numbers of the windows that match a stream."""
        if not self.windows:
            return ()
        own = {"provider": provider, "account": stream.account, "stream": stream.name}
        kind = tuple(own.get(label) or stream.labels.get(label, "") for label in self.labels)
        if kind not in self.seen:
            self.seen[kind] = [index for index in self.common if self._matches(index, own | stream.labels)]
        alone = (index for index in self.named.get(stream.name, ()) if self._matches(index, own | stream.labels))
        return tuple(sorted((*self.seen[kind], *alone)))

    def _matches(self, index: int, labels: Mapping[str, str]) -> bool:
        return all(labels.get(label, "") == value for label, value in self.windows[index].match)
