"""Connections to the campaign's clouds: they cost time to make, end while idle, and receive what nobody asked for."""

from __future__ import annotations

import asyncio
from random import Random

from exporter.model import Reason, Reply, Request
from exporter.providers.interface import TransportError
from exporter.transport.pool import Pool
from testbed.network import Send

DROPPED = 0.03
"""Part of the answers after which the connection ends without being seen."""

STRAY = {"alibaba": 0.002}
"""Part of a cloud's answers after which a byte comes that nobody asked for; such a cloud is distrusted from then on."""


class Line:
    """One connection, as the transport's own looks to who uses it."""

    def __init__(self, pool: Pool[Line], send: Send, spent: float, chance: Random, stray: float) -> None:
        self._pool = pool
        self._send = send
        self._chance = chance
        self._stray_share = stray
        self._dropped = False
        self._call: asyncio.Task[Reply] | None = None
        self.idle_since = 0.0
        self.reused = False
        self.spent = spent
        self.sequence = 0
        self.usable = True

    async def quiet(self) -> bool:
        """Say whether a request may go out now."""
        return self.usable

    async def send(self, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        """Make a call; one that fails leaves the connection unusable."""
        spent, self.spent = self.spent, 0.0
        assert self.usable, "a call went out on a connection that has ended"
        self.usable = False
        self._call = asyncio.ensure_future(self._exchange(request, timeout - spent, largest))
        try:
            await asyncio.wait([self._call])
            if self._call.cancelled():
                raise TransportError(Reason.CONNECTION, "the connection broke before an answer", broke_early=True)
            reply = self._call.result()
        finally:
            self._call.cancel()
            self._call = None
            self.reused = True
        self.usable = True
        return reply

    async def _exchange(self, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        if self._dropped:
            raise TransportError(Reason.CONNECTION, "the connection broke before an answer", broke_early=True)
        return await self._send(request, timeout, largest)

    def release(self) -> None:
        """Give it back; something may happen to it until it is used again."""
        self._dropped = self._chance.random() < DROPPED
        self._pool.release(self)
        if self._chance.random() < self._stray_share:
            self.usable = False
            self._pool.distrust()

    def abandon(self) -> None:
        """Break the call in flight."""
        if self._call is not None:
            self._call.cancel()

    def close(self) -> None:
        """End it."""
        self.usable = False
