"""Compares passwords, which is slow on purpose, so that a flood of wrong ones does not lock out a right one."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from exporter.serving.waiting import Place, Places, neighbourhood

MOST_REMEMBERED: Final = 128
MOST_WAITING: Final = 64
MOST_TURNED_AWAY: Final = 1 << 15
TURNED_AWAY_SECONDS: Final = 60.0
AHEAD_SECONDS: Final = 1e6  # longer than anybody waits


class Busy(Exception):  # noqa: N818
    """More passwords wait to be compared than anyone will wait for."""


@dataclass(slots=True, eq=False)
class _Comparison:
    """A password that is being compared, or waits for it, on behalf of all who gave it."""

    password: bytes
    hashed: bytes
    verdict: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    askers: int = 0
    place: Place | None = None


class Passwords:
    """Compares passwords one at a time, off the event loop, and each only once while its verdict is remembered.

    Addresses take turns, except those that ask too often, and so do kinds of programs within an address. When all
    places are taken, the one that holds most of them gives one up. Within a kind, a password that was turned away and
    comes again within a minute goes ahead of new ones; otherwise first come, first served. So a right password has its
    turn soon, or at once when it comes again, while each guess of a flood is new.

    Args:
        checker: Compares a password with a bcrypt hash; runs in a thread.
        key: Keys the digests under which verdicts are remembered, 16 to 64 bytes.
        clock: Seconds that only grow.
    """

    def __init__(
        self, checker: Callable[[bytes, bytes], bool], key: bytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checker = checker
        self._key = key
        self._clock = clock
        self._places = Places(MOST_WAITING - 1)  # besides the one that is being compared
        self._line: dict[bytes, _Comparison] = {}
        self._running: asyncio.Task[None] | None = None
        self._turned_away: dict[bytes, tuple[float | None, float]] = {}
        # Apart, so that a flood of wrong passwords cannot push out the right ones.
        self._verdicts: dict[bool, dict[bytes, None]] = {True: {}, False: {}}

    async def right(
        self, user: bytes, password: bytes, hashed: bytes, remote: str | None, kind: Hashable = None
    ) -> bool:
        """Tell whether a user's password fits a hash; `remote` is the client's address, `kind` its kind of program.

        Raises:
            Busy: Too many comparisons wait.
        """
        digest = self._digest(user, hashed, password)
        for verdict, digests in self._verdicts.items():
            if digest in digests:
                return verdict
        comparison = self._line.get(digest)
        if comparison is None:
            comparison = self._enter(digest, _Comparison(password, hashed), neighbourhood(remote), kind)
        comparison.askers += 1
        try:
            # Shielded: a client that leaves takes nothing from others who gave the same password.
            return await asyncio.shield(comparison.verdict)
        finally:
            comparison.askers -= 1
            if not comparison.askers and comparison.place is not None:
                self._places.leave(comparison.place)
                self._line.pop(digest, None)

    def _digest(self, *parts: bytes) -> bytes:
        """Return what identifies a user, hash and password without keeping them."""
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hashlib.blake2b(framed, key=self._key, digest_size=32).digest()

    # --- the line ----------------------------------------------------------------------------------------------------

    def _enter(self, digest: bytes, comparison: _Comparison, group: str, kind: Hashable) -> _Comparison:
        now = self._clock()
        first, _ = self._turned_away.pop(digest, (None, 0.0))
        seen, rank = (now, now) if first is None else (first, first - AHEAD_SECONDS)

        def turn_away() -> None:
            self._remember_first(digest, seen)
            self._line.pop(digest, None)
            comparison.place = None
            comparison.verdict.set_exception(Busy())

        comparison.place = self._places.enter(now, group, kind, rank, lambda: False, turn_away)
        if comparison.place is None:
            turn_away()
        else:
            self._line[digest] = comparison
            self._go_on()
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

    def _go_on(self) -> None:
        """Compare the next one, unless one is being compared."""
        if self._running is not None:
            return
        place = self._places.serve()
        for digest, comparison in self._line.items() if place is not None else ():
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
            del self._line[digest]
            self._go_on()
        digests = self._verdicts[verdict]
        digests[digest] = None
        if len(digests) > MOST_REMEMBERED:
            del digests[next(iter(digests))]
        if not comparison.verdict.done():
            comparison.verdict.set_result(verdict)
