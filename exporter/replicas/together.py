"""All accounts that are shared with other replicas: tells what is learned here, and takes what the others tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

import structlog

from exporter.providers.interface import CredentialsError, Event
from exporter.replicas.entries import key_of
from exporter.replicas.leading import TAKEN_AT_ONCE, Leading
from exporter.replicas.store import JournalStore
from exporter.rounds.health import Result
from exporter.rounds.limits import Owner
from exporter.rounds.shared import Clock
from exporter.rounds.state import AccountState
from exporter.state.record import News, Record
from exporter.store.errors import StoreError

RENEW_SECONDS: Final = 0.5
WRITE_SECONDS: Final = 0.2
BLOCK_MS: Final = 1000
RETRY_SECONDS: Final = 0.5
LEAVE_SECONDS: Final = 1.0
RENEWED_AT_ONCE: Final = 8
MOST_READ: Final = 200  # entries in one reply, of a few kilobytes each

UNSIGNED: Final = "its exporters have no secret in common to know each other by; give the store a password"

log = structlog.get_logger("store")

Secrets = Callable[[AccountState], Awaitable[Mapping[str, str]]]
"""Returns what all replicas of an account know and nobody else; raises `CredentialsError`."""


class SharedRounds:
    """Of all replicas one asks, and all of them know. Satisfies `rounds.replicas.Replicas`."""

    def __init__(self, store: JournalStore, clock: Clock, secrets: Secrets) -> None:
        self._store = store
        self._clock = clock
        self._secrets = secrets
        self._part = ""
        self._accounts: dict[Owner, Leading] = {}
        self._news = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._signing: set[Owner] = set()
        self._warned: set[Owner] = set()

    def start(self) -> None:
        """Begin to tell and to take; needs a running event loop."""
        loops = (self._write(), self._read(), self._renew())
        self._running = [asyncio.create_task(loop, name="replicas") for loop in loops]

    async def close(self) -> None:
        """Tell what is still to be told, and end."""
        write, *others = self._running or (None,)
        for task in others:
            task.cancel()
        for leading in self._accounts.values():
            self._end(leading.close())
        for _ in range(2):  # what ends may have more to let go
            if self._ending:
                await asyncio.wait(self._ending, timeout=LEAVE_SECONDS)
        for task in self._ending:
            task.cancel()
        self._accounts = {}
        # Not sooner: an entry that is on its way has left the journal.
        if write is not None:
            write.cancel()
            await asyncio.wait(self._running, timeout=LEAVE_SECONDS)

    def configure(self, states: Iterable[AccountState], part: str = "") -> None:
        """Share these accounts from now on, with those that watch the same part of the streams."""
        before = self._accounts if part == self._part else {}
        accounts: dict[Owner, Leading] = {}
        for state in states:
            known = before.get(state.names)
            same = known is not None and known.journal.state is state
            accounts[state.names] = (
                known if same and known else Leading(self._store, self._clock, state, part, self._end)
            )
        self._accounts, self._part = accounts, part

    # --- as the rounds see it ----------------------------------------------------------------------------------------

    async def lead(self, account: Owner, deadline: float) -> bool:
        """See `Replicas.lead`."""
        leading = self._accounts.get(account)
        if leading is None:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline - self._clock.mono()):
                await self._sign(leading)
        return await leading.lead(deadline)

    def leave(self, account: Owner) -> None:
        """See `Replicas.leave`."""
        if (leading := self._accounts.get(account)) is not None:
            self._end(leading.leave())

    def learned(self, account: Owner, result: Result, began: float, *, complete: bool) -> None:
        """See `Replicas.learned`."""
        if (leading := self._accounts.get(account)) is not None and self._store.up:
            leading.journal.ended(result, began, complete=complete)
            self._news.set()

    async def claim(self, record: Record, deadline: float) -> bool:
        """See `Replicas.claim`."""
        leading = self._of(record)
        return leading is None or not self._store.up or await leading.claim(record, deadline)

    def release(self, record: Record) -> None:
        """See `Replicas.release`."""
        if (leading := self._of(record)) is not None and self._store.up:
            self._end(leading.release(record))

    def note(self, record: Record, news: News) -> None:
        """Tell the others what was learned of a stream."""
        if (leading := self._of(record)) is None:
            return
        if not self._store.up:
            leading.journal.untold = self._clock.mono()
            return
        leading.journal.note(record, news)
        self._news.set()

    async def first(self, account: Owner, event: Event) -> bool:
        """See `Replicas.first`."""
        leading = self._accounts.get(account)
        return leading is None or not self._store.up or await leading.first(repr((event.identity, event.sent)))

    def heard(self, account: Owner, records: Iterable[Record]) -> None:
        """See `Replicas.heard`."""
        if (leading := self._accounts.get(account)) is not None and self._store.up:
            leading.journal.heard(records, self._clock.mono())
            self._news.set()

    async def _sign(self, leading: Leading) -> None:
        """Sign with the account's keys; without them its rounds end before their first call, and say why."""
        state = leading.journal.state
        self._signing.add(state.names)
        try:
            secrets = await self._secrets(state)
        except CredentialsError:
            return
        finally:
            self._signing.discard(state.names)
        if any(secrets.values()):
            leading.sign_with(key_of(secrets, *state.names))
        elif state.names not in self._warned:
            self._warned.add(state.names)
            log.warning("answers are not shared", account=state.names[1], problem=UNSIGNED)

    def _of(self, record: Record) -> Leading | None:
        return self._accounts.get((record.key[0], record.stream.account))

    def _end(self, ending: Awaitable[None]) -> None:
        task = asyncio.ensure_future(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    # --- what goes on meanwhile --------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(WRITE_SECONDS)
            self._news.clear()
            for leading in tuple(self._accounts.values()):
                if not leading.journal.idle:
                    await leading.write()

    async def _read(self) -> None:
        was_up = False
        while True:
            if self._store.up and not was_up:
                # It may be another one, whose entries have other ids.
                for leading in self._accounts.values():
                    leading.begin_again()
            was_up = self._store.up
            for leading in tuple(self._accounts.values()):
                if not leading.journal.keys and leading.journal.state.names not in self._signing:
                    # Keys may be long in coming; the others' accounts go on.
                    self._end(self._sign(leading))
                    await asyncio.sleep(0)
            by_key = {leading.key: leading for leading in self._accounts.values() if leading.journal.keys}
            try:
                if not self._store.up or not by_key:
                    raise StoreError("connection", "there is nothing to read")
                after = {key: leading.journal.last for key, leading in by_key.items()}
                most = max(1, min(TAKEN_AT_ONCE, MOST_READ // len(after)))
                found = await self._store.read(after, most, BLOCK_MS)
            except StoreError:
                # It may be back before this is noticed, and be another one.
                was_up = False
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for key, number, data in found:
                await by_key[key].take([(number, data)])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            accounts = tuple(self._accounts.values())
            # One after the other, those of many accounts would take longer than a lead lasts.
            for start in range(0, len(accounts), RENEWED_AT_ONCE):
                await asyncio.gather(*(leading.renew() for leading in accounts[start : start + RENEWED_AT_ONCE]))
