"""When each address is checked, and how many of one host at once: a host that is slow delays only its own."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)

MOST_AT_ONCE: Final = 256
ALWAYS: Final = 2
"""How many of one host may be worked on when so many are worked on in all: other hosts may be slow."""

LOST: Final = 15.0
"""Seconds after which the time comes again of an entry whose work broke off."""

TOGETHER: Final = 0.02
"""Seconds for which an entry whose time has come waits for others: to wake up for each costs more than the work."""

SHARE: Final = 0.1  # of the last one in how long work takes


@dataclass(slots=True)
class Host(Generic[T]):
    """The entries of one host.

    Attributes:
        waiting: A heap of those whose time has come, each with when its work last began: who waits longest goes first.
        busy: How many are being worked on.
        seconds: How long work on one takes, by and large.
    """

    waiting: list[tuple[float, int, T]] = field(default_factory=list)
    busy: int = 0
    seconds: float = 0.0


class Standing(NamedTuple):
    """How things stand for an entry.

    Attributes:
        under_way: For how many seconds it has been worked on; None if it is not.
        entries: How many of its host there are.
        busy: How many of its host are worked on.
        seconds: How long work on one of its host takes, by and large.
        full: Whether so many are worked on in all that its host gets less than its due.
    """

    under_way: float | None
    entries: int
    busy: int
    seconds: float
    full: bool


class Queue(Generic[T]):
    """Lets each entry be worked on when its time has come, so many of one host at once.

    Where there is no room for all whose time has come, whoever was not worked on for longest goes first: one that comes
    again sooner than others takes nothing from them.

    Args:
        work: Works on an entry; returns the seconds, from its begin, after which its time comes again.
        host: Returns an entry's host.
        time: The event loop's clock.
    """

    def __init__(
        self, work: Callable[[T], Coroutine[Any, Any, float]], host: Callable[[T], str], time: Callable[[], float]
    ) -> None:
        self.concurrency = 1
        self._work = work
        self._host = host
        self._time = time
        self._entries: dict[T, float] = {}  # when work on each last began, or when it was new
        self._of_host: Counter[str] = Counter()
        self._due: list[tuple[float, int, T]] = []
        self._number = 0
        self._hosts: dict[str, Host[T]] = {}
        self._tasks: dict[T, asyncio.Task[float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    def keep(self, entries: Iterable[T]) -> None:
        """Work on these from now on, on new ones at once, and no longer on others."""
        now, before = self._time(), self._entries
        self._entries = {entry: before.get(entry, now) for entry in entries}
        self._of_host = Counter(map(self._host, self._entries))
        self._forget()
        for entry in self._entries:
            if entry not in before:
                self._push(now, entry)
        for entry, task in tuple(self._tasks.items()):
            if entry not in self._entries:
                task.cancel()
        self._begin_all()

    def _forget(self) -> None:
        """Drop the times of what is gone: should it come back, it would come twice as often."""
        self._due = [one for one in self._due if one[2] in self._entries]
        heapq.heapify(self._due)
        for host in self._hosts.values():
            host.waiting = [one for one in host.waiting if one[2] in self._entries]
            heapq.heapify(host.waiting)
        self._hosts = {name: host for name, host in self._hosts.items() if host.waiting or host.busy}

    def hasten(self, longest: Callable[[T, float], float]) -> None:
        """Let the time of each come no later than so many seconds after its work last began.

        Args:
            longest: Takes an entry and when that was; returns the seconds.
        """
        began = self._entries
        self._due = [(min(due, began[entry] + longest(entry, began[entry])), number, entry)
                     for due, number, entry in self._due]  # fmt: skip
        heapq.heapify(self._due)
        self._turn()

    def run(self, running: bool) -> None:
        """Go on, or rest: then nothing is begun."""
        if running != self._running:
            self._running = running
            self._begin_all()

    async def close(self) -> None:
        """Work on nothing any more."""
        self.keep(())
        self.run(False)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def standing(self, entry: T) -> Standing:
        """Return how things stand for an entry that is worked on from time to time."""
        name = self._host(entry)
        host = self._hosts.get(name) or Host()
        under_way = self._time() - self._entries[entry] if entry in self._tasks else None
        full = len(self._tasks) >= MOST_AT_ONCE and host.busy < self.concurrency
        return Standing(under_way, self._of_host[name], host.busy, host.seconds, full)

    def _push(self, when: float, entry: T) -> None:
        self._number += 1
        heapq.heappush(self._due, (when, self._number, entry))

    def _begin_all(self) -> None:
        for name in tuple(self._hosts):
            self._begin(name)
        self._turn()

    def _turn(self) -> None:
        """Begin what is due and may be begun, and come again when the next is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._running:
            return
        now, come = self._time(), dict[str, None]()
        while self._due and self._due[0][0] <= now:
            _, number, entry = heapq.heappop(self._due)
            name = self._host(entry)
            heapq.heappush(self._hosts.setdefault(name, Host()).waiting, (self._entries[entry], number, entry))
            come[name] = None
        for name in come:
            self._begin(name)
        if self._due:
            self._timer = asyncio.get_running_loop().call_at(self._due[0][0] + TOGETHER, self._turn)

    def _has_room(self, host: Host[T]) -> bool:
        return host.busy < (self.concurrency if len(self._tasks) < MOST_AT_ONCE else min(self.concurrency, ALWAYS))

    def _begin(self, name: str) -> None:
        """Begin what waits at a host, as far as there is room."""
        host = self._hosts[name]
        while self._running and host.waiting and self._has_room(host):
            entry = heapq.heappop(host.waiting)[2]
            if entry not in self._tasks:
                host.busy += 1
                began = self._entries[entry] = self._time()
                task = asyncio.get_running_loop().create_task(self._work(entry), name="playback")
                # A task that is cancelled before its first step runs no code of its own.
                task.add_done_callback(partial(self._ended, entry, name, began))
                self._tasks[entry] = task
        if not host.waiting and not host.busy:
            del self._hosts[name]

    def _ended(self, entry: T, name: str, began: float, task: asyncio.Task[float]) -> None:
        full, host, now = len(self._tasks) >= MOST_AT_ONCE, self._hosts[name], self._time()
        del self._tasks[entry]
        host.busy -= 1
        error = None if task.cancelled() else task.exception()
        whole = not task.cancelled() and error is None
        if error is not None:
            context = {"message": "work on an entry broke off", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        if whole:
            host.seconds += (now - began - host.seconds) * (SHARE if host.seconds else 1.0)
        if entry in self._entries:
            self._push(max(began + (task.result() if whole else LOST), now), entry)
        if full:
            self._begin_longest()
        if name in self._hosts:
            self._begin(name)
        self._turn()

    def _begin_longest(self) -> None:
        """Begin what waits at the host, of those that may have more, where somebody waits longest."""
        hosts = ((one.waiting[0], name) for name, one in self._hosts.items()
                 if one.waiting and one.busy < self.concurrency)  # fmt: skip
        if first := min(hosts, default=None, key=lambda each: each[0][:2]):
            self._begin(first[1])
