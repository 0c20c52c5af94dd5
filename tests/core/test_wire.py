"""Bytes that nobody asked for, on real sockets: no call ever takes them for its answer."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.model import Reason, Reply, Request
from exporter.providers.interface import MEBIBYTE, TransportError
from exporter.transport import Transport, tls_context
from exporter.transport.wire import MOST_INTERIM
from tests.core.test_transport import answer, certificate, kept, listening, server_context

LATE = 0.01  # seconds after which late bytes come
REST = 0.05  # longer than that
STRAY_408 = answer(b"", "Connection: close", status="408 Request Timeout")

Script = Callable[[bytes], list[tuple[float, bytes]]]
"""What a server writes for a call's own name: (seconds to wait before, bytes)."""


@asynccontextmanager
async def telling(script: Script, greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on loopback: each request is for a name, its path, and the script says what is written for it."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(greeting)
            while head := await reader.readuntil(b"\r\n\r\n"):
                for seconds, data in script(head.split(b" ")[1].lstrip(b"/")):
                    if seconds:
                        await asyncio.sleep(seconds)
                    writer.write(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with listening(connected, tls) as url:
        yield url


def named(name: bytes) -> bytes:
    """Answer with a call's own name."""
    return answer(name)


def chunked(name: bytes) -> bytes:
    """Answer with a call's own name, in chunks."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(name), name)


OTHER = answer(b"another")
SCRIPTS: dict[str, Script] = {
    "408 on an idle connection": lambda name: [(0, named(name)), (LATE, STRAY_408)],
    "another answer on an idle connection": lambda name: [(0, named(name)), (LATE, OTHER)],
    "the answer again, late": lambda name: [(0, named(name)), (LATE, named(name))],
    "the answer again, at once": lambda name: [(0, named(name) * 2)],
    "another answer in the same bytes": lambda name: [(0, named(name) + OTHER)],
    "half an answer in the same bytes": lambda name: [(0, named(name) + OTHER[:30])],
    "half an answer, late": lambda name: [(0, named(name)), (LATE, OTHER[:30])],
    "an interim answer too many": lambda name: [(0, named(name) + b"HTTP/1.1 100 Continue\r\n\r\n")],
    "an interim answer, late": lambda name: [(0, named(name)), (LATE, b"HTTP/1.1 103 Early Hints\r\n\r\n")],
    "interim answers before": lambda name: [(0, b"HTTP/1.1 102 Processing\r\n\r\n" * MOST_INTERIM + named(name))],
    "204 with a body": lambda name: [(0, answer(name, status="204 No Content"))],
    "204 with an answer as its body": lambda name: [(0, answer(OTHER, status="204 No Content"))],
    "304 with a body, late": lambda name: [(0, answer(b"", status="304 Not Modified", length=5)), (LATE, name)],
    "data after the last chunk": lambda name: [(0, chunked(name) + b"5\r\nstray\r\n0\r\n\r\n")],
    "data after the last chunk, late": lambda name: [(0, chunked(name)), (LATE, b"5\r\nstray\r\n0\r\n\r\n")],
    "an answer after the last chunk": lambda name: [(0, chunked(name) + OTHER)],
    "a body longer than its length": lambda name: [(0, named(name) + b"more"), (LATE, b"and more")],
    "one byte, late": lambda name: [(0, named(name)), (LATE, b"\n")],
    "a page of an intermediary between two answers": lambda name: [
        (0, named(name)),
        (LATE, answer(b"<html>busy</html>", status="503 Service Unavailable")),
    ],
}


async def call(transport: Transport, url: str, name: str) -> Reply | TransportError:
    """Make a call on a kept connection; return how it ends."""
    try:
        return await kept(transport, Request("GET", f"{url}/{name}"))
    except TransportError as error:
        return error


async def calls(transport: Transport, url: str, count: int = 3) -> list[Reply | TransportError]:
    """Make calls one after the other, each when the last one's connection has rested."""
    outcomes = []
    for number in range(count):
        outcomes.append(await call(transport, url, f"call-{number}"))
        await asyncio.sleep(REST * 1.2)
    return outcomes


def of_its_own(outcomes: list[Reply | TransportError]) -> list[bool]:
    """Say for each call whether it got its own answer; one that got another's is an error."""
    got = []
    for number, outcome in enumerate(outcomes):
        own = isinstance(outcome, Reply) and outcome.status == 200
        if isinstance(outcome, Reply) and own:
            assert outcome.body == f"call-{number}".encode()
        got.append(own)
    return got


LOST = {
    "204 with a body",
    "204 with an answer as its body",
    "304 with a body, late",
    "data after the last chunk",
    "a body longer than its length",
}


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("what", SCRIPTS)
def test_no_call_takes_what_was_not_sent_for_it(what: str, tls: bool, tmp_path: Path) -> None:
    """Whatever a server or something before it says unasked, each call gets its own answer or fails."""
    context = tls_context()
    if tls:
        context.load_verify_locations(file := certificate(tmp_path, "127.0.0.1"))

    async def main() -> None:
        async with (
            telling(SCRIPTS[what], tls=server_context(file) if tls else None) as url,
            Transport(context, rest=REST) as transport,
        ):
            got = of_its_own(await calls(transport, url))
            # An answer that contradicts itself is lost, but no other with it.
            assert all(got) is (what not in LOST)

    asyncio.run(main())


def test_a_kept_connection_that_is_clean_is_used_again() -> None:
    """The care costs no connection where nothing is wrong."""

    def script(name: bytes) -> list[tuple[float, bytes]]:
        return [(0, named(name))]

    async def main() -> None:
        async with telling(script) as url, Transport(rest=REST) as transport:
            connections = set()
            for number in range(4):
                connection = await transport.connect(url, 5)
                connections.add(id(connection))
                assert await connection.quiet()
                reply = await connection.send(Request("GET", f"{url}/{number}"), 5, MEBIBYTE)
                assert reply.body == str(number).encode()
                connection.release()
                await asyncio.sleep(REST * 1.2)
            assert len(connections) == 1

    asyncio.run(main())


def test_an_endpoint_that_spoke_unasked_gets_a_connection_for_each_call() -> None:
    """A second answer may come later than any rest: once one has come, no connection is used twice, and all is told."""

    def script(name: bytes) -> list[tuple[float, bytes]]:
        return [(0, named(name)), (LATE, named(name))] if name == b"first" else [(0, named(name))]

    async def main() -> None:
        async with telling(script) as url, Transport(rest=REST) as transport:
            first = await call(transport, url, "first")
            assert isinstance(first, Reply)
            assert first.body == b"first"
            await asyncio.sleep(10 * REST)  # however busy the machine is, the second answer is there by then
            for number in range(3):
                connection = await transport.connect(url, 5)
                assert not connection.reused
                assert await connection.quiet()
                assert (await connection.send(Request("GET", f"{url}/{number}"), 5, 9)).body == b"%d" % number
                connection.release()
                await asyncio.sleep(REST * 1.2)

    asyncio.run(main())


def test_calls_on_used_connections_are_made_anew_where_an_answer_came_unasked() -> None:
    """What is expected on a used connection may be an earlier call's second answer: it is not waited for."""

    def script(name: bytes) -> list[tuple[float, bytes]]:
        told = [(0.0, named(name))]
        return {b"slow": [(5.0, named(name))], b"twice": [*told, (LATE, named(name))]}.get(name, told)

    async def main() -> None:
        async with telling(script) as url, Transport(rest=0) as transport:
            used = await transport.connect(url, 5)
            await used.send(Request("GET", f"{url}/any"), 5, MEBIBYTE)
            slow = asyncio.create_task(used.send(Request("GET", f"{url}/slow"), 10, MEBIBYTE))
            fresh = await transport.connect(url, 5, new=True)
            also = asyncio.create_task(fresh.send(Request("GET", f"{url}/any"), 5, MEBIBYTE))
            twice = await transport.connect(url, 5, new=True)
            await twice.send(Request("GET", f"{url}/twice"), 5, MEBIBYTE)
            twice.release()
            with pytest.raises(TransportError) as caught:
                await slow
            assert caught.value.broke_early
            assert (await also).body == b"any"
            used.release()
            fresh.release()

    asyncio.run(main())


def test_a_greeting_that_comes_a_moment_after_the_connection_is_no_answer() -> None:
    """A server takes a moment to speak first; the call waits for longer than that, and goes to nobody."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LATE)
        writer.write(OTHER)
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with listening(greet) as url, Transport(rest=REST) as transport:
            connection = await transport.connect(url, 5)
            assert not await connection.quiet()
            connection.release()

    asyncio.run(main())


def test_an_answer_that_was_there_before_its_request_is_none() -> None:
    """Bytes that wait in the kernel, read by nobody yet, are found before a request goes out."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with Transport(rest=0) as transport:
                connection = await transport.connect(url, 5)
                server, _ = listener.accept()
                with server:
                    server.sendall(OTHER)
                    assert connection.usable  # the loop has not looked yet
                    assert not await connection.quiet()
                    connection.release()

    asyncio.run(main())


def test_a_server_that_speaks_first_is_never_believed() -> None:
    """What is said before the request, on a new connection, is no answer either."""

    async def main() -> None:
        async with telling(lambda name: [(0, named(name))], greeting=OTHER) as url, Transport(rest=REST) as transport:
            connection = await transport.connect(url, 5)
            await asyncio.sleep(LATE)
            assert not await connection.quiet()
            connection.release()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("what", "flood", "reason"),
    [
        ("interim answers", b"HTTP/1.1 100 Continue\r\n\r\n" * 400_000, Reason.HTTP),
        ("chunks of one byte", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_000_000,
         Reason.HTTP),
        ("chunks of eight bytes", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         + b"8\r\nxxxxxxxx\r\n" * 500_000, Reason.HTTP),
        ("chunk extensions", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 5_000_000,
         Reason.HTTP),
        ("fields of a head", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000, Reason.HTTP),
        ("another protocol", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         Reason.HTTP),
    ],
)  # fmt: skip
def test_a_flood_around_the_body_is_refused(what: str, flood: bytes, reason: Reason) -> None:
    """What costs much to parse and says little is refused, and counts as HTTP that is not as it should be."""

    async def main() -> TransportError:
        async with telling(lambda _name: [(0, flood)]) as url, Transport() as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(Request("GET", url), 10, MEBIBYTE)
            return caught.value

    assert asyncio.run(main()).reason is reason, what


def test_a_large_body_in_ordinary_chunks_is_read() -> None:
    """The budget for packing refuses no answer of an ordinary server: 100 bytes a chunk, a head of 20 KiB."""
    body = gzip.compress(bytes(range(256)) * 2000, 0)

    async def main() -> Reply:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"
        head += b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(20)) + b"\r\n"
        parts = (body[at : at + 100] for at in range(0, len(body), 100))
        sent = head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        async with telling(lambda _name: [(0, sent)]) as url, Transport() as transport:
            return await transport.send(Request("GET", url), 10, MEBIBYTE)

    assert asyncio.run(main()).body == bytes(range(256)) * 2000


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("form", [named, chunked])
@pytest.mark.parametrize("behind", [b"", b"H", OTHER[:30]])
def test_what_begins_behind_an_answer_ends_the_connection(
    form: Callable[[bytes], bytes], before: bytes, behind: bytes, tls: bool, tmp_path: Path
) -> None:
    """A part of another answer in the same bytes is as unasked for as a whole one; a clean end costs nothing."""
    context = tls_context()
    if tls:
        context.load_verify_locations(file := certificate(tmp_path, "127.0.0.1"))

    async def main() -> None:
        async with (
            telling(lambda name: [(0, before + form(name) + behind)], tls=server_context(file) if tls else None) as url,
            Transport(context, rest=0) as transport,
        ):
            connection = await transport.connect(url, 5)
            reply = await connection.send(Request("GET", f"{url}/name"), 5, MEBIBYTE)
            assert reply.body == b"name"
            assert connection.usable is (not behind)
            connection.release()
            another = await transport.connect(url, 5)
            assert another.reused is (not behind)
            another.release()

    asyncio.run(main())


def test_a_used_connection_that_waits_is_not_used_where_an_answer_came_unasked() -> None:
    """A call that has its connection but not yet its slot when the endpoint speaks gets another one."""

    async def main() -> None:
        async with (
            telling(lambda name: [(0, named(name) + (OTHER if name == b"twice" else b""))]) as url,
            Transport(rest=0) as transport,
        ):
            waiting = await transport.connect(url, 5)
            await waiting.send(Request("GET", f"{url}/any"), 5, MEBIBYTE)
            twice = await transport.connect(url, 5, new=True)
            await twice.send(Request("GET", f"{url}/twice"), 5, MEBIBYTE)
            assert not await waiting.quiet()
            twice.release()
            waiting.release()

    asyncio.run(main())


def test_a_connection_whose_answer_is_whole_but_unread_still_listens() -> None:
    """A call that gives up on a large answer leaves no connection that hears nothing any more."""
    large = answer(b"x" * (60 << 10))

    async def main() -> None:
        steps = {b"second": [(0.0, large[: 40 << 10]), (0.05, large[40 << 10 :]), (1.5, OTHER)]}
        async with telling(lambda name: steps.get(name, [(0, large)])) as url, Transport(rest=0) as transport:
            first = await transport.send(Request("GET", f"{url}/first"), 5, MEBIBYTE)  # holds the right to a large body
            connection = await transport.connect(url, 5, new=True)
            with pytest.raises(TransportError) as caught:
                await connection.send(Request("GET", f"{url}/second"), 1.0, MEBIBYTE)
            assert caught.value.reason is Reason.TIMEOUT
            kept = connection.usable
            await asyncio.sleep(1.0)
            assert kept
            assert not connection.usable
            connection.release()
            first.release()

    asyncio.run(main())
