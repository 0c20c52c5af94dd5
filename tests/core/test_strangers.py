"""Strangers at the public face: they cannot keep others out, make the same work twice, or use a reader's browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import TestClient, TestServer

from exporter.model import Answer, Reply, Request, State
from exporter.serving.app import App
from exporter.serving.scrape import MOST_DEBUG, MOST_PROBES, MOST_WAITING, TIMEOUT_HEADER
from testbed.processes import eventually
from tests.core.test_web import Client, Staged, facing, live, silent
from tests.virtual import tencent_state


@asynccontextmanager
async def from_address(client: Client, address: str) -> AsyncIterator[ClientSession]:
    """Yield a session whose connections come from another loopback address."""
    connector = TCPConnector(local_addr=(address, 0), limit=0)
    async with ClientSession(client.make_url("/"), connector=connector) as session:
        yield session


async def statuses(session: ClientSession, path: str, count: int, **headers: str) -> list[asyncio.Task[int]]:
    """Send so many requests; return what will be their statuses."""

    async def ask() -> int:
        async with session.get(path, headers=headers) as response:
            await response.read()
            return response.status

    return [asyncio.create_task(ask()) for _ in range(count)]


def test_strangers_of_one_address_cannot_keep_the_places_of_scrapes() -> None:
    """Sixty-four of them wait; whoever comes from elsewhere takes a place of theirs, and one of them gets 503."""

    async def main() -> tuple[list[int], list[int]]:
        go = asyncio.Event()

        async def late(_request: Request) -> Reply:
            await go.wait()
            return tencent_state("active")

        async with (
            Staged(late) as service,
            facing(service) as (client, app),
            from_address(client, "127.0.0.2") as strangers,
            from_address(client, "127.0.0.1") as prometheus,
        ):
            crowd = await statuses(strangers, "/metrics", MOST_WAITING)
            await eventually(lambda: len(app.scrapes.places) == MOST_WAITING, 30)
            ours = await statuses(prometheus, "/metrics", 2)
            await eventually(lambda: sum(one.done() for one in crowd) == 2, 30)
            go.set()
            return [await one for one in ours], sorted([await one for one in crowd])

    ours, crowd = asyncio.run(main())
    assert ours == [200, 200]
    assert crowd == [200] * (MOST_WAITING - 2) + [503] * 2


def test_who_would_sit_longest_gives_way_to_a_scrape_of_the_same_address() -> None:
    """Behind one proxy all have one address: long waits lose their places to shorter ones."""

    async def main() -> tuple[int, list[int]]:
        async with Staged(silent) as service, facing(service) as (client, app):
            crowd = await statuses(client.session, str(client.make_url("/metrics")), MOST_WAITING, **sitting)
            await eventually(lambda: len(app.scrapes.places) == MOST_WAITING, 30)
            (ours,) = await statuses(client.session, str(client.make_url("/metrics")), 1, **{TIMEOUT_HEADER: "1"})
            status = await ours
            lost = [await one for one in crowd if one.done()]
            for one in crowd:
                one.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
            return status, lost

    sitting = {TIMEOUT_HEADER: "120"}
    assert asyncio.run(main()) == (200, [503])


@pytest.mark.parametrize("addresses", [1, MOST_WAITING + 20])
def test_strangers_with_short_deadlines_who_come_again_do_not_keep_prometheus_out(addresses: int) -> None:
    """More than there are places ask again at once, from its own address or each from another; it is answered."""

    async def main() -> tuple[list[int], int]:
        over, refused = asyncio.Event(), 0

        async def stranger(session: ClientSession) -> None:
            nonlocal refused
            while not over.is_set():
                async with session.get("/metrics", headers={TIMEOUT_HEADER: "1"}) as response:
                    refused += response.status == 503
                await asyncio.sleep(0.01)

        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(Staged(silent))
            client, app = await stack.enter_async_context(facing(service))
            homes = [f"127.0.1.{number}" if addresses > 1 else "127.0.0.1" for number in range(1, addresses + 1)]
            sessions = [await stack.enter_async_context(from_address(client, home)) for home in homes]
            prometheus = await stack.enter_async_context(from_address(client, "127.0.0.1"))
            crowd = [asyncio.create_task(stranger(sessions[n % addresses])) for n in range(MOST_WAITING + 20)]
            await eventually(lambda: len(app.scrapes.places) == MOST_WAITING, 30)
            scrape = {TIMEOUT_HEADER: "2", "User-Agent": "Prometheus/3"}
            ours = [await (await statuses(prometheus, "/metrics", 1, **scrape))[0] for _ in range(2)]
            over.set()
            await asyncio.gather(*crowd)
            return ours, refused

    ours, refused = asyncio.run(main())
    assert ours == [200, 200]
    assert refused > 20


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=tencent/a", "/probe?target=tencent/a&debug=true"])
def test_who_hangs_up_holds_no_place(path: str) -> None:
    """As many as there are places ask and hang up; the next is let in at once."""

    async def main() -> list[int]:
        async with Staged(silent) as service, facing(service) as (client, app):
            places = {"/metrics": app.scrapes.places}.get(
                path, app.scrapes.debugs if "debug" in path else app.scrapes.probes
            )
            most = {"/metrics": MOST_WAITING}.get(path, MOST_DEBUG if "debug" in path else MOST_PROBES)
            connected = []
            for _ in range(most):
                _, writer = await asyncio.open_connection(client.host, client.port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{TIMEOUT_HEADER}: 60\r\n\r\n".encode())
                connected.append(writer)
            await eventually(lambda: len(places) == most, 30)
            before = len(places)
            for writer in connected:
                writer.close()
            await eventually(lambda: len(places) == 0, 30)
            (ours,) = await statuses(client.session, str(client.make_url(path)), 1, **{TIMEOUT_HEADER: "0.6"})
            return [before, await ours]

    most = MOST_WAITING if path == "/metrics" else MOST_DEBUG if "debug" in path else MOST_PROBES
    assert asyncio.run(main()) == [most, 200]


@pytest.mark.parametrize(
    ("path", "most", "what"),
    [("/probe?target=tencent/a", MOST_PROBES, "probes"), ("/probe?account=main&debug=true", MOST_DEBUG, "debug=true")],
)
def test_probes_wait_in_bounds(path: str, most: int, what: str) -> None:
    """Beyond them 503; scrapes have places of their own."""

    async def main() -> tuple[int, str, int]:
        async with (
            Staged(silent) as service,
            facing(service) as (client, app),
            from_address(client, "127.0.0.1") as session,
        ):
            crowd = await statuses(session, path, most, **{TIMEOUT_HEADER: "60"})
            await eventually(lambda: len(app.scrapes.probes) + len(app.scrapes.debugs) == most, 30)
            async with session.get(path, headers={TIMEOUT_HEADER: "60"}) as refused:
                text = await refused.text()
            async with client.get("/metrics", headers={TIMEOUT_HEADER: "0.6"}) as scrape:
                await scrape.read()
            for one in crowd:
                one.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
            return refused.status, text, scrape.status

    status, text, scrape = asyncio.run(main())
    assert (status, scrape) == (503, 200)
    assert what in text


@pytest.mark.parametrize("path", ["/", "/api/v1/streams", "/sd", "/config"])
def test_a_page_is_the_same_for_all_who_ask_at_once(path: str) -> None:
    """Fifty readers get the same bytes; after a change the next gets another page where it tells of that."""

    async def main() -> tuple[int, int, bool, bool]:
        async with Staged(live, streams=500) as service, facing(service) as (client, app):

            async def read() -> bytes:
                async with client.get(path) as response:
                    return await response.read()

            pages = await asyncio.gather(*(read() for _ in range(50)))
            begun = len(app.pages._started)
            record = next(iter(service.board))
            service.board.answered(record, Answer(State.ACTIVE), "DescribeLiveStreamState", service.clock.now())
            after = await read()
            return len(set(pages)), begun, after == pages[0], app.large.bytes == 0

    assert asyncio.run(main()) == (1, 1, path in ("/sd", "/config"), True)


@pytest.mark.parametrize(("method", "path"), [("GET", "/config"), ("HEAD", "/config"), ("POST", "/-/reload")])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:10180", "Origin": "http://evil.example:10180"}, 403),
        ({"Host": "127.0.0.1", "Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "stream-exporter.monitoring.svc:10180"}, 200),
        ({"Host": "streams.example.com"}, 200),
        ({}, 200),
    ],
)
def test_a_strangers_page_neither_reads_the_configuration_nor_reloads(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """403 for another site's page and for a foreign host; programs, services and the configured name are let in."""
    called = []

    async def reload() -> list[str]:
        called.append(1)
        return []

    async def main() -> int:
        names = frozenset({"streams.example.com"})
        async with (
            Staged(live) as service,
            facing(service, lifecycle=True, reload=reload, names=names) as (client, _),
            client.request(method, path, headers=headers) as response,
        ):
            return response.status

    assert asyncio.run(main()) == status
    assert len(called) == (path == "/-/reload" and status == 200)


def test_a_reload_goes_on_when_its_client_leaves() -> None:
    """Who hangs up in the middle does not leave half a configuration behind."""
    done = []

    async def main() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def reload() -> list[str]:
            begun.set()
            await go.wait()
            done.append(1)
            return []

        async with Staged(live) as service:
            app = App(service, reload, lifecycle=True)
            server = TestServer(app.application(), handler_cancellation=True)
            async with TestClient(server) as client:
                (asked,) = [asyncio.create_task(client.post("/-/reload"))]
                await begun.wait()
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
                await asyncio.sleep(0.05)
                go.set()
                await eventually(lambda: bool(done), 30)

    asyncio.run(main())
    assert done == [1]


def test_one_exposition_is_rendered_at_a_time() -> None:
    """Scrapes that end one after another while the board changes share the next document, which knows what they do."""

    async def main() -> int:
        most, later = 0, []
        async with Staged(live, streams=5_000) as service:
            for record, _ in zip(service.board, range(20), strict=False):
                service.board.answered(record, Answer(State.ACTIVE), "DescribeLiveStreamState", service.clock.now())
                later.append(asyncio.create_task(service.document(openmetrics=False, compressed=False)))
                await asyncio.sleep(0)
                most = max(most, sum("PageCache._run" in repr(task.get_coro()) for task in asyncio.all_tasks()))
            bodies = await asyncio.gather(*later)
            assert all(body.count(b"\nstream_active{") > number for number, body in enumerate(bodies))
            return most

    # One job runs and one is queued.
    assert asyncio.run(main()) == 2
