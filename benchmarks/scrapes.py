"""What Prometheus would wait for an answer that is there already, what a long list of streams costs, and memory."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.rounds import keys, watching
from benchmarks.table import Row
from exporter import providers
from exporter.model import Account, Reply, Request
from exporter.serving.service import Service, system_clock
from testbed.network import Plain
from testbed.processes import exporter
from testbed.provider import running

STREAMS = 10_000
HEADERS = {"Accept-Encoding": "gzip", "Accept": "application/openmetrics-text; version=1.0.0"}


def configuration(endpoint: str, count: int) -> str:
    """Return the configuration of an exporter that watches many streams and serves their answers for an hour."""
    names = ", ".join(f"stream-{i:05d}" for i in range(count))
    return (
        "scrape: {reuse: 1h, timeout: 100s, max_age: 2h}\n"
        f"accounts: [{{name: main, provider: tencent, secret_id: AKIDEXAMPLE, secret_key: made-up-secret, "
        f"endpoint: '{endpoint}', plan: single, concurrency: 64, quota: {{DescribeLiveStreamState: 1000000}}}}]\n"
        f"streams: [{{account: main, domain: 5000.livepush.com, names: [{names}]}}]\n"
    )


async def _static(body: bytes) -> tuple[web.AppRunner, str]:
    """Serve the same bytes from memory, as a static file server with a warm cache would."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"


async def _timed(session: aiohttp.ClientSession, url: str) -> tuple[float, bytes]:
    started = time.perf_counter()
    async with session.get(url, headers=HEADERS) as response:
        body = await response.read()
    return time.perf_counter() - started, body


async def _compare(url: str) -> tuple[float, float, int]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        _, body = await _timed(session, url)
        runner, static = await _static(body)
        ours, theirs = [], []
        for _ in range(30):
            ours.append((await _timed(session, url))[0])
            theirs.append((await _timed(session, static))[0])
        await runner.cleanup()
    return statistics.median(ours), statistics.median(theirs), len(body)


def reused() -> list[Row]:
    """Measure a scrape answered from `reuse`, and the process's memory at that size."""
    with running() as endpoint, exporter(configuration(endpoint, STREAMS)) as server:
        ours, theirs, size = asyncio.run(_compare(f"{server.url}/metrics"))
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        resident = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return [
        Row("a scrape answered from reuse against the same bytes served from memory", ours / theirs, "x", "<=", 1.5,
            f"{ours * 1e3:.2f} ms, static {theirs * 1e3:.2f} ms, {size >> 10} KiB"),
        Row(f"memory at {STREAMS:,} streams, at most", resident, "MiB", "<=", 110.0, "peak resident set"),
    ]  # fmt: skip


async def _overshoot(url: str, scrapes: int, budget: float) -> list[float]:
    late = []
    headers = {**HEADERS, "X-Prometheus-Scrape-Timeout-Seconds": str(budget + 0.5)}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for _ in range(scrapes):
            started = time.perf_counter()
            async with session.get(url, headers=headers) as response:
                assert response.status == 200
                await response.read()
            late.append((time.perf_counter() - started - budget) * 1e3)
    return late


def deadlines(scrapes: int = 40, budget: float = 0.5) -> list[Row]:
    """Measure how late an answer comes after its deadline while the provider hangs, and while it is only slow."""
    rows = []
    for streams, goal in ((500, 100.0), (2000, 250.0)):
        for delay, word in ((1000.0, "hangs"), (0.2, "takes 200 ms")):
            text = configuration("ENDPOINT", streams).replace("reuse: 1h", "reuse: 0")
            with running(delay) as endpoint, exporter(text.replace("ENDPOINT", endpoint)) as server:
                late = asyncio.run(_overshoot(f"{server.url}/metrics", scrapes, budget))
            p99 = statistics.quantiles(late, n=100)[98]
            rows.append(
                Row(f"answer after the deadline, {streams:,} streams, a provider that {word}, p99", p99, "ms", "<=",
                    goal, f"{scrapes} scrapes with a budget of {budget} s")
            )  # fmt: skip
    return rows


async def _listed(count: int, down: int) -> int:
    """Return the calls of a round over Tencent streams of which some are down, on a network of one function."""
    config = watching("http://127.0.0.1:1", count)
    account = config.accounts[0].model_copy(update={"plan": "auto", "region": "ap-guangzhou", "quota": {}})
    config = type(config)(config.scrape, (account,), config.streams)
    backup = [{"DomainName": "5000.livepush.com", "AppName": "live", "MasterFlag": 1}]
    rows = [{"StreamName": s.name, "BackupList": backup} for s in config.streams[down:]]
    listing = json.dumps({"Response": {"StreamInfoList": rows, "RequestId": "r"}}).encode()
    single = json.dumps({"Response": {"StreamState": "inactive", "RequestId": "r"}}).encode()
    calls = 0

    async def send(request: Request, _timeout: float, _largest: int) -> Reply:
        nonlocal calls
        calls += 1
        return Reply(200, {}, listing if request.headers["X-TC-Action"] == "DescribeBackupStreamList" else single)

    async def connect(_provider: str, _account: Account, _gap: float, _new: bool) -> Plain:
        return Plain(send)

    async with Service(config, providers.all_providers(), system_clock(), keys, connect=connect) as service:
        await service.refresh(time.monotonic() + 600)
        assert all(record.succeeded for record in service.board)
    return calls


def listed(count: int = 20_000, down: int = 200) -> list[Row]:
    """Count the calls that a list saves."""
    calls = asyncio.run(_listed(count, down))
    return [
        Row(f"calls a round for {count:,} Tencent streams with {down} down", calls, "calls", "<=", 1 + down + 1,
            f"{count:,} with a call per stream"),
    ]  # fmt: skip
