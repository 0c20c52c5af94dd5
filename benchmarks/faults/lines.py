"""Connections to the campaign's clouds: they cost time to make, break while idle, and receive what nobody asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from exporter.model import Reply, Request
from exporter.transport.pool import Pool

Send = Callable[[Request, float, int], Awaitable[Reply]]


class Line:
    """One connection, as the transport's own looks to who uses it."""

    def __init__(self, pool: Pool[Line], send: Send, spent: float) -> None:
        self._pool = pool
        self._send = send
        self.idle_since = 0.0
        self.reused = False
        self.spent = spent
        self.usable = True

    async def quiet(self) -> bool:
        """Say whether a request may go out now."""
        return self.usable

    async def send(self, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        """Make a call; one that fails leaves the connection unusable."""
        spent, self.spent = self.spent, 0.0
        self.usable = False
        try:
            reply = await self._send(request, timeout - spent, largest)
        finally:
            self.reused = True
        self.usable = True
        return reply

    def release(self) -> None:
        """Give it back."""
        self._pool.release(self)

    def close(self) -> None:
        """End it."""
        self.usable = False
