"""Counters of calls and callbacks: plain numbers, kept across reloads and rendered by the exposition."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

AccountKey = tuple[str, str]  # provider, account


@dataclass(slots=True)
class Histogram:
    """Durations in seconds by bucket; the last of `counts` is for those above all `BUCKETS`."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, count up to it) pairs, ending with +Inf."""
        return list(zip([*map(str, BUCKETS), "+Inf"], accumulate(self.counts), strict=True))


@dataclass(slots=True)
class Counters:
    """What happened since the process started.

    Attributes:
        errors: Failed attempts by (provider, account, code, reason).
        responses: Answers by (provider, account, action, code).
        durations: Call durations by (provider, account, action).
        skew: The provider's clock minus ours in seconds, by (provider, account).
        callbacks: Callbacks by (provider, account, event, outcome).
        push_ends: Ends of pushes reported by callbacks, by (provider, stream, reason).
        last_callback: Unix seconds of the last accepted callback by (provider, stream).
        playback_errors: Failed checks of addresses by (provider, stream, playback, reason).
        playback_bytes: Bytes received by checks of addresses, by (provider, account).
    """

    errors: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    responses: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    durations: defaultdict[tuple[str, str, str], Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    skew: dict[AccountKey, float] = field(default_factory=dict)
    callbacks: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    push_ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    last_callback: dict[tuple[str, str], float] = field(default_factory=dict)
    playback_errors: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    playback_bytes: Counter[AccountKey] = field(default_factory=Counter)

    def keep(
        self, accounts: set[AccountKey], streams: set[tuple[str, str]], addresses: set[tuple[str, str, str]]
    ) -> None:
        """Forget accounts, streams and addresses, as (provider, stream, playback), that are no longer configured."""
        by_account: list[dict[Any, Any]] = [self.errors, self.responses, self.callbacks, self.durations, self.skew,
                                            self.playback_bytes]  # fmt: skip
        by_stream: list[dict[Any, Any]] = [self.push_ends, self.last_callback]
        for tables, configured in ((by_account, accounts), (by_stream, streams)):
            for table in tables:
                for key in [key for key in table if key[:2] not in configured]:
                    del table[key]
        for address in [key for key in self.playback_errors if key[:3] not in addresses]:
            del self.playback_errors[address]
