"""`python -m benchmarks.hostile`: clients that mean harm, against the real server; prints each promise with its figure.

All scenarios run at the same time, each against a process of its own, because most of their time is waiting.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import select
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
from rich.console import Console
from rich.table import Table

from benchmarks.finding import Finding
from benchmarks.odd_requests import odd_requests
from testbed import provider
from testbed.processes import Server, exporter
from testbed.provider import NOWHERE, black_hole, tencent
from testbed.web import exchange, request, status, whole

DRIPPERS, NON_READERS, BIG, PLACES = 300, 50, 10_000, 64
COMPARISONS = 200  # of passwords, which take 15 s where one takes 70 ms
SPARE = 2  # connections that the honest client may have at any moment


Scenario = Callable[[], Coroutine[Any, Any, list[Finding]]]


class Honest:
    """A Prometheus that scrapes once a second all the while."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.scrapes = self.lost = 0

    async def scrape(self) -> None:
        """Scrape once, with a timeout of ten seconds."""
        answer = await exchange(self._server, request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 10"), 10)
        self.scrapes += 1
        self.lost += not whole(answer)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Scrape while the block runs."""
        task = asyncio.create_task(self._scrape())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _scrape(self) -> None:
        while True:
            await asyncio.shield(self.scrape())
            await asyncio.sleep(1)

    def finding(self, whom: str) -> Finding:
        """Say how many scrapes were lost."""
        return Finding(f"no honest scrape is lost to {whom}", f"{self.lost} of {self.scrapes}", self.lost == 0)


def connected(server: Server, data: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    """Return a connection on which something was sent and nothing is read."""
    made = socket.socket()
    made.bind((source, 0))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(5)
    made.connect((server.host, server.port))
    made.sendall(data)
    made.setblocking(False)
    return made


def still_open(connections: list[socket.socket]) -> int:
    """Return how many the server has not closed, without reading what it sent."""
    poller = select.poll()
    for one in connections:
        poller.register(one, select.POLLRDHUP)
    return len(connections) - len(poller.poll(0))


# --- the scenarios ---------------------------------------------------------------------------------------------------


async def drippers() -> list[Finding]:
    """Three hundred clients send their header byte by byte; others connect and say nothing, or stay after an answer."""
    with exporter(tencent(NOWHERE, 3)) as server:
        honest = Honest(server)
        async with honest.watching():
            started = time.monotonic()
            slow = [connected(server, b"GET /metrics HTTP/1.1\r\nHost: exporter\r\nX-Slow: ") for _ in range(DRIPPERS)]
            silent = [connected(server) for _ in range(20)]
            kept = [connected(server, request("/-/healthy", close=False)) for _ in range(20)]
            gone: dict[int, float] = {}
            # What the server has closed does not open again.
            while (now := time.monotonic() - started) < 25 and len(gone) < 3:
                for one in slow:
                    with contextlib.suppress(OSError):
                        one.send(b"a")
                for name, group in enumerate((slow, silent, kept)):
                    if name not in gone and still_open(group) == 0:
                        gone[name] = now
                await asyncio.sleep(1)
            left = [still_open(group) for group in (slow, silent, kept)]
        for one in (*slow, *silent, *kept):
            one.close()
    words = [f"{DRIPPERS} clients that drip a header", "clients that say nothing", "idle kept-alive clients"]
    shown = [f"{left[n]} open at 25 s, the last closed after {gone.get(n, 99):.0f} s" for n in range(3)]
    closed = [Finding(f"{word}: 0 open at 25 s, closed within 15 s", figure, left[n] == 0 and gone.get(n, 99) <= 16)
              for n, (word, figure) in enumerate(zip(words, shown, strict=True))]  # fmt: skip
    return [*closed, honest.finding("drippers")]


async def non_readers() -> list[Finding]:
    """Fifty clients ask for ten thousand streams' metrics, fifty for their states as JSON, and none reads."""
    with provider.running() as endpoint, exporter(tencent(endpoint, BIG, reuse="1h")) as server:
        for _ in range(3):
            body = await exchange(server, request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 60"), 60)
            # One for each encoding, so that both documents stand ready before memory is measured.
            await exchange(server, request("/metrics", "Accept-Encoding: gzip"), 60)
            page = await exchange(server, request("/api/v1/streams"), 60)
        before = most = server.rss()
        files = server.descriptors()
        honest = Honest(server)
        async with honest.watching():
            started = time.monotonic()
            lazy = [connected(server, request(path, close=False)) for path in ("/metrics", "/api/v1/streams")
                    for _ in range(NON_READERS)]  # fmt: skip
            await asyncio.sleep(1)
            # Seen from the server: what fits into the kernel's buffers is sent, and its end is never read.
            while (left := server.descriptors() - files - SPARE) > 0 and time.monotonic() - started < 30:
                most = max(most, server.rss())
                await asyncio.sleep(0.2)
            seconds = time.monotonic() - started
        for one in lazy:
            one.close()
    growth = (most - before) / (1 << 20)
    what = f"2 × {NON_READERS} clients that do not read {len(body) / 1e6:.1f} and {len(page) / 1e6:.1f} MB"
    return [
        Finding(
            f"{what}: at most 20 MiB more memory", f"{growth:.1f} MiB", growth <= 20 and whole(body) and whole(page)
        ),
        Finding(f"{what}: closed within 20 s", f"{max(left, 0)} open after {seconds:.0f} s", 2 < seconds <= 20),
        honest.finding("non-readers"),
    ]


async def crowd() -> list[Finding]:
    """A hundred scrapes wait for a provider that does not answer."""
    async with black_hole() as endpoint:
        with exporter(tencent(endpoint, 3)) as server:
            started = time.monotonic()
            data = request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 4")
            answers = await asyncio.gather(*(exchange(server, data) for _ in range(100)))
            seconds = time.monotonic() - started
            after = await exchange(server, data)
    good, refused = sum(map(whole, answers)), sum(status(answer) == 503 for answer in answers)
    return [
        Finding("of 100 waiting scrapes 64 are answered and the rest get 503 at once", f"{good} and {refused}",
                (good, refused) == (64, 36)),
        Finding("whoever waits is answered at the deadline (3.5 s)", f"{seconds:.1f} s", 3.4 <= seconds <= 5.0),
        Finding("the next scrape is answered again", f"HTTP {status(after)}", whole(after)),
    ]  # fmt: skip


async def sitters() -> list[Finding]:
    """As many strangers as there are places wait for a minute, hang up, or come again and again from elsewhere."""
    minute, ours = (
        "X-Prometheus-Scrape-Timeout-Seconds: 60",
        request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 2"),
    )
    async with black_hole() as endpoint:
        with exporter(tencent(endpoint, 3)) as server:
            sitting = [connected(server, request("/metrics", minute)) for _ in range(PLACES)]
            await asyncio.sleep(1)
            beside = await exchange(server, ours)
            for one in sitting:
                one.close()
            after = await asyncio.gather(*(exchange(server, ours) for _ in range(PLACES)))
            elsewhere = [connected(server, ours, "127.0.0.2") for _ in range(PLACES)]
            await asyncio.sleep(0.5)
            among = await exchange(server, ours)
            for one in elsewhere:
                one.close()
    good = sum(map(whole, after))
    return [
        Finding(f"{PLACES} strangers sit on all places for a minute: a scrape is answered", f"HTTP {status(beside)}",
                whole(beside)),
        Finding(f"{PLACES} hang up: all places are free at once", f"{good} of {PLACES} scrapes answered",
                good == PLACES),
        Finding(f"{PLACES} of another address take all places: a scrape is answered", f"HTTP {status(among)}",
                whole(among)),
    ]  # fmt: skip


async def readers() -> list[Finding]:
    """Four read ten thousand streams' states again and again, sixteen the configuration, while Prometheus scrapes."""
    with provider.running() as endpoint, exporter(tencent(endpoint, BIG)) as server:
        scrape = request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 100")

        async def read(path: str) -> list[bool]:
            found = []
            while not over.is_set():
                found.append(whole(await exchange(server, request(path, "Accept-Encoding: gzip"), 60)))
            return found

        alone = [await _seconds(server, scrape) for _ in range(2)]
        over = asyncio.Event()
        reading = [asyncio.create_task(read(path)) for path in ["/api/v1/streams"] * 4 + ["/config"] * 16]
        beside = await _seconds(server, scrape)
        over.set()
        pages = [page for found in await asyncio.gather(*reading) for page in found]
        longest = 2 * max(alone) + 1
    return [
        Finding(f"20 readers of large pages: a scrape of {BIG:,} streams takes at most twice as long",
                f"{beside:.1f} s, alone {min(alone):.1f} to {max(alone):.1f} s", beside <= longest),
        Finding("they get whole pages", f"{pages.count(True)} whole, {pages.count(False)} not", all(pages)),
    ]  # fmt: skip


async def _seconds(server: Server, data: bytes) -> float:
    """Return how long a whole answer takes; infinity where none comes."""
    started = time.monotonic()
    good = whole(await exchange(server, data, 100))
    return time.monotonic() - started if good else float("inf")


async def guessers() -> list[Finding]:
    """Eighty clients of our own address guess passwords without end; the right one is not remembered yet."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "web.yml"
        hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()
        path.write_text(f"basic_auth_users:\n  prometheus: {hashed}\n")
        with exporter(tencent(NOWHERE, 3), f"--web.config.file={path}") as server:
            over, guesses = asyncio.Event(), 0

            async def guess(number: int) -> None:
                nonlocal guesses
                while not over.is_set():
                    await exchange(server, _login(f"{number}-{guesses}"))
                    guesses += 1

            guessing = [asyncio.create_task(guess(number)) for number in range(80)]
            await asyncio.sleep(2)
            once = await asyncio.to_thread(_comparing, hashed)
            started, tries, answer = time.monotonic(), 0, b""
            while not whole(answer) and time.monotonic() - started < 2 * COMPARISONS * once:
                answer = await exchange(server, _login("right"))
                tries += 1
            seconds = time.monotonic() - started
            over.set()
            await asyncio.gather(*guessing)
    figure = f"after {seconds:.1f} s, {seconds / once:.0f} comparisons, at try {tries}; {guesses} guesses"
    what = f"80 clients guess passwords: the right one is let in within the time of {COMPARISONS} comparisons"
    return [Finding(what, figure, seconds <= COMPARISONS * once)]


def _comparing(hashed: str) -> float:
    """Return the seconds that comparing a password takes here and now, beside all that goes on."""
    took = []
    for _ in range(7):
        started = time.monotonic()
        bcrypt.checkpw(b"wrong", hashed.encode())
        took.append(time.monotonic() - started)
    return statistics.median(took)


def _login(password: str) -> bytes:
    encoded = base64.b64encode(f"prometheus:{password}".encode()).decode()
    return request("/-/ready", f"Authorization: Basic {encoded}")


async def few_descriptors() -> list[Finding]:
    """More connections come than there are descriptors."""
    with exporter(tencent(NOWHERE, 3), files=48) as server:
        first = await exchange(server, request())
        greedy = []
        for _ in range(120):
            with contextlib.suppress(OSError):
                greedy.append(connected(server, b"GET /metrics HTTP/1.1\r\n"))
        await asyncio.sleep(3)
        held, alive = server.descriptors(), server.process.poll() is None
        for one in greedy:
            one.close()
        started = time.monotonic()
        last = b""
        while not whole(last) and time.monotonic() - started < 60:
            last = await exchange(server, request(), 5)
        seconds, lines = time.monotonic() - started, len(server.log().splitlines())
    return [
        Finding("48 descriptors and 120 connections: it goes on serving afterwards", f"after {seconds:.1f} s",
                whole(first) and alive and whole(last)),
        Finding("running out of descriptors does not flood the log", f"{lines} lines with {held} descriptors open",
                lines < 200),
    ]  # fmt: skip


SCENARIOS: tuple[Scenario, ...] = (
    drippers, non_readers, crowd, sitters, readers, guessers, few_descriptors, odd_requests,
)  # fmt: skip


async def everything() -> list[Finding]:
    """Run all scenarios at the same time."""
    # Each in a thread of its own: starting and stopping a process blocks.
    found = await asyncio.gather(*(asyncio.to_thread(_alone, scenario) for scenario in SCENARIOS))
    return [finding for findings in found for finding in findings]


def _alone(scenario: Scenario) -> list[Finding]:
    return asyncio.run(scenario())


def main() -> int:
    """Print the table."""
    started = time.monotonic()
    table = Table("promise", "figure", "")
    found = asyncio.run(everything())
    for one in found:
        table.add_row(one.promise, one.figure, "kept" if one.kept else "BROKEN")
    Console(width=190).print(table)
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if all(one.kept for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
