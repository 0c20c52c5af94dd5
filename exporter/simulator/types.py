"""Data of the simulated clouds: accounts, streams and their scripts, behaviour on request, logs."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from exporter.model import State

FieldValue = str | int | bool
STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Script:
    """The states of a stream as a function of time, so that nothing needs to run in the background."""

    states: tuple[State, ...]  # in order, repeated for ever
    every: float = 30.0  # seconds per state
    offset: float = 0.0  # seconds by which the script is ahead of the clock
    since: float = 0.0  # Unix seconds at which the state began, if all states are the same

    def state(self, now: float) -> State:
        """Return the state at a time in Unix seconds."""
        return self.states[self._step(now) % len(self.states)]

    def started(self, now: float) -> float:
        """Return the time in Unix seconds at which the present state began."""
        if len(set(self.states)) == 1:
            return self.since
        step, count = self._step(now), len(self.states)
        while self.states[(step - 1) % count] is self.states[step % count]:
            step -= 1
        return step * self.every - self.offset

    def next_step(self, now: float) -> float:
        """Return the Unix seconds at which the next state begins; infinity if all are the same."""
        return float("inf") if len(set(self.states)) == 1 else (self._step(now) + 1) * self.every - self.offset

    def _step(self, now: float) -> int:
        return int((now + self.offset) // self.every)


@dataclass(slots=True)
class Input:
    """One of the redundant inputs of a stream; the first that is up is the master."""

    domain: str
    app: str  # application name; primary and backup may differ
    source: Literal["push", "pull"] = "push"
    up: bool | Script = True  # whether it is pushed while its stream is active
    group: str = ""  # host group; inputs of different host groups are listed apart

    def is_up(self, now: float) -> bool:
        """Whether this input is pushed at a time in Unix seconds."""
        return self.up.state(now) is State.ACTIVE if isinstance(self.up, Script) else self.up


@dataclass(slots=True)
class Figures:
    """What arrives of a stream while it is active; rates are per second."""

    frames: float = 25.0
    audio_frames: float = 43.0
    video_bits: int = 2_500_000
    audio_bits: int = 128_000
    width: int = 1280
    height: int = 720
    moving: bool | Script = True  # whether anything arrives

    def is_moving(self, now: float) -> bool:
        """Whether anything arrives at a time in Unix seconds."""
        return self.moving.state(now) is State.ACTIVE if isinstance(self.moving, Script) else self.moving


@dataclass(frozen=True, slots=True)
class Playback:
    """How a stream is served to viewers, beside what its state and `figures.moving` say."""

    moving: bool | Script = True  # whether fresh media comes, if the stream is active and anything arrives
    missing: tuple[str, ...] = ()  # files that answer 404, such as `low.m3u8`, or `segment` for all segments
    target: int = 2  # seconds of a segment
    rows: int = 6  # segments in a sliding playlist
    # what addresses must be signed with, by the parameter of the signature: txSecret, auth_key (type A)
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Account:
    """One account of one cloud."""

    name: str
    provider: str
    fields: dict[str, FieldValue]  # by the configuration's names (`app_id`, `secret_key`, ...)
    # calls per second by action, instead of the documented limit; below 1 means one call in 1/quota seconds
    quota: dict[str, float] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)  # actions that the account may not call
    domains: set[str] = field(default_factory=set)  # domains of the account besides those of its streams
    token_expires: float | None = None  # Unix seconds at which the temporary credentials expire

    def text(self, name: str) -> str:
        """Return a field as text, empty if it is not set."""
        return str(self.fields.get(name, ""))


@dataclass(slots=True)
class Stream:
    """One stream of one account. Each cloud uses the details that apply to it."""

    name: str
    account: Account
    address: dict[str, str]  # by the configuration's names (`domain`, `room_id`, ...), with defaults
    script: Script
    media: tuple[str, ...] = ("Audio", "Video")  # media types published while the stream is active
    inputs: tuple[Input, ...] = ()  # redundant inputs; if empty, the stream is its own only input
    ingest: Literal["push", "pull"] = "push"  # whether the stream is pushed to the cloud or pulled by it
    in_room: bool | None = None  # whether the user is in the room; None: while the stream is active
    figures: Figures = field(default_factory=Figures)  # what arrives while it is active
    playback: Playback = field(default_factory=Playback)  # what viewers get while it is active
    # Unix seconds since which `figures` or `playback` have not moved, where they are not a script
    still: dict[str, float] = field(default_factory=dict)
    pushed: tuple[float, float] | None = None  # the last push that was ended by hand: its start and end in Unix seconds

    @property
    def key(self) -> str:
        """The stream's key: `provider/stream`."""
        return f"{self.account.provider}/{self.name}"

    def is_active(self, now: float) -> bool:
        """Whether the stream is live at a time in Unix seconds."""
        return self.script.state(now) is State.ACTIVE

    def received(self, now: float) -> int:
        """Return the bytes that have come in since the push began, at a time in Unix seconds."""
        figures, began, until = self.figures, self.script.started(now), now
        if not figures.is_moving(now):
            until = figures.moving.started(now) if isinstance(figures.moving, Script) else began
        return max(0, int((until - began) * (figures.video_bits + figures.audio_bits) / 8))

    def is_present(self, now: float) -> bool:
        """Whether the stream's user is in the room at a time in Unix seconds."""
        return self.is_active(now) if self.in_room is None else self.in_room


@dataclass(slots=True)
class Tricks:
    """How a provider's list APIs mislead: by default not at all. docs/simulator.md describes each trick."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    foreign: int = 0
    duplicates: int = 0
    drift: int = 0
    loop: bool = False
    total: int | None = None
    pages: int | None = None
    null: bool = False


@dataclass(slots=True)
class Manners:
    """How a provider sends its callbacks: by default as documented. docs/simulator.md describes each field."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    duplicates: int = 0
    swapped: bool = False
    unsigned: bool = False
    wrong_secret: bool = False
    age: float = 0.0
    pace: float = 1.0
    lost: float = 0.0
    reason: int | None = None
    recreate: bool = False
    body: Literal["json", "percent", "form", "nested"] = "json"


@dataclass(frozen=True, slots=True)
class Event:
    """The start or end of a push."""

    stream: Stream
    live: bool
    at: float  # Unix seconds
    number: int  # increases by one with each event of the world
    began: tuple[int, float]  # `number` and `at` of the start of the same push
    sent: float  # Unix seconds at which its callback is sent
    nonce: str  # random decimal digits


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback as an HTTP request; `query` is encoded."""

    event: str
    method: Literal["GET", "POST"]
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver a callback."""

    time: float  # Unix seconds by the world's clock
    provider: str
    account: str
    stream: str  # `provider/name`
    event: str  # the vendor's name for it
    attempt: int  # counted from 1
    status: int | None  # None without a response


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a simulated cloud received."""

    time: float  # Unix seconds at arrival, by the world's clock
    provider: str
    account: str  # empty if no account has the key
    action: str  # as requested
    stream: str  # `provider/name`; empty for list APIs and unknown streams
    address: tuple[str, ...]  # as requested: of a stream, or of the room or domain to list
    code: str  # the vendor's code, `ok`, or the kind of fault that suppressed the response
    verified: bool  # whether the call passed authentication
    nonce: str = ""  # or sequence, if the vendor uses one
    faults: tuple[str, ...] = ()  # kinds of faults injected


@dataclass(slots=True)
class Memory:
    """State kept between calls: for quotas, used nonces and increasing sequence numbers."""

    windows: dict[Hashable, Any] = field(default_factory=dict)
    nonces: dict[Hashable, float] = field(default_factory=dict)
    sequences: dict[Hashable, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DemoStreams:
    """Streams of the built-in demo that differ only in name and states."""

    team: str  # label
    tier: str  # label
    # stream name -> one letter per half minute: Active, Inactive, Forbidden, Not found
    states: dict[str, str]
    address: dict[str, str] = field(default_factory=dict)  # as for `World.add_stream`
    details: dict[str, Any] = field(default_factory=dict)  # as for `World.add_stream`; not in the configuration
    configured: dict[str, Any] = field(default_factory=dict)  # only in the exporter's configuration


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account of the built-in demo."""

    name: str
    fields: dict[str, Any]  # as for `World.add_account`
    streams: tuple[DemoStreams, ...]
    quota: dict[str, float] = field(default_factory=dict)  # calls per second by action, to show throttling
    # fields to override in the exporter's configuration, to show a rejected account
    configured: dict[str, Any] = field(default_factory=dict)
