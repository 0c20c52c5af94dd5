"""The store as the exporter uses it: scripts and commands on a few connections, and a heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from exporter.store.clock import MICROSECONDS, Exchange, StoreClock
from exporter.store.errors import StoreError
from exporter.store.membership import BEAT, Membership
from exporter.store.scripts import BOOT, PREFIX, Script, script

log = structlog.get_logger("store")

Word = bytes | str | int

SECONDS: Final = 0.5
"""How long a command may take, unless it is meant to wait."""

MOST_IDLE: Final = 8
MEMBERS: Final = f"{PREFIX}members"
MOST: Final = f"{PREFIX}most"
HEARTBEAT: Final = script("beat")

NOT_YET: Final = "the store has not answered yet"
SLOW: Final = "the store's answers take more than 20 ms, too long to keep a quota by; it has to be near"
MISSED: Final = "the store executed a heartbeat too late"


class Link(Protocol):
    """One connection to the server, logged in.

    Attributes:
        server: The id of the server's present run; empty where it is not told.
    """

    server: str

    def ask(self, *words: Word, seconds: float = SECONDS) -> Awaitable[Any]:
        """Send a command and return its reply, or raise `StoreError`."""
        ...

    def close(self) -> Awaitable[None]:
        """Close it; waits for nothing."""
        ...


Dial = Callable[[], Awaitable[Link]]
"""Makes a connection, or raises `StoreError`."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script returned, behind the time that it returned first."""

    exchange: Exchange
    values: list[Any]


class Store:
    """A Redis or Valkey server that several exporters share.

    Commands fail at once while it is down; meanwhile it is tried once a second. It is an asynchronous context, too.

    Attributes:
        replicas: How many exporters it is configured for.
        member: What this exporter is called there.
        up: Whether it answers.
        alive: How many exporters share it, this one too, as far as it is known.
        most: The most that shared it at a time lately.
        problem: What is wrong with it, in words without secrets; empty while it is up.
        membership: What this exporter may do.
        now: Returns monotonic seconds.
        jumps: How often its clock was seen to be set.
        on_change: Called after `up`, `alive` or `problem` has changed.
    """

    def __init__(
        self,
        dial: Dial,
        replicas: int,
        mono: Callable[[], float],
        unix: Callable[[], float],
        chance: Callable[[], float],
        member: str,
    ) -> None:
        """Take how to connect, how many exporters share it, both clocks in seconds, numbers from 0 to 1, and a name."""
        self.replicas = replicas
        self.member = member
        self.up = False
        self.alive = self.most = 0
        self.problem = NOT_YET
        self.membership = Membership(mono())
        self.clock = StoreClock()
        self.jumps = self._jumps_told = 0
        self.on_change: list[Callable[[], object]] = []
        self._dial = dial
        self.now = mono
        self._unix = unix
        self._chance = chance
        self._idle: list[Link] = []
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Store:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to tell the store that this exporter is there."""
        self._keeper = asyncio.create_task(self._keep(), name="store")

    async def close(self) -> None:
        """Leave it, so that the others need not wait for this exporter to be missed."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self.membership.lost()
        if self.up:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await self.evaluate(HEARTBEAT, (MEMBERS, MOST), (self.member, 0))
        self.up = False
        await self._drop()

    @property
    def members(self) -> int:
        """How many exporters the quota is divided by where each is alone."""
        return max(self.replicas, self.most, self.alive)

    def micros(self, now: float) -> int:
        """Return microseconds since 1970 at a monotonic time, by the store's clock as soon as that is known."""
        return self.clock.now(now) or int((self._unix() + now - self.now()) * MICROSECONDS)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def command(self, *words: Word, seconds: float = SECONDS) -> Any:
        """Return the reply to a command, texts as bytes, or raise `StoreError`.

        Args:
            words: The command.
            seconds: How long it may take; one that is meant to wait, such as XREAD BLOCK, has a connection of its own.
        """
        async with self._link() as link:
            return await link.ask(*words, seconds=seconds)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """Return the reply of a script, or raise `StoreError`."""
        async with self._link() as link:
            return await _evaluated(link, script, keys, args)

    async def evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Ran:
        """Run a script of this room, whose reply begins with the store's time; what boot.lua needs is put in front."""
        return await self._evaluate(self._link(), script, keys, args)

    async def _evaluate(self, using: Any, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Ran:
        jumps = self.jumps
        async with using as link:
            sent, jumped = self.now(), int(jumps > self._jumps_told)
            reply = await _evaluated(link, script, (BOOT, *keys), (link.server, jumped, *args))
            came = self.now()
        if not isinstance(reply, list) or not reply or not isinstance(reply[0], int) or reply[0] <= 0:
            raise StoreError("answer", "the store answered a script with something else than it returns")
        exchange = Exchange(sent, came, reply[0])
        self._jumps_told = max(self._jumps_told, jumps)
        self.jumps += self.clock.learn(exchange)
        return Ran(exchange, reply[1:])

    def fail(self, error: StoreError) -> None:
        """Count the store as lost, until the next heartbeat."""
        self._tell(False, error.message)

    @asynccontextmanager
    async def _link(self, *, anyway: bool = False) -> AsyncIterator[Link]:
        """Lend a connection; one on which a command failed is not used again."""
        if not (self.up or anyway):
            raise StoreError("connection", self.problem or NOT_YET)
        try:
            link = self._idle.pop() if self._idle else await self._dial()
            try:
                yield link
            except StoreError as error:
                await self._back(link, error.kind == "answer")
                raise
            except BaseException:
                await link.close()
                raise
            await self._back(link, True)
        except StoreError as error:
            if error.kind != "answer":
                await self._drop()
                self._tell(False, error.message)
            raise

    async def _back(self, link: Link, usable: bool) -> None:
        if usable and not self._closed and len(self._idle) < MOST_IDLE:
            self._idle.append(link)
        else:
            await link.close()

    async def _drop(self) -> None:
        """Close all connections that nobody uses."""
        idle, self._idle = self._idle, []
        for link in idle:
            await link.close()

    # --- heartbeat ---------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Say once a second that this exporter is there, and find out whether the store is."""
        while True:
            with suppress(StoreError):
                await self._beat()
            # Not all at once, when a store comes back.
            await asyncio.sleep(BEAT * (0.9 + 0.2 * self._chance()))

    async def _beat(self) -> None:
        try:
            if not self.membership.shared:
                # What calls on its own is not counted on; only when that has ended does it join.
                if not self.membership.answered((await self._say(0)).exchange.precise):
                    raise StoreError("timeout", SLOW)
                self.membership.joined()
            now = self.now()
            self.membership.counted_on(now)
            said = await self._say(self.clock.now(now) or 0)
            if not self.membership.answered(said.exchange.precise):
                raise StoreError("timeout", SLOW)
            taken, alive, most = (int(value) for value in said.values)
            if not taken:
                raise StoreError("timeout", MISSED)
        except StoreError as error:
            self._tell(False, error.message)
            raise
        except (TypeError, ValueError):
            self._tell(False, "the store answered a heartbeat with something else")
        else:
            self.most = most
            self._tell(True, "", alive)

    async def _say(self, sent: int) -> Ran:
        return await self._evaluate(self._link(anyway=True), HEARTBEAT, (MEMBERS, MOST), (self.member, sent))

    def _tell(self, up: bool, problem: str, alive: int = 0) -> None:
        """Note how the store is; log it and tell it where that is new."""
        if not up:
            self.membership.lost()
        before = self.up, self.alive, self.problem
        self.up, self.problem = up, problem
        self.alive = alive if up else self.alive and 1
        if (self.up, self.alive, self.problem) == before:
            return
        if up and not before[0]:
            log.info("store answers", replicas=alive, configured=self.replicas)
        elif up:
            log.info("replicas changed", replicas=alive, configured=self.replicas)
        else:
            log.warning("store lost", problem=problem)
        for told in tuple(self.on_change):
            told()


async def _evaluated(link: Link, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
    """Run a script by its digest, and by its text where the server does not know it."""
    try:
        return await link.ask("EVALSHA", script.digest, len(keys), *keys, *args)
    except StoreError as error:
        if error.code != "NOSCRIPT":
            raise
    return await link.ask("EVAL", script.text, len(keys), *keys, *args)
