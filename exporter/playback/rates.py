"""How fast each host is asked: its requests are at least so far apart, whoever makes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from exporter.addresses import USUAL_PLAYBACK
from exporter.rounds.pace import paced

AT_ONCE: Final = 0.02
"""Seconds by which a turn may come early: waking up for each of many requests costs more than making them."""


@dataclass(slots=True)
class Line:
    """The requests that wait for their turn at a host, one behind the other.

    Attributes:
        next: When the next one has its turn.
        waiting: Those that wait.
        timer: Comes when the turn of the first of them does.
    """

    next: float = -inf
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class Rates:
    """The turns of all hosts; `time` is the event loop's clock."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._gap = 1 / paced(USUAL_PLAYBACK.rate)
        self._lines: dict[str, Line] = {}

    def change(self, rate: float) -> None:
        """Allow so many requests a second from now on, those that wait included."""
        before, now = self._gap, self._time()
        self._gap = 1 / paced(rate)
        for line in self._lines.values():
            line.next = min(line.next - before, now) + self._gap
            self._go_on(line)
        self._lines = {host: line for host, line in self._lines.items() if line.waiting or line.next > now}

    def waiting(self, host: str) -> int:
        """Return how many requests to a host wait for their turn."""
        line = self._lines.get(host)
        return 0 if line is None else len(line.waiting)

    async def turn(self, host: str) -> None:
        """Wait until a request may go to a host."""
        line = self._lines.setdefault(host, Line())
        if not line.waiting and self._takes(line):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        if line.timer is None:
            self._go_on(line)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in line.waiting:
                line.waiting.remove(turn)
            raise

    def _takes(self, line: Line) -> bool:
        """Take the next turn, if it may be taken now."""
        now = self._time()
        if line.next - now > AT_ONCE:
            return False
        line.next = max(line.next, now) + self._gap
        return True

    def _go_on(self, line: Line) -> None:
        """Give turns to those for whom it is time, and come again for the next."""
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        while line.waiting:
            if line.waiting[0].done():
                line.waiting.popleft()
            elif self._takes(line):
                line.waiting.popleft().set_result(None)
            else:
                line.timer = asyncio.get_running_loop().call_at(line.next, self._go_on, line)
                return
