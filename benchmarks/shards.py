"""A million streams over fifty shards: how they divide, whether the quota holds, how fair it is, and one's memory."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
import urllib.request
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.rounds import keys, watching
from benchmarks.table import Row
from exporter.config.shards import Shard
from exporter.model import Account, Reply, Request, Stream
from exporter.providers import all_providers
from exporter.rounds.pace import Part
from exporter.rounds.prober import Prober
from exporter.rounds.shared import Clock, Shared
from exporter.state.board import Board
from exporter.state.counters import Counters
from testbed.network import Plain
from testbed.processes import Server, exporter, until
from testbed.provider import BODY, running
from testbed.virtual import run

STREAMS, SHARDS = 1_000_000, 50
EPOCH = 1_800_000_000.0
INTERVAL, BUDGET = 15.0, 9.5  # seconds, of scrapes
LATENCY, JITTER = 0.05, 0.01  # seconds
CLOCKS = 0.005  # by which the shards' clocks are wrong, in seconds


class Cloud:
    """Answers every call, and knows when each came."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.arrivals: list[float] = []

    async def connect(self, _provider: str, _account: Account, _gap: float, _new: bool) -> Plain:
        """Return a connection that costs nothing."""
        return Plain(self._send)

    async def _send(self, _request: Request, _timeout: float, _largest: int) -> Reply:
        await asyncio.sleep(self.random.uniform(0, JITTER))
        self.arrivals.append(asyncio.get_running_loop().time())
        await asyncio.sleep(LATENCY)
        return Reply(200, {}, BODY)

    def busiest(self) -> int:
        """Return the most calls in any window of one second, its end left out."""
        times = sorted(self.arrivals)
        return max(bisect_left(times, at + 1.0) - first for first, at in enumerate(times))


def names(shard: Shard, count: int) -> Iterator[str]:
    """Yield the first names of a shard's streams."""
    numbers = (number for number in range(STREAMS) if shard.holds("tencent", name(number)))
    yield from (name(number) for number, _ in zip(numbers, range(count), strict=False))


def name(number: int) -> str:
    """Return a stream's name."""
    return f"channel-{number:07}"


def prober(cloud: Cloud, shard: Shard, count: int, rate: float) -> Prober:
    """Return a shard's prober of its first streams, with its part of a rate in calls per second."""
    loop = asyncio.get_running_loop()
    wrong = cloud.random.uniform(-CLOCKS, CLOCKS)
    clock = Clock(lambda: EPOCH + loop.time() + wrong, loop.time, lambda: "0" * 32)
    made = Prober(Shared(Board(3600.0), Counters(), clock, cloud.connect, keys))
    account = watching("http://127.0.0.1:1", 0, rate=rate).accounts[0]
    tencent = all_providers()["tencent"]
    streams: list[Stream] = [
        tencent.stream(name=each, account="main", domain="5000.livepush.com") for each in names(shard, count)
    ]
    made.configure([(tencent, account)], streams, 3600.0, Part(shard.index, shard.count))
    return made


async def _scraped(made: Prober, offset: float, scrapes: int) -> float:
    """Scrape again and again; return the longest time for which a stream waited for its turn."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(offset)
    asked: dict[str, float] = {}
    longest = 0.0
    for _ in range(scrapes):
        started = loop.time()
        await made.refresh(started + BUDGET, started)
        for record in made.shared.board:
            if record.tried > asked.get(record.stream.name, float("-inf")):
                longest = max(longest, record.tried - asked.get(record.stream.name, record.tried))
                asked[record.stream.name] = record.tried
        await asyncio.sleep(started + INTERVAL - loop.time())
    assert len(asked) == len(made.shared.board), "a stream was never asked"
    return max(longest, loop.time() - min(asked.values()) - INTERVAL)


async def _busiest(rate: float, scrapes: int) -> tuple[int, float]:
    """Return the busiest second at the cloud, and the mean calls per second while all shards are scraped."""
    cloud = Cloud(1)
    made = [prober(cloud, Shard(index, SHARDS), 40, rate) for index in range(SHARDS)]
    # All at once, the worst of all cases.
    await asyncio.gather(*(_rounds(one, scrapes) for one in made))
    return cloud.busiest(), len(cloud.arrivals) / (scrapes * BUDGET)


async def _rounds(made: Prober, scrapes: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(scrapes):
        await made.refresh(loop.time() + BUDGET, loop.time())


async def _rotation(shards: int, rate: float, rounds: float) -> float:
    """Return the longest wait for a turn against the ideal rotation, of whole shards."""
    cloud, size = Cloud(2), STREAMS // SHARDS
    made = [prober(cloud, Shard(index * 17, SHARDS), size * 2, rate) for index in range(shards)]
    most = max(len(one.shared.board) for one in made)
    a_round = rate / SHARDS / 1.04 * BUDGET
    scrapes = round(most / a_round * rounds)
    longest = await asyncio.gather(*(_scraped(one, index * 3.0, scrapes) for index, one in enumerate(made)))
    return max(each / (len(one.shared.board) / a_round * INTERVAL) for each, one in zip(longest, made, strict=True))


def split() -> list[Row]:
    """Count the streams of each shard."""
    started = time.process_time()
    shard = Shard(0, SHARDS)
    sizes = Counter(shard.of("tencent", name(number)) for number in range(STREAMS))
    seconds = time.process_time() - started
    return [
        Row(f"{STREAMS:,} streams over {SHARDS} shards: the largest against the mean", max(sizes.values()) / STREAMS
            * SHARDS, "x", "<=", 1.05, f"{min(sizes.values()):,} to {max(sizes.values()):,}, {seconds:.1f} s of CPU"),
    ]  # fmt: skip


def quotas() -> list[Row]:
    """Count the busiest second at the cloud, for parts of several calls a second, and of less than one."""
    rows = []
    for rate in (150.0, 20.0):
        busiest, mean = run(_busiest(rate, 6))
        rows.append(
            Row(f"calls in the busiest second, {SHARDS} shards, {rate:g} kept together", busiest, "calls", "<=", rate,
                f"{mean:.1f}/s on average while scraped")
        )  # fmt: skip
    return rows


def fairness() -> list[Row]:
    """Measure the longest wait of any stream of two whole shards, of more than two rotations."""
    return [
        Row("longest wait for a turn against the ideal rotation", run(_rotation(2, 10_000.0, 2.2)), "x", "<=", 1.3,
            "two whole shards, 200 calls/s each, in virtual time"),
    ]  # fmt: skip


@contextmanager
def _million(endpoint: str) -> Iterator[tuple[Server, float]]:
    """Run one shard's exporter; yields it with the seconds until it listened."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "streams.d").mkdir()
        per_file = STREAMS // SHARDS
        for first in range(0, STREAMS, per_file):
            rows = "".join(
                f"{name(number)},main,5000.livepush.com,live,team-{number % 97},gold\n"
                for number in range(first, first + per_file)
            )
            path = Path(folder) / "streams.d" / f"{first:07}.csv"
            path.write_text(f"name,account,domain,app,labels.team,labels.tier\n{rows}", encoding="utf-8")
        text = (
            "scrape: {reuse: 0s, timeout: 100s, max_age: 2h}\nstream_files: [streams.d/*.csv]\n"
            "accounts: [{name: main, provider: tencent, secret_id: AKIDEXAMPLE, secret_key: made-up-secret, "
            f"endpoint: '{endpoint}', plan: single, figures: false, quota: {{DescribeLiveStreamState: 1000000}}}}]\n"
        )
        started = time.monotonic()
        with exporter(text, folder=Path(folder), environ={"STREAM_EXPORTER_SHARD": f"streams-7/{SHARDS}"}) as server:
            yield server, time.monotonic() - started


def _peak(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _scrape(server: Server) -> int:
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": "100"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/metrics", headers=headers)) as response:  # nosec
        return int(response.read().count(b"\nstream_active{"))


def memory() -> list[Row]:
    """Measure the memory of one shard, which reads the configuration of all, and how long it reads."""
    with running() as endpoint, _million(endpoint) as (server, seconds):
        known = _scrape(server)
        settled, peak = server.rss() / 2**20, _peak(server)
        server.signal(signal.SIGHUP)
        until(lambda: "configuration reloaded" in server.log(), "the configuration is read again")
        assert _scrape(server) == known
        reloaded = _peak(server)
    return [
        Row(f"memory of one of {SHARDS} shards of {STREAMS:,} streams, at most", peak, "MiB", "<=", 200.0,
            f"{known:,} streams; {settled:.0f} MiB after a scrape"),
        Row("the same after a reload", reloaded, "MiB", "<=", 200.0, ""),
        Row("until it listens", seconds, "s", "<=", 60.0, "the process starts, and reads 50 files in CSV"),
    ]  # fmt: skip


def rows() -> list[Row]:
    """Measure all of it."""
    return [*split(), *quotas(), *fairness(), *memory()]
