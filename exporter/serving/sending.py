"""Sends answers piece by piece, and only so many bytes of large ones at a time; notices clients that have left."""

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
from exporter.serving.pages import Made
from exporter.serving.waiting import Places, kind_of, neighbourhood

SERVER: Final = "stream-exporter"
SEND_SECONDS: Final = 12.0
PIECE: Final = 1 << 16
LONGEST_FIELD: Final = (1 << 14) + (1 << 10)  # bytes of a request's line, or of one header with its name
MOST_SENT: Final = 12 << 20  # bytes of large pages that are being sent; a page larger than that goes alone
NO_HEADERS: Final[Mapping[str, str]] = {}


class Protocol(web.RequestHandler):
    """A client's connection. Refusals of what is not HTTP name no libraries or versions."""

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
        """Return the answer to something that is not a request."""
        response = super().handle_error(request, status, exc, message)
        response.headers["Server"] = SERVER
        return response


def text(body: str, status: int = 200) -> web.Response:
    """Return an answer in plain text."""
    return web.Response(text=body, status=status)


def gone(request: web.Request) -> bool:
    """Whether the client has left, as far as can be known without writing to it."""
    return request.transport is None or request.transport.is_closing()


def hang_up(request: web.Request) -> None:
    """Cut a connection off at once: the kernel, too, would keep what the client does not read."""
    transport = request.transport
    if transport is None:
        return
    with suppress(OSError):  # it is closed already
        # A linger time of zero makes the kernel send RST and forget what is unsent.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send a shared body piece by piece: a client that does not read keeps one piece, and not for long."""
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
    """Sends pages, and only so many bytes of large ones at a time; a page that several readers share counts once.

    Attributes:
        bytes: Bytes of large pages that are being sent.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._readers: Counter[int] = Counter()

    async def send(self, request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
        """Send a page.

        Raises:
            web.HTTPServiceUnavailable: Too many bytes are being sent already.
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

    async def send_made(
        self, request: web.Request, made: Made, content_type: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> web.StreamResponse:
        """Send a page in the form that the client takes; raises as `send`."""
        told = {"Content-Type": content_type, "Vary": "Accept-Encoding", **headers}
        if not takes_gzip(request.headers):
            return await self.send(request, made.plain, told)
        return await self.send(request, made.packed, {**told, "Content-Encoding": "gzip"})


@asynccontextmanager
async def waiting(places: Places, request: web.Request, rank: float, what: str) -> AsyncIterator[None]:
    """Keep a place while the block runs.

    Places are shared out evenly between addresses, and at each of them between kinds of programs: behind a proxy,
    Prometheus has the address of everybody else.

    Args:
        places: The places.
        request: The request that has it; if its client leaves, the place is free.
        rank: When there are too many, the client's request with the highest rank loses its place first.
        what: What waits, in words for the refusal.

    Raises:
        web.HTTPServiceUnavailable: There is no place, or it went to another request in the middle of the block.
    """
    now, group, kind = asyncio.get_running_loop().time(), neighbourhood(request.remote), kind_of(request.headers)
    refusal = web.HTTPServiceUnavailable(text=f"too many {what} are waiting; try again later\n")
    try:
        async with asyncio.timeout(None) as patience:
            turn_away = partial(patience.reschedule, 0)
            place = places.enter(now, group, kind, rank, partial(gone, request), turn_away)
            if place is None:
                raise refusal
            try:
                yield
            finally:
                places.leave(place)
    except TimeoutError:
        if patience.expired():
            raise refusal from None
        raise
