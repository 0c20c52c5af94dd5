"""Connections to one endpoint: made when needed, and handed out for one call at a time.

A connection rests a moment after each answer, so that a second answer which comes late finds nobody waiting for it.
A waiting call gets what is there first: a new connection, or one that has rested meanwhile. For some minutes after an
endpoint has sent something unasked, each call to it gets a connection of its own: the next such answer may come later
than any rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from exporter.model import Reason
from exporter.providers.interface import TransportError

REST_SECONDS: Final = 1.0
LEAST_REST: Final = 0.15  # seconds, where more connections are open than usual
NEW_REST: Final = 0.05
WARY_NEW_REST: Final = 0.25
"""Seconds for which a new connection is left alone: usually, and where bytes came that nobody asked for."""

WARY_SECONDS: Final = 600.0
"""How long an endpoint is distrusted after bytes that nobody asked for."""

KEEP_SECONDS: Final = 10.0
"""How long an idle connection is kept: less than load balancers in front of the clouds keep theirs (15 s and more)."""

LEAST_LOOK, LONGEST_LOOK = 0.002, 0.25
"""Seconds between two looks at what waiting calls can have."""

REST_LOOK: Final = 0.02
"""Seconds between two looks at what has rested: to wake up for each connection costs more than a call does."""

MOST_OPEN: Final = 32  # up to so many open connections, each rests its full time
UTMOST_OPEN: Final = 256  # up to so many, each rests the least time
GROWTH: Final = 8  # where more than usual are open, a part of this size is added at a time


class Poolable(Protocol):
    """What a pool needs of a connection."""

    idle_since: float
    reused: bool

    @property
    def usable(self) -> bool:
        """Whether a request may go out on it."""
        ...

    def close(self) -> None:
        """End it."""
        ...

    def abandon(self) -> None:
        """End it as if it had broken."""
        ...


C = TypeVar("C", bound=Poolable)


@dataclass(slots=True, eq=False)
class Waiter(Generic[C]):
    """A call that waits for a connection.

    Attributes:
        future: Done when it has one.
        timeout: Seconds that making one may take.
        gap: Seconds after which one more is begun.
        most: How many may be in the making at once.
        since: When it began to wait, on the loop's clock.
        begun: How many were begun for it.
    """

    future: asyncio.Future[C]
    timeout: float
    gap: float
    most: int
    since: float
    begun: int = 0


class Pool(Generic[C]):
    """The connections to one endpoint.

    Args:
        dial: Makes a connection within so many seconds; raises `TransportError`.
        time: The event loop's clock, in seconds.
        rest: Seconds for which a connection is left alone after an answer.
    """

    def __init__(
        self, dial: Callable[[float], Awaitable[C]], time: Callable[[], float], rest: float = REST_SECONDS
    ) -> None:
        self._dial = dial
        self._time = time
        self._rest = rest
        self._idle: deque[C] = deque()
        self._busy: set[C] = set()
        self._wary_until = float("-inf")
        self._ending = False
        self._waiting: deque[Waiter[C]] = deque()
        self._dials: set[asyncio.Task[None]] = set()
        self._making = 0
        self._looking: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def needed(self) -> bool:
        """Whether there is anything to remember: a connection, a call that waits for one, or distrust."""
        return bool(self._open() or self._making or self._waiting or self._time() < self._wary_until)

    @property
    def settling(self) -> float:
        """Seconds for which a new connection is left alone by now."""
        return min(self._rest, WARY_NEW_REST if self._time() < self._wary_until else NEW_REST)

    async def get(self, timeout: float, gap: float, most: int) -> C:  # noqa: ASYNC109
        """Return a rested connection, or the first that is made.

        Args:
            timeout: Seconds that making one may take.
            gap: Seconds between two calls: while none is free, one more is begun that often.
            most: How many may be in the making at once.

        Raises:
            TransportError: No connection could be made.
        """
        found = self._rested()
        if found is not None:
            if self._ending and not self._crowded():
                self._begin(timeout, most)
            return found
        future: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        waiter = Waiter(future, timeout, gap, most, self._time())
        self._waiting.append(waiter)
        self._look()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result())
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            raise

    async def new(self, timeout: float) -> C:  # noqa: ASYNC109
        """Return a connection that nobody has used; raises `TransportError`."""
        self._making += 1
        try:
            made = await self._dial(timeout)
        finally:
            self._making -= 1
        self._busy.add(made)
        return made

    def release(self, connection: C) -> None:
        """Take a connection back after its call."""
        self._busy.discard(connection)
        now = self._time()
        # Where connections do not outlive their call, the next one is wanted as soon as one is taken.
        ending = not connection.usable or (connection.reused and now < self._wary_until)
        if connection.reused:
            self._ending = ending
        if ending:
            connection.close()
            return
        connection.idle_since = now
        if connection.reused:
            self._idle.append(connection)
        else:
            self._idle.appendleft(connection)
        if self._waiting:
            self._look_at(now if self._idle[0] is connection else now + LONGEST_LOOK)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._sweep)

    def distrust(self) -> None:
        """Use no connection twice for a while: bytes came that nobody asked for, and more may be on their way.

        What comes next on a used connection may be another call's answer, too: all of them break, as if by themselves.
        """
        self._wary_until = self._time() + WARY_SECONDS
        for connection in [one for one in self._idle if one.reused]:
            self._idle.remove(connection)
            connection.close()
        for connection in tuple(self._busy):
            if connection.reused:
                connection.abandon()

    def close(self) -> None:
        """End all connections that are idle or in the making; nobody gets one any more."""
        while (future := self._next_waiter()) is not None:
            future.set_exception(TransportError(Reason.CONNECTION, "the exporter is stopping"))
        for task in self._dials:
            task.cancel()
        for timer in (self._looking, self._sweeping):
            if timer is not None:
                timer.cancel()
        while self._idle:
            self._idle.popleft().close()

    def _rested(self) -> C | None:
        """Take and return the connection that has been idle longest, if it has rested."""
        now = self._time()
        while self._idle:
            first = self._idle[0]
            if not first.usable or now - first.idle_since > KEEP_SECONDS:
                self._idle.popleft().close()
            elif not first.reused or now - first.idle_since >= self._rest_now():
                self._busy.add(first)
                return self._idle.popleft()
            else:
                break
        return None

    def _open(self) -> int:
        return len(self._idle) + len(self._dials) + len(self._busy)

    def _crowded(self) -> bool:
        """Whether so many connections are open that they rest for less than they should."""
        return self._open() >= max(MOST_OPEN, 2 * len(self._busy))

    def _room(self) -> bool:
        """Whether one more connection may be made."""
        return self._open() < max(UTMOST_OPEN, 2 * len(self._busy))

    def _rest_now(self) -> float:
        """Return the seconds that a connection has to rest: the more are open, the less."""
        if not self._crowded():
            return self._rest
        return min(self._rest, LEAST_REST) if self._room() else 0.0

    def _look_at(self, when: float) -> None:
        """Look at a time, or before, what waiting calls can have."""
        if self._looking is not None:
            if self._looking.when() <= when:
                return
            self._looking.cancel()
        self._looking = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        """Hand out what has rested, begin what else is wanted, and come again when there may be more.

        Looks are so far apart that several connections are handed out in one, where many calls wait.
        """
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        while self._waiting and (found := self._rested()) is not None:
            self._hand(found)
        if not self._waiting:
            return
        now = self._time()
        again = now + LONGEST_LOOK
        for waiter in self._waiting:
            wanted = 1 + int((now - waiter.since) / waiter.gap)
            while (waiter.begun < wanted or not self._dials) and self._begin(waiter.timeout, waiter.most):
                waiter.begun += 1
            waiter.begun = max(waiter.begun, wanted)
            if self._may_begin(waiter.most):
                again = min(again, max(waiter.since + wanted * waiter.gap, now + LEAST_LOOK))
        if self._idle:
            again = min(again, max(self._idle[0].idle_since + self._rest_now(), now + REST_LOOK))
        self._look_at(again)

    def _next_waiter(self) -> asyncio.Future[C] | None:
        """Return the call that has waited longest and still waits; it waits no longer."""
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                return future
        return None

    def _hand(self, connection: C) -> None:
        """Give a connection, counted as busy, to the call that has waited longest, or put it with the idle ones."""
        future = self._next_waiter()
        if future is not None:
            future.set_result(connection)
        else:
            self.release(connection)

    def _may_begin(self, most: int) -> bool:
        """Whether there is room, and fewer connections than so many are in the making.

        Where more are open than usual, an eighth more are made at a time: others may have rested for the least
        meanwhile.
        """
        if self._crowded():
            most = min(most, max(1, self._open() // GROWTH))
        return len(self._dials) < most and self._room()

    def _begin(self, timeout: float, most: int) -> bool:
        """Begin to make a connection if that may be; say whether it was."""
        if not self._may_begin(most):
            return False
        task = asyncio.create_task(self._make(timeout), name="connect")
        self._dials.add(task)
        task.add_done_callback(self._made)
        return True

    def _made(self, task: asyncio.Task[None]) -> None:
        self._dials.discard(task)
        if self._waiting:
            self._look()

    async def _make(self, timeout: float) -> None:  # noqa: ASYNC109
        try:
            made = await self.new(timeout)
        except TransportError as error:
            future = self._next_waiter()
            if future is not None:
                future.set_exception(error)
        else:
            self._hand(made)

    def _sweep(self) -> None:
        """Close what has been idle too long or has ended."""
        self._sweeping = None
        now = self._time()
        kept: deque[C] = deque()
        for connection in self._idle:
            if connection.usable and now - connection.idle_since < KEEP_SECONDS:
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        if kept:
            left = min(one.idle_since for one in kept) + KEEP_SECONDS - now
            self._sweeping = asyncio.get_running_loop().call_later(left, self._sweep)
