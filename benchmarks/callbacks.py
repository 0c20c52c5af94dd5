"""Callbacks: how soon a stop shows, how fast they are answered, and what a flood of them costs.

The exporter, the flood, and a bare server of aiohttp to hold it against run in processes of their own; the simulated
clouds run here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.table import Row
from exporter.simulator import Simulator, World
from testbed.processes import exporter, module

SECRET = "made-up-callback-secret"
DOMAIN = "push.example"
RATE = 50.0  # Tencent calls a second
CONNECTIONS = 8  # of the flood
BARE_RATE, BARE_CONNECTIONS = 100.0, 2  # of the bare server, which gets a few callbacks beside the flood
KEYS: dict[str, dict[str, Any]] = {
    "zego": {"app_id": 77, "server_secret": "made-up", "callback_secret": SECRET},
    "tencent": {"secret_id": "id", "secret_key": "made-up", "callback_key": SECRET},
    "alibaba": {"access_key_id": "id", "access_key_secret": "made-up", "callback_key": SECRET},
}
ADDRESS: dict[str, dict[str, Any]] = {
    "zego": {},
    "tencent": {"domain": DOMAIN},
    "alibaba": {"domain": DOMAIN, "app": "live"},
}


@dataclass
class Bench:
    """An exporter in a process of its own, and the clouds that it watches."""

    world: World
    url: str
    session: aiohttp.ClientSession

    async def state(self, key: str) -> str:
        """Return a stream's state as `/api/v1/streams` tells it."""
        async with self.session.get(f"{self.url}/api/v1/streams") as reply:
            rows: list[dict[str, str]] = await reply.json()
        return next(row["state"] for row in rows if f"{row['provider']}/{row['stream']}" == key)

    async def scrape(self) -> float:
        """Scrape once; return the seconds it took."""
        started = time.perf_counter()
        async with self.session.get(f"{self.url}/metrics") as reply:
            assert reply.status == 200
            await reply.read()
        return time.perf_counter() - started


@asynccontextmanager
async def bench(streams: int) -> AsyncIterator[Bench]:
    """Run clouds with this many streams each, and an exporter that they call back."""
    world = World()
    accounts: list[dict[str, Any]] = []
    watched: list[dict[str, Any]] = []
    for provider, keys in KEYS.items():
        world.add_account(provider, provider, **keys)
        names = [f"s{number:03d}" for number in range(streams)]
        for name in names:
            world.add_stream(name, provider, **ADDRESS[provider])
        accounts.append({"name": provider, "provider": provider, "plan": "single", "figures": False, **keys})
        watched.append({"account": provider, "names": names, **ADDRESS[provider]})
    accounts[1]["quota"] = {"DescribeLiveStreamState": RATE}
    async with Simulator(world) as simulator, aiohttp.ClientSession() as session:
        configured = [{**account, "endpoint": simulator.url} for account in accounts]
        document = {"scrape": {"reuse": "0s", "timeout": "30s"}, "accounts": configured, "streams": watched}
        with exporter(document) as server:
            made = Bench(world, server.url, session)
            try:
                await made.scrape()
                yield made
            finally:
                world.callbacks = ""


async def detected(stops: int, every: float) -> list[float]:
    """Stop streams one after the other; return after how many seconds each showed."""
    took: list[float] = []
    async with bench(-(-stops // 3)) as made:
        made.world.callbacks = f"{made.url}/callbacks"
        keys = sorted(made.world.streams, key=lambda key: key.partition("/")[2])[:stops]
        for key in keys:
            started = time.perf_counter()
            made.world.set(key, "inactive")
            while await made.state(key) != "inactive":
                assert time.perf_counter() - started < 30
            took.append(time.perf_counter() - started)
            await asyncio.sleep(every)
    return took


@dataclass
class Flooded:
    """What a flood did.

    Attributes:
        answers: Seconds until each callback was answered.
        quiet: Seconds that scrapes took before it.
        beside: Seconds that scrapes took beside it.
        busiest: Most calls at Tencent's API in any second.
        calls: Calls at Tencent's API altogether.
        expected: What scrapes alone make of them.
        rate: Callbacks a second that were answered.
        statuses: How they were answered.
        bare: Seconds until the bare server answered callbacks meanwhile.
    """

    answers: list[float]
    quiet: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    busiest: int = 0
    calls: int = 0
    expected: int = 0
    rate: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    bare: list[float] = field(default_factory=list)


async def flooded(seconds: float, rate: float, kinds: str, scrapes: int = 3, streams: int = 60) -> Flooded:
    """Flood an exporter with callbacks of some kinds, and scrape beside it."""
    with module("benchmarks.callbacks") as bare:
        async with bench(streams) as made:
            return await _flooded(made, bare, seconds, rate, kinds, scrapes, streams)


async def _flooded(
    made: Bench, bare: str, seconds: float, rate: float, kinds: str, scrapes: int, streams: int
) -> Flooded:
    quiet = [await made.scrape() for _ in range(scrapes)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.callbacks", made.url, bare, str(seconds), str(rate), kinds,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answering = asyncio.create_task(process.communicate())
    await asyncio.sleep(1.0)
    beside: list[float] = []
    while not answering.done() and len(beside) < scrapes:
        beside.append(await made.scrape())
    told = json.loads((await answering)[0])
    return Flooded(
        told["answers"], quiet, beside, made.world.busiest(provider="tencent"),
        len(made.world.calls(provider="tencent")), (1 + len(quiet) + len(beside)) * streams,
        len(told["answers"]) / told["seconds"], told["statuses"], told["bare"],
    )  # fmt: skip


# --- the flood, in a process of its own ------------------------------------------------------------------------------


def _posted(path: str, fields: dict[str, Any]) -> bytes:
    body = json.dumps(fields).encode()
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _tencent(stream: str, sequence: int, key: str = SECRET) -> bytes:
    now = int(time.time())
    sign = hashlib.md5(f"{key}{now + 600}".encode(), usedforsecurity=False).hexdigest()
    fields = {
        "app": DOMAIN,
        "appname": "live",
        "stream_id": stream,
        "event_type": sequence % 2,
        "sequence": str(sequence),
    }
    return _posted("/callbacks/tencent", {**fields, "event_time": now, "t": now + 600, "sign": sign, "errcode": 1})


_numbers = count(1)
KINDS: dict[str, Callable[[], bytes]] = {
    "forged": lambda: _tencent("s000", next(_numbers), "another key"),
    "garbage": lambda: _posted("/callbacks/zego", {"event": "stream_close", "nonce": "x" * 500}),
    "nobody": lambda: _posted("/callbacks/nobody", {}),
    "unwatched": lambda: _tencent(f"unwatched-{next(_numbers)}", next(_numbers)),
    "replayed": cache(lambda: _tencent("s000", 7)),
    "signed": lambda: _tencent(f"s{next(_numbers) % 20:03d}", next(_numbers)),
}


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head[9:12].decode()


async def _pour(
    host: str, port: int, kinds: list[str], begin: float, until: float, gap: float, told: list[tuple[float, str]]
) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    due, number = begin, 0
    while (now := time.perf_counter()) < until:
        if due > now:
            await asyncio.sleep(due - now)
        due, number = max(due, now - 0.1) + gap, number + 1
        started = time.perf_counter()
        writer.write(KINDS[kinds[number % len(kinds)]]())
        told.append((await _answer(reader), time.perf_counter() - started)[::-1])
    writer.close()


async def _poured(url: str, seconds: float, rate: float, kinds: list[str], connections: int) -> list[tuple[float, str]]:
    """Post callbacks at a rate; return the seconds that each answer took, and its status."""
    host, _, port = url.removeprefix("http://").partition(":")
    told: list[tuple[float, str]] = []
    started, gap = time.perf_counter(), connections / rate
    begins = [started + number / rate for number in range(connections)]
    await asyncio.gather(*(_pour(host, int(port), kinds, begin, started + seconds, gap, told) for begin in begins))
    return told


async def _flood(url: str, bare: str, seconds: float, rate: float, kinds: list[str]) -> None:
    started = time.perf_counter()
    told, beside = await asyncio.gather(
        _poured(url, seconds, rate, kinds, CONNECTIONS), _poured(bare, seconds, BARE_RATE, kinds, BARE_CONNECTIONS)
    )
    took = time.perf_counter() - started
    statuses = {status: sum(one == status for _, one in told) for status in {status for _, status in told}}
    answers, others = ([seconds for seconds, _ in found] for found in (told, beside))
    print(json.dumps({"answers": answers, "seconds": took, "statuses": statuses, "bare": others}))


# --- the bare server, in another --------------------------------------------------------------------------------------


async def _bare() -> None:
    """Read whatever is posted, and answer it."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


# --- the table -------------------------------------------------------------------------------------------------------


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


BAD = "forged,garbage,nobody,unwatched,replayed"


def rows() -> list[Row]:
    """Measure detection, answers in peace and beside scrapes, and a flood."""
    took = asyncio.run(detected(100, 0.1))
    calm = asyncio.run(flooded(5, 20, "signed"))
    flood = asyncio.run(flooded(20, 2000, BAD))
    signed = asyncio.run(flooded(20, 2000, "signed"))
    slower = statistics.median(flood.beside) / statistics.median(flood.quiet)
    return [
        Row("a stop shows, median of 100", statistics.median(took), "s", "<=", 1.5, f"worst {max(took):.3f} s"),
        Row("callback answered, p99", 1000 * p99(calm.answers), "ms", "<=", 10, f"{len(calm.answers)} at 20/s"),
        Row("callback answered in a flood, p99", 1000 * p99(flood.answers), "ms", "<=", 10,
            f"{flood.rate:.0f}/s, median {1000 * statistics.median(flood.answers):.2f} ms, bare server "
            f"{1000 * p99(flood.bare):.2f} ms"),
        Row("scrape beside the flood", slower, "x", "<=", 1.2,
            f"{statistics.median(flood.beside):.2f} s and {statistics.median(flood.quiet):.2f} s"),
        Row("API calls in the busiest second of a signed flood", float(signed.busiest), "calls", "<=", RATE,
            f"{signed.rate:.0f}/s; scrapes {statistics.median(signed.beside):.2f} s"),
    ]  # fmt: skip


if __name__ == "__main__":
    if flood := sys.argv[1:]:
        asyncio.run(_flood(flood[0], flood[1], float(flood[2]), float(flood[3]), flood[4].split(",")))
    else:
        asyncio.run(_bare())
