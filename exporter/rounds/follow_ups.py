"""Asking at once: what a callback told is asked for until the provider's API says so too, or has had time enough to."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from exporter.model import State
from exporter.rounds.account import AccountProber
from exporter.rounds.turns import GAP_SECONDS, Turns
from exporter.state.record import Key, Record

# How long to wait before asking again while the provider's API does not yet say what the callback said.
WAITS = (1.0, 2.0, 4.0, 8.0)
CALL_SECONDS = 5.0
# However many callbacks come, a stream is asked for once in so many seconds, after a few that go at once.
AT_ONCE = 3


@dataclass(slots=True, eq=False)
class FollowUp:
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


class FollowUps:
    """Follows what callbacks told, one task a stream, within a share of each account's quota."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._clock = turns.clock
        self._following: dict[Key, FollowUp] = {}

    def give(self, record: Record, live: bool | None) -> None:
        """Ask for a stream at once; whatever comes until the call goes out is answered by it."""
        one = self._following.get(record.key)
        if one is None:
            one = self._following[record.key] = FollowUp(record)
        one.live, one.since = live, self._clock.mono()
        one.news.set()
        if one.task is None or one.task.done():
            one.task = asyncio.create_task(self._follow(one), name=f"follow-up {record.stream.name}")

    def keep(self) -> None:
        """Forget streams that are no longer configured."""
        for key, one in tuple(self._following.items()):
            if self._turns.prober.prober_of(one.record) is None:
                one.stop()
                del self._following[key]

    async def close(self) -> None:
        """Follow nothing any more."""
        tasks = [one.task for one in self._following.values() if one.task is not None]
        for one in self._following.values():
            one.stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, one: FollowUp) -> None:
        """Ask until the provider's API says what the callback said, or has had time enough to."""
        waits = iter(WAITS)
        while (prober := await self._ready(one)) is not None:
            if one.news.is_set():
                one.news.clear()
                waits = iter(WAITS)
            await self._ask(prober, one)
            if one.news.is_set():
                continue
            wait = None if one.confirmed() else next(waits, None)
            if wait is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await one.news.wait()

    async def _ask(self, prober: AccountProber, one: FollowUp) -> None:
        now = self._clock.mono()
        # While calls are held back, only scrapes try whether the account answers again.
        if not prober.health.breaker.open and not one.confirmed():
            one.asked.append(now)
            await prober.refresh_one(one.record, now + CALL_SECONDS, now, follow_up=True)

    async def _ready(self, one: FollowUp) -> AccountProber | None:
        """Wait for the stream's and the account's turn; return who asks, or None where the stream is gone."""
        if (wait := one.gap(self._clock.mono())) > 0:
            await asyncio.sleep(wait)
        prober = self._turns.prober.prober_of(one.record)
        if prober is not None:
            await self._turns.turn(prober)
        return self._turns.prober.prober_of(one.record)
