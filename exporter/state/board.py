"""The board: what is known about each stream now. Besides the counters, it is the only state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from exporter.addresses import PlaybackAddress
from exporter.model import Answer, Fault, Figures, Input, State, Stream
from exporter.schedule import Expectations
from exporter.state.changes import RecentChanges
from exporter.state.course import Course
from exporter.state.figures import Flow, start_of
from exporter.state.hops import Hops
from exporter.state.playback import UNCHECKED, AddressRecord, PlaybackCheck
from exporter.state.record import Change, Failure, Instant, Key, News, Record, Row

MOST_FAILURES = 50


class Board:
    """All watched streams, in the configuration's order.

    Attributes:
        version: Grows with every change; equal versions show equal rows, except for ages.
        on_change: Functions to call with each `Change`.
        on_news: Functions to call with each record of which something was learned, and what.
        failures: The latest kinds of failure, at most `MOST_FAILURES`, the oldest first.
        expectations: When each stream should be live; to be set before `watch`.
        whole: Whether no other shard watches streams of the same configuration; likewise.
        recent: The latest changes.
    """

    def __init__(self, max_age: float) -> None:
        self.max_age = max_age
        self.version = 0
        self.on_change: list[Callable[[Change], None]] = []
        self.on_news: list[Callable[[Record, News], None]] = []
        self.failures: dict[tuple[str, str, str, str], Failure] = {}
        self.expectations = Expectations()
        self.whole = True
        self.recent = RecentChanges()
        self._records: dict[Key, Record] = {}
        self._played: list[Record] = []
        self._hops = Hops()
        self._next_outdated = float("-inf")

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Key) -> Record | None:
        """Return the record of a watched stream."""
        return self._records.get(key)

    def current(self, provider: str, stream: Stream) -> Record | None:
        """Return the record of a stream, unless a reload has removed it or changed its address."""
        record = self._records.get((provider, stream.name))
        if record is None or record.stream is stream or address(record.stream) == address(stream):
            return record
        return None

    def watch(self, streams: Iterable[tuple[str, Stream]], max_age: float) -> None:
        """Watch only these (provider, stream) pairs; keep what is known about unchanged addresses."""
        records: dict[Key, Record] = {}
        for provider, stream in streams:
            key = (provider, stream.name)
            known = self._records.get(key)
            if known is not None and address(known.stream) == address(stream):
                _keep_playback(known, stream)
                known.stream = stream
                records[key] = known
            else:
                records[key] = Record(key, stream, added=self.version > 0)
        self._records = records
        self._played = [record for record in records.values() if record.stream.playback]
        self._hops.watch(records.values(), max_age, whole=self.whole)
        self.failures = {kind: one for kind, one in self.failures.items() if (one.provider, one.stream) in records}
        self.recent.keep(records)
        self.max_age = max_age
        self._next_outdated = float("-inf")
        self.version += 1

    def answered(self, record: Record, answer: Answer, action: str, now: Instant) -> None:
        """Record a definite answer."""
        before = record.answer
        if answer.lasted is not None:
            answer = answer._replace(started=start_of(before, now.unix - answer.lasted))
        if before is None or before.state is not answer.state:
            record.began = now.mono if before is not None else float("-inf")
            record.told = record.listed = None
        record.answer, record.action = answer, action
        record.answered, record.answered_mono = now.unix, now.mono
        record.fault = record.fault_since = None
        if answer.figures is not None or record.told is not None:
            since, before_that, figures = record.live_since(now), record.told, answer.figures
            record.told = figures and Flow.after(before_that, figures, now.mono, float("inf"), since)
        self._tried(record, answer.state, action, now)

    def add_inputs(self, record: Record, inputs: tuple[Input, ...] | None) -> None:
        """Add a list's inputs, if any, to the answer of an API that does not report them."""
        answer = record.answer
        if inputs is None or answer is None or record.fault is not None:
            return
        if answer.state is State.ACTIVE and answer.inputs is None:
            record.answer = answer._replace(inputs=inputs)
            self.version += 1
            self._tell(record, News.OUTCOME)

    def figured(self, record: Record, figures: Figures | None, measured: Instant, until: float) -> None:
        """Record what a list of figures tells of a live stream; None withdraws what it told before.

        Args:
            record: The stream.
            figures: What the list tells.
            measured: When it was measured.
            until: When it no longer counts, in monotonic seconds.
        """
        flow, before = None, record.listed
        live = record.succeeded and record.answer is not None and record.answer.state is State.ACTIVE
        if figures is not None and live:
            flow = Flow.after(before, figures, measured.mono, until, record.live_since(measured))
        record.listed = flow
        self.version += (flow and flow.figures) != (before and before.figures)
        self._tell(record, News.FIGURES)

    def failed(self, record: Record, fault: Fault, now: Instant) -> None:
        """Record a failed attempt, which withdraws the state."""
        if record.fault is None:
            record.fault_since = now.unix
        record.fault, record.faulted = fault, now.unix
        self.remember(record, fault, now)
        self._tried(record, State.UNKNOWN, str(fault.reason), now)

    def withhold(self, record: Record, fault: Fault, now: Instant) -> None:
        """Withdraw the state of a stream that is not queried because its account's breaker is open."""
        if record.fault is None:
            record.fault, record.fault_since, record.faulted = fault, now.unix, now.unix
            self._show(record, State.UNKNOWN, str(fault.reason), now)
            self._tell(record, News.WITHHELD)

    @property
    def has_playback(self) -> bool:
        """Whether a stream has addresses: what is known of them changes without a change of `version`."""
        return bool(self._played)

    def played(self, record: Record, address: PlaybackAddress, check: PlaybackCheck, now: Instant) -> None:
        """Record what viewers get at an address, unless a reload has taken it away or changed it."""
        if self._records.get(record.key) is not record or address not in record.stream.playback:
            return
        name, known = address.name, record.playback.get(address.name)
        if known is None:
            known = AddressRecord()
            record.playback = {**record.playback, name: known}
        before, up = known.check, known.take(check, now.unix)
        self._next_outdated = min(self._next_outdated, check.until)
        self._hops.played(record, name, up, now.mono, anew=before is None)
        # One more that finds nothing may settle that hops disagree.
        self.version += up is False or before is None or (before.up, before.reason) != (up, check.reason)
        if known.shown is not up:
            change = Change(now.unix, *record.key, known.shown, up, check.message, name)
            self._turn(record, known, change, str(check.reason))

    def rows(self, now: Instant, keys: Iterable[Key] | None = None) -> Iterator[Row]:
        """Yield what these streams, or all, show at an instant."""
        self.outdate(now)
        records, verdicts, compared = self._records, self.expectations.at(now.unix), self._hops.streams
        chosen = records.values() if keys is None else (records[key] for key in keys if key in records)
        for record in chosen:
            row = record.row(now.mono, self.max_age, verdicts.of(record.key))
            if record.key in compared:
                row = row._replace(hop_disagreement=self._hops.disagree(record, row.playback, verdicts, now.mono))
            yield row

    def expires(self) -> float:
        """Return when the first answer, figure or check shown becomes too old, in monotonic seconds."""
        ends = (record.ends(self.max_age) for record in self if record.shown is not State.UNKNOWN)
        checks = (known.check for record in self._played for known in record.playback.values())
        untils = (check.until for check in checks if check is not None)
        return min(min(ends, default=float("inf")), min(untils, default=float("inf")))

    def outdate(self, now: Instant) -> None:
        """Withdraw answers older than `max_age`, and figures and checks that no longer count."""
        if now.mono <= self._next_outdated:
            return
        for record in self:
            if record.shown is not State.UNKNOWN and now.mono - record.answered_mono > self.max_age:
                self._show(record, State.UNKNOWN, "max_age", now)
            if record.listed is not None and now.mono > record.listed.until:
                record.listed = None
                self.version += 1
        for record in self._played:
            self._outdate_playback(record, now)
        # New answers are younger than all present ones, so none becomes too old before this.
        self._next_outdated = min(self.expires(), now.mono + self.max_age)

    def _outdate_playback(self, record: Record, now: Instant) -> None:
        for name, known in record.playback.items():
            if known.check is not None and now.mono > known.check.until:
                known.take(None, now.unix)
                self.version += 1
                if known.shown is not None:
                    change = Change(now.unix, *record.key, known.shown, None, "max_age", name)
                    self._turn(record, known, change, "max_age")

    def remember(self, record: Record, fault: Fault, now: Instant) -> None:
        """Record a failed call, for many streams at one of them; this alone withdraws no state."""
        provider, stream = record.key
        kind = (provider, record.stream.account, fault.code, str(fault.reason))
        known = self.failures.pop(kind, None)
        if known is None:
            known = Failure(provider, record.stream.account, now.unix, now.unix, 0, stream, fault)
        known.last, known.stream, known.fault = now.unix, stream, fault
        known.count += 1
        self.failures[kind] = known
        if len(self.failures) > MOST_FAILURES:
            del self.failures[next(iter(self.failures))]

    def _tried(self, record: Record, state: State, evidence: str, now: Instant) -> None:
        record.tried = now.mono
        self.version += 1
        if record.shown is not state:
            self._show(record, state, evidence, now)
        self._tell(record, News.OUTCOME)

    def _tell(self, record: Record, news: News) -> None:
        for notify in self.on_news:
            notify(record, news)

    def _show(self, record: Record, state: State, evidence: str, now: Instant) -> None:
        self._turn(record, record, Change(now.unix, *record.key, record.shown, state, evidence), evidence)
        if record.key in self._hops.streams:
            self._hops.turned(record, now.mono)

    def _turn(self, record: Record, course: Course[Any], change: Change, cause: str) -> None:
        """Let a stream, or an address of it, show something else, and tell so."""
        settled = course.settled
        course.turn(change.new, change.at)
        self.version += 1
        if settled is not None:  # what the first look finds is no change
            expected = self.expectations.at(change.at).of(record.key).expected
            live = change.playback != "" and record.shown is State.ACTIVE
            self.recent.add(change, settled, record.stream.account, cause, expected=expected or live)
        for notify in self.on_change:
            notify(change)


def address(stream: Stream) -> dict[str, object]:
    """Return the fields that an answer depends on: all but the labels, when it is expected, and what viewers use."""
    return {"type": type(stream), **stream.model_dump(exclude={"labels", "expected", "playback"})}


def _keep_playback(record: Record, stream: Stream) -> None:
    """Forget the checks of addresses that a stream has no longer, or that are others now."""
    if record.playback:
        kept = {one.name for one in stream.playback if one in record.stream.playback}
        record.playback = {name: known for name, known in record.playback.items() if name in kept} or UNCHECKED
