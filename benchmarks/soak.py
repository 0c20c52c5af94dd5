"""`python -m benchmarks.soak [--scrapes 10000]`: scrape for long while four answers in ten fail; nothing may grow.

The exporter's parts and its web server run in this process, the simulated clouds in another. Memory is resident memory,
its slope the least of straight lines through each quarter of the samples after warming up, times the scrapes of all.
Before each sample the C library gives back what it only keeps for the next allocation: answers of 2 MiB come and go by
chance, and leave it up to 15 MiB of free memory or none. The most that was resident with that is printed besides.

Connections come and go with the faults, and kept ones end when nobody used them for a while. After that, as many files
must be open as before the first scrape.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from benchmarks.clouds import account, address, keys
from exporter import config, providers
from exporter.credentials.keyring import Keyring
from exporter.serving.app import App
from exporter.serving.reload import use_one_malloc_arena
from exporter.serving.service import Service, system_clock
from exporter.simulator.providers import fakes
from exporter.transport.pool import KEEP_SECONDS, MOST_OPEN, NEW_REST, WARY_NEW_REST
from testbed.processes import Server, simulator, written

FAULTS = 0.40
QUICK = (
    "code", "throttle", "reset", "close", "cut", "html", "redirect", "status", "value", "unknown", "missing", "nan",
    "huge_int", "surrogate", "document", "deep", "huge", "bomb", "duplicate_keys", "truncated", "empty", "text", "utf8",
)  # fmt: skip
PAUSED = 3
"""By how much rarer a cloud throttles: a scrape waits out the pause of each, and eleven clouds make many."""

SLOW = ("hang", "delay", "drip_head", "drip_body")
SLOW_CHANCE = 0.003
IDLE_CHANCE = 0.02  # part of the answers after which the connection ends while nobody uses it
UNASKED = ("stray", "again")  # bytes after an answer, the answer once more
UNASKED_CHANCE = 0.02
UNASKED_FROM = 0.95  # part of the scrapes; from then on, a cloud that did it once gets a connection for each call
CALL_SECONDS = 0.1
SAMPLE_EVERY = 50
MOST_DESCRIPTORS = len(fakes()) * 2 * MOST_OPEN
LATE = 5.0  # seconds that a kept connection may end too late, on a busy machine
BETWEEN_LOOKS = 0.1
WARM_UP = 0.4  # part of the scrapes until every kept connection has carried answers of all sizes
CODES = {"zego": "99"}


def _slope(samples: list[tuple[int, int]]) -> float:
    """Return the slope of the straight line through points."""
    middle, level = (sum(values) / len(samples) for values in zip(*samples, strict=True))
    rise = sum((x - middle) * (y - level) for x, y in samples)
    return float(rise / sum((x - middle) ** 2 for x, _ in samples))


@dataclass(slots=True)
class Soak:
    """What was measured.

    Attributes:
        scrapes: How many there were.
        memory: Resident bytes, sampled after warming up, by number of the scrape.
        descriptors: Open files, likewise.
        left: How many more files were open when nobody used a connection any more than before the first scrape.
        tasks: Tasks of the event loop, likewise.
        samples: How often `stream_active` was shown, of how often it could have been.
        failed: Scrapes that were not answered with 200.
        seconds: How long all of them took.
        peak: Most resident bytes, with what the C library kept for itself.
    """

    scrapes: int = 0
    memory: dict[int, int] = field(default_factory=dict)
    descriptors: dict[int, int] = field(default_factory=dict)
    tasks: dict[int, int] = field(default_factory=dict)
    left: int = 0
    samples: Counter[bool] = field(default_factory=Counter)
    failed: int = 0
    seconds: float = 0.0
    peak: int = 0

    @property
    def growth(self) -> float:
        """Return how much memory grew over the run, in MiB: in each quarter of it at least at that pace.

        What leaks grows all the time. A step in one or two quarters is memory that an answer as large as none before
        leaves in pieces, whenever chance sends it.
        """
        samples = list(self.memory.items())
        quarter = len(samples) // 4
        pace = min(_slope(samples[begin : begin + quarter]) for begin in range(0, 4 * quarter, quarter))
        return pace * (samples[-1][0] - samples[0][0]) / (1 << 20)

    @property
    def task_drift(self) -> int:
        """Return how far the number of tasks was from its first value at most."""
        values = list(self.tasks.values())
        return max(abs(value - values[0]) for value in values)

    @property
    def share_failed(self) -> float:
        """Return the share of streams of which nothing was known at a scrape."""
        return self.samples[False] / max(1, sum(self.samples.values()))

    def broken(self) -> list[str]:
        """Return the promises that were not kept."""
        kept = {
            f"memory grew by {self.growth:.2f} MiB: {list(self.memory.values())}": self.growth <= 1.0,
            f"{self.left} descriptors left over": self.left <= 0,
            f"{max(self.descriptors.values())} descriptors": max(self.descriptors.values()) <= MOST_DESCRIPTORS,
            f"tasks moved by {self.task_drift}": self.task_drift == 0,
            f"{self.failed} scrapes failed": self.failed == 0,
        }
        return [words for words, good in kept.items() if not good]


def world(streams_each: int) -> dict[str, Any]:
    """Return the world of the clouds, with faults by chance."""
    quick = 1 - (1 - FAULTS) ** (1 / len(QUICK))
    faults = [{"kind": kind, "provider": provider, "code": CODES.get(provider, "InternalError"),
               "probability": quick / (PAUSED if kind == "throttle" else 1)}
              for kind in QUICK for provider in fakes()]  # fmt: skip
    faults += [{"kind": kind, "seconds": 0.2, "probability": SLOW_CHANCE} for kind in SLOW]
    faults.append({"kind": "idle", "seconds": 0.02, "probability": IDLE_CHANCE})
    accounts = [
        {"name": name, "provider": name, "quota": dict.fromkeys(fake.actions, 1_000_000), **keys(name)}
        for name, fake in fakes().items()
    ]
    state = {"cycle": ["active", "inactive"], "every": "1s"}
    return {"accounts": accounts, "streams": _streams(streams_each, state=state), "faults": faults}


def document(endpoint: str, streams_each: int) -> dict[str, Any]:
    """Return the exporter's configuration of that world."""
    accounts = [
        {**account(name), "name": name, "provider": name, "endpoint": endpoint,
         "timeout": f"{CALL_SECONDS * 1000:.0f}ms",
         "quota": dict.fromkeys(providers.all_providers()[name].apis(), 1_000_000)}
        for name in fakes()
    ]  # fmt: skip
    return {"scrape": {"reuse": "0s"}, "accounts": accounts, "streams": _streams(streams_each)}


def _streams(each: int, **more: Any) -> list[dict[str, Any]]:
    return [{"name": (stream := f"{name}-{number}"), "account": name, **address(name, stream, number), **more}
            for name in fakes() for number in range(each)]  # fmt: skip


def simulating(folder: Path, streams_each: int) -> AbstractContextManager[Server]:
    """Run the simulated clouds in another process."""
    return simulator(written(folder, world(streams_each)), folder)


async def soak(scrapes: int, streams_each: int = 2, sample_every: int = SAMPLE_EVERY) -> Soak:
    """Scrape so many times, one after another, and watch this process."""
    use_one_malloc_arena()  # as `serve` does
    with tempfile.TemporaryDirectory() as folder, simulating(Path(folder), streams_each) as clouds:
        endpoint = clouds.url
        text = json.dumps(document(endpoint, streams_each)).encode()
        loaded = config.load(Path("soak.yml"), providers.all_providers(), {}, lambda _path: text)
        service = Service(loaded, providers.all_providers(), system_clock(), Keyring({}))
        async with service, _serving(service) as url:
            found, before = Soak(), _open_files()
            async with aiohttp.ClientSession() as session:
                unasked = partial(_speak_unasked, session, endpoint)
                await _scrape(found, session, url, scrapes, sample_every, unasked)
            found.samples[False] = scrapes * len(loaded.streams) - found.samples[True]
            found.left = await _left_over(before)
            return found


@asynccontextmanager
async def _serving(service: Service) -> AsyncIterator[str]:
    """Serve the exporter's pages, and give the address of its metrics."""
    runner = web.AppRunner(App(service, _never).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/metrics"
    finally:
        await runner.cleanup()


async def _never() -> list[str]:
    return ["nothing to reload"]


async def _speak_unasked(session: aiohttp.ClientSession, endpoint: str) -> None:
    for kind in UNASKED:
        fault = {"kind": kind, "seconds": 0.02, "probability": UNASKED_CHANCE}
        async with session.post(f"{endpoint}/-/simulator/faults", json=fault) as response:
            assert response.status == 200, await response.text()


async def _scrape(
    found: Soak,
    session: aiohttp.ClientSession,
    url: str,
    scrapes: int,
    sample_every: int,
    near_the_end: Callable[[], Awaitable[None]],
) -> None:
    started = time.monotonic()
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": "3"}
    for number in range(scrapes):
        if number == int(scrapes * UNASKED_FROM):
            await near_the_end()
        async with session.get(url, headers=headers) as response:
            body = await response.read()
            found.failed += response.status != 200
        found.samples[True] += body.count(b"\nstream_active{")
        found.scrapes += 1
        if number >= scrapes * WARM_UP and number % sample_every == 0:
            await _look(found, number)
    found.seconds = time.monotonic() - started


async def _look(found: Soak, number: int) -> None:
    # A connection in the making is left alone for a moment before its first call; then its task is over.
    await asyncio.sleep(WARY_NEW_REST + 2 * NEW_REST)
    gc.collect()
    found.peak = max(found.peak, _resident())
    _give_back()
    found.memory[number] = _resident()
    found.descriptors[number] = _open_files()
    found.tasks[number] = len(asyncio.all_tasks())


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def _left_over(before: int) -> int:
    """Return how many more files are open than before, as soon as there are none, or when kept connections ended."""
    for _ in range(int((KEEP_SECONDS + LATE) / BETWEEN_LOOKS)):
        if _open_files() <= before:
            break
        await asyncio.sleep(BETWEEN_LOOKS)
    return _open_files() - before


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _give_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", allow_abbrev=False, description=__doc__)
    parser.add_argument("--scrapes", type=int, default=10_000)
    flags = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = asyncio.run(soak(flags.scrapes))
    memory, files = list(found.memory.values()), list(found.descriptors.values())
    print(f"{found.scrapes} scrapes in {found.seconds:.0f} s, {found.failed} failed, "
          f"streams unknown {found.share_failed:.0%} of the time")  # fmt: skip
    print(f"memory: {found.growth:+.2f} MiB by its slope; from {memory[0] >> 10} to {memory[-1] >> 10} KiB")
    print(f"        between {min(memory) >> 10} and {max(memory) >> 10} KiB; {found.peak >> 10} before giving back")
    print(f"descriptors: between {min(files)} and {max(files)}, {found.left:+} when nobody used them any more")
    print(f"tasks: moved by {found.task_drift} at most")
    print("goal met" if not found.broken() else f"goal MISSED: {found.broken()}")
    return 1 if found.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
