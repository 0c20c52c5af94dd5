"""Sends answers piece by piece, compressed for clients that take it, and only so many large ones at a time."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from aiohttp import web

from exporter.serving.waiting import Places, kind_of, neighbourhood

SERVER: Final = "stream-exporter"
SEND_SECONDS: Final = 12.0
PIECE: Final = 1 << 16
MOST_HELD: Final = 12 << 20  # bytes of large pages that are being sent; a page larger than that goes alone


class Protocol(web.RequestHandler):
    """A client's connection; refuses what is not HTTP without naming libraries and versions."""

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, keepalive_timeout: float) -> None:
        no_log: Any = None
        super().__init__(manager, loop=loop, keepalive_timeout=keepalive_timeout, access_log=no_log)

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


class Held:
    """The bytes of large pages that are being sent; a page that several readers share counts once."""

    def __init__(self) -> None:
        self.bytes = 0
        self._readers: dict[int, int] = {}

    @contextmanager
    def holding(self, body: bytes) -> Iterator[None]:
        """Count a body while the block runs.

        Raises:
            web.HTTPServiceUnavailable: Too many bytes are held already.
        """
        key, size = id(body), len(body)
        if key not in self._readers:
            if self.bytes and self.bytes + size > MOST_HELD:
                raise web.HTTPServiceUnavailable(text="too many large pages are being read; try again later\n")
            self.bytes += size
        self._readers[key] = self._readers.get(key, 0) + 1
        try:
            yield
        finally:
            self._readers[key] -= 1
            if not self._readers[key]:
                del self._readers[key]
                self.bytes -= size


@asynccontextmanager
async def waiting(places: Places, request: web.Request, rank: float, what: str) -> AsyncIterator[None]:
    """Hold a place while the block runs.

    Places are shared out evenly between addresses, and at each of them between kinds of programs: behind a proxy,
    Prometheus has the address of everybody else.

    Args:
        places: The places.
        request: The request that holds it; if its client hangs up, the place is free.
        rank: When there are too many, the client's request with the highest rank loses its place first.
        what: What waits, in words for the refusal.

    Raises:
        web.HTTPServiceUnavailable: There is no place, or it went to another request in the middle of the block.
    """

    def gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    group, habits, mono = neighbourhood(request.remote), places.habits, asyncio.get_running_loop().time
    kind = kind_of(request.headers)
    refusal = web.HTTPServiceUnavailable(text=f"too many {what} are waiting; try again later\n")
    try:
        async with asyncio.timeout(None) as patience:
            claim = habits.claim(mono(), (group, kind))
            place = places.enter(group, rank, gone, lambda: patience.reschedule(0), kind, claim)
            if place is None:
                habits.turned_away(mono(), (group, kind))
                raise refusal
            try:
                yield
            finally:
                places.leave(place)
    except TimeoutError:
        if patience.expired():
            habits.turned_away(mono(), (group, kind))
            raise refusal from None
        raise


async def send(request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Send a shared body piece by piece: a client that does not read holds one piece, and not for long."""
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
        _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    """Cut a connection off at once: the kernel, too, would keep what the client does not read."""
    transport = request.transport
    if transport is None:
        return
    # A linger time of zero makes the kernel send RST and forget what is unsent.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def takes_gzip(request: web.Request) -> bool:
    """Whether the client takes gzip."""
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
