"""Connections to the campaign's clouds: they cost time to make, end while idle, and receive what nobody asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

from exporter.model import Reason, Reply, Request
from exporter.provider import TransportError
from exporter.transport.pool import Pool

Send = Callable[[Request, float, int], Awaitable[Reply]]

STRAY, DROPPED = 0.02, 0.03
"""Part of the answers after which a byte comes that nobody asked for, or the connection ends without being seen."""


class Line:
    """One connection, as the transport's own looks to who uses it."""

    def __init__(self, pool: Pool[Line], send: Send, spent: float, chance: Random) -> None:
        self._pool = pool
        self._send = send
        self._chance = chance
        self._stray = self._dropped = False
        self.idle_since = 0.0
        self.reused = False
        self.spent = spent
        self.usable = True

    async def quiet(self) -> bool:
        """Look for a stray byte; say whether a request may go out now."""
        self.usable = self.usable and not self._stray
        return self.usable

    async def send(self, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        """Make a call; one that fails leaves the connection unusable."""
        assert not self._stray, "a call went out on a connection with a stray byte"
        spent, self.spent = self.spent, 0.0
        self.usable = False
        try:
            if self._dropped:
                raise TransportError(Reason.CONNECTION, "the connection broke before an answer", broke_early=True)
            reply = await self._send(request, timeout - spent, largest)
        finally:
            self.reused = True
        self.usable = True
        return reply

    def release(self) -> None:
        """Give it back; something may happen to it until it is used again."""
        drawn = self._chance.random()
        self._stray, self._dropped = drawn < STRAY, STRAY < drawn < STRAY + DROPPED
        self._pool.release(self)

    def close(self) -> None:
        """End it."""
        self.usable = False

    def abandon(self) -> None:
        """End it as if it had broken."""
        self.usable = False
