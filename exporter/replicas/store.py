"""What replicas need of the store that they share."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from exporter.replicas.journal import Times
from exporter.store.client import Store, Word
from exporter.store.errors import StoreError
from exporter.store.scripts import Script

Told = tuple[str, str, bytes]  # a journal's key, an entry's id, the entry

PATIENCE = 0.5  # seconds for an answer
_ID = re.compile("[0-9]{1,20}-[0-9]{1,20}", re.ASCII)


class JournalStore(Protocol):
    """A store that keeps journals."""

    @property
    def up(self) -> bool:
        """Whether it answers."""
        ...

    @property
    def member(self) -> str:
        """The name of this replica."""
        ...

    @property
    def times(self) -> Times:
        """The store's time."""
        ...

    def command(self, *words: Word) -> Awaitable[Any]:
        """Run a command; raises `StoreError`."""
        ...

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Awaitable[Any]:
        """Run a script; raises `StoreError`."""
        ...

    def read(self, journals: Mapping[str, str], most: int, block_ms: int) -> Awaitable[list[Told]]:
        """Return the entries of journals after these ids, at most so many of each; raises `StoreError`.

        Where there are none, wait for them for so many milliseconds; not at all if that is 0.
        """
        ...


class ServerTimes:
    """A server's time in seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def there(self, mono: float) -> float:
        """Return what its clock says at a time of ours."""
        return mono + self._store.clock.ahead()

    def here(self, time: float) -> float:
        """Return our time at one of its."""
        return time - self._store.clock.ahead()


class ServerJournals:
    """The journals on a Redis or Valkey server. Satisfies `JournalStore`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.times = ServerTimes(store)
        self.member = store.member

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self._store.up

    async def command(self, *words: Word) -> Any:
        """See `JournalStore.command`."""
        return await self._store.command(*words)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """See `JournalStore.run`."""
        return await self._store.run(script, keys, args)

    async def read(self, journals: Mapping[str, str], most: int, block_ms: int) -> list[Told]:
        """See `JournalStore.read`; https://redis.io/docs/latest/commands/xread/."""
        waiting: tuple[Word, ...] = ("BLOCK", block_ms) if block_ms else ()
        words = ("XREAD", "COUNT", most, *waiting, "STREAMS", *journals, *journals.values())
        found = await self._store.command(*words, seconds=block_ms / 1000 + PATIENCE)
        try:
            told = [
                (key.decode(), number.decode(), fields[1])
                for key, told in found or ()
                for number, fields in told
                if isinstance(fields[1], bytes)
            ]
        except (AttributeError, IndexError, TypeError, ValueError):
            told = [("", "", b"")]
        if not all(key in journals and _ID.fullmatch(number) for key, number, _ in told):
            raise StoreError("answer", "the store answered XREAD with something else")
        return told
