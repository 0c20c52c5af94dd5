"""What the rounds of one account share: its quotas, its calls in flight, its health, and who waits for which stream."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from exporter.model import Account, Credentials, Fault, Stream
from exporter.providers import codes as catalogue
from exporter.providers.interface import AnyProvider
from exporter.rounds.call import Observer
from exporter.rounds.gate import Gate
from exporter.rounds.health import Health, Result
from exporter.rounds.origins import Origins
from exporter.rounds.pace import Pace
from exporter.rounds.plan import LISTED_SECONDS, Listed, Scope, label_of
from exporter.rounds.shared import Shared
from exporter.state.record import Key, Record

log = structlog.get_logger("prober")

NEVER: Final = float("-inf")  # monotonic seconds
OUT_OF_TURN: Final = ""  # not an API's action: the pace of callbacks and probes


class Waiting:
    """Who waits for which stream, and how fresh its answer must be."""

    def __init__(self) -> None:
        self._fresh: dict[Key, float] = {}
        self._done: dict[Key, asyncio.Future[None]] = {}

    def expect(self, key: Key, fresh: float) -> asyncio.Future[None]:
        """Return what is done when a stream has been asked; it must be asked later than `fresh` (monotonic seconds)."""
        self._fresh[key] = max(fresh, self._fresh.get(key, fresh))
        return self._done.setdefault(key, asyncio.get_running_loop().create_future())

    def fresh(self, key: Key) -> float:
        """Return how fresh the answer about a stream must be, at least."""
        return self._fresh.get(key, NEVER)

    def asked(self, key: Key) -> None:
        """Tell those who wait for a stream that it has been asked."""
        if self._done and (done := self._done.pop(key, None)) is not None:
            self._fresh.pop(key, None)
            if not done.done():
                done.set_result(None)


@dataclass(slots=True, eq=False)
class AccountState:
    """One account, between its rounds and within them.

    Attributes:
        provider: Its cloud.
        account: Its configuration.
        shared: What all accounts share.
        streams: What is watched.
        health: Whether it answers.
        paces: The pace of each action.
        out_of_turn: The pace of what asks for single streams out of turn.
        gates: Where the calls of each action wait.
        slots: Bounds the calls in flight.
        flying: Streams that are asked for at this moment.
        listed: What earlier listings taught.
        rows: How many rows the last whole listing of a scope had, and when (monotonic seconds), by (action, scope).
        origins: Which process of a server answered for a scope, by (action, scope).
        endpoint_since: Since when it is asked at its present endpoint (monotonic seconds).
        waiting: Who waits for which stream.
        observers: Told of each call.
        complete_since: Every stream was asked since then (monotonic seconds).
        elsewhere: When the last round began that another replica led, and when it was over (monotonic seconds).
    """

    provider: AnyProvider
    account: Account
    shared: Shared
    streams: tuple[Stream, ...] = ()
    health: Health = field(default_factory=Health)
    paces: dict[str, Pace] = field(default_factory=dict)
    out_of_turn: Pace = field(default_factory=lambda: Pace(1.0))
    gates: dict[str, Gate] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=asyncio.Semaphore)
    flying: set[Key] = field(default_factory=set)
    listed: dict[Scope, Listed] = field(default_factory=dict)
    rows: dict[Scope, tuple[int, float]] = field(default_factory=dict)
    origins: defaultdict[Scope, Origins] = field(default_factory=lambda: defaultdict(Origins))
    endpoint_since: float = NEVER
    waiting: Waiting = field(default_factory=Waiting)
    observers: set[Observer] = field(default_factory=set)
    complete_since: float = NEVER
    elsewhere: tuple[float, float] = (NEVER, NEVER)

    def configure(self, account: Account, streams: Sequence[Stream]) -> None:
        """Take another configuration; quotas, health and calls in flight stay."""
        if account.concurrency != self.account.concurrency or not self.gates:
            self.slots = asyncio.Semaphore(account.concurrency)
        if account.endpoint != self.account.endpoint:
            self.endpoint_since = self.shared.clock.mono()
            self.origins.clear()
        self.account, self.streams = account, tuple(streams)
        self.complete_since = NEVER
        self.rows.clear()
        limits = self.provider.allowed_rates(account)
        for action in limits:
            if action not in self.gates:
                self.gates[action] = Gate(partial(self._pace, action), self.shared.clock.mono)
        limits[OUT_OF_TURN] = limits[self.provider.main.action]
        self._share(self.shared.limits.configure(self.names, limits))

    @property
    def names(self) -> tuple[str, str]:
        """Provider and account, as labels name them."""
        return self.provider.name, self.account.name

    def identify(self, credentials: Credentials) -> None:
        """Share the quota of those whose calls the provider counts as ours."""
        identity = self.provider.identity(self.account, credentials)
        if paces := self.shared.limits.identify(self.names, identity, self.shared.clock.mono()):
            self._share(paces)

    def record(self, stream: Stream) -> Record | None:
        """Return the record of a stream, unless a reload has taken it away or given it another address."""
        return self.shared.board.current(self.provider.name, stream)

    def count(self, fault: Fault) -> None:
        """Count a failure."""
        key = (*self.names, fault.code, str(fault.reason))
        self.shared.counters.errors[key] += 1

    def learn(self, result: Result) -> None:
        """Take the result of a round; log that the account begins to fail, fails otherwise, or answers again."""
        if not self.health.learn(result):
            return
        provider, name = self.names
        fault = self.health.fault
        if fault is None:
            log.info("account answers again", provider=provider, account=name)
            return
        advice = catalogue.of_fault(provider, fault.code, fault.reason).advice
        log.warning("account answers nothing", provider=provider, account=name, reason=str(fault.reason),
                    code=fault.code, message=fault.message, request_id=fault.request_id, advice=advice)  # fmt: skip

    def listed_rows(self) -> dict[str, int]:
        """Return how many rows the last whole listing of each scope had, if that was not long ago."""
        oldest = self.shared.clock.mono() - LISTED_SECONDS
        rows = sorted(self.rows.items(), key=lambda one: one[1][1])
        return {label_of(scope): count for (_, scope), (count, at) in rows if at >= oldest}

    def allowed_rates(self) -> dict[str, float]:
        """Return the calls per second allowed now, by action."""
        now = self.shared.clock.mono()
        return {action: pace.rate(now) for action, pace in self.paces.items()}

    def _pace(self, action: str) -> Pace:
        """Return the pace of an action now; it may change while a call waits."""
        return self.paces[action]

    def _share(self, paces: Mapping[str, Pace]) -> None:
        """Use these paces from now on; other accounts may share them."""
        self.paces = {action: pace for action, pace in paces.items() if action != OUT_OF_TURN}
        self.out_of_turn = paces[OUT_OF_TURN]
