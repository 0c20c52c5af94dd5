"""When each address is checked, and how many of one host at once: a host that is slow delays only its own."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T", bound=Hashable)

MOST_AT_ONCE: Final = 256
ALWAYS: Final = 2
"""How many of one host may be worked on when so many are worked on in all: other hosts may be slow."""

LOST: Final = 15.0
"""Seconds after which the time comes again of an entry whose work broke off."""


@dataclass(slots=True)
class Host(Generic[T]):
    """The addresses of one host whose time has come, and how many of them are being checked."""

    waiting: deque[T] = field(default_factory=deque)
    busy: int = 0


class Queue(Generic[T]):
    """Lets each entry be worked on when its time has come, so many of one host at once.

    Args:
        work: Works on an entry; returns the seconds, from its begin, after which its time comes again.
        host: Returns an entry's host.
        time: The event loop's clock.
    """

    def __init__(
        self, work: Callable[[T], Awaitable[float]], host: Callable[[T], str], time: Callable[[], float]
    ) -> None:
        self.concurrency = 1
        self._work = work
        self._host = host
        self._time = time
        self._entries: set[T] = set()
        self._due: list[tuple[float, int, T]] = []
        self._number = 0
        self._hosts: dict[str, Host[T]] = {}
        self._tasks: dict[T, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    def keep(self, entries: Iterable[T]) -> None:
        """Work on these from now on, on new ones at once, and no longer on others."""
        wanted = dict.fromkeys(entries)
        new = [entry for entry in wanted if entry not in self._entries]
        self._entries = set(wanted)
        self._forget()
        for entry in new:
            self._push(self._time(), entry)
        for entry, task in tuple(self._tasks.items()):
            if entry not in self._entries:
                task.cancel()
        self._turn()

    def _forget(self) -> None:
        """Drop the times of what is gone: should it come back, it would come twice as often."""
        self._due = [one for one in self._due if one[2] in self._entries]
        heapq.heapify(self._due)
        for host in self._hosts.values():
            host.waiting = deque(entry for entry in host.waiting if entry in self._entries)
        self._hosts = {name: host for name, host in self._hosts.items() if host.waiting or host.busy}

    def run(self, running: bool) -> None:
        """Go on, or rest: then nothing is begun."""
        if running != self._running:
            self._running = running
            for name in tuple(self._hosts):
                self._begin(name)
            self._turn()

    async def close(self) -> None:
        """Work on nothing any more."""
        self.keep(())
        self.run(False)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _push(self, when: float, entry: T) -> None:
        self._number += 1
        heapq.heappush(self._due, (when, self._number, entry))

    def _turn(self) -> None:
        """Begin what is due and may be begun, and come again when the next is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._running:
            return
        now, come = self._time(), dict[str, None]()
        while self._due and self._due[0][0] <= now:
            entry = heapq.heappop(self._due)[2]
            name = self._host(entry)
            self._hosts.setdefault(name, Host()).waiting.append(entry)
            come[name] = None
        for name in come:
            self._begin(name)
        if self._due:
            self._timer = asyncio.get_running_loop().call_at(self._due[0][0], self._turn)

    def _has_room(self, host: Host[T]) -> bool:
        return host.busy < (self.concurrency if len(self._tasks) < MOST_AT_ONCE else min(self.concurrency, ALWAYS))

    def _begin(self, name: str) -> None:
        """Begin what waits at a host, as far as there is room."""
        host = self._hosts[name]
        while self._running and host.waiting and self._has_room(host):
            entry = host.waiting.popleft()
            if entry not in self._tasks:
                host.busy += 1
                self._tasks[entry] = asyncio.get_running_loop().create_task(self._one(entry, name), name="playback")
        if not host.waiting and not host.busy:
            del self._hosts[name]

    async def _one(self, entry: T, name: str) -> None:
        began, again = self._time(), LOST
        try:
            again = await self._work(entry)
        finally:
            full = len(self._tasks) >= MOST_AT_ONCE
            del self._tasks[entry]
            self._hosts[name].busy -= 1
            if entry in self._entries:
                self._push(max(began + again, self._time()), entry)
            for other in tuple(self._hosts) if full else (name,):
                self._begin(other)
            self._turn()
