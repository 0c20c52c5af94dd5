"""A store made of dictionaries, for replicas in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exporter.replicas.leading import RELEASE, RENEW
from exporter.store.client import Word
from exporter.store.errors import StoreError
from exporter.store.scripts import Script


@dataclass(slots=True)
class Hub:
    """The server: keys with an end, and streams.

    Attributes:
        ahead: How far its clock is ahead of the loop's.
        forgets: Whether it keeps no entry at present.
        run: How often it was restarted.
    """

    latency: float = 0.001
    ahead: float = 5_000.0
    values: dict[str, tuple[str, float]] = field(default_factory=dict)
    streams: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    added: int = 0
    forgets: bool = False
    run: int = 0
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def value(self, key: str) -> str | None:
        """Return the value of a key that has not ended."""
        value, end = self.values.get(key, ("", 0.0))
        return value if asyncio.get_running_loop().time() < end else None


@dataclass(slots=True)
class Times:
    """The hub's time."""

    ahead: float

    def there(self, mono: float) -> float:
        """Return what the hub's clock says."""
        return mono + self.ahead

    def here(self, time: float) -> float:
        """Return our time."""
        return time - self.ahead


@dataclass(slots=True)
class HubStore:
    """One replica's way to the hub; it believes that the hub's clock is `wrong` seconds further ahead than it is.

    Attributes:
        stop_at: A command whose reply never comes.
        stopped: Set once it has run.
        commands: How many ran.
    """

    hub: Hub
    member: str
    up: bool = True
    wrong: float = 0.0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    stop_at: str = ""
    commands: int = 0

    @property
    def times(self) -> Times:
        """The hub's time."""
        return Times(self.hub.ahead + self.wrong)

    async def command(self, *args: Word) -> Any:
        """Run SET NX PX, XADD or PEXPIRE; replies to the command `stop_at` never come."""
        self.commands += 1
        await self._away()
        try:
            return self._run(args)
        finally:
            if args[0] == self.stop_at:
                self.stopped.set()
                await asyncio.Event().wait()

    def _run(self, args: Sequence[Word]) -> Any:
        match args:
            case ("SET", str(key), str(value), "NX", "PX", int(milliseconds)):
                if self.hub.value(key) is not None:
                    return None
                self.hub.values[key] = value, asyncio.get_running_loop().time() + milliseconds / 1000
                return "OK"
            case ("XADD", str(key), *_, bytes(data)):
                self.hub.added += 1
                if self.hub.forgets:
                    return f"{self.hub.added}-0".encode()
                self.hub.streams.setdefault(key, []).append((f"{self.hub.added}-0", data))
                self.hub.grown.set()
                return f"{self.hub.added}-0".encode()
            case ("PEXPIRE", *_):
                return 1
        raise AssertionError(args)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """Run one of the scripts of a round that is led."""
        self.commands += 1
        await self._away()
        if self.hub.value(keys[0]) != args[0]:
            return 0
        if script == RELEASE:
            del self.hub.values[keys[0]]
        else:
            assert script == RENEW
            self.hub.values[keys[0]] = str(args[0]), asyncio.get_running_loop().time() + int(args[1]) / 1000
        return 1

    async def read(self, streams: Mapping[str, str], most: int, block_ms: int) -> list[tuple[str, str, bytes]]:
        """Return entries after these ids."""
        self.commands += 1
        await self._away()
        found, run = self._after(streams, most), self.hub.run
        if not found and block_ms:
            self.hub.grown.clear()
            try:
                async with asyncio.timeout(block_ms / 1000):
                    await self.hub.grown.wait()
            except TimeoutError:
                return []
            await self._away()
            if run != self.hub.run:
                raise StoreError("connection", "restarted")
            found = self._after(streams, most)
        return found

    def _after(self, streams: Mapping[str, str], most: int) -> list[tuple[str, str, bytes]]:
        found = []
        for key, last in streams.items():
            after = int(last.partition("-")[0])
            new = [(key, one, data) for one, data in self.hub.streams.get(key, ()) if int(one[:-2]) > after]
            found += new[:most]
        return found

    async def _away(self) -> None:
        if not self.up:
            raise StoreError("connection", "away")
        await asyncio.sleep(self.hub.latency)
        if not self.up:
            raise StoreError("connection", "away")
