"""Real exporters that share a real store, on one simulated world: what the clouds saw, and what scrapes said."""

from __future__ import annotations

import asyncio
import json
import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.simulator.control import PREFIX
from testbed.processes import Server, exporter, simulator
from testbed.provider import busiest
from testbed.web import exchange, fetch, request, status
from tests.scenarios.stage import ADDRESS, KEYS

ZEGO, TENCENT = "zego", "tencent"
ACTIONS = {ZEGO: "DescribeRTCStreamState", TENCENT: "DescribeLiveStreamState"}
RATES = {ZEGO: 100.0, TENCENT: 40.0}  # calls per second
SIZES = {ZEGO: 150, TENCENT: 50}  # streams: more than a second allows
DOWN = frozenset({"s007", "s019"})
TIMEOUT = 3.0  # of a scrape
# A scrape is read by these, for a parser would take time from what is measured.
_ACTIVE = re.compile(r'^stream_active\{([^}]*\bstream="(\w+)"[^}]*)\} (\S+)$', re.MULTILINE)
_WATCHED = re.compile(r"^stream_streams\{[^}]*\} (\d+)", re.MULTILINE)
_OWN = re.compile(r"^(stream_exporter_(?:store_up|replicas)) (\S+)$", re.MULTILINE)


def names(provider: str) -> list[str]:
    """Return an account's streams."""
    return [f"s{number:03d}" for number in range(SIZES[provider])]


class Stalls(threading.Thread):
    """Sleeps again and again, and remembers how late it was woken: a machine with too much to do delays calls, too.

    Attributes:
        longest: Seconds.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        """Look every two milliseconds."""
        while not self._over.is_set():
            began = time.monotonic()
            time.sleep(0.002)
            self.longest = max(self.longest, time.monotonic() - began - 0.002)

    def __enter__(self) -> Stalls:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@dataclass(slots=True)
class Cloud:
    """The simulated clouds, in a process of their own: what they log is when they were called.

    Attributes:
        endpoint: Where they listen.
        stalls: How late this machine wakes those who sleep.
        log: Their calls so far.
    """

    endpoint: str
    stalls: Stalls
    log: list[dict[str, Any]] = field(default_factory=list)

    def look(self) -> None:
        """Fetch what was called."""
        self.log = json.loads(fetch(f"{self.endpoint}{PREFIX}calls"))["calls"]

    def calls(self, provider: str, since: float = 0.0) -> list[float]:
        """Return when an account was called, in Unix seconds."""
        return [call["time"] for call in self.log if call["provider"] == provider and call["time"] >= since]

    def busiest_second(self, provider: str) -> int:
        """Return the most calls in any window of one second, its end left out."""
        return busiest(self.calls(provider))

    def sequences(self) -> list[int]:
        """Return the Sequence of each of ZEGO's calls."""
        return [int(call["nonce"]) for call in self.log if call["provider"] == ZEGO]

    def codes(self) -> set[str]:
        """Return the codes that were answered."""
        return {call["code"] for call in self.log}


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Serve both accounts; all streams are live but a few, and no quota is refused: the test counts."""
    world = {
        "quirks": {"zego_sequence": "ignore"},
        "accounts": [
            {"name": name, "provider": name, "quota": {ACTIONS[name]: 100_000.0}, **KEYS[name]} for name in RATES
        ],
        "streams": [
            {"name": one, "account": name, "state": "inactive" if one in DOWN else "active", **ADDRESS[name]}
            for name in RATES
            for one in names(name)
        ],
    }
    path = folder / "world.yml"
    path.write_text(json.dumps(world))
    with simulator(path, folder / "clouds") as server, Stalls() as stalls:
        yield Cloud(server.url, stalls)


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
    wrong: list[tuple[float, str, float]] = field(default_factory=list)
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
            # One that has missed its time waits for the next, as the others do.
            at = start + 2.0 * math.ceil((time.monotonic() - start) / 2.0)

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
        told = _ACTIVE.findall(text)
        self.wrong += [
            (began, labels, float(value)) for labels, name, value in told if float(value) != float(name not in DOWN)
        ]
        self.samples.update((name, float(value)) for name, value in _OWN.findall(text))
        self.unknown.append((began, sum(map(int, _WATCHED.findall(text))) - len(told)))


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
