"""Callbacks: verified, deduplicated, put in order and counted. What they say is a hint to ask, never a state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from exporter.fields import Secret
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider, Callback, Callbacks, Event, Refused
from exporter.state.board import Board, Key, Record
from exporter.state.counters import Counters

ACCEPTED, FORGED, EXPIRED, REPLAYED, UNKNOWN_STREAM = "accepted", "forged", "expired", "replayed", "unknown_stream"
UNKNOWN_EVENT = "unknown"
MOST_REMEMBERED = 16_384
# Older signatures are refused, so nothing older than this can still come.
ORDER_SECONDS = 600.0
# Among callbacks signed in the same second, numbers further apart than this are made up.
LARGEST_STEP = 100.0
# Advice on an outcome is given when it begins, and not again before it has been away for this long.
QUIET_SECONDS = 600.0
ADVICE = {
    FORGED: "if these are the provider's own, the account's callback secret differs from the one in the console",
    EXPIRED: "if these are the provider's own, compare the clock of this machine",
    UNKNOWN_STREAM: "the provider tells of streams or events that are not watched",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a callback.

    Attributes:
        outcome: How it is counted.
        label: The event under which it is counted.
        event: What it says, if it is genuine.
        records: The streams to ask for at once; none unless it was accepted.
        advice: What to log; nothing where that was said a moment ago.
    """

    outcome: str
    label: str
    event: Event | None = None
    records: tuple[Record, ...] = ()
    advice: str = ""


@dataclass(slots=True)
class CallbackReceiver:
    """Judges and counts the callbacks of one account that has a callback secret.

    Attributes:
        provider: Its cloud.
        account: Its configuration.
        secret: What callbacks are verified with.
        board: What is known of each stream.
        counters: Where callbacks are counted.
        watched: The streams that an address means: two names may stand for one address.
        received: Identities of the last events, at most `MOST_REMEMBERED`.
        newest: The newest event of each watched address, and when it came (Unix seconds).
        seen: When an outcome of an event was last seen (Unix seconds).
    """

    provider: AnyProvider
    account: Account
    secret: Secret
    board: Board
    counters: Counters
    watched: dict[Hashable, tuple[Key, ...]] = field(default_factory=dict)
    received: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)
    newest: dict[Hashable, tuple[Event, float]] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def callbacks(self) -> Callbacks[Account, Stream]:
        """How this cloud tells of pushes."""
        assert self.provider.callbacks is not None
        return self.provider.callbacks

    def configure(self, account: Account, secret: Secret, streams: Iterable[Stream]) -> None:
        """Take another configuration; what was received stays known."""
        self.account, self.secret = account, secret
        self.watched = {}
        for stream in streams:
            for address in self.callbacks.keys(account, stream):
                self.watched[address] = (*self.watched.get(address, ()), (self.provider.name, stream.name))
        self.newest = {address: known for address, known in self.newest.items() if address in self.watched}
        for event in self.callbacks.events:
            # From 0 on, so that no callbacks at all can be told from no receiver.
            self.counters.callbacks[self.provider.name, account.name, event, ACCEPTED] += 0

    def receive(self, received: Callback, now: float) -> Verdict:
        """Judge and count a callback at a time (Unix seconds); nothing it says changes a state."""
        try:
            if received.method != self.callbacks.method:
                raise Refused(FORGED)
            event = self.callbacks.verify(self.account, self.secret.reveal(), received, now)
        except Refused as refused:
            return self._count(Verdict(refused.outcome, refused.event), now)
        keys = dict.fromkeys(key for address in event.keys for key in self.watched.get(address, ()))
        records = tuple(record for key in keys if (record := self.board.get(key)) is not None)
        if not records:
            return self._count(Verdict(UNKNOWN_STREAM, event.event, event), now)
        if self._repeated(event) or self._outdated(event, now):
            return self._count(Verdict(REPLAYED, event.event, event), now)
        for record in records:
            self.counters.last_callback[record.key] = now
            if event.ended is not None:
                self.counters.ended[(*record.key, event.ended)] += 1
        return self._count(Verdict(ACCEPTED, event.event, event, records), now)

    def refuse(self, now: float) -> Verdict:
        """Count what was not even read: a body too large, or one that broke off."""
        return self._count(Verdict(FORGED, UNKNOWN_EVENT), now)

    def _repeated(self, event: Event) -> bool:
        """Whether this event was delivered before; remember it."""
        # A replayed signature with the next event's number must not take the place of that event.
        identity = event.identity, event.sent
        if identity in self.received:
            return True
        self.received[identity] = None
        if len(self.received) > MOST_REMEMBERED:
            self.received.popitem(last=False)
        return False

    def _outdated(self, event: Event, now: float) -> bool:
        """Whether a newer event of the stream has come already; remember the newest."""
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
        before = self.seen.get(kind, float("-inf"))
        self.seen[kind] = now
        # A flood of forgeries is one line in the log; the counter tells how many.
        news = abs(now - before) > QUIET_SECONDS
        return replace(verdict, advice=ADVICE.get(verdict.outcome, "")) if news else verdict


def _older(event: Event, known: Event) -> bool:
    """Whether an event is older news than another.

    Numbers, sessions and the event's own time are not signed. They count only against events that were signed at the
    same time or earlier, so that nothing made up outranks a later event.
    """
    if event.sent > known.sent:
        return False
    if event.session == known.session:
        gap = known.order - event.order
        return gap > 0 and (event.sent < known.sent or gap <= LARGEST_STEP)
    return event.sent < known.sent and event.at < known.at
