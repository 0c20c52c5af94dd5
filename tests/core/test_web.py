"""The paths of the public face over loopback: deadlines, limits, negotiation, headers, and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from exporter import config, providers
from exporter.credentials.keyring import Keyring
from exporter.model import Account, Reply, Request
from exporter.serving.app import App
from exporter.serving.paths import OPEN, is_taken
from exporter.serving.scrape import MOST_SECONDS, MOST_WAITING, TIMEOUT_HEADER
from exporter.serving.service import Service, system_clock
from exporter.status import Site
from testbed.network import Plain
from tests.virtual import params, tencent_error, tencent_state

ACCOUNT = {
    "name": "main",
    "provider": "tencent",
    "secret_id": "an-id",
    "secret_key": "CANARY0key",
    "plan": "single",
    "figures": False,
}
STREAMS = [{"name": name, "account": "main", "domain": "d.example", "labels": {"team": "x"}} for name in ("a", "b/c")]
Client = TestClient[web.Request, web.Application]


class Staged(Service):
    """The running parts on a provider that is a function."""

    def __init__(self, behave: Callable[[Request], Awaitable[Reply]], streams: int = 0, **scrape: str) -> None:
        self.behave = behave
        self.asked = 0
        watched = [{**STREAMS[0], "name": f"s{number}"} for number in range(streams)] or STREAMS
        text = json.dumps({"scrape": {"reuse": "0s", **scrape}, "accounts": [ACCOUNT], "streams": watched}).encode()
        loaded = config.load(Path("config.yml"), providers.all_providers(), {}, lambda _path: text)
        super().__init__(loaded, providers.all_providers(), system_clock(), Keyring({}), connect=self._connected)

    async def __aenter__(self) -> Staged:
        """Return itself."""
        return self

    async def _connected(self, _provider: str, _account: Account, _gap: float, _new: bool) -> Plain:
        return Plain(self._send)

    async def _send(self, request: Request, _timeout: float, _largest: int) -> Reply:
        self.asked += 1
        return await self.behave(request)


async def live(_request: Request) -> Reply:
    """Say that a stream is live."""
    return tencent_state("active")


async def silent(_request: Request) -> Reply:
    """Never answer."""
    await asyncio.sleep(1e6)
    raise AssertionError


async def nothing() -> list[str]:
    """Reload without a problem."""
    return []


@asynccontextmanager
async def facing(service: Service, **fields: Any) -> AsyncIterator[tuple[Client, App]]:
    """Serve an app on a free port, and yield a client of it."""
    app = App(service, fields.pop("reload", nothing), **fields)
    async with TestClient(TestServer(app.application())) as client:
        yield client, app


def asking(
    behave: Callable[[Request], Awaitable[Reply]], *paths: str, **fields: Any
) -> list[tuple[ClientResponse, str]]:
    """Return the answers to some paths, one after another."""

    async def main() -> list[tuple[ClientResponse, str]]:
        async with Staged(behave) as service, facing(service, **fields) as (client, _):
            found = []
            for path in paths:
                response = await client.get(path)
                found.append((response, await response.text()))
            return found

    return asyncio.run(main())


def test_the_metrics_can_have_no_path_of_another_page() -> None:
    """Every other path of the server is known as taken, and those that need no password are among them."""

    async def main() -> set[str]:
        async with Staged(live) as service:
            routes = App(service, nothing, site=Site(telemetry_path="/numbers")).application().router.resources()
            return {one.canonical for one in routes}

    paths = asyncio.run(main())
    assert {path for path in paths if not is_taken(path)} == {"/numbers"}
    assert paths > OPEN
    assert len(paths) > 10


# --- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 9.5), ("2.5", 2.0), ("0.4", 0.05), ("1e-9", 0.05), ("1e308", MOST_SECONDS), (" 3 ", 2.5), ("+3", 2.5),
        ("NaN", 7.0), ("inf", 7.0), ("-Infinity", 7.0), ("1e999", 7.0), ("-1", 7.0), ("0", 7.0), ("", 7.0),
        ("abc", 7.0), ("0x10", 7.0), ("1_0", 7.0), ("\uff13", 7.0), ("10, 10", 7.0), ("9" * 5000, 7.0), (None, 7.0),
    ],
)  # fmt: skip
def test_the_deadline_comes_from_the_header_where_it_is_a_number(text: str | None, seconds: float) -> None:
    """A finite positive number, less the offset, within bounds; anything else counts as no header."""

    async def main() -> None:
        async with Staged(live, timeout="7s") as service:
            app = App(service, nothing)
            headers = {} if text is None else {TIMEOUT_HEADER: text}
            before = service.clock.mono()
            deadline = app.scrapes.deadline(make_mocked_request("GET", "/metrics", headers))
            assert before + seconds - 1e-6 <= deadline <= service.clock.mono() + seconds

    asyncio.run(main())


def test_of_two_headers_the_first_counts() -> None:
    """A proxy that adds a second header changes nothing."""

    async def main() -> tuple[int, float]:
        async with Staged(silent) as service, facing(service) as (client, _):
            headers = [(TIMEOUT_HEADER, "0.7"), (TIMEOUT_HEADER, "60")]
            started = asyncio.get_running_loop().time()
            async with client.get("/metrics", headers=headers) as response:
                await response.read()
                return response.status, asyncio.get_running_loop().time() - started

    status, seconds = asyncio.run(main())
    assert status == 200
    assert seconds < 30


def test_a_scrape_is_answered_whatever_the_provider_does() -> None:
    """At the deadline, with 200, and with what is known: that the streams were not answered for."""

    async def main() -> str:
        async with (
            Staged(silent) as service,
            facing(service) as (client, _),
            client.get("/metrics", headers={TIMEOUT_HEADER: "0.6"}) as response,
        ):
            assert response.status == 200
            return await response.text()

    text = asyncio.run(main())
    assert text.count("stream_probe_success{") == 2
    assert "stream_active{" not in text


# --- limits ----------------------------------------------------------------------------------------------------------


def test_beyond_sixty_four_waiting_scrapes_there_is_503() -> None:
    """A crowd waits in bounds; whoever is too many is told at once, and a place is free again afterwards."""

    async def main() -> list[int]:
        go = asyncio.Event()

        async def late(_request: Request) -> Reply:
            await go.wait()
            return tencent_state("active")

        async with Staged(late) as service, facing(service) as (client, app):

            async def scrape() -> int:
                async with client.get("/metrics") as response:
                    await response.read()
                    return response.status

            crowd = [asyncio.create_task(scrape()) for _ in range(MOST_WAITING)]
            while len(app.scrapes.places) < MOST_WAITING:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            refused = [await scrape() for _ in range(3)]
            assert refused == [503] * 3
            go.set()
            served = await asyncio.gather(*crowd)
            assert len(app.scrapes.places) == 0
            return [*served, await scrape()]

    assert asyncio.run(main()) == [200] * (MOST_WAITING + 1)


def test_scrapes_at_one_time_cost_one_round_and_one_document() -> None:
    """Twenty scrapers at once get the same bytes for two calls."""

    async def main() -> tuple[set[bytes], int]:
        async def slow(_request: Request) -> Reply:
            await asyncio.sleep(0.2)
            return tencent_state("active")

        async with Staged(slow) as service, facing(service) as (client, _):

            async def scrape() -> bytes:
                async with client.get("/metrics") as response:
                    return await response.read()

            bodies = await asyncio.gather(*(scrape() for _ in range(20)))
            return set(bodies), service.asked

    bodies, asked = asyncio.run(main())
    assert (len(bodies), asked) == (1, 2)


# --- negotiation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", True),
        ("text/plain", False), ("*/*", False), ("", False), (";;q=,,", False),
    ],
)  # fmt: skip
def test_the_format_is_what_was_accepted(accept: str, openmetrics: bool) -> None:
    """OpenMetrics for who asks for it, Prometheus's text for all others."""

    async def main() -> tuple[str, str]:
        async with (
            Staged(live) as service,
            facing(service) as (client, _),
            client.get("/metrics", headers={"Accept": accept}) as response,
        ):
            return response.headers["Content-Type"], await response.text()

    kind, text = asyncio.run(main())
    assert kind.startswith("application/openmetrics-text" if openmetrics else "text/plain")
    assert text.endswith("# EOF\n") == openmetrics


@pytest.mark.parametrize(
    ("accept", "packed"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), ("", False), ("identity", False), ("gzip;q=0", False),
     ("gzip; q=0.000, br", False), ("gzip;q=abc", True), (",,;", False)],
)  # fmt: skip
def test_gzip_goes_to_whom_takes_it(accept: str, packed: bool) -> None:
    """The packed document unpacks to the document."""

    async def main() -> tuple[str | None, bytes]:
        async with Staged(live) as service, facing(service) as (client, _):
            headers = {"Accept-Encoding": accept}
            async with client.session.get(
                client.make_url("/metrics"), headers=headers, auto_decompress=False
            ) as response:
                return response.headers.get("Content-Encoding"), await response.read()

    encoding, body = asyncio.run(main())
    assert (encoding == "gzip") == packed
    assert (gzip.decompress(body) if packed else body).startswith(b"# HELP")


def test_a_probe_of_one_stream_is_compressed_too() -> None:
    """A client that accepts gzip gets it, and reads the same metrics as one that does not."""

    async def main() -> tuple[str | None, bytes, bytes]:
        async with Staged(live) as service, facing(service) as (client, _):
            url = client.make_url("/probe?target=tencent/b/c")
            async with client.session.get(url, headers={"Accept-Encoding": "identity"}) as plain:
                text = await plain.read()
            async with client.session.get(url, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as packed:
                return packed.headers.get("Content-Encoding"), gzip.decompress(await packed.read()), text

    encoding, unpacked, text = asyncio.run(main())
    assert encoding == "gzip"
    assert [line.split()[0] for line in unpacked.splitlines()] == [line.split()[0] for line in text.splitlines()]
    assert b"stream_active{" in text


# --- what is shown, and what is refused ------------------------------------------------------------------------------


def test_a_probe_asks_for_its_target_alone() -> None:
    """One stream, or one account; its samples and no others."""
    (one, text), (account, all_text) = asking(live, "/probe?target=tencent/b/c", "/probe?account=main")
    assert (one.status, account.status) == (200, 200)
    assert text.count("stream_active{") == 1
    assert 'stream="b/c"' in text
    assert all_text.count("stream_active{") == 2


@pytest.mark.parametrize(
    "query",
    ["", "?target=", "?target=tencent/x", "?target=nobody/a", "?target=a", "?account=nobody",
     "?account=main&account=main", "?target=tencent/a&account=main", "?target=http://169.254.169.254/",
     "?target=tencent/a%00", "?target=%ff", "?module=x"],
)  # fmt: skip
def test_nothing_unlisted_can_be_probed(query: str) -> None:
    """Whatever is not configured is 400, and no call is made."""

    async def main() -> tuple[int, int]:
        async with (
            Staged(live) as service,
            facing(service) as (client, _),
            client.get(f"/probe{query}") as response,
        ):
            return response.status, service.asked

    assert asyncio.run(main()) == (400, 0)


def test_debug_shows_what_was_asked_what_came_back_and_how_it_was_judged() -> None:
    """For people: the action, the answer, the verdict; nothing that it was signed with."""

    async def behave(request: Request) -> Reply:
        return tencent_state("active") if params(request)["StreamName"] == "a" else tencent_error("InternalError")

    (_, good), (_, bad) = asking(behave, "/probe?target=tencent/a&debug=true", "/probe?target=tencent/b/c&debug=true")
    assert "DescribeLiveStreamState" in good
    assert "StreamState" in good
    assert "judged: active" in good
    assert "reason provider_error, code InternalError" in bad
    assert "CANARY0" not in good + bad
    assert "Signature=" not in good + bad


def test_a_loop_of_debug_probes_costs_a_call_a_second() -> None:
    """Who asks again at once waits for the second; who has no time is told how old the last answer is."""

    async def main() -> tuple[int, int, list[str]]:
        async with Staged(live) as service, facing(service) as (client, _):
            path, texts = "/probe?target=tencent/a&debug=true", []
            for header in ({}, {TIMEOUT_HEADER: "0.7"}, {TIMEOUT_HEADER: "0.7"}):
                async with client.get(path, headers=header) as response:
                    texts.append(await response.text())
            quick = service.asked
            async with client.get(path) as response:
                texts.append(await response.text())
            return quick, service.asked, texts

    quick, asked, texts = asyncio.run(main())
    assert (quick, asked) == (1, 2)
    assert ["judged: active" in text for text in texts] == [True, False, False, True]
    assert all("The last attempt was " in text and " ms ago" in text for text in texts[1:3])


def test_service_discovery_lists_the_watched_streams() -> None:
    """As http_sd wants it: targets, and labels that lead a scrape to `/probe`."""
    ((response, text),) = asking(live, "/sd")
    rows = json.loads(text)
    assert response.content_type == "application/json"
    assert [row["targets"] for row in rows] == [["tencent/a"], ["tencent/b/c"]]
    assert rows[1]["labels"]["__param_target"] == "tencent/b/c"
    assert rows[1]["labels"]["__meta_stream_label_team"] == "x"


def test_the_api_tells_each_streams_state() -> None:
    """True, false or null, since when, and why not."""

    async def behave(request: Request) -> Reply:
        return tencent_state("inactive") if params(request)["StreamName"] == "a" else tencent_error("InternalError")

    _, (_, text) = asking(behave, "/metrics", "/api/v1/streams")
    down, unknown = json.loads(text)
    assert (down["state"], down["active"], down["error"]) == ("inactive", False, None)
    assert down["since"] == down["last_success"]
    assert (unknown["state"], unknown["active"], unknown["last_success"]) == ("unknown", None, None)
    assert unknown["error"]["reason"] == "provider_error"
    assert unknown["error"]["advice"]


def test_all_views_show_the_same_of_a_stream() -> None:
    """Metrics, JSON and page agree on the state of each stream, whatever it is; http_sd lists them all."""
    states = {"s0": "active", "s1": "inactive", "s2": "forbid", "s3": ""}

    async def behave(request: Request) -> Reply:
        state = states[params(request)["StreamName"]]
        return tencent_state(state) if state else tencent_error("InternalError")

    async def main() -> list[str]:
        async with Staged(behave, streams=4) as service, facing(service) as (client, _):
            texts = []
            for path in ("/metrics", "/api/v1/streams", "/", "/sd"):
                async with client.get(path) as response:
                    texts.append(await response.text())
            return texts

    metrics, rows, page, targets = asyncio.run(main())
    told = {row["stream"]: row for row in json.loads(rows)}
    assert {name: row["state"] for name, row in told.items()} == {
        "s0": "active", "s1": "inactive", "s2": "forbidden", "s3": "unknown",
    }  # fmt: skip
    for name, row in told.items():
        labels = f'provider="tencent",stream="{name}"'
        assert f'stream_state{{{labels},state="{row["state"]}"}} 1.0' in metrics
        active = None if row["active"] is None else f"stream_active{{{labels}}} {float(row['active'])}"
        assert active in metrics if active else f"stream_active{{{labels}}}" not in metrics
        assert f'class="r-{row["state"]}"' in page
    assert [target["targets"] for target in json.loads(targets)] == [[f"tencent/{name}"] for name in told]


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/config", "/sd", "/nothing-here", "/probe", "/-/healthy", "/-/ready"]
)
def test_every_answer_carries_the_security_headers(path: str) -> None:
    """Errors too."""
    ((response, _),) = asking(live, path)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "deny"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_the_configuration_is_shown_without_secrets() -> None:
    """As YAML, with `<secret>` where one stands."""
    ((response, text),) = asking(live, "/config")
    assert response.content_type == "application/yaml"
    assert "<secret>" in text
    assert "CANARY0" not in text


def test_a_fault_of_our_own_is_500_without_its_text(said: io.StringIO) -> None:
    """The answer says where to look, the log where it was; neither what was in the exception."""

    async def broken() -> list[str]:
        raise ZeroDivisionError("CANARY0")

    async def main() -> tuple[int, str]:
        async with (
            Staged(live) as service,
            facing(service, lifecycle=True, reload=broken) as (client, _),
            client.post("/-/reload") as response,
        ):
            return response.status, await response.text()

    status, text = asyncio.run(main())
    assert status == 500
    assert "ZeroDivisionError" in said.getvalue()
    assert "CANARY0" not in text + said.getvalue()


# --- life cycle ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifecycle", "problems", "status"), [(False, [], 403), (True, [], 200), (True, ["config.yml:1:1: bad"], 500)]
)
def test_reload_is_closed_unless_opened_and_says_what_is_wrong(
    lifecycle: bool, problems: list[str], status: int
) -> None:
    """403 by default; 200, or 500 with every error."""
    called = []

    async def reload() -> list[str]:
        called.append(1)
        return problems

    async def main() -> tuple[int, int, str]:
        async with (
            Staged(live) as service,
            facing(service, lifecycle=lifecycle, reload=reload) as (client, _),
            client.get("/-/reload") as got,
            client.post("/-/reload") as posted,
        ):
            return got.status, posted.status, await posted.text()

    got, posted, text = asyncio.run(main())
    assert (got, posted) == (405, status)
    assert len(called) == lifecycle
    assert all(problem in text for problem in problems)


@pytest.mark.parametrize("ready", [True, False])
def test_readiness_is_told(ready: bool) -> None:
    """200 while able to probe, 503 otherwise; alive either way."""
    (healthy, _), (told, _) = asking(live, "/-/healthy", "/-/ready", ready=ready)
    assert healthy.status == 200
    assert told.status == (200 if ready else 503)


def test_large_pages_are_sent_whole_and_packed_for_whom_takes_that() -> None:
    """What is sent piece by piece is the same page; a HEAD request gets its headers alone."""

    async def main() -> tuple[bytes, bytes, str | None, tuple[int, bytes]]:
        async with Staged(live, streams=2000) as service, facing(service) as (client, app):
            url = client.make_url("/api/v1/streams")
            async with client.session.get(url, headers={"Accept-Encoding": "identity"}) as plain:
                body = await plain.read()
            async with client.session.get(url, headers={"Accept-Encoding": "gzip"}) as packed:
                unpacked = await packed.read()
            async with client.session.head(url) as head:
                empty = head.status, await head.read()
            # What followed the head of an answer to HEAD would be taken for the next answer.
            soon = {TIMEOUT_HEADER: "1"}
            async with client.head("/metrics", headers=soon) as head, client.get("/-/healthy") as next_one:
                assert (head.status, await head.read(), next_one.status) == (200, b"", 200)
            assert app.large.bytes == 0
            return body, unpacked, packed.headers.get("Content-Encoding"), empty

    body, unpacked, encoding, empty = asyncio.run(main())
    assert len(json.loads(body)) == 2000
    assert body == unpacked
    assert encoding == "gzip"
    assert empty == (200, b"")


def test_the_path_of_the_metrics_can_be_another() -> None:
    """`--web.telemetry-path` moves it, and nothing is left at the old place."""
    (moved, _), (old, _) = asking(live, "/own/metrics", "/metrics", site=Site(telemetry_path="/own/metrics"))
    assert (moved.status, old.status) == (200, 404)
