"""Callbacks: verified, deduplicated, put in order and counted. What they say is a hint to ask, never a state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import structlog

from exporter.fields import Secret
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider, Callback, Callbacks, Event, Refused
from exporter.state.board import Board, Key, Record
from exporter.state.counters import Tally

log = structlog.get_logger("callbacks")

ACCEPTED, FORGED, EXPIRED, REPLAYED, UNKNOWN_STREAM = "accepted", "forged", "expired", "replayed", "unknown_stream"
UNKNOWN_EVENT = "unknown"
MOST_REMEMBERED = 16_384
# Older signatures are refused, so nothing older than this can still come.
ORDER_SECONDS = 600.0
# Among callbacks signed in the same second, numbers further apart than this are made up.
LARGEST_STEP = 100.0
# An outcome is told in the log when it begins: not again before it has been away for this long.
QUIET_SECONDS = 600.0
ADVICE = {
    FORGED: "if these are the provider's own, the account's callback secret differs from the one in the console",
    EXPIRED: "if these are the provider's own, compare the clock of this machine",
    UNKNOWN_STREAM: "the provider tells of streams or events that are not watched",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a callback: how it is counted, and the streams to ask for at once if it was accepted."""

    outcome: str
    heard: Event | None = None
    records: tuple[Record, ...] = ()


@dataclass(slots=True)
class Listener:
    """One account that has a callback secret: what was heard of it already.

    Attributes:
        watched: The streams that an address means; two names may stand for one address.
        heard: Identities of the events heard last, at most `MOST_REMEMBERED`.
        newest: The newest event of each watched address, and when it was heard (Unix seconds).
        told: When an outcome of an event was last seen, in Unix seconds.
    """

    provider: AnyProvider
    account: Account
    key: Secret
    watched: dict[Hashable, tuple[Key, ...]] = field(default_factory=dict)
    heard: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)
    newest: dict[Hashable, tuple[Event, float]] = field(default_factory=dict)
    told: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def callbacks(self) -> Callbacks[Account, Stream]:
        """How this cloud tells of pushes."""
        assert self.provider.callbacks is not None
        return self.provider.callbacks

    def watch(self, streams: Iterable[Stream]) -> None:
        """Listen for these streams and no others."""
        watched: dict[Hashable, tuple[Key, ...]] = {}
        for stream in streams:
            for address in self.callbacks.keys(self.account, stream):
                watched[address] = (*watched.get(address, ()), (self.provider.name, stream.name))
        self.watched = watched
        self.newest = {address: known for address, known in self.newest.items() if address in watched}

    def meant(self, heard: Event) -> list[Key]:
        """Return the watched streams that an event may be about."""
        return list(dict.fromkeys(key for address in heard.keys for key in self.watched.get(address, ())))

    def repeated(self, heard: Event) -> bool:
        """Whether this event was delivered before; remember it."""
        # A replayed signature with the next event's number must not take the place of that event.
        identity = heard.identity, heard.sent
        if identity in self.heard:
            return True
        self.heard[identity] = None
        if len(self.heard) > MOST_REMEMBERED:
            self.heard.popitem(last=False)
        return False

    def outdated(self, heard: Event, now: float) -> bool:
        """Whether newer news of the stream has come already; remember the newest."""
        addresses = [address for address in heard.keys if address in self.watched]
        for address in addresses:
            known, when = self.newest.get(address, (heard, now))
            if abs(now - when) <= ORDER_SECONDS and _older(heard, known):
                return True
        self.newest.update(dict.fromkeys(addresses, (heard, now)))
        return False

    def begins(self, event: str, outcome: str, now: float) -> bool:
        """Whether an outcome has not been seen for a while; remember that it is now."""
        before = self.told.get((event, outcome))
        self.told[event, outcome] = now
        return before is None or abs(now - before) > QUIET_SECONDS


def _older(heard: Event, known: Event) -> bool:
    """Whether an event is older news than another.

    Numbers, sessions and the event's own time are not signed. They count only against events that were signed at the
    same time or earlier, so that nothing made up outranks a later event.
    """
    if heard.sent > known.sent:
        return False
    if heard.session == known.session:
        gap = known.order - heard.order
        return gap > 0 and (heard.sent < known.sent or gap <= LARGEST_STEP)
    return heard.sent < known.sent and heard.at < known.at


class Ear:
    """Hears for all accounts that have a callback secret."""

    def __init__(self, board: Board, tally: Tally) -> None:
        self._board = board
        self._tally = tally
        self._listeners: dict[str, Listener] = {}

    def configure(self, accounts: Iterable[tuple[AnyProvider, Account, Secret, Iterable[Stream]]]) -> None:
        """Listen for these accounts (provider, account, callback secret, streams); what was heard stays known."""
        listeners: dict[str, Listener] = {}
        for provider, account, key, streams in accounts:
            known = self._listeners.get(account.name)
            listener = known if known is not None and known.provider is provider else Listener(provider, account, key)
            listener.account, listener.key = account, key
            listener.watch(streams)
            listeners[account.name] = listener
            for event in listener.callbacks.events:
                # From 0 on, so that nothing heard is told from nothing listened for.
                self._tally.callbacks[provider.name, account.name, event, ACCEPTED] += 0
        self._listeners = listeners

    def listener(self, account: str) -> Listener | None:
        """Return who listens for an account, if it has a callback secret."""
        return self._listeners.get(account)

    def hear(self, listener: Listener, received: Callback, now: float) -> Verdict:
        """Judge and count a callback at a time (Unix seconds); nothing it says changes a state."""
        try:
            heard = self._verified(listener, received, now)
        except Refused as refused:
            return self._count(listener, refused.event, Verdict(refused.outcome), now)
        verdict = self._judged(listener, heard, now)
        if verdict.outcome == ACCEPTED:
            self._note(heard, verdict.records, now)
        return self._count(listener, heard.event, verdict, now)

    def refuse(self, listener: Listener, now: float) -> None:
        """Count what was not even read: a body too large, or one that did not come to its end."""
        self._count(listener, UNKNOWN_EVENT, Verdict(FORGED), now)

    def _verified(self, listener: Listener, received: Callback, now: float) -> Event:
        if received.method != listener.callbacks.method:
            raise Refused(FORGED)
        return listener.callbacks.verify(listener.account, listener.key.reveal(), received, now)

    def _judged(self, listener: Listener, heard: Event, now: float) -> Verdict:
        records = tuple(record for key in listener.meant(heard) if (record := self._board.get(key)) is not None)
        if not records:
            return Verdict(UNKNOWN_STREAM, heard)
        if listener.repeated(heard) or listener.outdated(heard, now):
            return Verdict(REPLAYED, heard)
        return Verdict(ACCEPTED, heard, records)

    def _note(self, heard: Event, records: Iterable[Record], now: float) -> None:
        for record in records:
            self._tally.last_callback[record.key] = now
            if heard.ended is not None:
                self._tally.ended[(*record.key, heard.ended)] += 1

    def _count(self, listener: Listener, event: str, verdict: Verdict, now: float) -> Verdict:
        provider, account, outcome = listener.provider.name, listener.account.name, verdict.outcome
        self._tally.callbacks[provider, account, event, outcome] += 1
        self._board.changed()
        # A flood of forgeries is one line in the log; the counter tells how many.
        if listener.begins(event, outcome, now) and outcome in ADVICE:
            log.warning(
                "callback refused" if verdict.heard is None else "callback of no use",
                provider=provider, account=account, callback=event, outcome=outcome, advice=ADVICE[outcome],
            )  # fmt: skip
        return verdict
