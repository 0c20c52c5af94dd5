"""What asks for single streams out of turn: callbacks and probes, within a share of each account's quota."""

from __future__ import annotations

import asyncio

from exporter.rounds.account import AccountProber
from exporter.rounds.prober import Prober
from exporter.state.record import Key, Record

# A stream or an account is asked at most once in so many seconds, however many want it.
GAP_SECONDS = 1.0
# The part of the quota that they may use beside a scrape, however many streams they ask for.
SHARE_BESIDE_SCRAPE = 0.5


class Turns:
    """Gives callbacks and probes their turns; all who wait for the same stream share one call."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self.clock = prober.shared.clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._asking: dict[Key, asyncio.Task[None]] = {}
        self._asked_whole: dict[str, float] = {}

    def keep(self) -> None:
        """Forget accounts that are no longer configured."""
        accounts = self.prober.accounts
        self._locks = {name: lock for name, lock in self._locks.items() if name in accounts}
        self._asked_whole = {name: when for name, when in self._asked_whole.items() if name in accounts}

    async def close(self) -> None:
        """Ask no more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def turn(self, prober: AccountProber, deadline: float = float("inf")) -> bool:
        """Wait for the account's turn; return False where it would come after the deadline (monotonic seconds).

        The wait is here rather than in the gate, where it would queue ahead of the next scrape.
        """
        async with self._locks.setdefault(prober.account.name, asyncio.Lock()):
            queued = False
            while True:
                now, pace = self.clock.mono(), prober.out_of_turn
                pace.change(self._share(prober) * prober.allowed_rates()[prober.provider.main.action])
                if now + (wait := pace.wait(now)) > deadline:
                    return False
                if wait <= 0:
                    pace.take(now, queued)
                    return True
                queued = True
                await asyncio.sleep(wait)

    def _share(self, prober: AccountProber) -> float:
        """Return the part of the quota that is free: half, while an account that shares the quota is scraped."""
        sharing = (one for one in self.prober.accounts.values() if one.out_of_turn is prober.out_of_turn)
        return SHARE_BESIDE_SCRAPE if any(one.scraped for one in sharing) else 1.0

    async def ask(self, record: Record, deadline: float, fresh: float) -> None:
        """Ask for a stream unless it was asked since `fresh`, once a second at most, until the deadline.

        Both are monotonic seconds. If the stream was asked within the last second, wait until that is over.
        """
        while record.tried < fresh and (now := self.clock.mono()) < deadline:
            task, mine = self._asking.get(record.key), False
            if task is None:
                mine, task = True, asyncio.create_task(self._ask(record, deadline, fresh), name=f"turn {record.key}")
                self._asking[record.key] = task
                task.add_done_callback(lambda _: self._asking.pop(record.key, None))
            await asyncio.wait({task}, timeout=deadline - now)
            if task.done() and not task.cancelled():
                task.result()
            if mine:
                return

    async def _ask(self, record: Record, deadline: float, fresh: float) -> None:
        if not await self._pause(record.tried, deadline):
            return
        prober = self.prober.prober_of(record)
        if prober is None or not await self.turn(prober, deadline):
            return
        # A reload may have come while the turn was waited for.
        prober = self.prober.prober_of(record)
        if prober is not None:
            await prober.refresh_one(record, deadline, fresh)

    async def ask_all(self, prober: AccountProber, deadline: float) -> None:
        """Ask for all streams of an account, whatever is known of them, and once a second at most."""
        name, now = prober.account.name, self.clock.mono()
        if not await self._pause(self._asked_whole.get(name, float("-inf")), deadline):
            return
        # If another one asked meanwhile, join its round.
        if self._asked_whole.get(name, float("-inf")) < now:
            self._asked_whole[name] = self.clock.mono()
        await prober.refresh(deadline, now)

    async def _pause(self, asked: float, deadline: float) -> bool:
        """Wait until the second after a call is over; return False at once if that is after the deadline."""
        now = self.clock.mono()
        if (wait := asked + GAP_SECONDS - now) > 0:
            if now + wait > deadline:
                return False
            await asyncio.sleep(wait)
        return True
