"""The way through a proxy, over real sockets: an honest one, and hostile ones that do one thing wrong each."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from exporter.model import Reason, Reply, Request
from exporter.providers.interface import MEBIBYTE, TransportError
from exporter.routes import Http, Proxy, Route, parse_proxy
from exporter.transport import Transport
from testbed import proxy as honest
from testbed.certificates import Authority
from testbed.proxy import OPEN, proxying
from tests.core.test_transport import Heard, answer, get, hanging, listening, post, saying, serving, told

HOST = "live.example.test"
URL = f"https://{HOST}"
PLAIN = f"http://{HOST}:8080"
PASSWORD = "canary-pass/word@%"
LIVE = answer(b'{"live":"yes"}')


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that issues every certificate here."""
    return Authority(tmp_path_factory.mktemp("authority"))


def nobody_looks_up(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
    """Refuse to look up a name: the proxy's address is one, and the endpoint's name is the proxy's affair."""
    raise AssertionError(host)


def opened(rest: float = 1.0) -> Transport:
    """Return a transport that can look up no name."""
    return Transport(rest=rest, look_up=nobody_looks_up)


def port(heard: Heard) -> int:
    """Return where a server listens."""
    return int(heard.url.rpartition(":")[2])


def route(address: str, authority: Authority | None = None, scheme: str = "http", user: str = "") -> Route:
    """Return the way by a proxy, as the configuration would make it."""
    proxy = parse_proxy(f"{scheme}://{user}{address}")
    return Route(proxy, authority.pem.decode() if authority else "")


async def sent(request: Request, way: Route, seconds: float = 10.0) -> Reply | TransportError:
    """Return what comes of a request."""
    async with opened() as transport:
        try:
            return await transport.send(request, seconds, MEBIBYTE, way)
        except TransportError as error:
            return error


# --- honest proxies ---------------------------------------------------------------------------------------------------


def test_https_goes_through_a_tunnel_in_which_the_proxy_sees_nothing(authority: Authority) -> None:
    """The proxy hears a name and a port; the endpoint hears the signed request, and nothing of the proxy."""

    async def main() -> None:
        async with (
            serving(saying(LIVE), authority.server(HOST)) as heard,
            proxying(honest.Proxy({f"{HOST}:443": port(heard)}, password="u:p")) as proxy,
        ):
            reply = await sent(post(URL), route(proxy.address, authority, user="u:p@"))
        assert isinstance(reply, Reply)
        assert reply.body == b'{"live":"yes"}'
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n")
        assert "Signature" not in head
        (request,) = heard.requests
        assert request.startswith(b"POST /?Signature=")
        assert f"\r\nHost: {HOST}\r\n".encode() in request
        assert b"proxy-" not in request.lower()

    asyncio.run(main())


def test_http_is_passed_on_with_the_whole_address_in_the_request_line(authority: Authority) -> None:
    """As with curl and Go: the address is absolute, the signed Host stays, and the proxy's password stays with it."""

    async def main() -> None:
        async with (
            serving(saying(LIVE)) as heard,
            proxying(honest.Proxy({f"{HOST}:8080": port(heard)}, password="u:p")) as proxy,
        ):
            reply = await sent(Request("GET", f"{PLAIN}?a=%2F", {"Host": HOST}), route(proxy.address, user="u:p@"))
        assert isinstance(reply, Reply)
        assert reply.body == b'{"live":"yes"}'
        assert proxy.asked == [f"GET {PLAIN}/?a=%2F HTTP/1.1"]
        assert proxy.heads[0].count("Host: ") == 1
        assert heard.requests[0].startswith(b"GET /?a=%2F HTTP/1.1\r\n")
        assert f"\r\nHost: {HOST}\r\n".encode() in heard.requests[0]

    asyncio.run(main())


@pytest.mark.parametrize("url", [URL, PLAIN])
def test_a_proxy_may_speak_tls_itself(url: str, authority: Authority) -> None:
    """An https:// proxy carries both, TLS within TLS; its certificate is verified by the same authorities."""

    async def main() -> None:
        tls = authority.server(HOST) if url == URL else None
        async with serving(saying(LIVE), tls) as heard:
            names = {f"{HOST}:443": port(heard), f"{HOST}:8080": port(heard)}
            async with (
                proxying(honest.Proxy(names), authority.server("127.0.0.1")) as proxy,
                opened(rest=0) as transport,
            ):
                way = route(proxy.address, authority, scheme="https")
                for _ in range(3):
                    connection = await transport.connect(url, 5, route=way)
                    assert await connection.quiet()
                    reply = await connection.send(get(url), 5, MEBIBYTE)
                    assert reply.body == b'{"live":"yes"}'
                    connection.release()
                assert proxy.connections == 1
        assert len(heard.requests) == 3

    asyncio.run(main())


def test_a_kept_way_is_used_again(authority: Authority) -> None:
    """A tunnel is a connection like any other: asked for once, used for many calls, large answers too."""
    large = b"x" * (1 << 20)

    async def main() -> None:
        async with (
            serving(saying(answer(large)), authority.server(HOST)) as heard,
            proxying(honest.Proxy({f"{HOST}:443": port(heard)})) as proxy,
            opened(rest=0) as transport,
        ):
            for _ in range(3):
                connection = await transport.connect(URL, 5, route=route(proxy.address, authority))
                assert await connection.quiet()
                reply = await connection.send(get(URL), 5, MEBIBYTE)
                assert reply.body == large
                reply.release()
                connection.release()
        assert len(proxy.heads) == 1
        assert len(heard.requests) == 3

    asyncio.run(main())


def test_ways_are_kept_apart(authority: Authority, tmp_path: Path) -> None:
    """Another proxy, password or authority is another way: none of its connections is used for the old one."""

    async def main() -> None:
        async with (
            serving(saying(LIVE), authority.server(HOST)) as heard,
            proxying(honest.Proxy({f"{HOST}:443": port(heard)})) as proxy,
            opened(rest=0) as transport,
        ):
            other = Authority(tmp_path, "another").pem + authority.pem
            ways = [
                route(proxy.address, authority),
                route(proxy.address, authority, user="u:p@"),
                route(proxy.address, authority)._replace(authorities=other.decode()),
                route(proxy.address, authority),
            ]
            for way in ways:
                connection = await transport.connect(URL, 5, route=way)
                assert await connection.quiet()
                assert (await connection.send(get(URL), 5, MEBIBYTE)).status == 200
                connection.release()
        assert len(proxy.heads) == 3

    asyncio.run(main())


# --- authorities ------------------------------------------------------------------------------------------------------


def test_authorities_are_trusted_instead_of_the_systems(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Prometheus: who names a file trusts nobody else, and a certificate may vouch for itself alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    other = Authority(tmp_path)
    own = authority.issue("127.0.0.1").read_text()

    async def main() -> list[Reply | TransportError]:
        async with serving(saying(LIVE), authority.server("127.0.0.1")) as heard:
            texts = ("", authority.pem.decode(), other.pem.decode())
            return [await sent(get(heard.url), Route(None, text)) for text in texts]

    by_system, by_file, by_other = asyncio.run(main())
    assert isinstance(by_system, Reply)
    assert isinstance(by_file, Reply)
    assert isinstance(by_other, TransportError)
    assert by_other.reason is Reason.TLS
    assert "BEGIN CERTIFICATE" in own


# --- hostile proxies --------------------------------------------------------------------------------------------------

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(*parts: bytes, end: bool = False, gap: float = 0.01) -> Behaviour:
    """Return a proxy that answers with these bytes, whatever it is asked for."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(gap)
        if end:
            writer.close()
        else:
            await hanging(writer, 1)

    return behave


async def greets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, as SSH does."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await hanging(writer, 1)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break the connection."""
    await reader.readuntil(b"\r\n\r\n")
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER
    writer.transport.abort()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer byte by byte, so that no pause is long."""
    await reader.readuntil(b"\r\n\r\n")
    for sign in b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 10_000:
        writer.write(bytes([sign]))
        await writer.drain()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def hostile(behave: Behaviour) -> AsyncIterator[str]:
    """Run a proxy that behaves so; yields its address."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await behave(reader, writer)
        finally:
            writer.close()

    async with listening(connected) as url:
        yield url.removeprefix("http://")


def status(line: str, body: bytes = b"") -> bytes:
    """Return an answer to CONNECT."""
    return answer(body, status=line)


SHORT = 0.4
HOSTILE: dict[str, tuple[Behaviour, Reason, str]] = {
    "407": (says(status("407 Proxy Authentication Required", b'{"live":"yes"}')), Reason.CONNECTION, "wants a user"),
    "403": (says(status("403 Forbidden", b"<html>")), Reason.CONNECTION, "does not let the exporter through"),
    "502": (says(status("502 Bad Gateway"), end=True), Reason.CONNECTION, "cannot reach the endpoint"),
    "503": (says(status("503 Service Unavailable")), Reason.CONNECTION, "cannot reach the endpoint"),
    "504": (says(status("504 Gateway Timeout")), Reason.CONNECTION, "gets no connection to the endpoint in time"),
    "302": (says(answer(b"", "Location: https://login/", status="302 Found")), Reason.CONNECTION, "status 302"),
    "999": (says(status("999 Odd")), Reason.CONNECTION, "status 999"),
    "continue": (says(b"HTTP/1.1 100 Continue\r\n\r\n" + OPEN), Reason.HTTP, "does not answer in HTTP"),
    "switching": (says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Reason.HTTP, "does not answer in HTTP"),
    "garbage": (says(b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n"), Reason.HTTP, "does not answer in HTTP"),
    "HTTP 2": (says(b"HTTP/2 200\r\n\r\n"), Reason.HTTP, "does not answer in HTTP"),
    "no status": (says(b"HTTP/1.1 2 OK\r\n\r\n"), Reason.HTTP, "does not answer in HTTP"),
    "long status": (says(b"HTTP/1.1 2000 OK\r\n\r\n"), Reason.HTTP, "does not answer in HTTP"),
    "negative": (says(b"HTTP/1.1 -20 OK\r\n\r\n"), Reason.HTTP, "does not answer in HTTP"),
    "oversized": (says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"), Reason.HTTP, "far more headers"),
    "endless": (says(*[b"HTTP/1.1 200 OK\r\n"], *[b"X: y\r\n" * 500] * 9, gap=0), Reason.HTTP, "far more headers"),
    "closes": (says(end=True), Reason.CONNECTION, "closed the connection before an answer"),
    "closes within": (says(b"HTTP/1.1 200 O", end=True), Reason.CONNECTION, "closed the connection before an answer"),
    "resets": (resets, Reason.CONNECTION, "closed the connection before an answer"),
    "greets": (greets, Reason.HTTP, ""),
    "hangs": (says(), Reason.TIMEOUT, "in time from the proxy"),
    "drips": (drips, Reason.TIMEOUT, "in time from the proxy"),
    "state behind": (says(OPEN + LIVE), Reason.HTTP, "sends something after its answer"),
    "one byte behind": (says(OPEN + b"\x16"), Reason.HTTP, "sends something after its answer"),
    "state a moment later": (says(OPEN, LIVE), Reason.TLS, "no trusted TLS connection to the endpoint through"),
    "length": (says(answer(b"{}")), Reason.HTTP, "sends something after its answer"),
    "open and hangs": (says(OPEN), Reason.TIMEOUT, "from the endpoint through the proxy"),
    "open and closes": (says(OPEN, end=True), Reason.CONNECTION, "while TLS began with the endpoint through"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_hostile_proxy_says_is_a_fault_of_its_own(what: str, authority: Authority) -> None:
    """Each failure has its reason and names the proxy; nothing is an answer, and nobody is asked twice."""
    behave, reason, words = HOSTILE[what]

    async def main() -> tuple[Reply | TransportError, str]:
        async with hostile(behave) as address:
            way = route(address, authority)
            return await sent(get(URL), way, SHORT if reason is Reason.TIMEOUT else 10.0), address

    error, address = asyncio.run(main())
    assert isinstance(error, TransportError)
    assert (error.reason, error.broke_early) == (reason, False)
    assert words in error.message
    assert f"the proxy {address}" in error.message


def test_a_proxy_in_the_middle_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    """A proxy that opens the connection itself has a certificate of another authority: reason tls, and no request."""

    async def main() -> None:
        async with (
            serving(saying(LIVE), Authority(tmp_path).server(HOST)) as heard,
            proxying(honest.Proxy({f"{HOST}:443": port(heard)})) as proxy,
        ):
            error = await sent(get(URL), route(proxy.address, authority))
        assert isinstance(error, TransportError)
        assert error.reason is Reason.TLS
        assert heard.requests == []

    asyncio.run(main())


def test_a_certificate_for_the_proxys_name_does_not_do_for_the_endpoint(authority: Authority) -> None:
    """The name in the endpoint's URL is the one that counts in the tunnel."""

    async def main() -> None:
        async with (
            serving(saying(LIVE), authority.server("127.0.0.1")) as heard,
            proxying(honest.Proxy({f"{HOST}:443": port(heard)})) as proxy,
        ):
            error = await sent(get(URL), route(proxy.address, authority))
        assert isinstance(error, TransportError)
        assert error.reason is Reason.TLS
        assert "the endpoint through the proxy" in error.message

    asyncio.run(main())


def test_a_proxy_that_wants_tls_and_is_spoken_to_without(authority: Authority) -> None:
    """http:// where https:// belongs is told as the proxy's."""

    async def main() -> None:
        async with proxying(honest.Proxy({}), authority.server("127.0.0.1")) as proxy:
            error = await sent(get(URL), route(proxy.address, authority))
        assert isinstance(error, TransportError)
        assert error.reason in (Reason.HTTP, Reason.CONNECTION)
        assert f"the proxy {proxy.address}" in error.message

    asyncio.run(main())


def test_a_proxy_without_tls_that_is_spoken_to_with_it(authority: Authority) -> None:
    """https:// where http:// belongs is a matter of TLS, with the proxy and not with the endpoint."""

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(b"", status="400 Bad Request"))

    async def main() -> None:
        async with hostile(refuses) as address:
            error = await sent(get(URL), route(address, authority, scheme="https"))
        assert isinstance(error, TransportError)
        assert error.reason is Reason.TLS
        assert error.message.startswith(f"no trusted TLS connection to the proxy {address}: ")

    asyncio.run(main())


@pytest.mark.parametrize("url", [URL, PLAIN])
def test_a_proxy_that_is_not_there(url: str) -> None:
    """Nobody listens where the proxy should be: the message names it, and not the endpoint."""

    async def main() -> None:
        async with hostile(greets) as gone:
            pass
        error = await sent(get(url), route(gone))
        assert isinstance(error, TransportError)
        assert error.reason is Reason.CONNECTION
        assert error.message == f"the proxy {gone} refused the connection or cannot be reached"

    asyncio.run(main())


@pytest.mark.parametrize("url", [URL, PLAIN])
def test_a_proxy_whose_name_is_unknown(url: str) -> None:
    """The proxy's own name is looked up here, and its failure is reason dns."""

    def unknown(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
        assert host == "proxy.example"
        raise OSError(-2, "unknown")

    async def main() -> None:
        async with Transport(look_up=unknown) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(get(url), 5, MEBIBYTE, route("proxy.example:3128"))
        assert caught.value.reason is Reason.DNS
        assert caught.value.message == "the name of the proxy proxy.example:3128 was not resolved"

    asyncio.run(main())


# --- 407 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [URL, PLAIN])
@pytest.mark.parametrize(("user", "words"), [("", "wants a user and a password"), ("u:wrong@", "refuses the user")])
def test_a_407_is_the_proxys_and_no_answer(url: str, user: str, words: str) -> None:
    """Whether it is asked to open a way or to pass a request on: its 407 never reaches whoever reads answers."""

    async def main() -> None:
        async with proxying(honest.Proxy({}, password="u:p")) as proxy:
            error = await sent(get(url), route(proxy.address, user=user))
        assert isinstance(error, TransportError)
        assert (error.reason, error.broke_early) == (Reason.CONNECTION, False)
        assert f"the proxy {proxy.address} {words}" in error.message
        assert error.message.endswith("(status 407)")

    asyncio.run(main())


def test_a_407_without_a_proxy_is_the_endpoints() -> None:
    """Where no proxy is configured, 407 is a status like any other."""

    async def main() -> None:
        async with serving(saying(answer(b"", status="407 Odd"))) as heard:
            reply = await sent(get(heard.url), Route())
        assert isinstance(reply, Reply)
        assert reply.status == 407

    asyncio.run(main())


def test_the_password_goes_out_as_written_and_is_told_nowhere(authority: Authority) -> None:
    """Special characters come as %XX; no error and no repr shows the password, nor what is sent of it."""
    proxy = parse_proxy("http://user:canary-pass%2Fword%40%25@127.0.0.1:3128")
    assert proxy.authorization is not None
    packed = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert proxy.authorization.reveal() == f"Basic {packed}"
    assert {each.reveal() for each in proxy.secrets} == {"canary-pass%2Fword%40%25", PASSWORD, packed}

    async def main() -> None:
        async with proxying(honest.Proxy({}, password=f"user:{PASSWORD}")) as there:
            way = Route(proxy._replace(port=int(there.address.rpartition(":")[2])))
            error = await sent(get(URL), way)
        assert isinstance(error, TransportError)
        assert "cannot reach the endpoint" in error.message
        shown = told(error) + repr(way) + str(way) + repr(Http((("https", proxy),)))
        assert "canary" not in shown
        assert packed not in shown

    asyncio.run(main())


# --- the end ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def hanging_way() -> AsyncIterator[tuple[Transport, Route]]:
    """Yield a transport whose proxy never answers."""
    async with hostile(says()) as address, opened() as transport:
        yield transport, route(address)


def test_a_way_that_is_being_opened_holds_up_nobody() -> None:
    """Who gives up, or stops, need not wait for a proxy that hangs."""

    async def main() -> None:
        async with asyncio.timeout(30):
            async with hanging_way() as (transport, way):
                waiting = asyncio.create_task(transport.send(get(URL), 60, MEBIBYTE, way))
                pooled = asyncio.create_task(_connected(transport, way))
                await asyncio.sleep(0.1)
                waiting.cancel()
            for task in (waiting, pooled):
                with pytest.raises((asyncio.CancelledError, TransportError)):
                    await task

    asyncio.run(main())


async def _connected(transport: Transport, way: Route) -> None:
    await transport.connect(URL, 60, route=way)


def test_a_tunnel_that_ends_while_it_is_idle_is_not_used(authority: Authority) -> None:
    """When the proxy drops a kept way, the next call gets another."""

    async def main() -> None:
        async with serving(saying(LIVE), authority.server(HOST)) as heard:
            writers: list[asyncio.StreamWriter] = []
            proxy = honest.Proxy({f"{HOST}:443": port(heard)})

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writers.append(writer)
                await proxy.serve(reader, writer)

            async with hostile(serve) as address, opened(rest=0) as transport:
                way = route(address, authority)
                for _ in range(2):
                    connection = await transport.connect(URL, 5, route=way)
                    assert (await connection.send(get(URL), 5, MEBIBYTE)).status == 200
                    connection.release()
                    writers[-1].close()
                    await asyncio.sleep(0.05)
            assert len(writers) == 2

    asyncio.run(main())


def test_a_stray_byte_in_a_passed_on_connection_ends_it() -> None:
    """What a proxy sends unasked between two answers is no answer."""

    async def main() -> None:
        async with serving(saying(LIVE + LIVE)) as heard, opened(rest=0) as transport:
            way = route(heard.url.removeprefix("http://"))
            connection = await transport.connect(PLAIN, 5, route=way)
            assert (await connection.send(get(PLAIN), 5, MEBIBYTE)).status == 200
            assert not connection.usable
            connection.release()

    asyncio.run(main())


def test_a_way_nobody_needs_is_forgotten(authority: Authority) -> None:
    """A changed way leaves neither connections nor certificates in memory once its connections are gone."""

    async def main() -> None:
        async with serving(saying(answer(b"{}", "Connection: close"))) as heard, opened() as transport:
            for number in range(5):
                way = Route(Proxy("http", "127.0.0.1", port(heard)), "")
                url = f"http://host{number}.example"
                assert (await transport.send(get(url), 5, MEBIBYTE, way)).status == 200
            assert len(transport._pools) <= 1

    asyncio.run(main())
