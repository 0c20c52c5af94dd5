"""One action's quota, which all replicas keep together by the store."""

from __future__ import annotations

from typing import Final, NamedTuple

from exporter.store.client import MEMBERS, MOST, Store
from exporter.store.clock import MICROSECONDS
from exporter.store.errors import StoreError
from exporter.store.scripts import PREFIX, hashed, script
from exporter.store.slots import MOST as MOST_SLOTS
from exporter.store.slots import Grant, Slot, granted
from exporter.window import window

RESERVE: Final = script("reserve")
SLOW: Final = script("slow")


class Curve(NamedTuple):
    """How a rate falls and grows back after throttling; see `exporter/rounds/pace.py`.

    Attributes:
        level: Seconds for which it stays level.
        growth: Seconds more in which it doubles.
        lull: Seconds without calls after which growth is put to the test again.
        forget: Seconds after which throttling is forgotten.
        pause: Seconds without calls after a refusal.
        least_share: The least rate, as a part of the limit.
        least_rate: The least rate in calls a second, where the limit is high enough.
        cut: What is left of a rate that had begun to grow.
    """

    level: float
    growth: float
    lull: float
    forget: float
    pause: float
    least_share: float
    least_rate: float
    cut: float


class Quota:
    """Reserves slots of one action of what a cloud counts as one."""

    def __init__(self, store: Store, curve: Curve, provider: str, identity: str, action: str) -> None:
        self.store = store
        self._curve = curve
        tag = f"{PREFIX}{{{hashed(f'{provider}/{identity}')}}}"
        self._slots = f"{tag}:slots:{action}"
        self._keys = (MEMBERS, MOST, self._slots, f"{tag}:sequence")
        self._last: Slot | None = None
        self._last_time = 0

    async def reserve(self, want: int, limit: float, sequence: int = 0) -> Grant:
        """Ask for slots; raises `StoreError`, after which the store counts as lost.

        A grant that took long is empty, and so is one during which the store's clock was set: its slots are nobody's.

        Args:
            want: How many, at most.
            limit: Calls a second that the action may make.
            sequence: The highest that this exporter has used for the account.
        """
        store, curve = self.store, self._curve
        most, seconds = window(limit)
        want, jumps = max(1, min(want, MOST_SLOTS)), store.jumps
        sequence = max(sequence, 0 if self._last is None else self._last.sequence)
        args = (
            store.member,
            self._last_time,
            sequence,
            want,
            most,
            round(seconds * MICROSECONDS),
            store.replicas,
            str(curve.level),
            str(curve.growth),
            round(curve.lull * MICROSECONDS),
            round(curve.forget * MICROSECONDS),
        )
        try:
            ran = await store.evaluate(RESERVE, self._keys, args)
            grant = granted(ran, want, limit, self._last)
        except StoreError as error:
            store.fail(error)
            raise
        if grant.slots:
            self._last, self._last_time = grant.slots[-1], grant.last
        if ran.exchange.precise and store.jumps == jumps:
            return grant
        return Grant((), 0.0, grant.calls, grant.last)

    async def slow(self, limit: float, sent: float, retry_after: float | None) -> None:
        """Tell all replicas that the cloud refuses calls.

        Args:
            limit: Calls a second that the action may make.
            sent: Monotonic seconds when the refused call was sent.
            retry_after: Seconds that the cloud asks to wait.
        """
        curve = self._curve
        least = max(limit * curve.least_share, min(limit / 2, curve.least_rate))
        args = (
            self.store.clock.now(sent) or 0,
            round((retry_after or 0.0) * MICROSECONDS),
            str(limit),
            str(least),
            round(curve.pause * MICROSECONDS),
            str(curve.level),
            str(curve.growth),
            str(curve.cut),
        )
        try:
            await self.store.evaluate(SLOW, (self._slots,), args)
        except StoreError as error:
            self.store.fail(error)
            raise
