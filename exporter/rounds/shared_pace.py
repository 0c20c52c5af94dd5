"""The pace of one action that several exporters keep together: slots come from the store, ahead of the calls.

While the store does not answer, nothing goes out until the others must have noticed; then this exporter's own part.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from exporter.rounds.pace import CUT, FORGET_SECONDS, GROWTH, LEAST_RATE, LEAST_SHARE, LEVEL, LULL, PAUSE, Pace
from exporter.store.client import Store
from exporter.store.errors import StoreError
from exporter.store.membership import share
from exporter.store.quota import Curve, Quota
from exporter.store.slots import MOST, Slot, own_sequence
from exporter.window import window

CURVE: Final = Curve(LEVEL, GROWTH, LULL, FORGET_SECONDS, PAUSE, LEAST_SHARE, LEAST_RATE, CUT)
LOOK_SECONDS: Final = 0.25
"""How often a call that waits looks whether the store is back."""


@dataclass(slots=True)
class LastSequence:
    """The highest sequence of an account that this exporter has used."""

    value: int = 0


class SharedPace(Pace):
    """What a gate uses in place of a `Pace`: `reserve` asks the store, and the rest answers at once.

    `rate` is what all replicas may make together, and this one's part of it while it is without the store.
    `absorb` takes over nothing, as the store knows what it has granted for an identity. `change` holds from the next
    grant on. It is `settled` when it has no slot at hand: all else is the store's.
    """

    __slots__ = ("_asking", "_calls", "_hand", "_last", "_not_before", "_own", "_quota", "_tasks", "sequence")

    shared: ClassVar[bool] = True

    def __init__(self, limit: float, quota: Quota, last: LastSequence) -> None:
        super().__init__(limit)
        self.sequence = 0
        self._quota = quota
        self._last = last
        self._hand: deque[Slot] = deque()
        self._calls = 0.0
        self._not_before = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._own: Pace | None = None

    @property
    def store(self) -> Store:
        """Where its slots come from."""
        return self._quota.store

    # --- with the store ----------------------------------------------------------------------------------------------

    async def reserve(self, waiting: int) -> None:
        """See to it that a slot is at hand, if there is one, for as many calls as wait."""
        now = self.store.now()
        if not self.store.membership.shared:
            return
        self._drop_late(now)
        short = min(waiting, MOST) - len(self._hand)
        if self._asking is None and now >= self._not_before and short >= max(1, len(self._hand)):
            self._asking = asyncio.create_task(self._ask(short), name="slots")
        if not self._hand and self._asking is not None:
            await asyncio.wait([self._asking])

    async def _ask(self, want: int) -> None:
        try:
            with suppress(StoreError):
                grant = await self._quota.reserve(want, self.limit, self._last.value)
                self._not_before = self.store.now() + grant.wait
                if grant.calls:
                    self._calls = grant.calls
                for slot in grant.slots:
                    self._last.value = max(self._last.value, slot.sequence)
                self._hand.extend(grant.slots)
        finally:
            self._asking = None

    def _drop_late(self, now: float) -> None:
        while self._hand and self._hand[0].late(now):
            self._hand.popleft()

    # --- what a gate asks --------------------------------------------------------------------------------------------

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may go out, or until it is worth asking again; 0 means now."""
        membership = self.store.membership
        if membership.shared:
            self._own = None
            self._drop_late(now)
            if self._hand:
                return max(now, self._hand[0].at) - now
            return min(max(self._not_before - now, 0.001), LOOK_SECONDS)
        self._hand.clear()
        own = self._alone(now)
        return LOOK_SECONDS if own is None else min(own.wait(now), LOOK_SECONDS)

    def take(self, now: float, queued: bool = False) -> None:
        """Use the slot that is at hand."""
        if self.store.membership.shared:
            self.sequence = self._hand.popleft().sequence
            return
        own = self._alone(now)
        assert own is not None
        own.take(now, queued)
        self._last.value = self.sequence = own_sequence(self.store.micros(now), self.store.member, self._last.value)

    def _alone(self, now: float) -> Pace | None:
        """Return the pace of a replica without the store; None while it may make no calls."""
        members = self.store.members
        calls = self.limit if members == 1 else float(share(window(self.limit)[0], members))
        if not self.store.membership.alone(now) or calls == 0:
            return None
        if self._own is None:
            self._own = Pace(calls)
        self._own.change(calls)
        return self._own

    def rate(self, now: float) -> float:
        """Return the calls per second allowed at this time."""
        if not self.store.membership.shared:
            part = self.limit / self.store.members
            return part if self._own is None else self._own.rate(now)
        if not self._calls:
            return self.limit
        return min(self.limit, self._calls)

    # --- what happens to it ------------------------------------------------------------------------------------------

    def throttled(self, now: float, retry_after: float | None = None, sent: float | None = None) -> None:
        """Lower the rate of all replicas after a throttling answer; see `Pace.throttled`."""
        if self._own is not None:
            self._own.throttled(now, retry_after, sent)
            return
        self._hand.clear()
        self._not_before = max(self._not_before, now + PAUSE)
        task = asyncio.create_task(self._tell(now if sent is None else sent, retry_after), name="throttled")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, sent: float, retry_after: float | None) -> None:
        with suppress(StoreError):
            await self._quota.slow(self.limit, sent, retry_after)

    def change(self, limit: float) -> None:
        """Keep another limit from the next grant on."""
        super().change(limit)
        self._calls = 0.0

    def absorb(self, other: Pace, now: float) -> None:
        """Take over nothing."""

    def settled(self, now: float) -> bool:
        """Whether no slot is at hand and none of its own calls matters any more."""
        return not self._hand and (self._own is None or self._own.settled(now))


def shared_paces(store: Store) -> Callable[[str, str, str, float], Pace]:
    """Return what makes the paces of a store: of a provider, an identity, an action and a limit."""
    sequences: dict[tuple[str, str], LastSequence] = {}

    def make(provider: str, identity: str, action: str, limit: float) -> Pace:
        if not action:  # the pace of callbacks and probes is each exporter's own
            return Pace(limit)
        last = sequences.setdefault((provider, identity), LastSequence())
        return SharedPace(limit, Quota(store, CURVE, provider, identity, action), last)

    return make
