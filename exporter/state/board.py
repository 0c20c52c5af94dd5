"""What is known of each stream now: answers in, what stands now out. The only state besides counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from exporter.model import Answer, Fault, Input, State, Stream

Key = tuple[str, str]  # provider, stream name

MOST_FAILURES = 50


@dataclass(frozen=True, slots=True)
class Instant:
    """One time on both clocks: Unix seconds to show, monotonic seconds to measure ages with."""

    unix: float
    mono: float


@dataclass(frozen=True, slots=True)
class Change:
    """A stream's state as shown has changed.

    Attributes:
        at: Unix seconds.
        evidence: What showed it: the API's action, the fault's reason, or `max_age`.
    """

    at: float
    provider: str
    stream: str
    old: State
    new: State
    evidence: str


@dataclass(slots=True)
class Failure:
    """Failed attempts of one kind at one account: an outage of many streams is one of these, not thousands.

    Attributes:
        first: Unix seconds of the first of them.
        last: Unix seconds of the last.
        count: How many there were.
        stream: Whose attempt failed last.
        fault: How it failed last.
    """

    provider: str
    account: str
    first: float
    last: float
    count: int
    stream: str
    fault: Fault


class Row(NamedTuple):
    """What one stream shows at one moment, in metrics and on pages alike: a copy, for the board goes on changing."""

    key: Key
    stream: Stream
    state: State
    since: float | None  # Unix seconds; None if it was never asked
    succeeded: bool  # whether the last finished attempt got a definite answer
    answer: Answer | None  # the last one, even where it no longer counts
    answered: float  # Unix seconds
    action: str
    fault: Fault | None
    faulted: float  # Unix seconds
    changes: int
    tried: float  # monotonic seconds


@dataclass(slots=True, eq=False)
class Record:
    """What is known of one watched stream.

    Attributes:
        key: Provider and stream name.
        stream: Its configuration.
        answer: The last definite answer, kept across failures; `action` told it at `answered`.
        fault: Why the last finished attempt failed; None when it got a definite answer, or before the first.
        fault_since: Unix seconds of the first failure since the last answer.
        faulted: Unix seconds of the last failure.
        tried: Monotonic seconds of the last finished attempt; minus infinity before the first.
        changes: Changes between definite states.
        definite_since: Unix seconds of the first answer with the present definite state.
        shown: The state that was last told to those who want to know of changes.
    """

    key: Key
    stream: Stream
    answer: Answer | None = None
    action: str = ""
    answered: float = 0.0
    answered_mono: float = float("-inf")
    fault: Fault | None = None
    fault_since: float | None = None
    faulted: float = 0.0
    tried: float = float("-inf")
    changes: int = 0
    definite_since: float | None = None
    shown: State = State.UNKNOWN

    @property
    def succeeded(self) -> bool:
        """Whether the last finished attempt got a definite answer."""
        return self.answer is not None and self.fault is None

    def state(self, mono: float, max_age: float) -> State:
        """Return the state that may be shown: the last answer, unless an attempt has failed since or it is too old."""
        if self.answer is None or self.fault is not None or mono - self.answered_mono > max_age:
            return State.UNKNOWN
        return self.answer.state

    def row(self, mono: float, max_age: float) -> Row:
        """Return what the stream shows at a time (monotonic seconds)."""
        state, answer, fault = self.state(mono, max_age), self.answer, self.fault
        if state is not State.UNKNOWN:
            since = self.definite_since
        else:
            since = self.fault_since if fault is not None else self.answered or None
        return Row(self.key, self.stream, state, since, answer is not None and fault is None, answer, self.answered,
                   self.action, fault, self.faulted, self.changes, self.tried)  # fmt: skip


class Board:
    """All watched streams, in the configuration's order.

    Attributes:
        version: Grows with every change; equal versions show equal rows, but for ages.
        on_change: Called with each change of a state as shown.
        failures: The kinds of failure seen last, at most `MOST_FAILURES`, the oldest first.
    """

    def __init__(self, max_age: float) -> None:
        self.max_age = max_age
        self.version = 0
        self.on_change: list[Callable[[Change], None]] = []
        self.failures: dict[tuple[str, str, str, str], Failure] = {}
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
        """Return the record of a stream, unless a reload has taken it away or given it another address."""
        record = self._records.get((provider, stream.name))
        if record is None or record.stream is stream or address(record.stream) == address(stream):
            return record
        return None

    def watch(self, streams: Iterable[tuple[str, Stream]], max_age: float) -> None:
        """Watch these streams (provider, stream) and no others; what is known of the same address stays."""
        records: dict[Key, Record] = {}
        for provider, stream in streams:
            key = (provider, stream.name)
            known = self._records.get(key)
            if known is not None and address(known.stream) == address(stream):
                known.stream = stream
                records[key] = known
            else:
                records[key] = Record(key, stream)
        self._records = records
        self.failures = {kind: one for kind, one in self.failures.items() if (one.provider, one.stream) in records}
        self.max_age = max_age
        self._next_outdated = float("-inf")
        self.version += 1

    def answered(self, record: Record, answer: Answer, action: str, now: Instant) -> None:
        """Take a definite answer."""
        before = record.answer
        if before is None or before.state is not answer.state:
            record.changes += before is not None
            record.definite_since = now.unix
        record.answer, record.action = answer, action
        record.answered, record.answered_mono = now.unix, now.mono
        record.fault = record.fault_since = None
        self._tried(record, answer.state, action, now)

    def supply(self, record: Record, inputs: tuple[Input, ...] | None) -> None:
        """Add a list's inputs, if any, to the answer of an API that says only whether a stream is live."""
        answer = record.answer
        if inputs is None or answer is None or record.fault is not None:
            return
        if answer.state is State.ACTIVE and answer.inputs is None:
            record.answer = answer._replace(inputs=inputs)
            self.version += 1

    def failed(self, record: Record, fault: Fault, now: Instant) -> None:
        """Take a failed attempt: it withdraws the state."""
        if record.fault is None:
            record.fault_since = now.unix
        record.fault, record.faulted = fault, now.unix
        self.remember(record, fault, now)
        self._tried(record, State.UNKNOWN, str(fault.reason), now)

    def withhold(self, record: Record, fault: Fault, now: Instant) -> None:
        """Withdraw the state of a stream that is not asked because its account's breaker is open."""
        if record.fault is None:
            record.fault, record.fault_since, record.faulted = fault, now.unix, now.unix
            self._show(record, State.UNKNOWN, str(fault.reason), now)

    def rows(self, mono: float, keys: Iterable[Key] | None = None) -> Iterator[Row]:
        """Yield what these streams, or all, show at a time (monotonic seconds)."""
        records = self._records
        wanted = records.values() if keys is None else (records[key] for key in keys if key in records)
        return (record.row(mono, self.max_age) for record in wanted)

    def expires(self) -> float:
        """Return the monotonic seconds at which the first answer shown grows too old."""
        answered = (record.answered_mono for record in self if record.shown is not State.UNKNOWN)
        return min(answered, default=float("inf")) + self.max_age

    def outdate(self, now: Instant) -> None:
        """Withdraw answers that have grown older than `max_age`."""
        if now.mono <= self._next_outdated:
            return
        for record in self:
            if record.shown is not State.UNKNOWN and now.mono - record.answered_mono > self.max_age:
                self._show(record, State.UNKNOWN, "max_age", now)
        # Answers to come are younger than any there is, so none grows too old before this.
        self._next_outdated = min(self.expires(), now.mono + self.max_age)

    def remember(self, record: Record, fault: Fault, now: Instant) -> None:
        """Note a failed call. One for many streams is noted at one of them; this alone withdraws no state."""
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

    def _show(self, record: Record, state: State, evidence: str, now: Instant) -> None:
        old, record.shown = record.shown, state
        self.version += 1
        change = Change(now.unix, *record.key, old, state, evidence)
        for tell in self.on_change:
            tell(change)


def address(stream: Stream) -> dict[str, object]:
    """Return what an answer depends on: everything but what is only shown."""
    return {"type": type(stream), **stream.model_dump(exclude={"labels"})}
