"""Sends responses piece by piece and limits the bytes in flight; detects clients that have disconnected."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from aiohttp import web

from exporter.exposition import takes_gzip
from exporter.serving.pages import RenderedPage
from exporter.serving.waiting import Places, client_kind, client_network

SERVER: Final = "stream-exporter"
SEND_SECONDS: Final = 12.0
PIECE: Final = 1 << 16
LONGEST_FIELD: Final = (1 << 14) + (1 << 10)  # bytes of a request's line, or of one header with its name
MOST_SENT: Final = 12 << 20  # bytes of large pages in flight; a larger page is sent alone
NO_HEADERS: Final[Mapping[str, str]] = {}


class Protocol(web.RequestHandler):
    """A client's connection; error responses to malformed HTTP reveal no library or version."""

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, keepalive_timeout: float) -> None:
        no_log: Any = None
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=keepalive_timeout,
            access_log=no_log,
            max_line_size=LONGEST_FIELD,
            max_field_size=LONGEST_FIELD,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the response to something that is not a valid request."""
        response = super().handle_error(request, status, exc, message)
        response.headers["Server"] = SERVER
        return response


def text(body: str, status: int = 200) -> web.Response:
    """Return a plain-text response."""
    return web.Response(text=body, status=status)


def compressed(request: web.Request, response: web.Response) -> web.Response:
    """Compress a small response if the client accepts gzip, and say that it varies by that."""
    response.headers.setdefault("Vary", "Accept-Encoding")
    if takes_gzip(request.headers):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def gone(request: web.Request) -> bool:
    """Whether the client has disconnected, as far as this is known without writing to it."""
    return request.transport is None or request.transport.is_closing()


def hang_up(request: web.Request) -> None:
    """Reset a connection at once, so that the kernel also drops what the client has not read."""
    transport = request.transport
    if transport is None:
        return
    with suppress(OSError):  # already closed
        # With a linger time of zero, closing sends RST and discards unsent data.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send a shared body piece by piece: a client that does not read holds one piece, and only until a timeout."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    view = memoryview(body)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await response.prepare(request)
            for start in range(0, 0 if request.method == "HEAD" else len(body), PIECE):
                await response.write(view[start : start + PIECE])
            await response.write_eof()
    except TimeoutError:
        hang_up(request)
    return response


class LargePages:
    """Sends pages and limits the bytes of large ones in flight; a page that several readers share counts once.

    Attributes:
        bytes: Bytes of large pages in flight.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._readers: Counter[int] = Counter()

    async def send(self, request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
        """Send a page.

        Raises:
            web.HTTPServiceUnavailable: Too many bytes are in flight already.
        """
        key, size = id(body), len(body)
        if size <= PIECE:
            return await send(request, body, headers)
        if not self._readers[key]:
            if self.bytes and self.bytes + size > MOST_SENT:
                raise web.HTTPServiceUnavailable(text="too many large pages are being read; try again later\n")
            self.bytes += size
        self._readers[key] += 1
        try:
            return await send(request, body, headers)
        finally:
            self._readers[key] -= 1
            if not self._readers[key]:
                del self._readers[key]
                self.bytes -= size

    async def send_page(
        self, request: web.Request, page: RenderedPage, content_type: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> web.StreamResponse:
        """Send a page in the encoding that the client accepts; raises as `send`."""
        headers = {"Content-Type": content_type, "Vary": "Accept-Encoding", **headers}
        if not takes_gzip(request.headers):
            return await self.send(request, page.plain, headers)
        return await self.send(request, page.packed, {**headers, "Content-Encoding": "gzip"})


@asynccontextmanager
async def admitted(places: Places, request: web.Request, rank: float, what: str) -> AsyncIterator[None]:
    """Hold a place for a request while the block runs.

    Places are shared evenly between addresses and, within an address, between kinds of clients: behind a proxy,
    Prometheus has the same address as everybody else.

    Args:
        places: The places to choose from.
        request: The request; its place is free again once its client disconnects.
        rank: Under pressure, a client's request with the highest rank loses its place first.
        what: What is waiting, in words for the error message.

    Raises:
        web.HTTPServiceUnavailable: No place is free, or this one was given to another request meanwhile.
    """
    now, group, kind = asyncio.get_running_loop().time(), client_network(request.remote), client_kind(request.headers)
    refusal = web.HTTPServiceUnavailable(text=f"too many {what} are waiting; try again later\n")
    try:
        async with asyncio.timeout(None) as timeout:
            turn_away = partial(timeout.reschedule, 0)
            place = places.enter(now, group, kind, rank, partial(gone, request), turn_away)
            if place is None:
                raise refusal
            try:
                yield
            finally:
                places.leave(place)
    except TimeoutError:
        if timeout.expired():
            raise refusal from None
        raise
