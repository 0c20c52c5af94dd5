"""The store of the configuration in force: opened, replaced by a reload, and closed."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable

from exporter.config.store import StoreSettings
from exporter.rounds.limits import Limits
from exporter.rounds.shared import Clock
from exporter.rounds.shared_pace import shared_paces
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

    def __init__(self, clock: Clock, limits: Limits, open_store: Open = opened) -> None:
        self.present: Store | None = None
        self.on_change: list[Callable[[], object]] = []
        self._settings: StoreSettings | None = None
        self._clock = clock
        self._limits = limits
        self._open = open_store
        self._running = False
        self._closing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to use it; needs a running event loop."""
        self._running = True
        if self.present is not None:
            self.present.start()

    def configure(self, settings: StoreSettings | None) -> None:
        """Use another store, or none; what was granted by the one before is void."""
        if settings == self._settings:
            return
        before, self._settings = self.present, settings
        self.present = None if settings is None else self._open(settings, self._clock)
        make = None
        if self.present is not None:
            self.present.on_change.append(self._changed)
            make = shared_paces(self.present)
        self._limits.use(make, self._clock.mono())
        if self._running:
            if before is not None:
                task = asyncio.create_task(before.close(), name="old store")
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
            if self.present is not None:
                self.present.start()
        self._changed()

    async def close(self) -> None:
        """Leave the store."""
        if self._closing:
            await asyncio.wait(self._closing)
        if self._running and self.present is not None:
            await self.present.close()

    def state(self) -> tuple[bool, int, str] | None:
        """Return whether it answers, how many share it, and what is wrong with it; None without one."""
        store = self.present
        return None if store is None else (store.up, store.alive, store.problem)

    def _changed(self) -> None:
        for told in tuple(self.on_change):
            told()
