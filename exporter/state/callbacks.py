"""Verifies, deduplicates, orders and counts callbacks. They are a reason to query a stream, never a state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from exporter.fields import Secret
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider, Callback, Callbacks, Event, Refused
from exporter.state.board import Board
from exporter.state.counters import Counters
from exporter.state.record import Key, Record

ACCEPTED, FORGED, EXPIRED, REPLAYED, UNKNOWN_STREAM = "accepted", "forged", "expired", "replayed", "unknown_stream"
UNKNOWN_EVENT = "unknown"
MOST_REMEMBERED = 16_384
# Older signatures are refused, so no older callback can still arrive.
ORDER_SECONDS = 600.0
# Numbers of callbacks signed in the same second differ by at most this, unless they are made up.
LARGEST_STEP = 100.0
# Advice on an outcome is logged once, and again only after the outcome has not occurred for this long.
QUIET_SECONDS = 600.0
ADVICE = {
    FORGED: "if these are the provider's own, the account's callback secret differs from the one in the console",
    EXPIRED: "if these are the provider's own, compare the clock of this machine",
    UNKNOWN_STREAM: "the provider tells of streams or events that are not watched",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a callback.

    Attributes:
        outcome: The outcome it is counted under.
        label: The event it is counted under.
        event: What it says, if it is genuine.
        records: The streams to query at once; none unless it was accepted.
        advice: What to log; empty if that was logged recently.
    """

    outcome: str
    label: str
    event: Event | None = None
    records: tuple[Record, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """An accepted callback about a watched stream.

    Attributes:
        at: When it arrived, in Unix seconds.
        event: The vendor's name of the event.
        authentic: Whether its signature covers what it says. It is a hint even then: only an answer sets a state.
    """

    at: float
    provider: str
    stream: str
    event: str
    authentic: bool


@dataclass(slots=True)
class CallbackReceiver:
    """Judges and counts the callbacks of an account with a callback secret.

    Attributes:
        watched: The streams behind each address: two names may have the same one.
        received: Identities of the latest events, at most `MOST_REMEMBERED`.
        newest: The newest event of each watched address, and when it arrived in Unix seconds.
        counted: When each (event, outcome) was last counted, in Unix seconds.
    """

    provider: AnyProvider
    account: Account
    secret: Secret
    board: Board
    counters: Counters
    watched: dict[Hashable, tuple[Key, ...]] = field(default_factory=dict)
    received: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)
    newest: dict[Hashable, tuple[Event, float]] = field(default_factory=dict)
    counted: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def callbacks(self) -> Callbacks[Account, Stream]:
        """The cloud's part of `Provider`."""
        assert self.provider.callbacks is not None
        return self.provider.callbacks

    def configure(self, account: Account, secret: Secret, streams: Iterable[Stream]) -> None:
        """Apply another configuration, without forgetting what was received."""
        self.account, self.secret = account, secret
        self.watched = {}
        for stream in streams:
            for address in self.callbacks.keys(account, stream):
                self.watched[address] = (*self.watched.get(address, ()), (self.provider.name, stream.name))
        self.newest = {address: known for address, known in self.newest.items() if address in self.watched}
        for event in self.callbacks.events:
            # Start at 0, to distinguish no callbacks from no receiver.
            self.counters.callbacks[self.provider.name, account.name, event, ACCEPTED] += 0

    def receive(self, received: Callback, now: float) -> Verdict:
        """Judge and count a callback at a time in Unix seconds; it never changes a state."""
        event = self.verify(received, now)
        return event if isinstance(event, Verdict) else self.take(event, now)

    def verify(self, received: Callback, now: float) -> Event | Verdict:
        """Return what a genuine callback says; count any other."""
        try:
            if received.method != self.callbacks.method:
                raise Refused(FORGED)
            return self.callbacks.verify(self.account, self.secret.reveal(), received, now)
        except Refused as refused:
            return self._count(Verdict(refused.outcome, refused.event), now)

    def records(self, event: Event) -> tuple[Record, ...]:
        """Return the streams that an event is about."""
        keys = dict.fromkeys(key for address in event.keys for key in self.watched.get(address, ()))
        return tuple(record for key in keys if (record := self.board.get(key)) is not None)

    def take(self, event: Event, now: float, *, heard: bool = False) -> Verdict:
        """Judge and count what a genuine callback says; `heard` if another replica has accepted it."""
        records = self.records(event)
        if not records:
            return self._count(Verdict(UNKNOWN_STREAM, event.event, event), now)
        if self._repeated(event) or self._outdated(event, now) or heard:
            return self._count(Verdict(REPLAYED, event.event, event), now)
        for record in records:
            self.counters.last_callback[record.key] = now
            if event.end_reason is not None:
                self.counters.push_ends[(*record.key, event.end_reason)] += 1
        return self._count(Verdict(ACCEPTED, event.event, event, records), now)

    def refuse(self, now: float) -> Verdict:
        """Count a callback that could not be read: its body was too large or incomplete."""
        return self._count(Verdict(FORGED, UNKNOWN_EVENT), now)

    def _repeated(self, event: Event) -> bool:
        """Remember an event, and return whether it was delivered before."""
        # With `sent`, so that a replayed signature with the next event's number does not block that event.
        identity = event.identity, event.sent
        if identity in self.received:
            return True
        self.received[identity] = None
        if len(self.received) > MOST_REMEMBERED:
            self.received.popitem(last=False)
        return False

    def _outdated(self, event: Event, now: float) -> bool:
        """Return whether a newer event of the stream has arrived already; remember the newest."""
        addresses = [address for address in event.keys if address in self.watched]
        for address in addresses:
            known, when = self.newest.get(address, (event, now))
            if abs(now - when) <= ORDER_SECONDS and _older(event, known):
                return True
        self.newest.update(dict.fromkeys(addresses, (event, now)))
        return False

    def _count(self, verdict: Verdict, now: float) -> Verdict:
        kind = verdict.label, verdict.outcome
        self.counters.callbacks[(self.provider.name, self.account.name, *kind)] += 1
        before = self.counted.get(kind, float("-inf"))
        self.counted[kind] = now
        # A flood of forgeries is one line in the log; the counter has the number.
        new = abs(now - before) > QUIET_SECONDS
        return replace(verdict, advice=ADVICE.get(verdict.outcome, "")) if new else verdict


def _older(event: Event, known: Event) -> bool:
    """Return whether an event is older than another.

    Numbers, sessions and the event's own time are not signed. They count only against events that were signed at the
    same time or earlier, so that nothing made up outranks a later event.
    """
    if event.sent > known.sent:
        return False
    if event.session == known.session:
        gap = known.order - event.order
        return gap > 0 and (event.sent < known.sent or gap <= LARGEST_STEP)
    return event.sent < known.sent and event.at < known.at
