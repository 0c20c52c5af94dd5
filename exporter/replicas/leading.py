"""Who leads the rounds of one account, and its journal in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Final

import structlog

from exporter.replicas import entries
from exporter.replicas.journal import Journal
from exporter.replicas.store import JournalStore
from exporter.rounds.shared import Clock
from exporter.rounds.state import AccountState
from exporter.state.record import Key, Record
from exporter.store.errors import StoreError
from exporter.store.scripts import PREFIX, Script, hashed

log = structlog.get_logger("store")
_JOURNALS = count(1)

LEADS_MS: Final = 2000
"""How long a leader is believed to live that says nothing."""

RETRY_SECONDS: Final = 0.25
CLAIMED_MS: Final = 10_000
HEARD_MS: Final = 900_000  # no cloud's signature is valid for longer
KEPT_MS: Final = 600_000
KEPT_ENTRIES: Final = 2000
TAKEN_AT_ONCE: Final = 20

_RELEASE: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
RELEASE: Final = Script(_RELEASE)
RENEW: Final = Script(_RELEASE.replace("'del', KEYS[1]", "'pexpire', KEYS[1], ARGV[2]"))


class Leading:
    """One account: leads its rounds or waits for those of others; writes and reads its journal.

    Attributes:
        journal: What is told, and what was.
        key: The journal's key in the store.
    """

    def __init__(
        self,
        store: JournalStore,
        clock: Clock,
        state: AccountState,
        part: str,
        later: Callable[[Awaitable[None]], None],
    ) -> None:
        """Take the account; `part` names the streams that are watched of it, where others watch other parts.

        `later` runs what nobody waits for.
        """
        self._store = store
        self._clock = clock
        self._later = later
        self._prefix = f"{PREFIX}{{{hashed(chr(0).join((*state.names, part)))}}}"
        self.key = f"{self._prefix}:journal"
        # Each journal counts its entries from one, so a journal begun anew is another member.
        self.journal = Journal(state, f"{store.member}.{next(_JOURNALS)}")
        self._rounds = 0
        self._token: str | None = None
        self._tokens = 0
        self._claims: dict[Key, str] = {}
        self._heard_of = 0
        self._kept = 0.0
        self._asking = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._over = asyncio.Event()
        self._warned = False

    # --- rounds ------------------------------------------------------------------------------------------------------

    async def lead(self, deadline: float) -> bool:
        """Return whether a round may begin here; see `Replicas.lead`."""
        leads, heard_of = True, self._heard_of
        try:
            if self._store.up and self.journal.keys:
                async with asyncio.timeout(deadline - self._clock.mono()), self._asking:
                    # Whoever waited here while a round ended looks at what it brought first.
                    leads = self._token is not None or (heard_of == self._heard_of and await self._lead())
        except TimeoutError:
            leads = False
        except StoreError:
            leads = True
        except asyncio.CancelledError:
            self._later(self._let_go())
            raise
        self._rounds += leads
        if not leads and self._token is not None:
            self._later(self._let_go())
        return leads

    async def _lead(self) -> bool:
        self._over.clear()
        leads = await self._acquire()
        # What the others asked counts, whoever leads next.
        await self.read()
        if not leads:
            await self._wait(self._over)
        return leads

    async def _acquire(self) -> bool:
        # Known before it is answered: the store may take it although nobody waits for the reply any more.
        token = self._token = self._next_token()
        won = await self._store.command("SET", f"{self._prefix}:lead", token, "NX", "PX", LEADS_MS) is not None
        self._token = token if won else None
        return won

    def _next_token(self) -> str:
        self._tokens += 1
        return f"{self._store.member}:{self._tokens}"

    async def renew(self) -> None:
        """Say that a round that is led here goes on."""
        if self._rounds and (token := self._token) is not None:
            try:
                renewed = await self._store.run(RENEW, [f"{self._prefix}:lead"], [token, LEADS_MS])
            except StoreError:
                return
            if not renewed and self._token == token:
                self._token = None

    async def leave(self) -> None:
        """End a round: tell what it learned, and then let others lead unless another has begun here."""
        self._rounds = max(0, self._rounds - 1)
        await self.write()
        await self._let_go()

    async def close(self) -> None:
        """Tell what is still to be told, and let others lead at once."""
        self._rounds = 0
        await self.leave()

    async def _let_go(self) -> None:
        """Let others lead, unless a round is under way here or about to begin."""
        token = self._token
        if token is not None and not self._rounds and not self._asking.locked():
            self._token = None
            await self._release(f"{self._prefix}:lead", token)

    async def _release(self, name: str, token: str) -> None:
        with suppress(StoreError):
            await self._store.run(RELEASE, [name], [token])

    async def claim(self, record: Record, deadline: float) -> bool:
        """Return whether a stream may be asked for alone; see `Replicas.claim`."""
        name, token = self._name(record), self._next_token()
        try:
            async with asyncio.timeout(deadline - self._clock.mono()):
                if await self._store.command("SET", name, token, "NX", "PX", CLAIMED_MS) is not None:
                    await self.read()
                    self._claims[record.key] = token
                    return True
        except StoreError:
            self._claims[record.key] = token
            return True
        except (TimeoutError, asyncio.CancelledError) as error:
            self._later(self._release(name, token))
            if isinstance(error, TimeoutError):
                return False
            raise
        done = self.journal.state.waiting.expect(record.key, record.tried)
        await asyncio.wait({done}, timeout=min(RETRY_SECONDS, max(0.0, deadline - self._clock.mono())))
        return False

    async def release(self, record: Record) -> None:
        """Tell what was learned of a stream, and let others ask for it."""
        token = self._claims.pop(record.key, None)
        await self.write()
        if token is not None:
            await self._release(self._name(record), token)

    async def first(self, identity: str) -> bool:
        """Return whether no replica has heard this callback yet."""
        try:
            key, member = f"{self._prefix}:heard:{hashed(identity)}", self._store.member
            return await self._store.command("SET", key, member, "NX", "PX", HEARD_MS) is not None
        except StoreError:
            return True

    def _name(self, record: Record) -> str:
        return f"{self._prefix}:claim:{hashed(record.key[1])}"

    async def _wait(self, event: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await event.wait()

    # --- the journal -------------------------------------------------------------------------------------------------

    def sign_with(self, key: bytes) -> None:
        """Sign with a key from now on; what is signed with the one before is still believed."""
        journal = self.journal
        if not journal.keys or journal.keys[0] != key:
            journal.keys = (key, *journal.keys[:1])

    async def write(self) -> None:
        """Tell the others what there is to tell; where nobody listens, it is dropped."""
        journal = self.journal
        async with self._writing:
            if not self._store.up or not journal.keys:
                journal.drop(self._clock.mono())
                return
            try:
                for data in journal.entries(self._store.times, self._clock.now()):
                    read = journal.last
                    number = await self._store.command("XADD", self.key, "MAXLEN", "~", KEPT_ENTRIES, "*", "e", data)
                    if isinstance(number, bytes) and not _after(number.decode("ascii", "replace"), read):
                        # Ours would have come later: it is another journal than the one that was read.
                        self.begin_again()
                    if self._clock.mono() >= self._kept:
                        await self._store.command("PEXPIRE", self.key, KEPT_MS)
                        self._kept = self._clock.mono() + KEPT_MS / 10_000
            except StoreError:
                journal.drop(self._clock.mono())

    async def read(self) -> None:
        """Take all that the others have told; raises `StoreError`."""
        async with self._reading:
            while self.journal.keys and (
                found := await self._store.read({self.key: self.journal.last}, TAKEN_AT_ONCE, 0)
            ):
                await self.take([(number, data) for _, number, data in found])

    async def take(self, told: Sequence[tuple[str, bytes]]) -> None:
        """Take entries by their ids; what is no entry of ours makes no state."""
        for number, data in told:
            if not self.journal.keys or not _after(number, self.journal.last):
                continue
            self.journal.last = number
            try:
                if self.journal.take(data, self._store.times, self._clock.now()):
                    self._heard_of += 1
                    self._over.set()
            except entries.Unreadable as error:
                if not self._warned:
                    log.warning("an entry of the store is not believed", account=self.journal.state.names[1],
                                problem=str(error))  # fmt: skip
                self._warned = True
            await asyncio.sleep(0)

    def begin_again(self) -> None:
        """Read the journal from its beginning: the store was away, and may be another one."""
        self.journal.last = "0-0"
        self._kept = 0.0


def _after(one: str, other: str) -> bool:
    """Whether an entry's id comes after another's."""
    return _number(one) > _number(other)


def _number(text: str) -> tuple[int, int]:
    first, _, second = text.partition("-")
    return (int(first), int(second)) if first.isdecimal() and second.isdecimal() else (0, 0)
