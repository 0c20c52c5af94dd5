"""The store of the configuration in force: opened, replaced by a reload, and closed."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable, Mapping

from exporter.config.store import StoreSettings
from exporter.replicas.store import ServerJournals
from exporter.replicas.together import SharedRounds
from exporter.rounds.replicas import Alone
from exporter.rounds.shared import Clock, Shared
from exporter.rounds.shared_pace import shared_paces
from exporter.rounds.state import AccountState
from exporter.store.client import Store

Open = Callable[[StoreSettings, Clock], Store]
"""Returns the store that some settings are about, not yet started."""


def opened(settings: StoreSettings, clock: Clock) -> Store:
    """Return a store on a Redis or Valkey server; needs the extra `redis`."""
    from exporter.store.connection import Dialer

    name = secrets.token_hex(8)
    return Store(Dialer(settings.address), settings.replicas, clock.mono, clock.unix, random.random, name)


class Stores:
    """Keeps one store open, or none.

    Attributes:
        present: The store in use.
        on_change: Called after it has changed, or its state has.
    """

    def __init__(self, shared: Shared, open_store: Open = opened) -> None:
        self.present: Store | None = None
        self.on_change: list[Callable[[], object]] = []
        self._settings: StoreSettings | None = None
        self._shared = shared
        self._rounds: SharedRounds | None = None
        self._open = open_store
        self._running = False
        self._closing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to use it; needs a running event loop."""
        self._running = True
        self._start()

    def configure(self, settings: StoreSettings | None) -> None:
        """Use another store, or none; what was granted by the one before is void."""
        if settings == self._settings:
            return
        before, rounds, self._settings = self.present, self._rounds, settings
        self.present = self._rounds = make = None
        shared = self._shared
        shared.replicas, shared.board.on_news = Alone(), []
        if settings is not None:
            self.present = self._open(settings, shared.clock)
            self.present.on_change.append(self._changed)
            make = shared_paces(self.present)
            self._rounds = shared.replicas = SharedRounds(ServerJournals(self.present), shared.clock, self._known)
            shared.board.on_news.append(self._rounds.note)
        shared.limits.use(make, shared.clock.mono())
        if self._running:
            if before is not None and rounds is not None:
                task = asyncio.create_task(_leave(before, rounds), name="old store")
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            self._start()
        self._changed()

    def watch(self, accounts: Iterable[AccountState], part: str) -> None:
        """Share what is learned of these accounts from now on, with those that watch the same part of the streams."""
        if self._rounds is not None:
            self._rounds.configure(accounts, part)

    async def close(self) -> None:
        """Leave the store."""
        if self._closing:
            await asyncio.wait(self._closing)
        if self._running and self.present is not None and self._rounds is not None:
            await _leave(self.present, self._rounds)

    def _start(self) -> None:
        if self.present is not None and self._rounds is not None:
            self.present.start()
            self._rounds.start()

    async def _known(self, state: AccountState) -> Mapping[str, str]:
        """Return what all replicas of an account know; keys that change by themselves each of them has others."""
        credentials = await self._shared.credentials(state.provider, state.account)
        password = self._settings.address.password if self._settings is not None else None
        known = {"store": password.reveal()} if password is not None else {}
        if credentials.token is None:
            known |= {"id": credentials.key_id, "secret": credentials.key_secret.reveal()}
        return known

    def state(self) -> tuple[bool, int, str] | None:
        """Return whether it answers, how many share it, and what is wrong with it; None without one."""
        store = self.present
        return None if store is None else (store.up, store.alive, store.problem)

    def _changed(self) -> None:
        for told in tuple(self.on_change):
            told()


async def _leave(store: Store, rounds: SharedRounds) -> None:
    await rounds.close()
    await store.close()
