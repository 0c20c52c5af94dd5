"""The running parts and how a scrape, a probe and a new configuration use them."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack

from exporter.config import Config
from exporter.exposition import Exposition, Source
from exporter.fields import Secret
from exporter.model import Account, Credentials
from exporter.playback.checks import PlaybackChecks
from exporter.playback.fetch import Fetcher
from exporter.playback.rates import Rates
from exporter.providers.interface import AnyProvider
from exporter.rounds.account import AccountProber
from exporter.rounds.follow_ups import FollowUps
from exporter.rounds.gate import Connection
from exporter.rounds.limits import Limits
from exporter.rounds.pace import Part
from exporter.rounds.prober import Prober
from exporter.rounds.shared import Clock, Connect, Shared
from exporter.rounds.transcript import Transcript
from exporter.rounds.turns import GAP_SECONDS, Turns
from exporter.serving.pages import Page, PageCache
from exporter.serving.stores import Open, Stores, opened
from exporter.state.board import Board
from exporter.state.callbacks import CallbackReceiver
from exporter.state.counters import Counters
from exporter.state.record import Record
from exporter.transport import Transport
from exporter.transport.aside import Reader

LONGEST_RENDER = 1.0
SHARED_SECONDS = 0.01  # for which a document is shared at least


def system_clock() -> Clock:
    """Return the system's clocks, and random nonces."""
    # Nonces must not repeat but need not be secret: a seeded generator costs a tenth of the system's.
    random_bits = random.Random(secrets.randbits(128)).getrandbits  # nosec B311
    return Clock(time.time, time.monotonic, lambda: f"{random_bits(128):032x}")


class Service:
    """All running parts; `configure` replaces the whole configuration at once."""

    def __init__(
        self,
        config: Config,
        providers: Mapping[str, AnyProvider],
        clock: Clock,
        credentials: Callable[[AnyProvider, Account], Awaitable[Credentials]],
        callback_secret: Callable[[AnyProvider, Account], Secret | None] = lambda _provider, _account: None,
        mark_refused: Callable[[AnyProvider, Account], None] = lambda _provider, _account: None,
        connect: Connect | None = None,
        open_store: Open = opened,
    ) -> None:
        self.config = config
        self._callback_secret = callback_secret
        self.providers = providers
        self.clock = clock
        self.started = clock.unix()
        self.board = Board(config.scrape.max_age)
        self.counters = Counters()
        # The process that this one replaces may have made calls until now.
        limits, self._reader = Limits(clock.mono()), Reader()
        shared = Shared(self.board, self.counters, clock, connect or self._connect, credentials, mark_refused,
                        limits=limits, aside=self._reader)  # fmt: skip
        self.prober = Prober(shared)
        self.stores = Stores(shared, open_store)
        self.source = Source(self.board, self.counters, self.prober.present, store=self.stores.state)
        self.exposition = Exposition(self.source)
        self._transports: dict[str, Transport] = {}
        self._open = AsyncExitStack()
        self._documents = PageCache(clock.mono, lambda: self.config, most_cached=float("inf"))
        self.receivers: dict[str, CallbackReceiver] = {}
        self.turns = Turns(self.prober)
        self.follow_ups = FollowUps(self.turns)
        self.playback = PlaybackChecks(self.board, self.counters, clock, self._reader, Fetcher(Rates(clock.mono)))
        self._render_seconds = 0.0
        self.configure(config)

    async def __aenter__(self) -> Service:
        await self._open.enter_async_context(self.playback)
        self.stores.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.follow_ups.close()
        await self.turns.close()
        await self.stores.close()
        await self._open.aclose()
        self._reader.close()

    def configure(self, config: Config) -> None:
        """Apply a whole configuration; what stays configured keeps its counters, answers, quotas and breakers."""
        accounts = [(self.providers[account.provider], account) for account in config.accounts]
        self.board.expectations, self.board.whole = config.expectations, config.shard.count == 1
        self.stores.configure(config.store)
        part = Part(config.shard.index, config.quota_parts)
        self.prober.configure(accounts, config.streams, config.scrape.max_age, part)
        self.stores.watch(self.prober.present(), config.shard.words)
        self.receivers = {receiver.account.name: receiver for receiver in self._configured_receivers(config)}
        self.follow_ups.keep()
        self.turns.keep()
        self.playback.configure(config.accounts, config.streams, config.playback, config.scrape.max_age)
        self.config = config
        self.source.label_names = config.label_names
        self.source.reload_ok = True
        self.source.reloaded = self.clock.unix()
        self.exposition.forget()

    def _configured_receivers(self, config: Config) -> Iterator[CallbackReceiver]:
        """Yield a receiver for each account that has a callback secret, and reuse those that exist."""
        for account in config.accounts:
            provider = self.providers[account.provider]
            secret = self._callback_secret(provider, account)
            if secret is None:
                continue
            receiver = self.receivers.get(account.name)
            if receiver is None or receiver.provider is not provider:
                receiver = CallbackReceiver(provider, account, secret, self.board, self.counters)
            receiver.configure(account, secret, self.prober.accounts[account.name].streams)
            yield receiver

    def refused(self) -> None:
        """Record that the last configuration read was refused; the previous one stays in force."""
        self.source.reload_ok = False

    # --- probing -----------------------------------------------------------------------------------------------------

    async def refresh(self, deadline: float, prober: AccountProber | None = None) -> None:
        """Probe all streams, or those of one account, except those with an answer younger than `scrape.reuse`.

        A single account is probed once a second at most.
        """
        self.playback.scraped()
        now = self.clock.mono()
        reuse = self.config.scrape.reuse if prober is None else max(self.config.scrape.reuse, GAP_SECONDS)
        # Rendering shares the budget and is expected to take as long as last time.
        until = deadline - min(self._render_seconds, (deadline - now) / 2)
        await self.prober.refresh(until, now - reuse, None if prober is None else [prober])
        self.board.outdate(self.clock.now())

    async def refresh_one(self, record: Record, deadline: float) -> None:
        """Probe one stream out of turn, unless its answer is younger than `scrape.reuse` or one second."""
        self.playback.scraped()
        reuse = max(self.config.scrape.reuse, GAP_SECONDS)
        await self.turns.ask(record, deadline, self.clock.mono() - reuse)
        self.board.outdate(self.clock.now())

    async def watch_calls(self, prober: AccountProber, deadline: float, record: Record | None) -> list[Transcript]:
        """Probe one stream, or all of an account, however recent its answer; return a transcript of each call.

        A stream that was probed within the last second is probed again once that second is over.
        """
        calls: list[Transcript] = []
        now = self.clock.mono()
        with prober.observed(calls.append):
            if record is not None:
                await self.turns.ask(record, deadline, now)
            else:
                await self.turns.ask_all(prober, deadline)
        # A concurrent scrape makes calls for other streams, too.
        return [call for call in calls if record is None or record.stream.name in call.streams]

    async def _connect(self, provider: str, account: Account, gap: float, new: bool) -> Connection:
        transport = self._transports.get(provider)
        if transport is None:
            # Stored before the first await, so that a provider never gets two connection pools.
            transport = self._transports[provider] = Transport(aside=self._reader)
            await self._open.enter_async_context(transport)
        route = account.http.route(account.endpoint)
        return await transport.connect(
            account.endpoint, account.timeout, gap, account.concurrency, new=new, route=route
        )

    def version(self) -> object:
        """Return a value that changes with all that is shown, except for ages."""
        return self.source.version(), self.expected()

    def expected(self) -> tuple[bool, ...]:
        """Return the verdict on each schedule, which changes when it changes for any stream."""
        return self.board.expectations.at(self.clock.unix()).expected

    # --- rendering ---------------------------------------------------------------------------------------------------

    async def document(self, *, openmetrics: bool, compressed: bool) -> bytes:
        """Return the complete exposition; concurrent readers share the same bytes."""
        page = Page(
            (openmetrics, compressed),
            lambda: self._render(openmetrics),
            self.version,
            lambda: min(self.board.expires(), self.clock.mono() + max(self.config.scrape.reuse, SHARED_SECONDS)),
            plain=not compressed,
            packed=compressed,
        )
        rendered = await self._documents.get(page)
        return rendered.packed if compressed else rendered.plain

    def _render(self, openmetrics: bool) -> Iterator[bytes]:
        started = self.clock.now()
        yield from self.exposition.render(started, openmetrics)
        self._render_seconds = min(self.clock.mono() - started.mono, LONGEST_RENDER)
