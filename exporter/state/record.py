"""What is known of one stream, and what it shows at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import NamedTuple

from exporter.model import Answer, Fault, Figures, State, Stream
from exporter.schedule import Expectation
from exporter.state.course import Course, Shown
from exporter.state.figures import Flow, lacking, together
from exporter.state.playback import UNCHECKED, AddressRecord, AddressRow, Checks

Key = tuple[str, str]  # provider, stream name


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
    """A change of what a stream, or one of its addresses, shows."""

    at: float  # Unix seconds
    provider: str
    stream: str
    old: Shown
    new: Shown
    evidence: str  # the API's action, the fault's reason, the check's message, or `max_age`
    playback: str = ""  # the address; empty for the stream itself


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
    playback: Checks = ()  # as configured
    hop_disagreement: bool | None = None  # whether it is live at one hop and not at another; None if unknown

    @property
    def degraded(self) -> tuple[str, ...]:
        """What a live stream lacks, as `lacking` says."""
        return lacking(self.stream, self.state, self.answer, self.figures, self.playback)

    @property
    def since_first_seen(self) -> bool:
        """Whether `since` is when the exporter first looked: the state may have begun earlier."""
        return not self.changes and (self.state is not State.UNKNOWN or self.answer is None)


@dataclass(slots=True, eq=False)
class Record(Course[State]):
    """What is known about one watched stream; its `definite_since` is the first answer with its present state.

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
    began: float = float("-inf")  # monotonic; as `definite_since`, if the state before it was known
    told: Flow | None = None  # figures of the last answer
    listed: Flow | None = None  # figures of a list that has nothing else
    shown: State = field(default=State.UNKNOWN, kw_only=True)
    added: bool = False  # whether a reload added the stream
    playback: Mapping[str, AddressRecord] = field(default_factory=lambda: UNCHECKED)  # by name, once checked

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
        playback = self.checks(mono) if self.stream.playback else ()
        return Row(self.key, self.stream, state, since, succeeded, answer, self.answered, self.action, fault,
                   self.faulted, self.changes, self.tried, expectation, self.added, figures, playback)  # fmt: skip

    def checks(self, mono: float) -> Checks:
        """Return what all addresses show at a time in monotonic seconds, as configured."""
        known = ((one.name, self.playback.get(one.name)) for one in self.stream.playback)
        return tuple(AddressRow(name) if one is None else one.row(name, mono) for name, one in known)

    def has(self, playback: str) -> bool:
        """Return whether the stream has an address of this name; it has itself, by an empty one."""
        return not playback or any(one.name == playback for one in self.stream.playback)

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
