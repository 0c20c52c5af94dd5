"""A whole exporter on a store: its calls, its figures, and what a reload makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from exporter.config import Config, Scrape
from exporter.config.store import StoreAddress, StoreSettings
from exporter.model import Reply, Request
from exporter.providers import all_providers
from exporter.rounds.shared import Clock
from exporter.serving.service import Service
from exporter.store.client import Store
from testbed.store_model import ModelServer, Way
from tests.virtual import EPOCH, Network, account, credentials, reply, run, scrape

STORE = StoreSettings(StoreAddress("cache"))
RATE = 10


async def live(_provider: str, _request: Request) -> Reply:
    """Say that a stream is live, as ZEGO does."""
    return reply({"Code": 0, "Message": "ok", "RequestId": "1", "Data": {"UserCount": 1}})


def configured(store: StoreSettings | None = STORE, count: int = 30) -> Config:
    """Return a configuration of one ZEGO account."""
    kind = all_providers()["zego"]
    main = account("zego", "main", app_id=1, quota={kind.main.action: RATE})
    streams = tuple(kind.stream(name=f"s{number}", account="main") for number in range(count))
    return Config(Scrape(reuse=0.0), (main,), streams, store=store)


@asynccontextmanager
async def exporter(network: Network, server: ModelServer, name: str) -> AsyncIterator[Service]:
    """Run an exporter on a store in virtual time."""
    loop = asyncio.get_running_loop()
    clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)

    def opened(settings: StoreSettings, clock: Clock) -> Store:
        return Store(Way(server).dial, settings.replicas, clock.mono, clock.unix, lambda: 0.5, name)

    server.going.set()
    async with Service(
        configured(), all_providers(), clock, credentials, connect=network.connect, open_store=opened
    ) as service:
        yield service


async def figures(service: Service) -> set[str]:
    """Return the lines about the store."""
    text = (await service.document(openmetrics=False, compressed=False)).decode()
    return {line for line in text.splitlines() if line.startswith(("stream_exporter_store", "stream_exporter_repl"))}


def sequences(network: Network) -> list[int]:
    """Return the Sequence of each call, in order."""
    return [int(parse_qs(urlsplit(call.request.url).query)["Sequence"][0]) for call in network.calls]


def test_two_exporters_make_no_more_calls_a_second_than_one_and_repeat_no_sequence() -> None:
    """Both scrape the same account at once; the Sequence rises over both, in steps of sixteen microseconds."""

    async def main() -> None:
        network, server = Network(live), ModelServer()
        async with exporter(network, server, "a") as one, exporter(network, server, "b") as other:
            await asyncio.sleep(3.0)
            network.calls.clear()
            await asyncio.gather(*(scrape(each.prober, 3.0) for each in (one, other)))
            assert RATE * 3 / 1.04 * 0.9 <= len(network.calls) <= RATE * 3 + 1
            assert network.busiest_second() <= RATE
            told = sequences(network)
            assert told == sorted(set(told))
            assert {number % 16 for number in told} == {0}
            assert await figures(one) == {"stream_exporter_store_up 1.0", "stream_exporter_replicas 2.0"}

    run(main())


def test_figures_and_page_tell_of_the_store_and_a_reload_takes_it_away() -> None:
    """Up with how many, down without a number, and nothing without a store; then the whole quota is this exporter's."""

    async def main() -> None:
        network, server = Network(live), ModelServer()
        async with exporter(network, server, "a") as one:
            await asyncio.sleep(3.0)
            assert await figures(one) == {"stream_exporter_store_up 1.0", "stream_exporter_replicas 1.0"}
            server.up = False
            await asyncio.sleep(2.0)
            assert await figures(one) == {"stream_exporter_store_up 0.0"}
            one.configure(configured(None))
            assert await figures(one) == set()
            network.calls.clear()
            await scrape(one.prober, 3.0)
            assert len(network.calls) >= RATE * 3 / 1.04 * 0.9
            one.configure(configured())
            server.up = True
            await asyncio.sleep(1.0)
            assert "stream_exporter_store_up 1.0" in await figures(one)

    run(main())
