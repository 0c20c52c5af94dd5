"""Asking at once: what a callback told is asked for until the provider's API says so too, or has had time enough to."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from exporter.model import State
from exporter.rounds import AccountProber, Clock, Prober
from exporter.rounds.turns import GAP_SECONDS, Turns
from exporter.state.board import Board, Key, Record

# How long to wait before asking again while the provider's API does not yet say what the callback said.
WAITS = (1.0, 2.0, 4.0, 8.0)
CALL_SECONDS = 5.0
# However many callbacks come, a stream is asked for once in so many seconds, after a few that go at once.
AT_ONCE = 3


@dataclass(slots=True, eq=False)
class Hint:
    """What callbacks told of one stream.

    Attributes:
        record: The stream.
        live: What the newest of them said; None where there is nothing to confirm.
        since: Monotonic seconds at which it said so.
        news: Set while a callback has come that was not asked for yet.
        asked: When the last few calls went out, in monotonic seconds.
    """

    record: Record
    live: bool | None = None
    since: float = 0.0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    asked: deque[float] = field(default_factory=lambda: deque(maxlen=AT_ONCE))
    task: asyncio.Task[None] | None = None

    def confirmed(self) -> bool:
        """Whether the provider's API has been asked since, and says the same."""
        record = self.record
        if record.tried < self.since or self.live is None:
            return record.tried >= self.since
        active = record.answer is not None and record.answer.state is State.ACTIVE
        return record.succeeded and active == self.live

    def gap(self, now: float) -> float:
        """Return the seconds until this stream may be asked for again."""
        return self.asked[0] + AT_ONCE * GAP_SECONDS - now if len(self.asked) == AT_ONCE else 0.0

    def stop(self) -> None:
        """Ask no more."""
        if self.task is not None:
            self.task.cancel()


class Hints:
    """Follows what callbacks told, one task a stream, within a share of each account's quota."""

    def __init__(self, prober: Prober, board: Board, clock: Clock, turns: Turns | None = None) -> None:
        self._turns = Turns(prober, clock) if turns is None else turns
        self._prober = prober
        self._board = board
        self._clock = clock
        self._hints: dict[Key, Hint] = {}

    def give(self, record: Record, live: bool | None) -> None:
        """Ask for a stream at once; whatever comes until the call goes out is answered by it."""
        hint = self._hints.get(record.key)
        if hint is None:
            hint = self._hints[record.key] = Hint(record)
        hint.live, hint.since = live, self._clock.mono()
        hint.news.set()
        if hint.task is None or hint.task.done():
            hint.task = asyncio.create_task(self._follow(hint), name=f"hint {record.stream.name}")

    def keep(self) -> None:
        """Forget streams that are no longer configured."""
        for key, hint in tuple(self._hints.items()):
            if self._board.get(key) is not hint.record:
                hint.stop()
                del self._hints[key]

    async def close(self) -> None:
        """Follow nothing any more."""
        tasks = [hint.task for hint in self._hints.values() if hint.task is not None]
        for hint in self._hints.values():
            hint.stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, hint: Hint) -> None:
        """Ask until the provider's API says what the callback said, or has had time enough to."""
        waits = iter(WAITS)
        while (prober := await self._ready(hint)) is not None:
            if hint.news.is_set():
                hint.news.clear()
                waits = iter(WAITS)
            await self._ask(prober, hint)
            if hint.news.is_set():
                continue
            wait = None if hint.confirmed() else next(waits, None)
            if wait is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await hint.news.wait()

    async def _ask(self, prober: AccountProber, hint: Hint) -> None:
        now = self._clock.mono()
        # While calls are held back, only scrapes try whether the account answers again.
        if not prober.held_back and not hint.confirmed():
            hint.asked.append(now)
            await prober.refresh_one(hint.record, now + CALL_SECONDS, now, follow_up=True)

    async def _ready(self, hint: Hint) -> AccountProber | None:
        """Wait for the stream's and the account's turn; return who asks, or None where the stream is gone."""
        if (wait := hint.gap(self._clock.mono())) > 0:
            await asyncio.sleep(wait)
        prober = self._prober_of(hint)
        if prober is not None:
            await self._turns.turn(prober)
        return self._prober_of(hint)

    def _prober_of(self, hint: Hint) -> AccountProber | None:
        record = hint.record
        return self._prober.accounts.get(record.stream.account) if self._board.get(record.key) is record else None
