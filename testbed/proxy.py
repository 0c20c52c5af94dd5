"""A proxy on loopback: it opens ways by CONNECT, passes on requests for http, and knows all names by itself."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

END = b"\r\n\r\n"
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
WANTS_PASSWORD = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\n'
    b"Content-Length: 2\r\n\r\n{}"
)
UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Proxy:
    """A proxy and what it heard.

    Attributes:
        names: The port on loopback of each `HOST:PORT` that may be asked for.
        password: `USER:PASSWORD` that it wants, if any.
        delay: Seconds before it answers to CONNECT.
        address: `HOST:PORT` where it listens.
        heads: The heads of all requests to it.
        connections: How many connections it was asked for.
    """

    names: Mapping[str, int]
    password: str = ""
    delay: float = 0.0
    address: str = ""
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def asked(self) -> list[str]:
        """The first line of each request."""
        return [head.partition("\r\n")[0] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        ahead: dict[str, Stream] = {}
        try:
            # Cancelled at the end, it ends like any other: a stream's task may not be cancelled.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer, ahead)
        finally:
            for each in (writer, *(back for _, back in ahead.values())):
                each.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ahead: dict[str, Stream]
    ) -> None:
        while True:
            head = (await reader.readuntil(END)).decode("latin-1")
            self.heads.append(head)
            method, target, _ = head.partition("\r\n")[0].split(" ")
            if not self._lets(head):
                writer.write(WANTS_PASSWORD)
            elif method == "CONNECT":
                await asyncio.sleep(self.delay)
                await self._tunnel(target, reader, writer, ahead)
                return
            else:
                await self._pass_on(head, target, reader, writer, ahead)

    def _lets(self, head: str) -> bool:
        packed = base64.b64encode(self.password.encode()).decode()
        return not self.password or f"proxy-authorization: basic {packed}".lower() in head.lower()

    async def _tunnel(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ahead: dict[str, Stream]
    ) -> None:
        if target not in self.names:
            writer.write(UNREACHABLE)
            return
        there, back = ahead[target] = await asyncio.open_connection("127.0.0.1", self.names[target])
        writer.write(OPEN)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async def _pass_on(
        self,
        head: str,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ahead: dict[str, Stream],
    ) -> None:
        parts = urlsplit(target)
        where = f"{parts.hostname}:{parts.port or 80}"
        if parts.scheme != "http" or where not in self.names:
            writer.write(UNREACHABLE)
            return
        if where not in ahead:
            ahead[where] = await asyncio.open_connection("127.0.0.1", self.names[where])
        there, back = ahead[where]
        own = re.sub(r"(?im)^proxy-[a-z-]+:.*\r\n", "", head).replace(target, target[target.index("/", 7) :], 1)
        back.write(own.encode("latin-1") + await reader.readexactly(length(head)))
        answer = await there.readuntil(END)
        writer.write(answer + await there.readexactly(length(answer.decode("latin-1"))))


def length(head: str) -> int:
    """Return how long the body after a head is."""
    found = re.search(r"(?im)^content-length: *([0-9]+)", head)
    return int(found[1]) if found else 0


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def proxying(proxy: Proxy, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy on loopback."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


@contextmanager
def in_thread(proxy: Proxy, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy in a thread with an event loop of its own, beside what blocks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    running = proxying(proxy, tls)
    try:
        yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
