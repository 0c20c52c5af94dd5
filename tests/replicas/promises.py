"""What replicas promise, whatever fails: one quota, one round, no state made up."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Final

from tests.replicas.fleet import RATES, SIZES, TIMEOUT, Cloud, Fleet

NETWORK_SECONDS: Final = 0.04


def held(fleet: Fleet) -> None:
    """Assert what holds whatever happens: quotas, Sequences, states, and answers in time.

    The quota allows for a network that delays calls by up to 40 ms. What this machine delayed them by more is granted.
    """
    fleet.cloud.look()
    stalled = max(0.0, fleet.cloud.stalls.longest - NETWORK_SECONDS)
    for provider, rate in RATES.items():
        busiest, granted = fleet.cloud.busiest_second(provider), rate + math.ceil(rate * stalled)
        assert busiest <= granted, f"{provider}: {busiest} calls in a second, with stalls of {stalled} s"
    sequences = fleet.cloud.sequences()
    repeated = {one: count for one, count in Counter(sequences).items() if count > 1}
    assert sequences
    assert repeated == {}, repeated
    wrong = [each for one in fleet.scrapers for each in one.wrong]
    assert wrong == [], wrong
    late = [took for one in fleet.scrapers for _, took in one.scrapes if took > TIMEOUT + stalled]
    assert late == [], f"scrapes took {late} s"
    assert fleet.cloud.codes() <= {"0", "ok", "41006"}, fleet.cloud.codes()


def called(seen: Cloud, provider: str, since: float) -> float:
    """Return how many calls were made since a time in Unix seconds, for each stream."""
    seen.look()
    return len(seen.calls(provider, since)) / SIZES[provider]


async def steady(made: Fleet, seconds: float) -> None:
    """Assert that replicas which are scraped at the same times make the calls of one."""
    began = time.time()
    await made.scrape(seconds)
    rounds = seconds / 2
    for provider in RATES:
        calls = called(made.cloud, provider, began)
        # A busy machine comes late to its slots, and then makes fewer.
        assert 0.25 * rounds < calls <= 1.02 * rounds, f"{provider}: {calls} calls for each stream in {rounds} rounds"
    alive = [one.samples["stream_exporter_replicas"] for one in made.scrapers]
    assert alive == [made.replicas] * made.replicas, alive
    unknown = [one.unknown[-1][1] for one in made.scrapers]
    assert unknown == [0] * made.replicas, unknown
