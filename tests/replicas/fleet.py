"""Real exporters that share a real store, on one simulated world: what the clouds saw, and what scrapes said."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.simulator import World
from exporter.simulator import serving as simulated
from testbed.processes import Server, exporter
from testbed.web import exchange, request, status
from tests.scenarios.stage import ADDRESS, KEYS

ZEGO, TENCENT = "zego", "tencent"
ACTIONS = {ZEGO: "DescribeRTCStreamState", TENCENT: "DescribeLiveStreamState"}
RATES = {ZEGO: 100.0, TENCENT: 40.0}  # calls per second
SIZES = {ZEGO: 150, TENCENT: 50}  # streams: more than a second allows
DOWN = frozenset({"s007", "s019"})
TIMEOUT = 3.0  # of a scrape


class Sequences(dict[Any, tuple[int, float]]):
    """What the simulated ZEGO remembers of the Sequence of each call; all of them are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[int] = []

    def __setitem__(self, key: Any, value: tuple[int, float]) -> None:
        self.all.append(value[0])
        super().__setitem__(key, value)


def names(provider: str) -> list[str]:
    """Return an account's streams."""
    return [f"s{number:03d}" for number in range(SIZES[provider])]


@dataclass(slots=True)
class Cloud:
    """The simulated clouds."""

    world: World
    endpoint: str
    sequences: Sequences

    def calls(self, provider: str, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """Return when an account was called, in Unix seconds."""
        return [call.time for call in tuple(self.world.log) if call.provider == provider and since <= call.time < until]

    def busiest_second(self, provider: str) -> int:
        """Return the most calls in any window of one second, its end left out."""
        times, first, most = sorted(self.calls(provider)), 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most

    def codes(self) -> Counter[str]:
        """Return the calls by code."""
        return Counter(call.code for call in tuple(self.world.log))


@contextmanager
def cloud() -> Iterator[Cloud]:
    """Serve both accounts; all streams are live but a few, and no quota is refused: the test counts."""
    world, sequences = World(), Sequences()
    world.memory.sequences = sequences
    world.quirks.zego_sequence = "ignore"
    for provider in RATES:
        world.add_account(provider, provider, quota={ACTIONS[provider]: 100_000.0}, **KEYS[provider])
        for name in names(provider):
            state = "inactive" if name in DOWN else "active"
            world.add_stream(name, provider, state=state, **ADDRESS[provider])
    with simulated(world) as simulator:
        yield Cloud(world, simulator.url, sequences)


def document(endpoint: str, store: str | None, replicas: int, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the configuration of each of so many replicas."""
    accounts = [
        {"name": name, "provider": name, "endpoint": endpoint, "plan": "single", "figures": False,
         "quota": {ACTIONS[name]: rate}, **KEYS[name]}
        for name, rate in RATES.items()
    ]  # fmt: skip
    streams = [{"name": one, "account": name, **ADDRESS[name]} for name in RATES for one in names(name)]
    shared = {} if store is None else {"store": {"url": store, "replicas": replicas}}
    return {"scrape": {"reuse": "500ms"}, "accounts": accounts, "streams": streams, **shared, **(extra or {})}


@dataclass(slots=True)
class Scraper:
    """Scrapes one exporter every two seconds, and remembers what it saw.

    Attributes:
        scrapes: When each began and how long it took, in Unix seconds.
        wrong: Streams that were shown as down and are live, or the other way round.
        unknown: For each scrape, how many streams had no state.
    """

    server: Server | None = None
    scrapes: list[tuple[float, float]] = field(default_factory=list)
    wrong: list[tuple[float, str, str, float]] = field(default_factory=list)
    unknown: list[tuple[float, int]] = field(default_factory=list)
    samples: dict[str, float] = field(default_factory=dict)

    @property
    def running(self) -> Server:
        """The exporter."""
        assert self.server is not None
        return self.server

    async def run(self, start: float, until: float) -> None:
        """Scrape at the same times as the others, from one monotonic time to another."""
        at = start
        while at < until:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            await self.scrape()
            at = max(at + 2.0, start + 2.0 * ((time.monotonic() - start) // 2.0))

    async def scrape(self) -> None:
        """Scrape once."""
        began, mono = time.time(), time.monotonic()
        header = f"X-Prometheus-Scrape-Timeout-Seconds: {TIMEOUT}"
        try:
            answer = await exchange(self.running, request("/metrics", header), seconds=10.0)
        except ConnectionError:
            return
        if status(answer) != 200:
            return
        self.scrapes.append((began, time.monotonic() - mono))
        self._look(began, answer.partition(b"\r\n\r\n")[2].decode())

    def _look(self, began: float, text: str) -> None:
        told, watched = 0, 0
        for family in parse_text(text):
            for sample in family.samples:
                if sample.name == "stream_active":
                    told += 1
                    if sample.value != float(sample.labels["stream"] not in DOWN):
                        self.wrong.append((began, sample.labels["provider"], sample.labels["stream"], sample.value))
                elif sample.name == "stream_streams":
                    watched += int(sample.value)
                elif sample.name.startswith("stream_exporter_"):
                    self.samples[sample.name] = sample.value
        self.unknown.append((began, watched - told))


@dataclass(slots=True)
class Fleet:
    """Replicas on one cloud, each with an address of the store; `clocks` are more of their environment."""

    cloud: Cloud
    folder: Path
    replicas: int
    stores: list[str | None]
    scrapers: list[Scraper] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _stops: dict[int, ExitStack] = field(default_factory=dict)
    _made: int = 0
    clocks: list[Mapping[str, str]] = field(default_factory=list)

    def __enter__(self) -> Fleet:
        for number in range(self.replicas):
            self.start(number)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, number: int) -> None:
        """Start a replica, in place of the one that had its number."""
        self._made += 1
        stack = self._stops[number] = self._stack.enter_context(ExitStack())
        made = exporter(
            document(self.cloud.endpoint, self.stores[number], self.replicas),
            "--scrape.timeout-offset=0.5",
            folder=self.folder / f"replica-{number}-{self._made}",
            environ=self.clocks[number] if self.clocks else None,
        )
        before = self.scrapers[number] if number < len(self.scrapers) else Scraper()
        self.scrapers[number : number + 1] = [replace(before, server=stack.enter_context(made))]

    def rewrite(self, number: int, keep: Callable[[str], bool]) -> None:
        """Let a replica watch only some of the streams, after a reload."""
        config = self.scrapers[number].running.config
        whole = json.loads(config.read_text())
        whole["streams"] = [one for one in whole["streams"] if keep(one["name"])]
        fresh = config.with_suffix(".new")
        fresh.write_text(json.dumps(whole))
        fresh.chmod(0o600)
        fresh.replace(config)
        self.scrapers[number].running.signal(signal.SIGHUP)

    async def scrape(self, seconds: float, replicas: tuple[int, ...] | None = None) -> None:
        """Scrape all replicas, or these, at the same times for so many seconds."""
        start = time.monotonic() + 0.05
        chosen = range(self.replicas) if replicas is None else replicas
        async with asyncio.TaskGroup() as group:
            for number in chosen:
                group.create_task(self.scrapers[number].run(start, start + seconds))
