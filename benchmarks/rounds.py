"""What a probe costs: our whole round against the barest loop that could do it, and against Tencent's own SDK."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp

from benchmarks.provider import running
from exporter import providers
from exporter.config import Config, Scrape
from exporter.model import Account, Credentials, Secret, Stream
from exporter.provider import AnyProvider
from exporter.service import Service, clock


async def keys(_provider: AnyProvider, _account: Account) -> Credentials:
    """Return made-up credentials."""
    return Credentials("AKIDEXAMPLE", Secret("made-up-secret"))


def watching(endpoint: str, count: int, concurrency: int = 32, rate: float = 1e6) -> Config:
    """Return a configuration of Tencent streams asked singly."""
    tencent = providers.found()["tencent"]
    account = tencent.account(
        name="main", provider="tencent", endpoint=endpoint, concurrency=concurrency, plan="single",
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
    async with Service(watching(endpoint, count, concurrency), providers.found(), clock(), keys) as service:
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            gc.collect()
            started = time.process_time()
            await service.refresh(time.monotonic() + 600)
            seconds.append(time.process_time() - started)
            assert all(record.succeeded for record in service.board)
        gc.unfreeze()
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


if __name__ == "__main__":
    COUNT = 3000
    with running() as endpoint:
        mine, base, vendor = [], [], []
        for _ in range(5):
            mine.append(min(asyncio.run(ours(endpoint, COUNT, rounds=3))[1:]) / COUNT * 1e6)
            base.append(min(asyncio.run(bare(endpoint, COUNT, rounds=3))[1:]) / COUNT * 1e6)
            vendor.append(cpu(lambda: sdk(endpoint, 1000)) / 1000 * 1e6)
        print(mine, base, vendor)
        print("bare", statistics.median(a / b for a, b in zip(mine, base, strict=True)))
        print("sdk", statistics.median(b / a for a, b in zip(mine, vendor, strict=True)))
