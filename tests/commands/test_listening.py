"""Where the exporter listens, on real sockets: families, names, files, systemd's sockets, TLS that fails."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.commands.listening import SOCKET_MODE, listen
from exporter.commands.options import Address, ServeOptions, SocketFile
from exporter.commands.terminal import Terminal
from exporter.serving.accepting import Failures
from testbed.processes import EXPORTER_SAYS, running, serve, written
from testbed.provider import NOWHERE, tencent
from tests.core.test_transport import certificate, server_context

LOOPBACKS = ("127.0.0.1", "::1")
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def listening(
    *addresses: Address | SocketFile, tls: ssl.SSLContext | None = None, answer: str = "here"
) -> AsyncIterator[tuple[list[str] | None, str]]:
    """Serve a page; yields the URLs, None if it cannot be served, and what was complained."""

    async def here(_request: web.Request) -> web.Response:
        return web.Response(text=answer)

    application, said = web.Application(), io.StringIO()
    application.router.add_get("/", here)
    runner = web.AppRunner(application)
    urls = await listen(runner, ServeOptions(web_listen_address=addresses), tls, Terminal(io.StringIO(), said, {}))
    try:
        yield urls, said.getvalue()
    finally:
        await runner.cleanup()


async def get(*where: Any, tls: ssl.SSLContext | None = None, data: bytes = REQUEST) -> bytes:
    """Return what comes back from a host and port, or from a socket's file, until the connection ends."""
    opening = asyncio.open_connection(*where, ssl=tls) if len(where) == 2 else asyncio.open_unix_connection(*where)
    reader, writer = await opening
    try:
        async with asyncio.timeout(30):
            writer.write(data)
            return await reader.read()
    finally:
        writer.close()


def free_port() -> int:
    """Return a port that nobody uses in either family."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        port: int = taken.getsockname()[1]
        return port


# --- families --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [None, "::"])
def test_everywhere_is_in_both_families(host: str | None) -> None:
    """`:P` and `[::]:P` answer on one port in IPv4 and in IPv6, and are shown by an address that works everywhere."""

    async def main() -> list[bytes]:
        async with listening(Address(host, port)) as (urls, _):
            assert urls == [f"http://127.0.0.1:{port}"]
            return [await get(one, port) for one in LOOPBACKS]

    port = free_port()
    assert all(b"200 OK" in answer for answer in asyncio.run(main()))


def test_ipv4_keeps_what_it_was_given() -> None:
    """Beside an address of IPv4 on the same port, `[::]:P` takes IPv6 alone, in whatever order they stand."""

    async def main(*hosts: str) -> list[bytes]:
        async with listening(*(Address(host, port) for host in hosts)) as (urls, said):
            assert urls is not None, said
            assert sorted(urls) == [f"http://127.0.0.1:{port}", f"http://[::1]:{port}"]
            return [await get(one, port) for one in LOOPBACKS]

    port = free_port()
    for hosts in (("0.0.0.0", "::"), ("::", "127.0.0.1")):
        assert all(b"200 OK" in answer for answer in asyncio.run(main(*hosts)))


def test_an_address_of_one_family_stays_in_it() -> None:
    """`0.0.0.0:P` does not answer in IPv6, nor `[::1]:P` in IPv4."""

    async def main(host: str, other: str) -> None:
        async with listening(Address(host, port)):
            with pytest.raises(ConnectionRefusedError):
                await get(other, port)

    port = free_port()
    asyncio.run(main("0.0.0.0", "::1"))
    asyncio.run(main("::1", "127.0.0.1"))


class Resolving(asyncio.SelectorEventLoop):
    """An event loop whose names have these addresses."""

    found: tuple[str, ...] = ()

    async def getaddrinfo(self, _host: Any, port: Any, **_: Any) -> Any:  # type: ignore[override]
        """Return them."""
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in self.found
        ]


def named(*found: str, port: int = 0) -> tuple[list[str] | None, str, str]:
    """Listen at a name with these addresses; return the URLs, what was complained, and what the first one answers."""

    async def main() -> tuple[list[str] | None, str, str]:
        async with listening(Address("name", port)) as (urls, said):
            answers = [await get(*_place(url)) for url in urls or ()]
            return urls, said, "".join(answer.decode() for answer in answers)

    loop = Resolving()
    loop.found = found
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


def _place(url: str) -> tuple[str, int]:
    host, _, port = url.partition("//")[2].rpartition(":")
    return host.strip("[]"), int(port)


@pytest.mark.parametrize("order", [("2001:db8::1", "127.0.0.1"), ("127.0.0.1", "2001:db8::1")])
def test_a_name_is_served_where_one_of_its_addresses_is_off(order: tuple[str, str], said: io.StringIO) -> None:
    """`localhost:P` starts on a machine without one of the families; the log says what is not listened on."""
    urls, complained, answer = named(*order)
    assert urls is not None, complained
    assert [_place(url)[0] for url in urls] == ["127.0.0.1"]
    assert "200 OK" in answer
    assert "the name has an address that this machine lacks" in said.getvalue()


def test_a_name_is_served_on_all_its_addresses(said: io.StringIO) -> None:
    """A name with two addresses is served on both; an address that is told twice counts once."""
    urls, complained, answer = named("::1", "127.0.0.1", "::1")
    assert urls is not None, complained
    assert [_place(url)[0] for url in urls] == ["::1", "127.0.0.1"]
    assert answer.count("200 OK") == 2
    assert said.getvalue() == ""


@pytest.mark.parametrize(
    ("found", "why"), [(("2001:db8::1", "192.0.2.1"), errno.EADDRNOTAVAIL), (("::1", "127.0.0.1"), errno.EADDRINUSE)]
)
def test_a_name_without_a_free_address_is_refused(found: tuple[str, ...], why: int) -> None:
    """None of its addresses is this machine's, or another program has one of them: the flag is named, and the cause."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        urls, complained, _ = named(*found, port=port)
    assert urls is None
    assert f"cannot listen on name:{port}: " in complained
    assert os.strerror(why) in complained
    assert "--web.listen-address" in complained


# --- in the file system ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True])
def test_a_socket_in_the_file_system(secure: bool, tmp_path: Path) -> None:
    """It answers, plain or over TLS; owner and group may use it and nobody else; at the end it is gone."""
    path = tmp_path / "exporter.sock"
    file = certificate(tmp_path, "127.0.0.1")
    tls = server_context(file) if secure else None

    async def main() -> bytes:
        before = os.umask(0)
        os.umask(before)
        async with listening(SocketFile(path), tls=tls) as (urls, _):
            assert urls == [f"unix:{path}"]
            assert stat.S_IMODE(path.stat().st_mode) == SOCKET_MODE
            assert os.umask(before) == before
            reader, writer = await asyncio.open_unix_connection(
                path, ssl=ssl.create_default_context(cafile=file) if secure else None,
                server_hostname="127.0.0.1" if secure else None,
            )  # fmt: skip
            writer.write(REQUEST)
            answer = await reader.read()
            writer.close()
            return answer

    assert b"200 OK" in asyncio.run(main())
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """What a killed exporter left does not keep the next from starting; one that runs keeps its place."""
    path = tmp_path / "exporter.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def main() -> None:
        async with listening(SocketFile(path)) as (first, _):
            assert first is not None
            async with listening(SocketFile(path), answer="another") as (second, complained):
                assert second is None
                assert f"cannot listen on unix:{path}: {os.strerror(errno.EADDRINUSE)}" in complained
            assert b"here" in await get(path)

    asyncio.run(main())
    assert not path.exists()


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    """A path at which something else stands is refused, and what stands there stays as it is."""
    path = tmp_path / "notes"
    path.write_text("mine", encoding="utf-8")

    async def main() -> str:
        async with listening(SocketFile(path)) as (urls, complained):
            assert urls is None
            return complained

    assert os.strerror(errno.EEXIST) in asyncio.run(main())
    assert path.read_text(encoding="utf-8") == "mine"


def test_another_ones_socket_is_not_removed(tmp_path: Path) -> None:
    """Where somebody has put another socket in its place meanwhile, that one stays."""
    path = tmp_path / "exporter.sock"

    async def main() -> None:
        async with listening(SocketFile(path)):
            path.unlink()
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(path))

    asyncio.run(main())
    assert path.exists()


# --- sockets that systemd passes -------------------------------------------------------------------------------------


def passing(sock: socket.socket, config: Path, environ: str) -> list[str]:
    """Return the command that starts the exporter with a socket as its descriptor 3."""
    command = [*serve(config), "--web.systemd-socket"]
    script = f'{environ} exec "$@" 3<&{sock.fileno()}'
    return ["bash", "-c", script, "bash", *command]


def activated(sock: socket.socket, tmp_path: Path, environ: str) -> tuple[int | None, str]:
    """Start the exporter on a socket; return its exit code if it does not serve, and its log."""
    config = written(tmp_path, tencent(NOWHERE, 1))
    sock.set_inheritable(True)
    with (tmp_path / "log").open("wb") as log:
        process = asyncio.run(_spawned(passing(sock, config, environ), sock, log))
    return process, (tmp_path / "log").read_text(encoding="utf-8")


async def _spawned(command: list[str], sock: socket.socket, log: Any) -> int | None:
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, pass_fds=[sock.fileno()])
    try:
        loop = asyncio.get_running_loop()
        with socket.socket(sock.family) as client:
            client.setblocking(False)
            await loop.sock_connect(client, sock.getsockname())
            await loop.sock_sendall(client, b"GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            # The socket listens before the exporter runs: the request waits for it.
            answered = asyncio.ensure_future(loop.sock_recv(client, 100))
            ended = asyncio.ensure_future(process.wait())
            await asyncio.wait([answered, ended], timeout=60, return_when=asyncio.FIRST_COMPLETED)
            if answered.done() and b"200 OK" in answered.result():
                process.terminate()
                assert await ended == 0
                return None
            answered.cancel()
            return await ended
    finally:
        if process.returncode is None:
            process.kill()


OURS = "export LISTEN_PID=$$ LISTEN_FDS=1;"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_it_listens_on_what_systemd_passes(family: socket.AddressFamily, tmp_path: Path) -> None:
    """The socket of a socket unit is served in place of an address, and its file stays: it is systemd's."""
    path = tmp_path / "unit.sock"
    with socket.socket(family) as sock:
        sock.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(path))
        sock.listen()
        code, log = activated(sock, tmp_path, OURS)
    assert code is None, log
    assert EXPORTER_SAYS.search(log) or f"unix:{path}" in log
    assert log.count("127.0.0.1:") == (family == socket.AF_INET)
    assert path.exists() == (family == socket.AF_UNIX)


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ("", "systemd has passed no sockets to this process"),
        ("export LISTEN_PID=1 LISTEN_FDS=1;", "systemd has passed no sockets to this process"),
        ("export LISTEN_PID=$$ LISTEN_FDS=x;", "systemd has passed no sockets to this process"),
        ("export LISTEN_PID=$$ LISTEN_FDS=2;", "descriptor 4 is no socket that listens for streams"),
    ],
)
def test_sockets_that_are_not_ours_are_refused(environ: str, why: str, tmp_path: Path) -> None:
    """Without sockets, with those of another process, or with something else, the exporter ends and says so."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        code, log = activated(sock, tmp_path, environ)
    assert (code, "Traceback" in log) == (1, False)
    assert f"--web.systemd-socket: {why}" in log


# --- TLS that fails --------------------------------------------------------------------------------------------------


def test_plain_http_to_a_tls_port_is_400(tmp_path: Path, said: io.StringIO) -> None:
    """A request without TLS is answered at once, in plain HTTP, with what is wrong; and it is logged."""

    async def main() -> tuple[bytes, bytes]:
        async with listening(Address("127.0.0.1", 0), tls=server_context(certificate(tmp_path, "127.0.0.1"))) as (
            urls,
            _,
        ):
            assert urls is not None
            assert urls[0].startswith("https://")
            where = _place(urls[0])
            trusting = ssl.create_default_context(cafile=tmp_path / "127.0.0.1.pem")
            return await get(*where), await get(*where, tls=trusting)

    plain, secure = asyncio.run(main())
    head, _, body = plain.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nServer: stream-exporter\r\n")
    assert b"https://" in body
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"200 OK" in secure
    assert said.getvalue().count("TLS handshake failed") == 1
    assert 'client=127.0.0.1 reason="http request"' in said.getvalue()


def distrusting(host: str, port: int) -> None:
    """Refuse a server's certificate."""
    context = ssl.create_default_context()
    with socket.create_connection((host, port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname=host)


def test_a_client_that_distrusts_us_is_logged(tmp_path: Path, said: io.StringIO) -> None:
    """A client that refuses our certificate, whose own log nobody may read, is named with OpenSSL's reason."""

    async def main() -> None:
        async with listening(Address("127.0.0.1", 0), tls=server_context(certificate(tmp_path, "127.0.0.1"))) as (
            urls,
            _,
        ):
            assert urls is not None
            for _ in range(3):
                await asyncio.to_thread(distrusting, *_place(urls[0]))
            # A look at whether the port is open is no failure.
            _, writer = await asyncio.open_connection(*_place(urls[0]))
            writer.close()
            await asyncio.sleep(0.2)

    asyncio.run(main())
    lines = said.getvalue().splitlines()
    assert len(lines) == 1
    assert "TLS handshake failed" in lines[0]
    assert "client=127.0.0.1" in lines[0]
    assert "alert" in lines[0]


def test_failed_handshakes_do_not_fill_the_log(said: io.StringIO) -> None:
    """Each client and reason is told once a minute, of very many a few; what was not told is counted."""
    now = 0.0
    failures = Failures(lambda: now)
    for _ in range(100):
        failures.tell("192.0.2.1", "no shared cipher")
    assert said.getvalue().count("\n") == 1
    for number in range(1000):
        failures.tell(f"198.51.100.{number}", "no shared cipher")
    assert said.getvalue().count("\n") == 10
    now = 60.0
    failures.tell("192.0.2.1", "no shared cipher")
    lines = said.getvalue().splitlines()
    assert len(lines) == 11
    assert [line.partition(" untold=")[2] for line in lines if "untold" in line] == ["99", str(1000 - 9)]


def test_the_running_process_serves_a_socket_and_a_prefix(tmp_path: Path) -> None:
    """`unix:PATH` is an address of the command line as any other, and what it serves has the prefix."""
    config, path = written(tmp_path, tencent(NOWHERE, 1)), tmp_path / "e.sock"
    flags = "--web.listen-address", f"unix:{path}", "--web.external-url", "https://streams.example/live/"

    async def asked(page: str) -> bytes:
        return await get(path, data=REQUEST.replace(b"/ ", f"{page} ".encode(), 1))

    with running([*serve(config), *flags], tmp_path, EXPORTER_SAYS) as server:
        assert b"200 OK" in asyncio.run(asked("/live/-/ready"))
        assert b'"__metrics_path__": "/live/probe"' in asyncio.run(asked("/live/sd"))
        assert b"404 Not Found" in asyncio.run(asked("/metrics"))
        assert server.stop() == 0
    assert not path.exists()
