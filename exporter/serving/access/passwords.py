"""Checks passwords with bcrypt, which is slow by design, so that a flood of wrong ones cannot lock out a right one."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from exporter.serving.waiting import Place, Places, client_network

MOST_REMEMBERED: Final = 128
MOST_WAITING: Final = 64
MOST_TURNED_AWAY: Final = 1 << 15
TURNED_AWAY_SECONDS: Final = 60.0
AHEAD_SECONDS: Final = 1e6  # longer than anything waits


class Busy(Exception):  # noqa: N818
    """Too many passwords are waiting to be checked."""


@dataclass(slots=True, eq=False)
class _Comparison:
    """A comparison that is queued or running, shared by all requests with the same user and password."""

    password: bytes
    hashed: bytes
    verdict: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiters: int = 0
    place: Place | None = None


class Passwords:
    """Compares passwords one at a time, off the event loop, and caches the verdicts.

    Addresses take turns, after them those that exceed their rate, and so do kinds of clients within an address. When
    all places are taken, the address that holds most of them gives one up. Within a kind, a password that was turned
    away and is retried within a minute goes ahead of new ones; otherwise first come, first served. So a right password
    is served soon, or at once on a retry, while each guess of a flood is new.

    Args:
        checker: Compares a password with a bcrypt hash; runs in a thread.
        key: Key of the digests that identify cached verdicts, 16 to 64 bytes.
        clock: Monotonic seconds.
    """

    def __init__(
        self, checker: Callable[[bytes, bytes], bool], key: bytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checker = checker
        self._key = key
        self._clock = clock
        self._places = Places(MOST_WAITING - 1)  # besides the running comparison
        self._queue: dict[bytes, _Comparison] = {}
        self._running: asyncio.Task[None] | None = None
        self._turned_away: dict[bytes, tuple[float | None, float]] = {}
        # Kept apart, so that a flood of wrong passwords cannot evict the right ones.
        self._verdicts: dict[bool, dict[bytes, None]] = {True: {}, False: {}}

    async def check(
        self, user: bytes, password: bytes, hashed: bytes, remote: str | None, kind: Hashable = None
    ) -> bool:
        """Whether a user's password matches a hash; `remote` is the client's address, `kind` its `client_kind`.

        Raises:
            Busy: Too many comparisons are waiting.
        """
        digest = self._digest(user, hashed, password)
        for verdict, digests in self._verdicts.items():
            if digest in digests:
                return verdict
        comparison = self._queue.get(digest)
        if comparison is None:
            comparison = self._enqueue(digest, _Comparison(password, hashed), client_network(remote), kind)
        comparison.waiters += 1
        try:
            # Shielded: a client that disconnects must not affect others with the same password.
            return await asyncio.shield(comparison.verdict)
        finally:
            comparison.waiters -= 1
            if not comparison.waiters and comparison.place is not None:
                self._places.leave(comparison.place)
                self._queue.pop(digest, None)

    def _digest(self, *parts: bytes) -> bytes:
        """Return a digest that identifies a user, hash and password without storing them."""
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hashlib.blake2b(framed, key=self._key, digest_size=32).digest()

    # --- the queue ---------------------------------------------------------------------------------------------------

    def _enqueue(self, digest: bytes, comparison: _Comparison, group: str, kind: Hashable) -> _Comparison:
        now = self._clock()
        first, _ = self._turned_away.pop(digest, (None, 0.0))
        seen, rank = (now, now) if first is None else (first, first - AHEAD_SECONDS)

        def turn_away() -> None:
            self._remember_first(digest, seen)
            self._queue.pop(digest, None)
            comparison.place = None
            comparison.verdict.set_exception(Busy())

        comparison.place = self._places.enter(now, group, kind, rank, lambda: False, turn_away)
        if comparison.place is None:
            turn_away()
        else:
            self._queue[digest] = comparison
            self._start_next()
        return comparison

    def _remember_first(self, digest: bytes, seen: float) -> None:
        now = self._clock()
        while self._turned_away:
            first = next(iter(self._turned_away))
            if self._turned_away[first][1] > now:
                break
            del self._turned_away[first]
        if len(self._turned_away) < MOST_TURNED_AWAY:
            self._turned_away[digest] = seen, now + TURNED_AWAY_SECONDS

    def _start_next(self) -> None:
        """Start the next comparison, unless one is running."""
        if self._running is not None:
            return
        place = self._places.serve()
        for digest, comparison in self._queue.items() if place is not None else ():
            if comparison.place is place:
                comparison.place = None
                self._running = asyncio.create_task(self._compare(digest, comparison))
                return

    async def _compare(self, digest: bytes, comparison: _Comparison) -> None:
        try:
            verdict = await asyncio.to_thread(self._checker, comparison.password, comparison.hashed)
        except ValueError:
            verdict = False
        finally:
            self._running = None
            del self._queue[digest]
            self._start_next()
        digests = self._verdicts[verdict]
        digests[digest] = None
        if len(digests) > MOST_REMEMBERED:
            del digests[next(iter(digests))]
        if not comparison.verdict.done():
            comparison.verdict.set_result(verdict)
