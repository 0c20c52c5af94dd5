"""Where the calls of one action wait: for a connection first, and then for their slot.

A slot that is taken before the connection is there would be used late, and late calls bunch up at the cloud.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from exporter.model import Reason, Reply, Request
from exporter.providers.interface import TransportError
from exporter.rounds.pace import Pace, paced

MOST_SPOILED: Final = 3


class Connection(Protocol):
    """A connection that is held for one call.

    Attributes:
        reused: Whether a call was made on it before.
        spent: Seconds that making it took, until its first call.
        sequence: The slot's, for the call that goes out next; 0 without one.
    """

    reused: bool
    spent: float
    sequence: int

    def quiet(self) -> Awaitable[bool]:
        """Say whether a request may go out now."""
        ...

    def send(self, request: Request, timeout: float, largest: int, /) -> Awaitable[Reply]:
        """Return the reply, or raise `TransportError`."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


Connect = Callable[[float, bool], Awaitable[Connection]]
"""Makes or finds a connection, given the seconds between two calls and whether it must be new; raises
`TransportError`."""


class Unreachable:
    """Stands for a connection that could not be made: the call on it fails as the connecting did."""

    reused = False
    sequence = 0

    def __init__(self, error: TransportError, spent: float) -> None:
        self._error = error
        self.spent = spent

    async def quiet(self) -> bool:
        """Always ready: `send` raises the error."""
        return True

    async def send(self, _request: Request, _timeout: float, _largest: int) -> Reply:
        """Raise why there is no connection."""
        raise self._error

    def release(self) -> None:
        """Do nothing."""


@dataclass(slots=True, eq=False)
class Turn:
    """One call's turn.

    Attributes:
        deadline: Monotonic seconds after which the call may not begin.
        connect: Makes or finds a connection.
        connection: What the call goes out on, once that is there.
        queued: Whether it has had to wait for its slot.
        given_up: Whether the call will not be made.
    """

    deadline: float
    connect: Connect
    connection: Connection | None
    queued: bool = False
    given_up: bool = False

    def give_up(self) -> None:
        """Make no call; give the connection back, if there is one."""
        self.given_up = True
        if self.connection is not None:
            self.connection.release()
            self.connection = None


class Gate:
    """Lets the calls of one action out one by one, each on a connection that is ready, at the pace that is allowed.

    Args:
        pace: Returns the action's pace, which may become another one while a call waits.
        mono: Monotonic seconds.
    """

    def __init__(self, pace: Callable[[], Pace], mono: Callable[[], float]) -> None:
        self._pace = pace
        self._mono = mono
        self._line: deque[tuple[Turn, asyncio.Future[None]]] = deque()
        self._occupied = False
        self._usher: asyncio.Task[None] | None = None

    def throttled(self, retry_after: float | None, sent: float) -> None:
        """Slow down after a throttling answer to a call that was sent at a time (monotonic seconds)."""
        self._pace().throttled(self._mono(), retry_after, sent)

    async def turn(self, deadline: float, connect: Connect, *, new: bool = False) -> Connection | None:
        """Wait for a connection and a slot; the call has to go out at once, and to release the connection.

        Args:
            deadline: Monotonic seconds after which no call may begin.
            connect: Makes or finds a connection.
            new: Whether it must be a new connection.

        Returns:
            The connection, or None if the call's turn would come too late.
        """
        while True:
            turn = Turn(deadline, connect, await self._ready(connect, new=True) if new else None)
            await self._wait(turn)
            # What has come unasked while it waited costs a connection and a slot.
            if turn.connection is None or await is_quiet(turn.connection):
                return turn.connection

    async def _wait(self, turn: Turn) -> None:
        """Wait in line; whoever finds nobody there need not wait for others."""
        try:
            if self._occupied:
                turn.queued, come = True, asyncio.get_running_loop().create_future()
                self._line.append((turn, come))
                await come
                return
            self._occupied = True
            try:
                await self._pass(turn)
            finally:
                self._occupied = bool(self._line)
                if self._line:
                    self._usher = asyncio.create_task(self._serve(), name="gate")
        except BaseException:
            turn.give_up()
            raise

    async def _serve(self) -> None:
        """Let those in line pass; while none has to wait, they go out in one turn of the event loop."""
        try:
            while self._line:
                turn, come = self._line.popleft()
                if come.done():
                    continue
                try:
                    await self._pass(turn)
                except Exception as error:
                    if not come.done():
                        come.set_exception(error)
                if not come.done():
                    come.set_result(None)
        finally:
            self._occupied = False

    async def _pass(self, turn: Turn) -> None:
        """Wait for a connection and then for a slot; without a connection if the slot would come too late."""
        while not turn.given_up:
            pace = self._pace()
            if pace.shared and turn.connection is not None:
                await pace.reserve(len(self._line) + 1)
            wait = pace.wait(now := self._mono())
            lost = isinstance(turn.connection, Unreachable)
            if now + wait > turn.deadline and not lost:
                turn.give_up()
                return
            if turn.connection is None:
                turn.connection = await self._ready(turn.connect)
            elif wait > 0 and now < turn.deadline:
                turn.queued = True
                await asyncio.sleep(min(wait, turn.deadline - now) if lost else wait)
            else:
                # What cannot be sent counts too, or a dead endpoint would be tried as fast as it refuses.
                pace.take(now, turn.queued)
                turn.connection.sequence = pace.sequence
                return
        turn.give_up()  # a connection may have come meanwhile

    async def _ready(self, connect: Connect, *, new: bool = False) -> Connection:
        """Return a connection on which nothing has come unasked."""
        started = self._mono()
        gap = 1 / paced(self._pace().rate(started))
        try:
            for _ in range(MOST_SPOILED):
                connection = await connect(gap, new)
                if await is_quiet(connection):
                    return connection
            raise TransportError(Reason.HTTP, "the endpoint sends something before it is asked")
        except TransportError as error:
            return Unreachable(error, self._mono() - started)


async def is_quiet(connection: Connection) -> bool:
    """Say whether a call may go out on a connection now; give it back if not."""
    quiet = False
    try:
        quiet = await connection.quiet()
    finally:
        if not quiet:
            connection.release()
    return quiet
