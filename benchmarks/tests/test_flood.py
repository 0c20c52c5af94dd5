"""The short form of `benchmarks/callbacks.py`: an exporter of its own process under 500 callbacks a second."""

from __future__ import annotations

import asyncio
import statistics

from benchmarks.callbacks import BAD, RATE, Flooded, flooded, p99

SECONDS, FLOOD = 4, 500.0
# A scrape here takes 0.8 s by ZEGO's quota, whatever the machine.
STREAMS = 16
JITTER = 1.1  # calls that left within the quota may arrive closer together on a busy machine
TRIES = 3  # for a machine that is busy with something else


def at_once(found: Flooded) -> bool:
    """Say whether callbacks were answered in 10 ms, or as fast as a machine can that is slow or busy.

    That is told by a bare server, which answered others meanwhile.
    """
    answered, bare = found.answers, found.bare
    usual = statistics.median(answered) <= 5 * statistics.median(bare)
    return usual and p99(answered) <= max(0.010, 10 * p99(bare)) and found.rate > 0.5 * FLOOD


def delayed(found: Flooded) -> float:
    """Return how many times as long scrapes took beside the flood as before it."""
    return statistics.median(found.beside) / statistics.median(found.quiet)


def flood(kinds: str) -> Flooded:
    """Flood an exporter."""
    for _ in range(TRIES):
        found = asyncio.run(flooded(SECONDS, FLOOD, kinds, scrapes=3, streams=STREAMS))
        if at_once(found) and delayed(found) <= 1.5:
            break
    return found


def test_a_flood_of_bad_callbacks() -> None:
    """Forged, garbled, replayed, unwatched and misdirected ones: answered in 10 ms, no call made, no scrape delayed."""
    found = flood(BAD)
    assert at_once(found), (p99(found.answers), p99(found.bare), found.rate)
    assert found.statuses.keys() == {"200", "403", "404"}
    assert delayed(found) <= 1.5
    assert found.calls <= found.expected + 1, "each scrape asks once for each stream; the flood asks for one"


def test_a_flood_of_signed_callbacks() -> None:
    """A signature covers no body, so one that was caught may ask for watched streams endlessly: within the quota."""
    found = flood("signed")
    assert found.statuses.keys() == {"200"}
    assert at_once(found), (p99(found.answers), p99(found.bare), found.rate)
    assert found.busiest <= RATE * JITTER
    assert delayed(found) <= 1.5
