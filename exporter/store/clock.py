"""The store's clock, as seen from here: arithmetic on times that are handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRECISE: Final = 0.02
"""Longest round trip, in seconds, after which a time of the store means anything to calls that must not be late."""

JUMP: Final = 0.005
"""What slewing may explain, in seconds; clocks are set by more."""

DRIFT: Final = 200e-6
MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its reply.

    Attributes:
        sent: Monotonic seconds when it went out.
        came: Monotonic seconds when the reply was read.
        time: Microseconds since 1970 by the store's clock, somewhere between the two.
    """

    sent: float
    came: float
    time: int

    @property
    def precise(self) -> bool:
        """Whether the round trip was short."""
        return self.came - self.sent <= PRECISE

    def here(self, time: int) -> float:
        """Return the monotonic seconds of a time of the store: late by at most the round trip, and never early."""
        return self.came + (time - self.time) / MICROSECONDS


class StoreClock:
    """Knows between which bounds the store's clock is ahead of ours, from the round trips so far."""

    __slots__ = ("_known", "_learnt")

    def __init__(self) -> None:
        self._known: tuple[float, float] | None = None  # seconds
        self._learnt = 0.0

    def learn(self, exchange: Exchange) -> bool:
        """Learn from a reply; say whether the store's clock was set meanwhile."""
        seconds = exchange.time / MICROSECONDS
        least, most = seconds - exchange.came, seconds - exchange.sent
        known, drift = self._known, DRIFT * max(0.0, exchange.came - self._learnt)
        self._known, self._learnt = (least, most), exchange.came
        if known is None:
            return False
        before, after = known[0] - drift, known[1] + drift
        if max(least, before) <= min(most, after):
            self._known = max(least, before), min(most, after)
            return False
        return least - after > JUMP or before - most > JUMP

    def now(self, mono: float) -> int | None:
        """Return the store's microseconds at a time of ours, at the earliest; None before the first reply."""
        return None if self._known is None else int((mono + self._known[0]) * MICROSECONDS)

    def ahead(self) -> float:
        """Return how many seconds the store's clock is ahead of ours, about; 0 before the first reply."""
        return 0.0 if self._known is None else sum(self._known) / 2
