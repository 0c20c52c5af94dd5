"""Connections to a provider: small servers on loopback that do one thing wrong each."""

from __future__ import annotations

import asyncio
import datetime
import gc
import gzip
import ipaddress
import socket
import ssl
import struct
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.model import Reason, Reply, Request
from exporter.providers.interface import MEBIBYTE, TransportError
from exporter.transport import Transport, tls_context, translate
from exporter.transport.wire import Wire

CANARY = "canary-that-nobody-may-see"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Heard:
    """What a server was sent, request by request, and over how many connections."""

    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    url: str = ""


Behaviour = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def listening(
    connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Listen on loopback; `connected` talks on each connection."""
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Heard]:
    """Serve on loopback; `behave` answers each request, given its number from 1, and may close the connection."""
    heard = Heard()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        try:
            while not writer.is_closing() and (head := await reader.readuntil(b"\r\n\r\n")):
                heard.requests.append(head + await reader.readexactly(_length(head)))
                await behave(writer, len(heard.requests))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with listening(connected, tls) as heard.url:
        yield heard


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


def saying(*answers: bytes) -> Behaviour:
    """Answer with these bytes in turn, the last of them for ever."""

    async def behave(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(answers[min(number, len(answers)) - 1])
        await writer.drain()

    return behave


def closing(answer: bytes = b"") -> Behaviour:
    """Answer with these bytes and end the connection."""

    async def behave(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(answer)
        writer.close()

    return behave


def resetting(answer: bytes = b"") -> Behaviour:
    """Answer with these bytes and break the connection."""

    async def behave(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.02)  # so that the bytes are read before the reset drops them
        _abort(writer)

    return behave


def _abort(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def hanging(_writer: asyncio.StreamWriter, _number: int) -> None:
    """Never answer."""
    await asyncio.sleep(3600)


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(url: str, path: str = "/") -> Request:
    """Return a GET with secrets in every place where one may stand."""
    return Request("GET", f"{url}{path}?Signature={CANARY}", {"Authorization": CANARY})


def post(url: str) -> Request:
    """Return a POST with secrets in every place where one may stand."""
    return Request("POST", f"{url}/?Signature={CANARY}", {"Authorization": CANARY}, CANARY.encode())


async def send(request: Request, timeout: float = 10.0, largest: int = MEBIBYTE) -> Reply:  # noqa: ASYNC109
    """Send one request over connections of its own."""
    async with Transport() as transport:
        return await transport.send(request, timeout, largest)


async def kept(transport: Transport, request: Request) -> Reply:
    """Send one request over a connection that is kept, as a gate does: one on which nothing has come unasked."""
    while True:
        connection = await transport.connect(request.url, 10)
        try:
            if await connection.quiet():
                return await connection.send(request, 10, MEBIBYTE)
        finally:
            connection.release()


def failure(behave: Behaviour, largest: int = MEBIBYTE, timeout: float = 10.0) -> TransportError:
    """Return how a GET ends with a server that behaves so; it must fail, and after one request."""

    async def main() -> TransportError:
        async with serving(behave) as heard:
            with pytest.raises(TransportError) as caught:
                await send(get(heard.url), timeout, largest)
            assert len(heard.requests) == 1
            return caught.value

    return asyncio.run(main())


def success(sent: bytes, largest: int = MEBIBYTE) -> Reply:
    """Return the reply of a server that says these bytes."""

    async def main() -> Reply:
        async with serving(closing(sent)) as heard:
            return await send(get(heard.url), largest=largest)

    return asyncio.run(main())


# --- what goes out ----------------------------------------------------------------------------------------------------


def test_url_body_and_headers_go_out_byte_for_byte() -> None:
    """What was signed is what is sent: no re-encoding of the query, no other body, the headers as given."""

    async def main() -> None:
        async with serving(saying(OK)) as heard:
            query = "/?A=%2F%2f+%20~%E7%9B%B4&a=b%3D"
            headers = {"Content-Type": "application/json", "Host": "live.example", "x-acs-date": "now"}
            await send(Request("POST", heard.url + query, headers, b'{"a":1}'))
        head, _, body = heard.requests[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == f"POST {query} HTTP/1.1"
        assert {f"{name}: {value}" for name, value in headers.items()} <= set(lines)
        assert sum(line.lower().startswith("host:") for line in lines) == 1
        assert body == b'{"a":1}'

    asyncio.run(main())


@pytest.mark.parametrize("evil", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0"])
def test_a_header_cannot_hold_another_line(evil: str) -> None:
    """What ends a line within a header's value is refused, and nothing goes out."""

    async def main() -> None:
        async with serving(saying(OK)) as heard:
            with pytest.raises(TransportError) as caught:
                await send(Request("GET", heard.url, {"X-Plain": "plain", "X-Name": evil}))
            assert caught.value.reason is Reason.BUG
            assert heard.requests == []

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX-Evil: 1", "/a\0", "/a#b"])
def test_a_url_is_sent_whole_or_not_at_all(path: str) -> None:
    """What cannot stand in a request line is refused, not cut off."""

    async def main() -> None:
        async with serving(saying(OK)) as heard, Transport() as transport:
            connection = await transport.connect(heard.url, 5)
            with pytest.raises(TransportError) as caught:
                await connection.send(Request("GET", heard.url + path), 5, MEBIBYTE)
            assert caught.value.reason is Reason.BUG
            assert heard.requests == []
            connection.release()

    asyncio.run(main())


async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer at the first bytes, and read no more."""
    await reader.read(1)
    writer.write(OK)
    try:
        await asyncio.sleep(3600)
    finally:
        writer.transport.abort()


def test_an_answer_before_its_request_is_out_counts_and_ends_the_connection() -> None:
    """What is left of the request would stand before the next one."""

    async def main() -> None:
        async with listening(early) as url, Transport(rest=0) as transport:
            connection = await transport.connect(url, 5)
            reply = await connection.send(Request("POST", url, {}, bytes(16 << 20)), 5, MEBIBYTE)
            assert reply.status == 200
            assert not connection.usable
            connection.release()

    asyncio.run(main())


def test_a_request_that_nobody_reads_is_given_up_with_its_connection() -> None:
    """A call that timed out leaves nothing behind that still wants to be sent."""

    async def main() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with Transport() as transport:
                with pytest.raises(TransportError) as caught:
                    await transport.send(Request("POST", url, {}, bytes(16 << 20)), 0.2, MEBIBYTE)
                assert caught.value.reason is Reason.TIMEOUT
                server, _ = listener.accept()
                with server:
                    server.settimeout(5)
                    return await asyncio.to_thread(_drained, server)

    assert asyncio.run(main()) < 16 << 20


def _drained(server: socket.socket) -> int:
    """Return how many bytes come until the other side has closed."""
    size = 0
    with suppress(ConnectionResetError):
        while part := server.recv(1 << 16):
            size += len(part)
    return size


def test_a_connection_that_has_ended_is_held_by_nothing() -> None:
    """The timer of a call's time limit goes with its connection, or a minute's connections would stay in memory."""

    def wires() -> int:
        gc.collect()
        return sum(isinstance(one, Wire) for one in gc.get_objects())

    async def main() -> int:
        before = wires()
        async with serving(saying(answer(b"{}", "Connection: close"))) as heard, Transport() as transport:
            for _ in range(10):
                await transport.send(get(heard.url), 60, MEBIBYTE)
            await asyncio.sleep(0.05)
            return wires() - before

    assert asyncio.run(main()) <= 1


@pytest.mark.parametrize("body", [b"", b"x" * (4 << 20)], ids=["no body", "4 MiB"])
def test_a_body_goes_out_whole_with_its_length(body: bytes) -> None:
    """A POST always says how long it is, and what the system does not take at once follows."""

    async def main() -> None:
        async with serving(saying(OK)) as heard:
            await send(Request("POST", heard.url, {}, body))
        head, _, came = heard.requests[0].partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head.lower().split(b"\r\n")
        assert came == body

    asyncio.run(main())


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """A signed request goes nowhere but to the endpoint."""

    async def main() -> None:
        async with serving(saying(OK)) as other:
            moved = answer(b"", f"Location: {other.url}/", status="302 Found")
            async with serving(saying(moved)) as heard:
                reply = await send(get(heard.url))
            assert reply.status == 302
            assert len(heard.requests) == 1
            assert other.connections == 0

    asyncio.run(main())


def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and its like are for other programs."""

    async def main() -> None:
        async with serving(saying(OK)) as proxy, serving(saying(OK)) as heard:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            assert (await send(get(heard.url))).status == 200
            assert (len(heard.requests), proxy.connections) == (1, 0)

    asyncio.run(main())


def test_cookies_are_not_kept() -> None:
    """A provider's gateway cannot mark us."""

    async def main() -> None:
        async with (
            serving(saying(answer(b"{}", "Set-Cookie: mark=1; Path=/"))) as heard,
            Transport(rest=0) as transport,
        ):
            for _ in range(2):
                await kept(transport, get(heard.url))
        assert heard.connections == 1
        assert not any(b"mark" in request for request in heard.requests)

    asyncio.run(main())


@pytest.mark.parametrize("make", [get, post])
@pytest.mark.parametrize("end", [closing(), resetting()], ids=["closed", "reset"])
def test_nothing_is_sent_again_by_itself_when_a_kept_connection_breaks(
    make: Callable[[str], Request], end: Behaviour
) -> None:
    """A request goes out once, whatever its method: a second one needs a signature of its own."""

    async def behave(writer: asyncio.StreamWriter, number: int) -> None:
        await (saying(OK) if number == 1 else end)(writer, number)

    async def main() -> None:
        async with serving(behave) as heard, Transport(rest=0) as transport:
            await kept(transport, make(heard.url))
            with pytest.raises(TransportError) as caught:
                await kept(transport, make(heard.url))
            assert (heard.connections, len(heard.requests)) == (1, 2)
            assert caught.value.broke_early
            assert caught.value.reason is Reason.CONNECTION

    asyncio.run(main())


# --- what comes back --------------------------------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
READ = {
    "with its length": answer(b'{"a":1}'),
    "chunked": CHUNKED + b"3\r\n" + b'{"a' + b"\r\n4\r\n" + b'":1}' + b"\r\n0\r\n\r\n",
    "to the end of the connection": b'HTTP/1.1 200 OK\r\n\r\n{"a":1}',
    "gzip": answer(gzip.compress(b'{"a":1}'), "Content-Encoding: gzip"),
    "gzip by its older name": answer(gzip.compress(b'{"a":1}'), "Content-Encoding:  X-GZIP "),
    "deflate": answer(zlib.compress(b'{"a":1}'), "Content-Encoding: deflate"),
    "identity": answer(b'{"a":1}', "Content-Encoding: identity"),
}


@pytest.mark.parametrize("form", READ)
def test_a_body_is_read_in_every_form_that_http_has(form: str) -> None:
    """Length, chunks, end of connection and the usual compressions give the same bytes."""
    assert success(READ[form]).body == b'{"a":1}'


def test_headers_are_found_in_lower_case() -> None:
    """Providers' hints are looked up without regard to case, and the status is the answer's."""
    reply = success(answer(b"", "X-ACS-Retry-After: 7", "Content-Encoding: gzip", status="429 Slow Down"))
    assert (reply.status, reply.headers["x-acs-retry-after"], reply.body) == (429, "7", b"")


SIZE = 64 << 10


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_exactly_the_size_allowed_is_read_and_one_byte_more_is_not(chunked: bool) -> None:
    """The cap is a cap, whether or not the length is told."""

    def sent(size: int) -> bytes:
        return CHUNKED + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n" if chunked else answer(b"x" * size)

    assert len(success(sent(SIZE), SIZE).body) == SIZE
    error = failure(closing(sent(SIZE + 1)), SIZE)
    assert (error.reason, error.broke_early) == (Reason.MALFORMED, False)
    assert "64 KiB" in error.message


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_the_cap_holds_after_decompression(encoding: str) -> None:
    """A body of the size allowed passes, one byte more does not, however small it was on the wire."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    head = f"Content-Encoding: {encoding}"
    assert len(success(answer(pack(b"x" * SIZE), head), SIZE).body) == SIZE
    assert failure(closing(answer(pack(b"x" * (SIZE + 1)), head)), SIZE).reason is Reason.MALFORMED


def test_a_body_without_end_is_given_up_at_the_cap() -> None:
    """An endless stream of chunks costs the size allowed and no more."""

    async def behave(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    assert failure(behave).reason is Reason.MALFORMED


def test_a_body_that_is_told_to_be_too_large_is_not_read() -> None:
    """A length above the cap is believed at once, without waiting for a byte of it."""
    assert failure(saying(answer(b"", length=MEBIBYTE + 1))).reason is Reason.MALFORMED


def _bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(MEBIBYTE)
    return b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


def test_a_gzip_bomb_costs_at_most_five_mebibytes() -> None:
    """200 MiB in 200 kB are refused with hardly any memory spent on them."""
    bomb = answer(_bomb(200), "Content-Encoding: gzip")
    assert len(bomb) < MEBIBYTE

    async def main() -> int:
        async with serving(closing(bomb)) as heard, Transport() as transport:
            with pytest.raises(TransportError):
                await transport.send(get(heard.url), 10, 1)  # so that all that is kept for ever is there
            tracemalloc.start()
            try:
                with pytest.raises(TransportError, match="larger than 1024 KiB"):
                    await transport.send(get(heard.url), 10, MEBIBYTE)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert asyncio.run(main()) <= 5 * MEBIBYTE


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def _dripping(writer: asyncio.StreamWriter, _number: int) -> None:
    writer.write(answer(b"", length=1000))
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


Failing = tuple[Behaviour, Reason, bool]
FAILING: dict[str, Failing] = {
    "closed before a byte": (closing(), Reason.CONNECTION, True),
    "reset before a byte": (resetting(), Reason.CONNECTION, True),
    "closed within the head": (closing(OK[:30]), Reason.CONNECTION, False),
    "closed within the body": (closing(answer(b"{", length=10)), Reason.CONNECTION, False),
    "reset within the body": (resetting(answer(b"{", length=10)), Reason.CONNECTION, False),
    "reset within a body without length": (resetting(b"HTTP/1.1 200 OK\r\n\r\n{"), Reason.CONNECTION, False),
    "closed after an interim answer": (closing(b"HTTP/1.1 103 Early Hints\r\n\r\n"), Reason.CONNECTION, False),
    "closed within the chunks": (closing(CHUNKED + b"5\r\n{"), Reason.CONNECTION, False),
    "reset within the chunks": (resetting(CHUNKED + b"5\r\n{"), Reason.CONNECTION, False),
    "no HTTP": (closing(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Reason.HTTP, False),
    "binary": (closing(bytes(range(256)) * 4), Reason.HTTP, False),
    "a status that is no number": (closing(b"HTTP/1.1 abc OK\r\n\r\n"), Reason.HTTP, False),
    "a head without end": (closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), Reason.HTTP, False),
    "lengths that differ": (closing(answer(b"{}", "Content-Length: 1")), Reason.HTTP, False),
    "a length below zero": (closing(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"), Reason.HTTP, False),
    "chunks without size": (closing(CHUNKED + b"zz\r\n{}\r\n"), Reason.HTTP, False),
    "compression nobody asked for": (closing(answer(b"{}", "Content-Encoding: br")), Reason.MALFORMED, False),
    "compression twice": (closing(answer(b"{}", "Content-Encoding: gzip, gzip")), Reason.MALFORMED, False),
    "broken compression": (closing(answer(b"{}", "Content-Encoding: gzip")), Reason.MALFORMED, False),
    "cut compression": (closing(answer(gzip.compress(b"{}")[:-9], "Content-Encoding: gzip")), Reason.MALFORMED, False),
    "no answer": (hanging, Reason.TIMEOUT, False),
    "a body byte by byte": (_dripping, Reason.TIMEOUT, False),
}  # fmt: skip


def told(error: BaseException) -> str:
    """Return all that an error may show anywhere: text, repr, attributes, and its traceback as it is printed."""
    lines = traceback.format_exception(error)
    return "".join(lines) + repr(error) + str(error) + repr(error.args) + repr(vars(error))


@pytest.mark.parametrize("what", FAILING)
def test_each_failure_has_its_reason_and_tells_no_secret(what: str) -> None:
    """What went wrong is told by a reason of ours; neither URL nor header nor body stands in the error."""
    behave, reason, early = FAILING[what]
    error = failure(behave, timeout=0.2 if reason is Reason.TIMEOUT else 10.0)
    assert (error.reason, error.broke_early) == (reason, early)
    assert CANARY not in told(error)
    assert "127.0.0.1" not in told(error)


def unreachable(url: str, context: ssl.SSLContext | None = None) -> TransportError:
    """Return how a request to an address ends that cannot be had."""

    async def main() -> TransportError:
        async with Transport(context) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(get(url), 5, MEBIBYTE)
            return caught.value

    return asyncio.run(main())


def test_a_refused_connection_is_reason_connection() -> None:
    """Nobody listens: nothing was sent, and nothing is tried again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = unreachable(f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert (error.reason, error.broke_early) == (Reason.CONNECTION, False)
    assert CANARY not in told(error)


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..example", ".".join(["abcdefgh"] * 40)])
def test_a_name_that_does_not_resolve_is_reason_dns(host: str) -> None:
    """Names that no resolver takes are a matter of DNS, and no fault of ours."""
    error = unreachable(f"http://{host}")
    assert error.reason is Reason.DNS
    assert host not in told(error)


def test_the_clients_own_dns_error_is_reason_dns() -> None:
    """What the client raises for a name that is not found is told apart from a refused connection."""
    key = ConnectionKey("secret.example", 443, True, True, None, None, None, None)
    error = translate(aiohttp.ClientConnectorDNSError(key, OSError("secret.example")))
    assert error.reason is Reason.DNS
    assert "secret.example" not in told(error)


def test_an_error_nobody_thought_of_is_reason_bug_by_its_kind_alone() -> None:
    """An unexpected exception's text is not passed on: it may hold anything."""
    error = translate(ZeroDivisionError(CANARY))
    assert error.reason is Reason.BUG
    assert "ZeroDivisionError" in error.message
    assert CANARY not in told(error)


# --- TLS --------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, address: str) -> Path:
    """Make a self-signed certificate for an IP address; return the file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{address}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def server_context(file: Path) -> ssl.SSLContext:
    """Return what a server with this certificate uses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def over_tls(file: Path, context: ssl.SSLContext | None) -> Reply | TransportError:
    """Return what comes of a request to a server with this certificate."""

    async def main() -> Reply | TransportError:
        async with serving(saying(OK), server_context(file)) as heard, Transport(context) as transport:
            try:
                return await transport.send(get(heard.url), 5, MEBIBYTE)
            except TransportError as error:
                assert heard.requests == []
                return error

    return asyncio.run(main())


def test_a_certificate_that_nobody_trusts_is_reason_tls(tmp_path: Path) -> None:
    """A self-signed endpoint gets no request, and the reason is told without its address."""
    error = over_tls(certificate(tmp_path, "127.0.0.1"), None)
    assert isinstance(error, TransportError)
    assert (error.reason, error.broke_early) == (Reason.TLS, False)
    assert error.message == "no trusted TLS connection to the endpoint: self-signed certificate"
    assert CANARY not in told(error)


def test_a_certificate_of_somebody_else_is_reason_tls(tmp_path: Path) -> None:
    """A trusted certificate counts for its own name alone, and that is said."""
    file = certificate(tmp_path, "127.0.0.2")
    context = tls_context()
    context.load_verify_locations(file)
    error = over_tls(file, context)
    assert isinstance(error, TransportError)
    assert error.reason is Reason.TLS
    assert error.message == "no trusted TLS connection to the endpoint: IP address mismatch"


def test_a_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    """TLS works where it should: the failures above are due to the certificate."""
    file = certificate(tmp_path, "127.0.0.1")
    context = tls_context()
    context.load_verify_locations(file)
    reply = over_tls(file, context)
    assert isinstance(reply, Reply)
    assert reply.status == 200


def test_tls_spoken_to_a_server_without_is_reason_tls() -> None:
    """An https endpoint that answers in clear is a matter of TLS, and of no certificate."""

    async def speaking(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async def plain() -> TransportError:
        async with listening(speaking) as url, Transport() as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(get(url.replace("http:", "https:")), 5, MEBIBYTE)
            return caught.value

    error = asyncio.run(plain())
    assert error.reason is Reason.TLS
    assert error.message.startswith("no trusted TLS connection to the endpoint: ")
    assert "certificate" not in error.message


def test_certificates_are_verified_and_old_versions_refused() -> None:
    """The context that is used by itself verifies chain and name, and speaks TLS 1.2 at least."""
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
