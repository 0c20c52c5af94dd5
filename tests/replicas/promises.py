"""What replicas promise, whatever fails: one quota, one round, no state made up."""

from __future__ import annotations

import time

from tests.replicas.fleet import RATES, SIZES, TIMEOUT, Cloud, Fleet


def held(fleet: Fleet) -> None:
    """Assert what holds whatever happens: quotas, Sequences, states, and answers in time."""
    fleet.cloud.look()
    for provider, rate in RATES.items():
        busiest = fleet.cloud.busiest_second(provider)
        assert busiest <= rate, f"{provider}: {busiest} calls in a second"
    sequences = fleet.cloud.sequences()
    assert len(sequences) == len(set(sequences)) > 0
    wrong = [each for one in fleet.scrapers for each in one.wrong]
    assert wrong == [], wrong
    late = [took for one in fleet.scrapers for _, took in one.scrapes if took > TIMEOUT]
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
        assert 0.5 * rounds < calls <= 1.02 * rounds, f"{provider}: {calls} calls for each stream in {rounds} rounds"
    alive = [one.samples["stream_exporter_replicas"] for one in made.scrapers]
    assert alive == [made.replicas] * made.replicas, alive
    unknown = [one.unknown[-1][1] for one in made.scrapers]
    assert unknown == [0] * made.replicas, unknown
