"""Origins on loopback: HTTP-FLV of what ffmpeg sends, addresses that must be signed, and pages that are wrong."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HEAD, TAG, SIZE = 13, 11, 4  # bytes: of FLV's header, of a tag's, and behind a tag
LONG_ROWS = 10_000  # two lines each
TS = (b"\x47" + bytes(187)) * 40
HLS_TYPE = "application/vnd.apple.mpegurl"


@dataclass(slots=True)
class Relay:
    """A live stream of FLV: an encoder sends it by TCP; each viewer gets it from its last picture that stands alone.

    Attributes:
        port: Where the encoder sends it.
        live: Whether it does.
    """

    port: int = 0
    live: bool = False
    _start: bytes = b""
    _recent: bytes = b""
    _viewers: set[asyncio.Queue[bytes]] = field(default_factory=set)

    @property
    def viewers(self) -> int:
        """How many it is given to now."""
        return len(self._viewers)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what an encoder sends, tag by tag."""
        self._start, self._recent, self.live = await reader.readexactly(HEAD), b"", True
        try:
            while True:
                head = await reader.readexactly(TAG)
                tag = head + await reader.readexactly(int.from_bytes(head[1:4]) + SIZE)
                if _prepares(tag):
                    self._start += tag
                elif _stands_alone(tag):
                    self._recent = tag
                elif self._recent:
                    self._recent += tag
                for viewer in self._viewers:
                    viewer.put_nowait(tag)
        finally:
            self.live = False
            for viewer in self._viewers:
                viewer.put_nowait(b"")

    async def give(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Give a viewer the stream until it ends."""
        mine: asyncio.Queue[bytes] = asyncio.Queue()
        self._viewers.add(mine)
        try:
            await send(self._start + self._recent)
            while tag := await mine.get():
                await send(tag)
        finally:
            self._viewers.discard(mine)


def _prepares(tag: bytes) -> bool:
    """Whether a tag holds what a decoder needs first: metadata, and the headers of H.264 and of AAC."""
    first, second = tag[TAG : TAG + 2]
    return tag[0] == 18 or (second == 0 and (first & 0x0F == 7 if tag[0] == 9 else first >> 4 == 10))


def _stands_alone(tag: bytes) -> bool:
    """Whether a tag holds a picture from which a viewer can begin."""
    return tag[0] == 9 and tag[TAG] >> 4 == 1


@dataclass(slots=True)
class Visit:
    """A request: its path, its query, and the way back."""

    path: str
    query: dict[str, str]
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: str, kind: str, *more: str) -> None:
        """Send the head of an answer that ends with its connection."""
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def answer(self, body: bytes, status: str = "200 OK", kind: str = HLS_TYPE) -> None:
        """Send an answer."""
        await self.head(status, kind, f"Content-Length: {len(body)}")
        await self.send(body)

    async def chunk(self, data: bytes) -> None:
        """Send a part of a body whose encoding is chunked."""
        await self.send(b"%X\r\n%s\r\n" % (len(data), data))


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
Page = Callable[[Visit], Awaitable[None]]


@dataclass(slots=True)
class Origins:
    """Servers that run in a thread.

    Attributes:
        made: The folder with what ffmpeg makes of the stream that has to be signed for.
        url: One with pages.
        other: Another one; nobody may ask it.
        hole: One that answers nothing.
        relays: The streams of FLV, by name.
        keys: What addresses are signed with, by whose scheme it is.
        asked: What the other one was asked.
        signatures: All that were seen.
        held: How many connections the hole has at once.
        most_held: The most that it had.
    """

    made: Path
    keys: dict[str, str]
    relays: dict[str, Relay]
    url: str = ""
    other: str = ""
    hole: str = ""
    asked: list[str] = field(default_factory=list)
    signatures: set[str] = field(default_factory=set)
    most_held: int = 0
    _held: int = 0
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def start(self) -> None:
        """Listen."""
        self.url = f"http://127.0.0.1:{await self._listen(self._answered)}"
        self.other = f"http://127.0.0.1:{await self._listen(self._logged)}"
        self.hole = f"http://127.0.0.1:{await self._listen(self._swallowed)}"
        for relay in self.relays.values():
            relay.port = await self._listen(relay.take)

    async def end(self) -> None:
        """Listen no more, and break off what is under way."""
        for server in self._servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, talk: Talk) -> int:
        async def talked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
                await talk(reader, writer)
            writer.close()

        server = await asyncio.start_server(talked, "127.0.0.1", 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
        parts = urlsplit(target)
        await self._page(parts.path)(Visit(parts.path, dict(parse_qsl(parts.query)), writer))

    async def _logged(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(repr(await reader.read(4096)))

    async def _swallowed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held += 1
        self.most_held = max(self.most_held, self._held)
        try:
            while await reader.read(4096):
                pass
        finally:
            self._held -= 1

    def _page(self, path: str) -> Page:
        pages: dict[str, Page] = {
            "page": _page, "drip": _drip, "endless": _endless, "elsewhere": self._elsewhere, "long": _long,
            "flv": self._flv, "tencent": self._tencent, "alibaba": self._alibaba,
        }  # fmt: skip
        return pages.get(path.split("/")[1], _missing)

    # --- HLS that is asked for with a signature -----------------------------------------------------------------------

    async def _tencent(self, visit: Visit) -> None:
        """Let in whom Tencent would: https://www.tencentcloud.com/document/product/267/31560 ."""
        name, time_ = Path(visit.path).stem, visit.query.get("txTime", "0")
        wanted = hashlib.md5((self.keys["tencent"] + name + time_).encode()).hexdigest()
        await self._signed(visit, visit.query.get("txSecret", ""), wanted, int(time_, 16))

    async def _alibaba(self, visit: Visit) -> None:
        """Let in whom Alibaba would: https://www.alibabacloud.com/help/en/live/user-guide/url-signing ."""
        time_, chance, user, given = (visit.query.get("auth_key", "") or "0-0-0-0").split("-")
        text = "-".join((visit.path, time_, chance, user, self.keys["alibaba"]))
        await self._signed(visit, given, hashlib.md5(text.encode()).hexdigest(), int(time_))

    async def _signed(self, visit: Visit, given: str, wanted: str, until: int) -> None:
        if visit.path.endswith(".ts"):  # as these schemes have it where only playlists are protected
            await visit.answer((self.made / Path(visit.path).name).read_bytes(), kind="video/mp2t")
            return
        self.signatures.add(given)
        if given != wanted or until < time.time():
            await visit.answer(b"denied", "403 Forbidden", "text/plain")
            return
        await visit.answer((self.made / "index.m3u8").read_bytes())

    # --- FLV ---------------------------------------------------------------------------------------------------------

    async def _flv(self, visit: Visit) -> None:
        """Give a stream for as long as it lasts, in chunks."""
        relay = self.relays[Path(visit.path).stem]
        if not relay.live:
            await _missing(visit)
            return
        await visit.head("200 OK", "video/x-flv", "Transfer-Encoding: chunked")
        await relay.give(visit.chunk)
        await visit.send(b"0\r\n\r\n")

    async def _elsewhere(self, visit: Visit) -> None:
        location = f"Location: {self.other}/index.m3u8?token={visit.query.get('token', '')}"
        await visit.head("302 Found", "text/plain", location, "Content-Length: 0")


async def _missing(visit: Visit) -> None:
    await visit.answer(b"not there", "404 Not Found", "text/plain")


async def _page(visit: Visit) -> None:
    await visit.answer(b"<!doctype html><title>Welcome</title>", kind="text/html")


async def _drip(visit: Visit) -> None:
    """Send a playlist a byte at a time."""
    await visit.head("200 OK", HLS_TYPE, "Content-Length: 100000")
    for letter in b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n" * 100:
        await visit.send(bytes([letter]))
        await asyncio.sleep(0.1)


async def _endless(visit: Visit) -> None:
    """Send a playlist that has no end."""
    await visit.head("200 OK", HLS_TYPE)
    await visit.send(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n")
    while True:
        await visit.send(b"#EXTINF:2,\nsegment.ts\n" * 1000)


async def _long(visit: Visit) -> None:
    """Send the playlist of many hours, which moves once a second; its rows carry the viewer's token."""
    if visit.path.endswith(".ts"):
        await visit.answer(TS, kind="video/mp2t")
        return
    first, token = int(time.time()) - LONG_ROWS, visit.query.get("token", "")
    rows = "".join(f"#EXTINF:1.000,\n{first + row}.ts?token={token}\n" for row in range(LONG_ROWS))
    await visit.answer(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{rows}".encode())


@contextmanager
def origins(made: Path, keys: dict[str, str], *streams: str) -> Iterator[Origins]:
    """Run the servers in a thread while the block runs, with these streams of FLV."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    one = Origins(made, keys, {name: Relay() for name in streams})
    try:
        asyncio.run_coroutine_threadsafe(one.start(), loop).result(10)
        yield one
    finally:
        asyncio.run_coroutine_threadsafe(one.end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
