"""How fast each host is asked: its requests are at least so far apart, whoever makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from exporter.addresses import USUAL_PLAYBACK

LATE: Final = 0.1
"""Seconds by which turns are late at most, as the event loop was held up, for those behind to make up for it."""


@dataclass(slots=True)
class Line:
    """The requests that wait for their turn at a host, one behind the other.

    Attributes:
        last: When the last one had its turn.
        waiting: How many wait.
        first: Held by the one whose turn is next.
    """

    last: float = -inf
    waiting: int = 0
    first: asyncio.Lock = field(default_factory=asyncio.Lock)


class Rates:
    """The turns of all hosts; `time` is the event loop's clock."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._gap = 1 / USUAL_PLAYBACK.rate
        self._lines: dict[str, Line] = {}
        self._next: set[asyncio.Future[None]] = set()

    def change(self, rate: float) -> None:
        """Allow so many requests a second from now on, those that wait included."""
        before, now = self._gap, self._time()
        self._gap = 1 / rate
        longest = max(before, self._gap)
        self._lines = {host: line for host, line in self._lines.items() if line.waiting or line.last + longest > now}
        if self._gap < before:
            for line in self._lines.values():
                line.last = max(line.last, now - self._gap)
            for one in self._next:
                _wake(one)

    def waiting(self, host: str) -> int:
        """Return how many requests to a host wait for their turn."""
        line = self._lines.get(host)
        return 0 if line is None else line.waiting

    async def turn(self, host: str) -> None:
        """Wait until a request may go to a host."""
        line = self._lines.setdefault(host, Line())
        if not line.waiting and line.last + self._gap <= (now := self._time()):
            line.last = now
            return
        line.waiting += 1
        try:
            async with line.first:
                while (turn := line.last + self._gap) > self._time():
                    await self._until(turn)
                line.last = max(turn, self._time() - LATE)
        finally:
            line.waiting -= 1

    async def _until(self, turn: float) -> None:
        """Wait until a turn has come, or turns come sooner."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(turn, _wake, woken)
        self._next.add(woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._next.discard(woken)


def _wake(one: asyncio.Future[None]) -> None:
    if not one.done():
        one.set_result(None)
