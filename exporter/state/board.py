"""The board: what is known about each stream now. Besides the counters, it is the only state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import NamedTuple

from exporter.model import Answer, Fault, Figures, Input, State, Stream
from exporter.schedule import Expectation, Expectations
from exporter.state.changes import RecentChange, RecentChanges
from exporter.state.figures import Flow, lacking, start_of, together

Key = tuple[str, str]  # provider, stream name

MOST_FAILURES = 50


@dataclass(frozen=True, slots=True)
class Instant:
    """A time on both clocks: Unix seconds to show, monotonic seconds to measure ages."""

    unix: float
    mono: float


class News(Flag):
    """What was learned of a stream: what an attempt brought, that calls are held back, or listed figures."""

    OUTCOME = auto()
    WITHHELD = auto()
    FIGURES = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the state that a stream shows."""

    at: float  # Unix seconds
    provider: str
    stream: str
    old: State
    new: State
    evidence: str  # the API's action, the fault's reason, or `max_age`


@dataclass(slots=True)
class Failure:
    """Failed attempts of one kind in one account: an outage of many streams is one of these, not thousands."""

    provider: str
    account: str
    first: float  # Unix seconds
    last: float  # Unix seconds
    count: int
    stream: str  # of the last attempt
    fault: Fault  # of the last attempt


class Row(NamedTuple):
    """What a stream shows at one moment, in metrics and on pages: a copy, because the board keeps changing."""

    key: Key
    stream: Stream
    state: State
    since: float | None  # Unix seconds; None if the stream was never queried
    succeeded: bool  # whether the last finished attempt got a definite answer
    answer: Answer | None  # the last one, even if it is no longer valid
    answered: float  # Unix seconds
    action: str
    fault: Fault | None
    faulted: float  # Unix seconds
    changes: int
    tried: float  # monotonic seconds
    expectation: Expectation
    added: bool = False  # whether a reload added the stream
    figures: Figures | None = None  # of a live stream

    @property
    def degraded(self) -> tuple[str, ...]:
        """What a live stream lacks, as `lacking` says."""
        return lacking(self.stream, self.state, self.answer, self.figures)

    @property
    def since_first_seen(self) -> bool:
        """Whether `since` is when the exporter first looked: the state may have begun earlier."""
        return not self.changes and (self.state is not State.UNKNOWN or self.answer is None)


@dataclass(slots=True, eq=False)
class Record:
    """What is known about one watched stream.

    Times are in Unix seconds, `answered_mono` and `tried` in monotonic seconds.
    """

    key: Key
    stream: Stream
    answer: Answer | None = None  # the last definite answer, kept across failures
    action: str = ""  # the API that gave the answer
    answered: float = 0.0
    answered_mono: float = float("-inf")
    fault: Fault | None = None  # why the last finished attempt failed; None if it got a definite answer
    fault_since: float | None = None  # the first failure since the last answer
    faulted: float = 0.0  # the last failure
    tried: float = float("-inf")  # the last finished attempt
    changes: int = 0  # between definite states
    definite_since: float | None = None  # the first answer with the present definite state
    began: float = float("-inf")  # monotonic; as `definite_since`, if the state before it was known
    told: Flow | None = None  # figures of the last answer
    listed: Flow | None = None  # figures of a list that has nothing else
    shown: State = State.UNKNOWN  # the state in the last `Change`
    settled: State | None = None  # the last definite state in a `Change`
    added: bool = False  # whether a reload added the stream

    @property
    def succeeded(self) -> bool:
        """Whether the last finished attempt got a definite answer."""
        return self.answer is not None and self.fault is None

    def state(self, mono: float, max_age: float) -> State:
        """Return the state to show: the last answer's, or UNKNOWN if that is too old or an attempt has failed since."""
        if self.answer is None or self.fault is not None or mono - self.answered_mono > max_age:
            return State.UNKNOWN
        return self.answer.state

    def row(self, mono: float, max_age: float, expectation: Expectation) -> Row:
        """Return what the stream shows at a time in monotonic seconds, when this is expected of it."""
        state, answer, fault = self.state(mono, max_age), self.answer, self.fault
        if state is not State.UNKNOWN:
            since = self.definite_since
        else:
            since = self.fault_since if fault is not None else self.answered or None
        # Most streams have none: both are None, and not worth a call.
        figures = None if self.told is self.listed else self._figures(state, mono)
        succeeded = answer is not None and fault is None
        return Row(self.key, self.stream, state, since, succeeded, answer, self.answered, self.action, fault,
                   self.faulted, self.changes, self.tried, expectation, self.added, figures)  # fmt: skip

    def live_since(self, now: Instant) -> float:
        """Return since when a live stream has been live, in monotonic seconds; minus infinity if nobody knows."""
        started = self.answer.started if self.answer is not None else None
        return self.began if started is None else max(self.began, now.mono - (now.unix - started))

    def ends(self, max_age: float) -> float:
        """Return when what it shows becomes too old, in monotonic seconds."""
        end = self.answered_mono + max_age
        return end if self.listed is None else min(end, self.listed.until)

    def _figures(self, state: State, mono: float) -> Figures | None:
        if state is not State.ACTIVE:
            return None
        flows = [flow.figures for flow in (self.listed, self.told) if flow is not None and mono <= flow.until]
        return together(flows[0], flows[1]) if len(flows) == 2 else next(iter(flows), None)


class Board:
    """All watched streams, in the configuration's order.

    Attributes:
        version: Grows with every change; equal versions show equal rows, except for ages.
        on_change: Functions to call with each `Change`.
        on_news: Functions to call with each record of which something was learned, and what.
        failures: The latest kinds of failure, at most `MOST_FAILURES`, the oldest first.
        expectations: When each stream should be live.
        recent: The latest changes.
    """

    def __init__(self, max_age: float) -> None:
        self.max_age = max_age
        self.version = 0
        self.on_change: list[Callable[[Change], None]] = []
        self.on_news: list[Callable[[Record, News], None]] = []
        self.failures: dict[tuple[str, str, str, str], Failure] = {}
        self.expectations = Expectations()
        self.recent = RecentChanges()
        self._records: dict[Key, Record] = {}
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
                known.stream = stream
                records[key] = known
            else:
                records[key] = Record(key, stream, added=self.version > 0)
        self._records = records
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
            record.changes += before is not None
            record.definite_since = now.unix
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

    def rows(self, now: Instant, keys: Iterable[Key] | None = None) -> Iterator[Row]:
        """Yield what these streams, or all, show at an instant."""
        records, of = self._records, self.expectations.at(now.unix).of
        chosen = records.values() if keys is None else (records[key] for key in keys if key in records)
        return (record.row(now.mono, self.max_age, of(record.key)) for record in chosen)

    def expires(self) -> float:
        """Return when the first answer or figure shown becomes too old, in monotonic seconds."""
        ends = (record.ends(self.max_age) for record in self if record.shown is not State.UNKNOWN)
        return min(ends, default=float("inf"))

    def outdate(self, now: Instant) -> None:
        """Withdraw answers older than `max_age`, and figures that no longer count."""
        if now.mono <= self._next_outdated:
            return
        for record in self:
            if record.shown is not State.UNKNOWN and now.mono - record.answered_mono > self.max_age:
                self._show(record, State.UNKNOWN, "max_age", now)
            if record.listed is not None and now.mono > record.listed.until:
                record.listed = None
                self.version += 1
        # New answers are younger than all present ones, so none becomes too old before this.
        self._next_outdated = min(self.expires(), now.mono + self.max_age)

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
        old, record.shown = record.shown, state
        self.version += 1
        self._list(record, old, evidence, now)
        change = Change(now.unix, *record.key, old, state, evidence)
        for notify in self.on_change:
            notify(change)

    def _list(self, record: Record, old: State, evidence: str, now: Instant) -> None:
        """Add to the recent changes what is one; the first answer ever is none."""
        new, settled = record.shown, record.settled
        if new is not State.UNKNOWN:
            record.settled = new
        if settled is None:
            return
        # Down after live and a time of doubt is a change from live to down.
        before = old if new in (State.UNKNOWN, settled) else settled
        (provider, name), account = record.key, record.stream.account
        expected = self.expectations.at(now.unix).of(record.key).expected
        change = RecentChange(now.unix, provider, account, before, new, evidence, (name,), expected=expected)
        self.recent.add(change)


def address(stream: Stream) -> dict[str, object]:
    """Return the fields that an answer depends on: all but the labels and when it is expected."""
    return {"type": type(stream), **stream.model_dump(exclude={"labels", "expected"})}
