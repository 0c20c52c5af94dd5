"""Exporters as processes that share a real Redis which fails: no quota is broken, and no state is made up."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from testbed.processes import Server
from testbed.stores import executable, store
from tests.replicas.fleet import RATES, Fleet, cloud
from tests.replicas.promises import called, held, steady

pytestmark = pytest.mark.timeout(240)

REDIS: Final = executable("redis")


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
