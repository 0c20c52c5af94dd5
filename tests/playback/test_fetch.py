"""Fetching what viewers get, over real sockets: servers that are slow, endless, wrong or hostile, and what it costs."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from exporter.addresses import PlaybackAddress, origin_of
from exporter.fields import Secret
from exporter.model import Reason
from exporter.playback import flv
from exporter.playback.checker import MOST_SEGMENT
from exporter.playback.fetch import Fetched, Fetcher, NotFetched, Wanted
from exporter.playback.rates import Rates
from exporter.playback.verdict import FIRST_BYTES
from exporter.routes import UNSET, Http
from tests.core.test_transport import (
    Behaviour,
    Heard,
    answer,
    closing,
    hanging,
    listening,
    resetting,
    saying,
    serving,
    told,
)

CANARY = "canary-that-nobody-may-see"
PLAYLIST = b"#EXTM3U\n"


def address(url: str, *more: str, private: bool = False, shown: str = "") -> PlaybackAddress:
    """Return a configured address; a check of it may ask its own origin and more."""
    origins = (origin_of(url), *more)
    return PlaybackAddress("main", Secret(url), shown or url.partition("?")[0], origins, private=private)


@dataclass
class Seen:
    """What came of a fetch: its outcome, and the parts of the body."""

    outcome: Fetched | NotFetched | None = None
    parts: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts)

    @property
    def fetched(self) -> Fetched:
        """The outcome, which is an answer."""
        assert isinstance(self.outcome, Fetched), self.outcome
        return self.outcome

    @property
    def error(self) -> NotFetched:
        """The outcome, which is none."""
        assert isinstance(self.outcome, NotFetched), self.outcome
        return self.outcome


@dataclass
class Net:
    """A fetcher and its turns."""

    fetcher: Fetcher
    http: Http

    async def get(
        self, url: str, of: PlaybackAddress | None = None, enough: int = 1 << 40, seconds: float = 10.0, **given: Any
    ) -> Seen:
        """Fetch until so many bytes were taken."""
        seen = Seen()

        def take(part: bytes) -> bool:
            seen.parts.append(part)
            return len(seen.body) < enough

        wanted = Wanted(url, of or address(url), self.http, seconds, given.pop("most", 1 << 20), **given)
        try:
            seen.outcome = await self.fetcher.fetch(wanted, take)
        except NotFetched as error:
            seen.outcome = error
        return seen


@asynccontextmanager
async def opened(http: Http = UNSET, **given: Any) -> AsyncIterator[Net]:
    """Open a fetcher whose connections need no rest."""
    rates = Rates(asyncio.get_running_loop().time)
    async with Fetcher(rates, rest=0.0, gap=30.0, **given) as fetcher:
        yield Net(fetcher, http)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(bounded())


def test_a_playlist_comes_whole_and_its_connection_serves_the_next() -> None:
    """An ordinary answer: its body, its status, its headers and times, and one connection for all."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST, "X-Cache: HIT"))) as heard, opened() as net:
            for _ in range(3):
                seen = await net.get(f"{heard.url}/live/a.m3u8?token={CANARY}")
                assert seen.body == PLAYLIST
                fetched = seen.fetched
                assert (fetched.status, fetched.ending, fetched.received) == (200, "whole", len(PLAYLIST))
                assert fetched.headers["x-cache"] == "HIT"
                assert (fetched.origin, fetched.redirected) == (heard.url, False)
                assert fetched.first_byte is not None
                assert 0 <= fetched.first_byte <= fetched.seconds < 10
            assert heard.connections == 1
            request = heard.requests[0]
            assert request.startswith(f"GET /live/a.m3u8?token={CANARY} HTTP/1.1\r\n".encode())
            assert b"\r\nAccept-Encoding: identity\r\n" in request
            assert b"range" not in request.lower()

    run(main)


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_trickle_is_handed_on_byte_by_byte() -> None:
    """A byte reaches the reader before the next one is sent: nothing waits for more of the body to come."""

    async def main() -> None:
        taken: asyncio.Queue[bytes] = asyncio.Queue()

        def take(part: bytes) -> bool:
            taken.put_nowait(part)
            return True

        sent = b"FLV\x01slow"

        async def behave(writer: asyncio.StreamWriter, _number: int) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            for byte in sent:
                writer.write(bytes([byte]))
                assert await taken.get() == bytes([byte])
            writer.close()

        async with serving(behave) as heard, opened() as net:
            url = f"{heard.url}/a.flv"
            wanted = Wanted(url, address(url), UNSET, 10, 1000)
            fetched = await net.fetcher.fetch(wanted, take)
            assert (fetched.ending, fetched.received) == ("whole", len(sent))

    run(main)


@asynccontextmanager
async def endless(head: bytes, part: bytes) -> AsyncIterator[tuple[Heard, asyncio.Event]]:
    """Serve a body that does not end; yields what is heard, and what is set when the client has cut it off."""
    cut = asyncio.Event()

    async def behave(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(head)
        try:
            while True:
                writer.write(part)
                await writer.drain()
        finally:
            cut.set()

    async with serving(behave) as heard:
        yield heard, cut


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"1000\r\n" + b"x" * 4096 + b"\r\n"
ENDLESS = {
    "no length": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096),
    "chunks": (CHUNKED, CHUNK),
    "a length beyond measure": (b"HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\n\r\n", b"x" * 4096),
    "the range is ignored": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"x" * 4096),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_an_endless_body_is_cut_off_with_its_connection(what: str) -> None:
    """No more is handed on than is wanted, little more is received, and the connection is never used again."""

    async def main() -> None:
        async with endless(*ENDLESS[what]) as (heard, cut), opened() as net:
            url = f"{heard.url}/1.ts"
            seen = await net.get(url, most=64 << 10, first=4096)
            assert (seen.fetched.ending, len(seen.body)) == ("most", 64 << 10)
            assert 64 << 10 <= seen.fetched.received < 1 << 20
            await cut.wait()
            cut.clear()
            seen = await net.get(url, enough=100)
            assert (seen.fetched.ending, len(seen.parts)) == ("enough", 1)
            await cut.wait()
            assert heard.connections == 2
            assert b"\r\nRange: bytes=0-4095\r\n" in heard.requests[0]

    run(main)


@pytest.mark.parametrize(("taken", "most"), [(FIRST_BYTES, MOST_SEGMENT), (flv.MOST_TAKEN, flv.MOST_BYTES)])
def test_a_check_costs_no_more_than_it_may(taken: int, most: int) -> None:
    """What a server sends ahead of what is taken counts too: a segment costs 64 KiB at most, and FLV 256 KiB."""

    async def main() -> None:
        async with endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 18)) as (heard, cut), opened() as net:
            for _ in range(4):
                seen = await net.get(f"{heard.url}/1.ts", enough=taken, most=8 << 20, first=FIRST_BYTES)
                assert taken <= seen.fetched.received <= most
                await cut.wait()
                cut.clear()

    run(main)


def test_a_ranged_answer_is_whole_and_its_connection_is_kept() -> None:
    """The first bytes of a segment are an answer of their own, also where they are packed and cut."""

    async def main() -> None:
        part = answer(b"x" * 4096, "Content-Range: bytes 0-4095/900000", status="206 Partial Content")
        packed = gzip.compress(bytes(range(256)) * 64)[:400]
        cut = answer(packed, "Content-Encoding: gzip", status="206 Partial Content")
        async with serving(saying(part, cut)) as heard, opened() as net:
            for size, received, start in ((4096, 4096, 0), (None, 400, 900)):
                seen = await net.get(f"{heard.url}/1.ts", most=64 << 10, first=4096, start=start)
                assert f"\r\nRange: bytes={start}-{start + 4095}\r\n".encode() in heard.requests[-1]
                assert (seen.fetched.status, seen.fetched.ending) == (206, "whole")
                assert size is None or len(seen.body) == size
                assert seen.body
                assert seen.fetched.received == received
            assert heard.connections == 1

    run(main)


def test_a_body_of_exactly_what_is_allowed_is_whole() -> None:
    """One byte more is too much."""

    async def main() -> None:
        async with serving(saying(answer(b"x" * 100), answer(b"x" * 101))) as heard, opened() as net:
            for size in (100, 101):
                seen = await net.get(f"{heard.url}/a", most=100)
                assert (seen.fetched.ending, len(seen.body), seen.fetched.received) == (
                    "whole" if size == 100 else "most",
                    100,
                    size,
                )

    run(main)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw", "x-gzip", "GZIP "])
def test_a_packed_playlist_is_unpacked_though_nobody_asked_for_it(encoding: str) -> None:
    """CDNs pack what is stored packed; what came over the wire is counted as it came."""

    async def main() -> None:
        body = b"#EXTM3U\n" + b"".join(b"#EXTINF:4,\n%d.ts\n" % number for number in range(20_000))
        if encoding == "raw":
            packer = zlib.compressobj(wbits=-15)
            packed = packer.compress(body) + packer.flush()
        else:
            packed = zlib.compress(body) if encoding == "deflate" else gzip.compress(body)
        name = "deflate" if encoding == "raw" else encoding
        async with serving(saying(answer(packed, f"Content-Encoding: {name}"))) as heard, opened() as net:
            seen = await net.get(f"{heard.url}/a.m3u8")
            assert seen.body == body
            assert (seen.fetched.ending, seen.fetched.received) == ("whole", len(packed))

    run(main)


def test_a_bomb_unpacks_to_no_more_than_is_allowed() -> None:
    """64 KiB that would become 64 MiB are cut off at one, step by step, so that nothing else has to wait."""

    async def main() -> None:
        bomb = gzip.compress(bytes(64 << 20))
        async with serving(saying(answer(bomb, "Content-Encoding: gzip"))) as heard, opened() as net:
            tracemalloc.start()
            try:
                seen = await net.get(f"{heard.url}/a.m3u8", most=1 << 20)
                memory = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert (seen.fetched.ending, len(seen.body)) == ("most", 1 << 20)
            assert max(map(len, seen.parts)) <= 64 << 10
            assert memory < 6 << 20

    run(main)


def test_a_body_that_falls_silent_is_told_apart_from_one_that_is_late() -> None:
    """With `silence` the time runs anew with each byte, and its end is a finding; without, `timeout` holds for all."""

    async def behave(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(4):
            writer.write(b"x")
            await asyncio.sleep(0.05)
        await asyncio.sleep(3600)

    async def main() -> None:
        async with serving(behave) as heard, opened() as net:
            seen = await net.get(f"{heard.url}/a.flv", silence=1.1, seconds=1.0)
            assert (seen.body, seen.fetched.ending, seen.fetched.received) == (b"xxxx", "silent", 4)
            seen = await net.get(f"{heard.url}/a.flv", seconds=1.0)
            assert (seen.error.reason, str(seen.error)) == (Reason.TIMEOUT, "no complete answer in time")
            assert seen.error.received == len(seen.body) > 0
            assert heard.connections == 2

    run(main)


def test_an_event_loop_that_was_held_up_takes_what_came_meanwhile() -> None:
    """Only when that is taken, and nothing more comes, a body is silent."""

    def serve(listener: socket.socket, hold_up: Callable[[], None]) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nx")
            hold_up()
            held_up.wait(10)
            peer.sendall(b"y")
            goes_on.set()
            peer.recv(1)

    held_up, goes_on = threading.Event(), threading.Event()

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            loop = asyncio.get_running_loop()

            def hold_up() -> None:
                held_up.set()
                goes_on.wait(10)
                time.sleep(0.25)

            soon = partial(loop.call_soon_threadsafe, loop.call_later, 0.1, hold_up)
            threading.Thread(target=serve, args=(listener, soon), daemon=True).start()
            async with opened() as net:
                seen = await net.get(f"http://127.0.0.1:{listener.getsockname()[1]}/a.flv", silence=0.2)
        assert (seen.body, seen.fetched.ending) == (b"xy", "silent")

    run(main)


def test_a_used_connection_is_told_and_can_be_refused() -> None:
    """What comes over one may be another request's answer, so whoever doubts it asks anew."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST))) as heard, opened() as net:
            told = [(await net.get(f"{heard.url}/a", new=new)).fetched.reused for new in (False, False, True)]
            assert told == [False, True, False]
            assert heard.connections == 2

    run(main)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "410 Gone", "403 Forbidden", "500 Oops", "204 No Content", "304 Not Modified"]
)
def test_a_status_is_an_answer_whose_body_is_not_read(status: str) -> None:
    """The judge has the status at once, though its page may never end; after a short one the connection is kept."""

    async def main() -> None:
        empty = status[:3] in ("204", "304")
        page = b"" if empty else b"<html>"
        async with serving(saying(answer(page, status=status))) as heard, opened() as net:
            for _ in range(2):
                seen = await net.get(f"{heard.url}/a.m3u8")
                assert (seen.fetched.status, seen.parts, seen.fetched.first_byte) == (int(status[:3]), [], None)
                assert seen.fetched.received == len(page)
            assert heard.connections == 1
        if not empty:
            async with endless(f"HTTP/1.1 {status}\r\n\r\n".encode(), b"x" * 4096) as (heard, cut), opened() as net:
                seen = await net.get(f"{heard.url}/a.m3u8")
                assert (seen.fetched.status, seen.parts) == (int(status[:3]), [])
                assert seen.fetched.received < 1 << 20
                await cut.wait()

    run(main)


def test_what_the_reader_raises_is_passed_on_and_ends_the_connection() -> None:
    """A judge may break off with an error of its own."""

    async def main() -> None:
        async with endless(*ENDLESS["no length"]) as (heard, cut), opened() as net:
            wanted = Wanted(heard.url, address(heard.url), UNSET, 10, 1000)
            with pytest.raises(ZeroDivisionError):
                await net.fetcher.fetch(wanted, lambda part: len(part) == 1 // 0)
            await cut.wait()

    run(main)


# --- what goes wrong --------------------------------------------------------------------------------------------------

FAILING: dict[str, tuple[Behaviour, Reason, int]] = {
    "closed before a byte": (closing(), Reason.CONNECTION, 0),
    "closed within the head": (closing(b"HTTP/1.1 200"), Reason.CONNECTION, 0),
    "closed within the body": (closing(answer(b"12345", length=10)), Reason.CONNECTION, 5),
    "closed within the chunks": (closing(CHUNKED + b"a\r\n12345"), Reason.CONNECTION, 5),
    "reset within the body": (resetting(answer(b"12345", length=10)), Reason.CONNECTION, 5),
    "reset within a body without length": (resetting(b"HTTP/1.1 200 OK\r\n\r\n12345"), Reason.CONNECTION, 5),
    "never a head": (hanging, Reason.TIMEOUT, 0),
    "never the rest of a body": (saying(answer(b"12345", length=10)), Reason.TIMEOUT, 5),
    "no HTTP": (closing(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Reason.HTTP, 0),
    "FLV without HTTP": (closing(b"FLV\x01\x05\0\0\0\t\0\0\0\0"), Reason.HTTP, 0),
    "a head without end": (closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), Reason.HTTP, 0),
    "fields without end": (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), Reason.HTTP, 0),
    "interim answers without end": (saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000), Reason.HTTP, 0),
    "another protocol": (saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
                         Reason.HTTP, 0),
    "lengths that differ": (closing(answer(b"{}", "Content-Length: 1")), Reason.HTTP, 0),
    "a length that no number holds": (closing(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}"),
                                      Reason.HTTP, 0),
    "chunks without size": (closing(CHUNKED + b"zz\r\n{}\r\n"), Reason.HTTP, 0),
    "compression of an unknown kind": (saying(answer(b"12345", "Content-Encoding: br")), Reason.MALFORMED, 5),
    "compression twice": (saying(answer(b"12345", "Content-Encoding: gzip, gzip")), Reason.MALFORMED, 5),
    "broken compression": (saying(answer(b"12345", "Content-Encoding: gzip")), Reason.MALFORMED, 5),
    "cut compression": (saying(answer(gzip.compress(b"{}")[:12], "Content-Encoding: gzip")), Reason.MALFORMED, 12),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILING)
def test_each_failure_has_its_reason_and_tells_no_secret(what: str, caplog: pytest.LogCaptureFixture) -> None:
    """What came is counted, and no text shows the URL; a connection lasts only where its answer was whole."""
    behave, reason, received = FAILING[what]
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with serving(behave) as heard, opened() as net:
            url = f"{heard.url}/{CANARY}/a.m3u8?token={CANARY}"
            seconds = 0.8 if reason is Reason.TIMEOUT else 10
            seen = await net.get(url, address(url, shown=heard.url), seconds=seconds)
            assert (seen.error.reason, seen.error.received) == (reason, received)
            assert CANARY not in told(seen.error)
            again = await net.get(url, seconds=seconds)
            assert isinstance(again.outcome, NotFetched)
            once_more = 2 if what == "closed before a byte" else 1
            assert heard.connections == (1 if reason is Reason.MALFORMED else 2 * once_more)

    run(main)
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "flood", [b"1\r\nx\r\n" * 200_000, b"1;" + b"e" * 1_000_000, b"8\r\nxxxxxxxx\r\n" * 100_000], ids=["1", "e", "8"]
)
def test_a_flood_of_chunk_sizes_is_given_up(flood: bytes) -> None:
    """What costs far more to parse than it holds ends the fetch, long before as much content has come as is allowed."""

    async def main() -> None:
        async with serving(saying(CHUNKED + flood)) as heard, opened() as net:
            seen = await net.get(f"{heard.url}/a.m3u8", most=8 << 20)
            assert seen.error.reason is Reason.HTTP
            assert seen.error.received < 300_000

    run(main)


STRAYS = {
    "another answer": answer(PLAYLIST) + answer(b"stray"),
    "half an answer": answer(PLAYLIST) + b"HTTP/1.1 404 Not",
    "a body longer than it says": answer(PLAYLIST) + b"more",
    "more after the last chunk": CHUNKED + b"8\r\n" + PLAYLIST + b"\r\n0\r\n\r\nmore",
    "the connection is to be closed": answer(PLAYLIST, "Connection: close"),
}


@pytest.mark.parametrize("what", STRAYS)
def test_what_follows_an_answer_is_nobodys(what: str) -> None:
    """Each fetch has its own answer, on a connection of its own."""

    async def main() -> None:
        async with serving(saying(STRAYS[what])) as heard, opened() as net:
            for _ in range(3):
                seen = await net.get(f"{heard.url}/a.m3u8")
                assert isinstance(seen.outcome, Fetched | NotFetched)
                assert seen.body in (PLAYLIST, b"")
                assert isinstance(seen.outcome, NotFetched) or seen.body == PLAYLIST
            assert heard.connections == 3

    run(main)


def test_a_connection_that_breaks_before_an_answer_costs_one_more_request() -> None:
    """A kept connection may have ended meanwhile; what breaks on a new one, too, is a failure."""

    async def behave(writer: asyncio.StreamWriter, number: int) -> None:
        if number in (1, 3):
            writer.write(answer(PLAYLIST))
        else:
            writer.close()

    async def main() -> None:
        async with serving(behave) as heard, opened() as net:
            for requests in (1, 3):
                assert (await net.get(f"{heard.url}/a")).body == PLAYLIST
                assert len(heard.requests) == requests
            assert (await net.get(f"{heard.url}/a")).error.reason is Reason.CONNECTION
            assert (len(heard.requests), heard.connections) == (5, 3)

    run(main)


def test_who_gives_up_leaves_nothing_behind() -> None:
    """Cancelled while it connects, waits for a head, or reads, a fetch ends its connection and no task stays."""

    async def main() -> None:
        ended: asyncio.Queue[int] = asyncio.Queue()
        begun: asyncio.Queue[int] = asyncio.Queue()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/body" in head:
                writer.write(answer(b"x", length=1000))
            begun.put_nowait(1)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            ended.put_nowait(1)

        async with listening(connected) as url, opened() as net:
            before = asyncio.all_tasks()
            for path in ("/head", "/body"):
                task = asyncio.create_task(net.get(f"{url}{path}"))
                await begun.get()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await ended.get()
            task = asyncio.create_task(net.get(f"{url}/connecting"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.sleep(0.05)
        assert {each for each in asyncio.all_tasks() - before if "connected" not in repr(each)} == set()

    run(main)
