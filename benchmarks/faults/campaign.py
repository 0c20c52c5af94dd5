"""Runs a campaign: two Prometheus servers scrape an exporter while the script goes on, in virtual time."""

from __future__ import annotations

import asyncio

from benchmarks.faults.clouds import Clouds
from benchmarks.faults.exporters import Exporter, Ours, Simple
from benchmarks.faults.judge import Judge, Verdict
from testbed.virtual import run

INTENSITIES = (0.0, 0.10, 0.25, 0.50, 0.80)
NAMES = ("stream-exporter", "any error = 0", "any error = last value")
EVERY = 15.0
# The second of a pair of Prometheus servers, and when the configuration changes.
PAIR_OFFSET = 3.0
RELOAD_EVERY = 61.0


def campaign(name: str, seed: str, minutes: float, intensity: float, each: int, processes: int = 1) -> Verdict:
    """Put one exporter through one campaign; the same seed means the same world and the same faults.

    There are `each` streams at each cloud, and a server with processes of its own runs so many `processes`.
    """
    return run(_campaign(name, seed, minutes * 60, intensity, each, processes))


async def _campaign(name: str, seed: str, seconds: float, intensity: float, each: int, processes: int = 1) -> Verdict:
    clouds = Clouds(seed, seconds, intensity, each, processes)
    ours = Ours(clouds)
    exporter: Exporter = ours if name == NAMES[0] else Simple(clouds, keep_last=name == NAMES[2])
    judge = Judge(name, clouds)
    work = [_prometheus(exporter, clouds, judge, offset) for offset in (0.0, PAIR_OFFSET)]
    if exporter is ours and intensity:
        work.append(_reloads(ours, clouds))
    await asyncio.gather(*work)
    return judge.over(ours.kept())


async def _prometheus(exporter: Exporter, clouds: Clouds, judge: Judge, offset: float) -> None:
    """Scrape on a beat, as Prometheus does: one that takes too long loses its turn, not the beat."""
    turn = 0
    while (at := offset + turn * EVERY) + EVERY <= clouds.seconds:
        await asyncio.sleep(max(0.0, clouds.begin + at - clouds.now()))
        started = clouds.now()
        shown = await exporter.scrape()
        judge.scraped(started, clouds.now(), shown)
        turn = max(turn + 1, int((clouds.now() - clouds.begin - offset) // EVERY) + 1)


async def _reloads(ours: Ours, clouds: Clouds) -> None:
    while clouds.now() - clouds.begin + RELOAD_EVERY < clouds.seconds:
        await asyncio.sleep(RELOAD_EVERY)
        ours.reload()
