"""`serve`: what it takes for its own names, and what its connections say of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import socket
from pathlib import Path

import pytest
import structlog

from exporter.commands.listening import own_names
from exporter.commands.options import Address, ServeOptions, SocketFile
from exporter.commands.serve import serve
from exporter.commands.terminal import Terminal
from testbed.processes import exporter
from testbed.provider import NOWHERE, tencent
from testbed.web import exchange, request, status
from tests.commands.running import tencent as account
from tests.commands.running import written


def test_its_own_names_are_the_machines_and_the_configured_ones() -> None:
    """Host name, names it listens on, the outside address, and names under the search domains, a pod's too.

    An address needs no name: as one it would let in the page of any other program that listens there.
    """
    options = ServeOptions(
        web_listen_address=(
            Address("exporter.corp.example", 1), Address(None, 2), Address("127.0.0.1", 3), Address("::1", 4),
            SocketFile(Path("/run/exporter.example")),
        ),
        web_external_url="https://Streams.example:8443/path",
    )  # fmt: skip
    resolving = (
        "nameserver 10.0.0.2\nsearch Media.svc.cluster.local svc.cluster.local corp.example. local\n\noptions x\n"
    )
    assert own_names(options, resolving) == {
        socket.gethostname().lower(), "exporter.corp.example", "streams.example",
        ".media.svc.cluster.local", ".media", ".svc.cluster.local", ".corp.example",
    }  # fmt: skip
    assert own_names(ServeOptions(), "") == {socket.gethostname().lower()}


@pytest.mark.parametrize("path", ["/config", "/-/reload"])
def test_a_foreign_host_is_refused_by_the_running_process(path: str) -> None:
    """403 under a stranger's name, 200 under an address and under the one given by `--web.external-url`."""

    async def main() -> list[int]:
        flags = "--web.enable-lifecycle", "--web.external-url=https://streams.example"
        with exporter(tencent(NOWHERE, 3), *flags) as server:
            method = "GET" if path == "/config" else "POST"
            hosts = ["evil.example", f"127.0.0.1:{server.port}", "streams.example"]
            asked = [request(path, method=method).replace(b"Host: exporter", f"Host: {one}".encode()) for one in hosts]
            asked.append(request(path, "Origin: http://evil.example", method=method))
            return [status(await exchange(server, one)) for one in asked]

    assert asyncio.run(main()) == [403, 200, 200, 403]


@pytest.mark.parametrize(
    "data",
    [request("/"), request("/nothing"), request("/-/healthy"), request("/metrics", "Expect: a-pony"),
     b"garbage\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", request("/", "X-Big: " + "x" * 100_000)],
    ids=["page", "404", "text", "417", "garbage", "version", "header"],
)  # fmt: skip
def test_no_answer_names_versions(data: bytes) -> None:
    """Whatever is sent, the answer says `stream-exporter` and nothing of what that runs on."""

    async def main() -> bytes:
        with exporter(tencent(NOWHERE, 1)) as server:
            return await exchange(server, data)

    head = asyncio.run(main()).partition(b"\r\n\r\n")[0]
    assert b"\r\nServer: stream-exporter" in head
    assert b"aiohttp" not in head
    assert b"Python" not in head


def test_a_signal_to_reload_during_the_start(tmp_path: Path) -> None:
    """SIGHUP before the exporter listens does not end it; the configuration is read again once it does."""
    file = Path(written(tmp_path / "c.yml", [account()], []))
    log = io.StringIO()

    async def main() -> int:
        options = ServeOptions(config_file=file, web_listen_address=(Address("127.0.0.1", 0),))
        starting = asyncio.create_task(serve(options, Terminal(io.StringIO(), log, {})))
        await asyncio.sleep(0)
        assert "listening" not in log.getvalue()
        os.kill(os.getpid(), signal.SIGHUP)
        while "configuration reloaded" not in log.getvalue():
            assert not starting.done(), log.getvalue()
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        return await starting

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = structlog.get_config()
    try:
        with contextlib.redirect_stderr(log):
            assert asyncio.run(asyncio.wait_for(main(), 30)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
        structlog.configure(**settings)
    assert log.getvalue().index("listening") < log.getvalue().index("configuration reloaded")
