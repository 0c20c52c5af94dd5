"""What a probe costs: our whole round against the barest loop that could do it, and against Tencent's own SDK."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.table import Row
from exporter.config import Config, Scrape
from exporter.fields import Secret
from exporter.model import Account, Credentials, Stream
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider
from exporter.serving.reload import freeze_objects
from exporter.serving.service import Service, system_clock
from testbed.processes import free_port
from testbed.provider import running


async def keys(_provider: AnyProvider, _account: Account) -> Credentials:
    """Return made-up credentials."""
    return Credentials("AKIDEXAMPLE", Secret("made-up-secret"))


def watching(endpoint: str, count: int, concurrency: int = 32, rate: float = 1e6) -> Config:
    """Return a configuration of Tencent streams asked singly."""
    tencent = all_providers()["tencent"]
    account = tencent.account(
        name="main", provider="tencent", endpoint=endpoint, concurrency=concurrency, plan="single", figures=False,
        timeout="10s", quota={"DescribeLiveStreamState": rate},
    )  # fmt: skip
    streams: tuple[Stream, ...] = tuple(
        tencent.stream(name=f"stream-{i:05d}", account="main", domain="5000.livepush.com") for i in range(count)
    )
    return Config(Scrape(10.0, 0.0, 120.0), (account,), streams)


async def bare(endpoint: str, count: int, concurrency: int = 32, rounds: int = 6) -> list[float]:
    """The barest loop: aiohttp, TC3 from the documentation, json; fixed workers over one iterator."""
    host = endpoint.removeprefix("http://")

    def sign(body: bytes, now: int) -> dict[str, str]:
        date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        canonical = (
            f"POST\n/\n\ncontent-type:application/json\nhost:{host}\n\ncontent-type;host\n"
            f"{hashlib.sha256(body).hexdigest()}"
        )
        text = f"TC3-HMAC-SHA256\n{now}\n{date}/live/tc3_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"TC3made-up-secret"
        for part in (date, "live", "tc3_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return {
            "Authorization": f"TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/{date}/live/tc3_request, "
            f"SignedHeaders=content-type;host, Signature={signature}",
            "Content-Type": "application/json",
            "Host": host,
            "X-TC-Action": "DescribeLiveStreamState",
            "X-TC-Version": "2018-08-01",
            "X-TC-Timestamp": str(now),
        }

    async def worker(session: aiohttp.ClientSession, names: Iterator[str], states: dict[str, str]) -> None:
        for name in names:
            body = json.dumps({"AppName": "live", "DomainName": "5000.livepush.com", "StreamName": name}).encode()
            headers = sign(body, int(time.time()))
            async with session.post(endpoint, data=body, headers=headers) as response:
                states[name] = json.loads(await response.read())["Response"]["StreamState"]

    seconds = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for _ in range(rounds):
            gc.collect()
            states: dict[str, str] = {}
            names = iter([f"stream-{i:05d}" for i in range(count)])
            started = time.process_time()
            await asyncio.gather(*(worker(session, names, states) for _ in range(concurrency)))
            seconds.append(time.process_time() - started)
            assert len(states) == count
    return seconds


async def ours(endpoint: str, count: int, concurrency: int = 32, rounds: int = 6) -> list[float]:
    """Full rounds: planned, paced, signed, sent, read, judged, stored and counted; return CPU seconds of each."""
    seconds = []
    async with Service(watching(endpoint, count, concurrency), all_providers(), system_clock(), keys) as service:
        freeze_objects()  # as `serve` does
        for _ in range(rounds):
            gc.collect()
            started = time.process_time()
            await service.refresh(time.monotonic() + 600)
            seconds.append(time.process_time() - started)
            assert all(record.succeeded for record in service.board)
    return seconds


def sdk(endpoint: str, count: int) -> None:
    """Tencent's own SDK, with its connection kept."""
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.live.v20180801 import live_client, models

    http = HttpProfile(protocol="http", endpoint=endpoint.removeprefix("http://"), keepAlive=True)
    client = live_client.LiveClient(Credential("AKIDEXAMPLE", "made-up-secret"), "", ClientProfile(httpProfile=http))
    for i in range(count):
        request = models.DescribeLiveStreamStateRequest()
        request.AppName, request.DomainName, request.StreamName = "live", "5000.livepush.com", f"stream-{i:05d}"
        assert client.DescribeLiveStreamState(request).StreamState == "active"


def cpu(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of this process that a piece of work costs."""
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def blackbox(endpoint: str, count: int) -> float | None:
    """Return blackbox_exporter's CPU seconds per probe of the same provider, or None where it is not installed."""
    program = shutil.which("prometheus-blackbox-exporter")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write("modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}\n")
        file.flush()
        port = free_port()
        command = [program, f"--config.file={file.name}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}/probe?module=http&target={endpoint}/"
            asyncio.run(_fetch(url, 100))
            before = _cpu_of(process.pid)
            asyncio.run(_fetch(url, count))
            return (_cpu_of(process.pid) - before) / count
        finally:
            process.terminate()
            process.wait()


async def _fetch(url: str, count: int) -> None:
    async def worker(session: aiohttp.ClientSession, turns: Iterator[int]) -> None:
        for _ in turns:
            for _attempt in range(100):
                try:
                    async with session.get(url) as response:
                        assert b"probe_success 1" in await response.read()
                        break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)

    turns = iter(range(count))
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session, turns) for _ in range(8)))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(count: int = 3000, turns: int = 5) -> list[Row]:
    """Measure what a probe costs, each side in turn."""
    mine, base, vendor = [], [], []
    with running() as endpoint:
        for _ in range(turns):
            mine.append(min(asyncio.run(ours(endpoint, count, rounds=3))[1:]) / count * 1e6)
            base.append(min(asyncio.run(bare(endpoint, count, rounds=3))[1:]) / count * 1e6)
            vendor.append(cpu(lambda: sdk(endpoint, 500)) / 500 * 1e6)
        box = blackbox(endpoint, 3000)
    us, them, theirs = statistics.median(mine), statistics.median(base), statistics.median(vendor)
    rows = [
        Row("CPU per probe against a bare aiohttp + TC3 + json loop",
            statistics.median(a / b for a, b in zip(mine, base, strict=True)), "x", "<=", 1.25,
            f"{us:.0f} us, bare {them:.0f} us"),
        Row("CPU per probe of Tencent's own SDK against ours",
            statistics.median(b / a for a, b in zip(mine, vendor, strict=True)), "x", ">=", 5.0,
            f"SDK {theirs:.0f} us, ours {us:.0f} us"),
    ]  # fmt: skip
    if box is not None:
        rows.append(Row("CPU per probe of blackbox_exporter against ours", box * 1e6 / us, "x", ">=", 4.0,
                        f"blackbox_exporter {box * 1e6:.0f} us, ours {us:.0f} us"))  # fmt: skip
    return rows


async def _lag(seconds: float, late: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + seconds
        await asyncio.sleep(seconds)
        late.append(loop.time() - due)


async def _wide(endpoint: str, count: int, concurrency: int) -> tuple[float, list[float]]:
    late: list[float] = []
    async with Service(watching(endpoint, count, concurrency), all_providers(), system_clock(), keys) as service:
        freeze_objects()  # as `serve` does
        watcher = asyncio.create_task(_lag(0.005, late))
        started = time.monotonic()
        await service.refresh(time.monotonic() + 600)
        took = time.monotonic() - started
        watcher.cancel()
        assert all(record.succeeded for record in service.board)
    return took, late


async def _wide_bare(endpoint: str, count: int, concurrency: int) -> tuple[float, list[float]]:
    late: list[float] = []
    watcher = asyncio.create_task(_lag(0.005, late))
    started = time.monotonic()
    await bare(endpoint, count, concurrency, rounds=1)
    took = time.monotonic() - started
    watcher.cancel()
    return took, late


def wide(count: int = 10_000, delay: float = 0.05, concurrency: int = 128) -> list[Row]:
    """Measure a round of many calls in flight, and how late the event loop is meanwhile, beside the bare loop's."""
    with running(delay) as endpoint:
        took, late = asyncio.run(_wide(endpoint, count, concurrency))
        floor, bare_late = asyncio.run(_wide_bare(endpoint, count, concurrency))
    ideal = count * delay / concurrency
    p99, bare_p99 = (statistics.quantiles(found, n=100)[98] * 1e3 for found in (late, bare_late))
    return [
        Row(f"a round of {count:,} probes at {delay * 1e3:.0f} ms, {concurrency} in flight", took / ideal, "x", "<=",
            1.08, f"{took:.2f} s, N * latency / concurrency {ideal:.2f} s; bare loop {floor / ideal:.2f} x"),
        Row("event loop late meanwhile, p99", p99, "ms", "<=", 5.0, f"bare loop {bare_p99:.1f} ms"),
        Row("event loop late meanwhile, at most", max(late) * 1e3, "ms", "<=", 60.0,
            f"bare loop {max(bare_late) * 1e3:.1f} ms"),
    ]  # fmt: skip


async def _paced(endpoint: str, count: int, rate: float) -> tuple[float, int]:
    async with Service(watching(endpoint, count, 32, rate), all_providers(), system_clock(), keys) as service:
        started = time.monotonic()
        await service.refresh(time.monotonic() + 600)
        took = time.monotonic() - started
    async with aiohttp.ClientSession() as session, session.get(f"{endpoint}/busiest") as response:
        return took, int(await response.read())


def paced(count: int = 900, rate: float = 150.0) -> list[Row]:
    """Measure a round that the quota paces, at the provider's end."""
    with running(0.02) as endpoint:
        took, busiest = asyncio.run(_paced(endpoint, count, rate))
    return [
        Row(f"a round of {count} probes paced at {rate:.0f}/s", took / (count / rate), "x", "<=", 1.05,
            f"{took:.2f} s, N / rate {count / rate:.2f} s"),
        Row("calls in the busiest second at the provider", busiest, "calls", "<=", rate, f"kept rate {rate:.0f}"),
    ]  # fmt: skip
