"""What the simulated clouds hold: accounts, streams and their scripts, what goes wrong on request, the logs."""

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
    """The states of a stream as a function of time alone, so that nothing has to run in the background."""

    states: tuple[State, ...]  # taken one after another, from the beginning again after the last
    every: float = 30.0  # seconds that each state lasts
    offset: float = 0.0  # seconds by which the script runs ahead of the clock
    since: float = 0.0  # Unix seconds at which the only state began, where all states are the same

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
        """Return when the next state begins, in Unix seconds; infinity where there is but one."""
        return float("inf") if len(set(self.states)) == 1 else (self._step(now) + 1) * self.every - self.offset

    def _step(self, now: float) -> int:
        return int((now + self.offset) // self.every)


@dataclass(slots=True)
class Input:
    """One push that can feed a stream with redundant inputs; the first that is up serves as master."""

    domain: str
    app: str  # application name; primary and backup may differ
    source: Literal["push", "pull"] = "push"
    up: bool | Script = True  # whether it is pushed while its stream is active; a script makes it come and go
    group: str = ""  # host group; inputs of different host groups are listed apart

    def is_up(self, now: float) -> bool:
        """Tell whether this input is pushed at a time in Unix seconds."""
        return self.up.state(now) is State.ACTIVE if isinstance(self.up, Script) else self.up


@dataclass(slots=True)
class Account:
    """One account of one cloud."""

    name: str
    provider: str
    fields: dict[str, FieldValue]  # credentials and the like by the configuration's names (`app_id`, `secret_key`, ...)
    # calls per second by action, instead of the documented limit; below 1 is one call in 1/quota seconds
    quota: dict[str, float] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)  # actions that the account's user may not call
    domains: set[str] = field(default_factory=set)  # domains of the account besides those of its streams
    token_expires: float | None = None  # Unix seconds from which on the temporary credentials are expired

    def text(self, name: str) -> str:
        """Return a field as text, empty where it is not set."""
        return str(self.fields.get(name, ""))


@dataclass(slots=True)
class Stream:
    """One stream of one account. Each cloud uses the details that it knows."""

    name: str
    account: Account
    address: dict[str, str]  # the address by the configuration's names (`domain`, `room_id`, ...), defaults filled in
    script: Script
    media: tuple[str, ...] = ("Audio", "Video")  # kinds of media that are published while the stream is active
    inputs: tuple[Input, ...] = ()  # redundant inputs; with none the stream itself is its only input
    ingest: Literal["push", "pull"] = "push"  # whether the stream is pushed to the cloud or pulled by it
    in_room: bool | None = None  # whether the user is in the room; None while active only

    @property
    def key(self) -> str:
        """Name as the exporter shows it: provider/stream."""
        return f"{self.account.provider}/{self.name}"

    def is_active(self, now: float) -> bool:
        """Tell whether the stream is live at a time in Unix seconds."""
        return self.script.state(now) is State.ACTIVE

    def is_present(self, now: float) -> bool:
        """Tell whether the stream's user is in the room."""
        return self.is_active(now) if self.in_room is None else self.in_room


@dataclass(slots=True)
class Tricks:
    """How a provider's list APIs mislead, not at all by default; docs/simulator.md says what each trick does."""

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
    """How a provider sends its callbacks, as it documents by default; docs/simulator.md says what each does."""

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
    body: Literal["json", "percent", "form"] = "json"


@dataclass(frozen=True, slots=True)
class Event:
    """A push that began or ended."""

    stream: Stream
    live: bool
    at: float  # Unix seconds
    number: int  # grows by one with each event of the world
    began: tuple[int, float]  # `number` and `at` of the beginning of the same push
    sent: float  # Unix seconds at which its callback goes out
    nonce: str  # random decimal digits


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback as an HTTP request; `query` is encoded already."""

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
    event: str  # the vendor's word for it
    attempt: int  # counted from 1
    status: int | None  # None where nothing was answered


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a simulated cloud received."""

    time: float  # Unix seconds at arrival, by the world's clock
    provider: str
    account: str  # name of the account, empty where no account has the key
    action: str  # action as it was asked for
    stream: str  # `provider/name` of the stream asked for, empty for list APIs and for unknown streams
    address: tuple[str, ...]  # the address asked for: the stream's, or the room's or domain's that is listed
    code: str  # what came back: the vendor's code, `ok`, or the kind of fault that kept it from answering
    verified: bool  # whether the signature and all before it was right
    nonce: str = ""  # the request's nonce where the vendor has one
    faults: tuple[str, ...] = ()  # kinds of the faults that were put upon this call


@dataclass(slots=True)
class Memory:
    """What a cloud remembers of earlier calls: for quotas, used nonces and growing sequences."""

    windows: dict[Hashable, Any] = field(default_factory=dict)
    nonces: dict[Hashable, float] = field(default_factory=dict)
    sequences: dict[Hashable, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DemoStreams:
    """Streams of the built-in demo that are alike but for their states."""

    team: str  # label
    tier: str  # label
    # by the stream's name, one letter for each half minute: Active, Inactive, Forbidden, Not found
    states: dict[str, str]
    address: dict[str, str] = field(default_factory=dict)  # as for `World.add_stream`
    # as for `World.add_stream`, which the exporter's configuration does not have
    details: dict[str, Any] = field(default_factory=dict)
    configured: dict[str, Any] = field(default_factory=dict)  # what the exporter's configuration adds


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account of the built-in demo."""

    name: str
    fields: dict[str, Any]  # as for `World.add_account`
    streams: tuple[DemoStreams, ...]
    # calls per second by action, to show an account that is throttled
    quota: dict[str, float] = field(default_factory=dict)
    # fields that are wrong in the exporter's configuration, to show an account that is rejected
    configured: dict[str, Any] = field(default_factory=dict)
