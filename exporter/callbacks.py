"""Callbacks: verified, deduplicated, put in order and counted. What they say is a hint to ask, never a state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import structlog

from exporter.board import Board, Key, Record
from exporter.model import Account, Stream
from exporter.provider import AnyProvider, Callbacks, Heard, Received, Refused
from exporter.tally import Tally

log = structlog.get_logger("callbacks")

ACCEPTED, FORGED, EXPIRED, REPLAYED, UNKNOWN_STREAM = "accepted", "forged", "expired", "replayed", "unknown_stream"
MOST_REMEMBERED = 16_384


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a callback: how it is counted, and the stream to ask for at once if it was accepted."""

    outcome: str
    heard: Heard | None = None
    record: Record | None = None


@dataclass(slots=True)
class Listener:
    """One account that has a callback secret: what was heard of it already."""

    provider: AnyProvider
    account: Account
    key: str
    watched: dict[Hashable, Key] = field(default_factory=dict)
    heard: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)
    newest: dict[Key, tuple[str, float]] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    @property
    def callbacks(self) -> Callbacks[Account, Stream]:
        """How this cloud tells of pushes."""
        assert self.provider.callbacks is not None
        return self.provider.callbacks

    def watch(self, streams: Iterable[Stream]) -> None:
        """Listen for these streams and no others."""
        name, keys = self.provider.name, self.callbacks.keys
        self.watched = {key: (name, stream.name) for stream in streams for key in keys(self.account, stream)}
        self.newest = {key: known for key, known in self.newest.items() if key in set(self.watched.values())}

    def repeated(self, identity: Hashable) -> bool:
        """Whether this event was delivered before; remember it."""
        if identity in self.heard:
            return True
        self.heard[identity] = None
        if len(self.heard) > MOST_REMEMBERED:
            self.heard.popitem(last=False)
        return False

    def outdated(self, key: Key, heard: Heard) -> bool:
        """Whether newer news of the stream has come already; remember the newest."""
        session, order = self.newest.get(key, (heard.session, float("-inf")))
        if session == heard.session and heard.order < order:
            return True
        self.newest[key] = (heard.session, heard.order)
        return False


class Ear:
    """Hears for all accounts that have a callback secret."""

    def __init__(self, board: Board, tally: Tally) -> None:
        self._board = board
        self._tally = tally
        self._listeners: dict[str, Listener] = {}

    def configure(self, accounts: Iterable[tuple[AnyProvider, Account, str, Iterable[Stream]]]) -> None:
        """Listen for these accounts (provider, account, callback secret, streams); what was heard stays known."""
        listeners: dict[str, Listener] = {}
        for provider, account, key, streams in accounts:
            known = self._listeners.get(account.name)
            listener = known if known is not None and known.provider is provider else Listener(provider, account, key)
            listener.account, listener.key = account, key
            listener.watch(streams)
            listeners[account.name] = listener
        self._listeners = listeners

    def listener(self, account: str) -> Listener | None:
        """Return who listens for an account, if it has a callback secret."""
        return self._listeners.get(account)

    def hear(self, listener: Listener, received: Received, now: float) -> Verdict:
        """Judge and count a callback at a time (Unix seconds); nothing it says changes a state."""
        try:
            heard = self._verified(listener, received, now)
        except Refused as refused:
            return self._count(listener, refused.event, Verdict(refused.outcome))
        key = next((listener.watched[one] for one in heard.keys if one in listener.watched), None)
        record = None if key is None else self._board.get(key)
        if record is None or key is None:
            return self._count(listener, heard.event, Verdict(UNKNOWN_STREAM, heard))
        if listener.repeated(heard.identity) or listener.outdated(key, heard):
            return self._count(listener, heard.event, Verdict(REPLAYED, heard))
        self._tally.last_callback[key] = now
        if heard.ended is not None:
            self._tally.ended[(*key, heard.ended)] += 1
        self._board.version += 1
        return self._count(listener, heard.event, Verdict(ACCEPTED, heard, record))

    def refuse(self, listener: Listener) -> None:
        """Count what was not even read: a body too large, a wrong method."""
        self._count(listener, "unknown", Verdict(FORGED))

    def _verified(self, listener: Listener, received: Received, now: float) -> Heard:
        if received.method != listener.callbacks.method:
            raise Refused(FORGED)
        return listener.callbacks.hear(listener.account, listener.key, received, now)

    def _count(self, listener: Listener, event: str, verdict: Verdict) -> Verdict:
        provider, account = listener.provider.name, listener.account.name
        self._tally.callbacks[provider, account, event, verdict.outcome] += 1
        # A flood of forgeries is one line in the log; the counter tells how many.
        if listener.told.get(event, ACCEPTED) != verdict.outcome:
            listener.told[event] = verdict.outcome
            log.info("callbacks", provider=provider, account=account, event_=event, outcome=verdict.outcome)
        return verdict
