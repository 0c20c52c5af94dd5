"""What a client gets of what it takes, over real sockets: formats, packing, families, a prefix, and long headers."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition import negotiate, takes_gzip
from exporter.model import Reply, Request
from exporter.status import ASSETS
from exporter.transport import Transport
from testbed.processes import exporter
from testbed.provider import NOWHERE, tencent
from testbed.web import exchange, request, served, status
from tests.core.test_web import Staged, asking, facing, live

OPENMETRICS = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (f"{OPENMETRICS};q=0.5,text/plain;q=0.9", False),
        (f"{OPENMETRICS};q=0.9,text/plain;q=0.5", True),
        (f"text/plain;q=0.5,{OPENMETRICS};q=0.9", True),
        (f"{OPENMETRICS};q=0", False),
        (f"{OPENMETRICS};q=0,*/*", False),
        (f"{OPENMETRICS};q=0.0 , text/plain;q=0.1", False),
        (f"text/plain,{OPENMETRICS}", False),
        (f"{OPENMETRICS},text/plain", True),
        ("text/plain;q=0,*/*", True),
        (f"{OPENMETRICS};version=1.0.0;q=0.4,{OPENMETRICS};version=0.0.1;q=0.9,text/plain;q=0.5", False),
        (f"{OPENMETRICS.upper()} ; Q=0.8, text/*;q=0.2", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (f"{OPENMETRICS};q=0,text/plain;q=0", False),
    ],
)  # fmt: skip
def test_the_format_that_is_wanted_more(accept: str, openmetrics: bool) -> None:
    """The higher quality wins, of equal ones the first; q=0 refuses; the most specific range decides; else text."""
    assert negotiate(accept)[0] is openmetrics


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.1", True),
        ("identity, gzip", False),
        ("gzip, identity", True),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip;q=0.1", True),
        ("*;q=0", False),
        ("br, deflate", False),
        ("GZIP ; Q=1.000", True),
    ],
)
def test_packing_that_is_wanted_more(accept: str, packed: bool) -> None:
    """The same rules hold for gzip and for nothing."""
    assert takes_gzip({"Accept-Encoding": accept}) is packed


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics?name[]=stream_info", "/probe?target=tencent/a", "/probe?account=main"]
)
@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_probes_are_packed_as_scrapes_are(path: str, accept: str) -> None:
    """Whatever shows samples goes out packed to who takes that, plain to others, and says by what it varies."""

    async def main() -> None:
        async with Staged(live, reuse="1h") as service, facing(service) as (client, _):
            bodies = []
            for coding in ("gzip", "identity"):
                headers = {"Accept-Encoding": coding, "Accept": accept}
                async with client.session.get(client.make_url(path), headers=headers, auto_decompress=False) as answer:
                    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
                    assert answer.headers["Content-Type"].startswith(accept)
                    assert answer.headers.get("Content-Encoding", "identity") == coding
                    bodies.append(await answer.read())
            assert b"\nstream_info{" in gzip.decompress(bodies[0])
            assert b"\nstream_info{" in bodies[1]

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/", "/sd", "/api/v1/streams", *(f"/static/{name}" for name in ASSETS)])
def test_other_pages_vary_by_packing(path: str) -> None:
    """A cache that has the packed page does not give it to somebody who takes none."""
    [(answer, _)] = asking(live, path)
    assert (answer.status, answer.headers["Vary"]) == (200, "Accept-Encoding")


def families(text: str) -> set[str]:
    """Return the families of a document."""
    return {family.name for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["stream_active"], {"stream_active"}),
        (["stream_state_changes_total", "stream_up"], {"stream_state_changes"}),
        (["stream_state_changes"], {"stream_state_changes"}),
        (["stream_provider_request_duration_seconds_bucket"], {"stream_provider_request_duration_seconds"}),
        (["process_open_fds", "stream_exporter_build_info"], {"process_open_fds", "stream_exporter_build_info"}),
        (["stream_pushes_ended", "stream_last_callback_timestamp_seconds"],
         {"stream_pushes_ended", "stream_last_callback_timestamp_seconds"}),
        (["nothing"], set()),
    ],
)  # fmt: skip
def test_families_by_name(names: Iterable[str], shown: set[str]) -> None:
    """`name[]` leaves only those families, whole, under any name of theirs; an empty one asks for nothing."""
    query = "&".join(f"name[]={name}" for name in names)
    (_, some), (_, everything), (_, of_one) = asking(
        live, f"/metrics?{query}", "/metrics?name[]=", f"/probe?target=tencent/a&{query}"
    )
    assert families(some) == shown
    assert len(families(everything)) > 30
    assert families(of_one) <= shown
    for line in some.splitlines():
        if "process_" not in line and "duration" not in line:
            assert line in everything.splitlines()


# --- a prefix --------------------------------------------------------------------------------------------------------


def test_every_path_has_the_prefix() -> None:
    """What is served stands under the prefix and nowhere else, but for liveness and readiness, which are at both."""
    served = ("/live/metrics", "/live/", "/live/-/healthy", "/-/healthy", "/-/ready", "/live/config")
    answers = asking(live, *served, "/metrics", "/config", "/livemetrics", prefix="/live", home="/live/")
    assert [answer.status for answer, _ in answers] == [200] * 6 + [404] * 3
    [(_, targets)] = asking(live, "/live/sd", prefix="/live")
    assert {one["labels"]["__metrics_path__"] for one in json.loads(targets)} == {"/live/probe"}


def test_redirects_lead_to_the_page() -> None:
    """The root leads to the prefix, and that without its slash to the page as browsers reach it through a proxy."""

    async def main() -> list[str]:
        async with Staged(live) as service, facing(service, prefix="/in", home="/out/") as (client, _):
            answers = [await client.get(path, allow_redirects=False) for path in ("/", "/in")]
            assert [answer.status for answer in answers] == [302, 302]
            return [answer.headers["Location"] for answer in answers]

    assert asyncio.run(main()) == ["/in/", "/out/"]


def test_probes_of_a_cluster_need_no_password_under_the_prefix(tmp_path: Path) -> None:
    """Under the prefix, too, liveness and readiness are open where a password guards all else."""
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {alice: $2y$10$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW}\n")

    async def main() -> list[int]:
        flags = "--web.config.file", str(web), "--web.route-prefix", "/live"
        with exporter(tencent(NOWHERE, 1), *flags) as server:
            paths = ("/live/-/healthy", "/live/-/ready", "/-/healthy", "/live/metrics", "/live/-/reload", "/live")
            return [status(await exchange(server, request(path))) for path in paths]

    assert asyncio.run(main()) == [200, 200, 200, 401, 401, 401]


# --- long headers ----------------------------------------------------------------------------------------------------


def test_a_request_with_a_long_header_is_read() -> None:
    """16 KiB of one header, as with many cookies or a token, are read; far more is refused."""

    async def main() -> list[int]:
        with exporter(tencent(NOWHERE, 1)) as server:
            sizes = (1 << 14, 1 << 17)
            return [status(await exchange(server, request("/-/ready", "X: " + "x" * size))) for size in sizes]

    assert asyncio.run(main()) == [200, 400]


@pytest.mark.parametrize("size", [1 << 14, 1 << 15])
def test_an_answer_with_a_long_header_is_read(size: int) -> None:
    """A provider's answer may have a header of 32 KiB."""

    async def main(address: str) -> Reply:
        async with Transport() as transport:
            asked = Request("GET", f"http://{address}/", {}, b"")
            return await transport.send(asked, 10.0, 1 << 16)

    with served(lambda _: ({"X-Long": "x" * size}, b"{}")) as address:
        reply = asyncio.run(main(address))
    assert (reply.status, reply.body) == (200, b"{}")
