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
from typing import Final, Generic, Protocol, TypeVar

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

LEAST_LOOK, LONGEST_LOOK = 0.002, 0.25  # seconds after which a waiting call checks whether more are wanted
MOST_OPEN: Final = 32  # up to so many open connections, each rests its full time
UTMOST_OPEN: Final = 256  # up to so many, each rests the least time


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
        """End it as if it had broken, if an answer is still to come."""
        ...


C = TypeVar("C", bound=Poolable)


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
        self._waiting: deque[asyncio.Future[C]] = deque()
        self._dials: set[asyncio.Task[None]] = set()
        self._offering: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None

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
        waiter: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        started, begun = self._time(), 0
        try:
            while not waiter.done():
                wanted = 1 + int((self._time() - started) / gap)
                while (begun < wanted or not self._dials) and self._begin(timeout, most):
                    begun += 1
                begun = max(begun, wanted)
                self._offer()
                left = started + wanted * gap - self._time()
                await asyncio.wait([waiter], timeout=min(max(left, LEAST_LOOK), LONGEST_LOOK))
            return waiter.result()
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    async def new(self, timeout: float) -> C:  # noqa: ASYNC109
        """Return a connection that nobody has used; raises `TransportError`."""
        made = await self._dial(timeout)
        self._busy.add(made)
        return made

    def release(self, connection: C) -> None:
        """Take a connection back after its call."""
        self._busy.discard(connection)
        now = self._time()
        # Where connections do not outlive their call, the next one is wanted as soon as one is taken.
        self._ending = not connection.usable or (connection.reused and now < self._wary_until)
        if self._ending:
            connection.close()
            return
        connection.idle_since = now
        if connection.reused:
            self._idle.append(connection)
        else:
            self._idle.appendleft(connection)
        self._offer()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._sweep)

    def distrust(self) -> None:
        """Use no connection twice for a while: bytes came that nobody asked for, and more may be on their way.

        What is expected on used connections may be another call's answer, too: these calls break, as if by themselves.
        """
        self._wary_until = self._time() + WARY_SECONDS
        for connection in [one for one in self._idle if one.reused]:
            self._idle.remove(connection)
            connection.close()
        for connection in tuple(self._busy):
            if connection.reused:
                connection.abandon()

    def close(self) -> None:
        """End all connections that are idle or in the making."""
        for task in self._dials:
            task.cancel()
        for timer in (self._offering, self._sweeping):
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

    def _offer(self) -> None:
        """Hand rested connections to waiting calls; come again when the next one has rested."""
        while self._waiting:
            found = self._rested()
            if found is None:
                break
            self._hand(found)
        if self._waiting and self._idle and self._offering is None:
            left = self._idle[0].idle_since + self._rest_now() - self._time()
            self._offering = asyncio.get_running_loop().call_later(max(left, 0.0), self._offer_again)

    def _offer_again(self) -> None:
        self._offering = None
        self._offer()

    def _hand(self, connection: C) -> None:
        """Give a connection, counted as busy, to the call that has waited longest, or put it with the idle ones."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.release(connection)

    def _begin(self, timeout: float, most: int) -> bool:
        """Begin to make a connection, if there is room and fewer than so many are in the making.

        Where more are open than usual, one is made at a time: others may have rested for the least meanwhile.
        """
        if len(self._dials) >= (1 if self._crowded() else most) or not self._room():
            return False
        task = asyncio.create_task(self._make(timeout), name="connect")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)
        return True

    async def _make(self, timeout: float) -> None:  # noqa: ASYNC109
        try:
            made = await self.new(timeout)
        except TransportError as error:
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_exception(error)
                    return
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
