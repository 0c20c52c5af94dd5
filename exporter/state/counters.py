"""Counters of what was asked and answered: plain numbers, kept over reloads and rendered by the exposition."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

AccountKey = tuple[str, str]  # provider, account


@dataclass(slots=True)
class Histogram:
    """Durations in seconds, counted by bucket; `counts` has one entry more than `BUCKETS`, for those above."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, count up to it) pairs, ending with +Inf."""
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        running, pairs = 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            running += count
            pairs.append((bound, float(running)))
        return pairs


@dataclass(slots=True)
class Counters:
    """What happened since the process started.

    Attributes:
        errors: Failed attempts by (provider, account, code, reason).
        responses: Answers by (provider, account, action, code).
        durations: Call durations by (provider, account, action).
        skew: The provider's clock minus ours in seconds, by (provider, account).
        callbacks: Callbacks by (provider, account, event, outcome).
        ended: Ends of pushes told by callbacks, by (provider, stream, reason).
        last_callback: Unix seconds of the last accepted callback by (provider, stream).
    """

    errors: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    responses: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    durations: dict[tuple[str, str, str], Histogram] = field(default_factory=dict)
    skew: dict[AccountKey, float] = field(default_factory=dict)
    callbacks: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    last_callback: dict[tuple[str, str], float] = field(default_factory=dict)

    def duration(self, key: tuple[str, str, str], seconds: float) -> None:
        """Count how long a call took that was answered or failed."""
        found = self.durations.get(key)
        if found is None:
            found = self.durations[key] = Histogram()
        found.observe(seconds)

    def keep(self, accounts: set[AccountKey], streams: set[tuple[str, str]]) -> None:
        """Forget accounts and streams that are no longer configured; all others go on counting."""
        for counted in (self.errors, self.responses, self.callbacks, self.durations, self.skew):
            for gone in [key for key in counted if key[:2] not in accounts]:
                del counted[gone]  # type: ignore[arg-type]
        for watched in (self.ended, self.last_callback):
            for lost in [key for key in watched if key[:2] not in streams]:
                del watched[lost]  # type: ignore[arg-type]
