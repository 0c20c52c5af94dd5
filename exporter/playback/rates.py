"""How fast each host is asked: its requests are at least so far apart, whoever makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from exporter.addresses import USUAL_PLAYBACK


class Rates:
    """The turns of all hosts; `time` is the event loop's clock."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._gap = 1 / USUAL_PLAYBACK.rate
        self._next: dict[str, float] = {}

    def change(self, rate: float) -> None:
        """Allow so many requests a second from now on; what waits for its turn keeps it."""
        now = self._time()
        self._gap = 1 / rate
        self._next = {origin: when for origin, when in self._next.items() if when > now}

    async def turn(self, origin: str) -> None:
        """Wait until a request may go to an origin."""
        now = self._time()
        turn = max(now, self._next.get(origin, now))
        self._next[origin] = turn + self._gap
        if turn > now:
            await asyncio.sleep(turn - now)
