"""What a shared store costs: CPU per probe, a scrape's answer, and what two idle exporters ask of the server."""

from __future__ import annotations

import asyncio
import gc
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.rounds import keys, watching
from benchmarks.table import Row
from exporter.config import Config
from exporter.config.store import StoreAddress, StoreSettings
from exporter.providers import all_providers
from exporter.serving.reload import freeze_objects
from exporter.serving.service import Service, system_clock
from testbed.processes import Server
from testbed.provider import running
from testbed.stores import executable, store


def sharing(config: Config, server: Server | None) -> Config:
    """Return a configuration with a store, or without."""
    if server is None:
        return config
    return replace(config, store=StoreSettings(StoreAddress("127.0.0.1", server.port), 1))


async def _ready(service: Service) -> None:
    """Wait until the store may be used, then ask once: connections, keys and slots are there."""
    changed = asyncio.Event()
    service.stores.on_change.append(changed.set)
    while (state := service.stores.state()) is not None and not state[0]:
        changed.clear()
        await changed.wait()
    await service.refresh(time.monotonic() + 600)
    freeze_objects()  # as `serve` does


async def _cost(config: Config, rounds: int) -> list[float]:
    """Return CPU seconds of full rounds."""
    seconds = []
    async with Service(config, all_providers(), system_clock(), keys) as service:
        await _ready(service)
        for _ in range(rounds):
            gc.collect()
            started = time.process_time()
            await service.refresh(time.monotonic() + 600)
            seconds.append(time.process_time() - started)
            assert all(record.succeeded for record in service.board)
    return seconds


async def _answers(configs: Sequence[Config], scrapes: int) -> list[float]:
    """Return how long all but one in a hundred scrapes took at most, in milliseconds, each side in turn."""
    took: list[list[float]] = [[] for _ in configs]
    async with AsyncExitStack() as stack:
        services = [Service(config, all_providers(), system_clock(), keys) for config in configs]
        for service in services:
            await _ready(await stack.enter_async_context(service))
        for _ in range(scrapes):
            for service, times in zip(services, took, strict=True):
                started = time.perf_counter()
                await service.refresh(time.monotonic() + 10)
                await service.document(openmetrics=True, compressed=True)
                times.append((time.perf_counter() - started) * 1e3)
    return [statistics.quantiles(times, n=100)[98] for times in took]


async def _idle(config: Config, server: Server, seconds: float) -> float:
    """Return the commands a second that an exporter sends which nobody scrapes."""
    async with Service(config, all_providers(), system_clock(), keys) as service:
        await _ready(service)
        before = await _commands(server)
        await asyncio.sleep(seconds)
        return (await _commands(server) - before) / seconds


async def _commands(server: Server) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"INFO commandstats\r\n")
    text = (await reader.readexactly(int((await reader.readline())[1:]))).decode()
    writer.close()
    # What scripts execute is counted, too.
    return sum(map(int, re.findall(r"cmdstat_(?:evalsha|eval|xread|xadd):calls=(\d+)", text)))


def rows(count: int = 2000, turns: int = 4, scrapes: int = 300) -> list[Row]:
    """Measure each with a store and without, in turn."""
    program = executable("redis") or executable("valkey")
    assert program is not None, "needs redis-server or valkey-server"
    with tempfile.TemporaryDirectory() as folder, running() as endpoint, store(program, Path(folder)) as server:
        whole, few = watching(endpoint, count), watching(endpoint, 100)
        costs: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(turns):
            for shared in (False, True):
                used = server if shared else None
                costs[shared].append(min(asyncio.run(_cost(sharing(whole, used), 3))) / count * 1e6)
        late, soon = asyncio.run(_answers([sharing(few, server), few], scrapes))
        commands = asyncio.run(_idle(sharing(few, server), server, 5.0))
    with_it, without = (min(costs[shared]) for shared in (True, False))
    return [
        Row("CPU per probe with a store against without", with_it / without, "x", "<=", 1.05,
            f"{with_it:.0f} us, without {without:.0f} us"),
        Row("a scrape of 100 streams with a store: later, p99", late - soon, "ms", "<=", 20.0,
            f"{late:.1f} ms, without {soon:.1f} ms"),
        Row("commands that an idle exporter sends the store", commands, "/s", "<=", 5.0, "heartbeats and reading"),
    ]  # fmt: skip
