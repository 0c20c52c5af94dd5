"""Connections that take long to make, on real sockets: the cloud counts no more calls in a second than are allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from exporter.config import Config, Scrape
from exporter.credentials.keyring import Keyring
from exporter.model import Stream
from exporter.providers import all_providers
from exporter.serving.service import Service, system_clock
from exporter.simulator import Simulator, World
from tests.core.test_transport import certificate, server_context
from tests.scenarios.stage import ADDRESS, KEYS, PLENTY, account

STREAMS = 60
RATE = 20.0


@asynccontextmanager
async def slow_to_connect(port: int, seconds: float) -> AsyncIterator[int]:
    """Pass connections on to a port, each after some seconds: a TLS handshake takes that much longer."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("seconds", [0.6])
def test_slow_connections_do_not_bunch_calls_up_at_the_cloud(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 calls a second stay 20 where they are counted, whatever a TLS handshake costs."""
    file = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    world = World()
    world.add_account(
        "alibaba", "alibaba", quota=dict.fromkeys(all_providers()["alibaba"].apis(), PLENTY), **KEYS["alibaba"]
    )
    watched: list[Stream] = []
    for number in range(STREAMS):
        world.add_stream(f"s{number}", "alibaba", **ADDRESS["alibaba"])
        watched.append(all_providers()["alibaba"].stream(name=f"s{number}", account="alibaba", **ADDRESS["alibaba"]))

    async def main() -> None:
        async with (
            Simulator(world, tls=server_context(file)) as simulator,
            slow_to_connect(int(simulator.url.rpartition(":")[2]), seconds) as port,
        ):
            quota = {"DescribeLiveStreamState": RATE}
            one = account("alibaba", f"https://127.0.0.1:{port}", quota=quota)
            config = Config(Scrape(10.0, 0.0, 120.0), (one,), tuple(watched))
            async with Service(config, all_providers(), system_clock(), Keyring({})) as service:
                await service.refresh(service.clock.mono() + 30)
                assert all(record.succeeded for record in service.board)

    asyncio.run(main())
    assert len(world.log) == STREAMS
    # One more is borne: the machine may hold a call or the counting up for longer than the window's margin.
    assert world.busiest() <= RATE + 1
