"""The way through a proxy: CONNECT for https, the whole address in the request line for http.

The proxy is a stranger. What it answers is never taken for the provider's answer: of its answer to CONNECT the status
alone counts, and a byte behind that ends the connection.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from exporter.model import Reason
from exporter.providers.interface import TransportError
from exporter.routes import DEFAULT_PORTS, Proxy, Route
from exporter.transport.errors import ENDPOINT, translated
from exporter.transport.wire import HEAD_END, Wire

LONGEST_ANSWER: Final = 16 << 10  # bytes of an answer to CONNECT
PROXY_REFUSES: Final = 407

_BEGIN: Final = b"HTTP/1."
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_WHY: Final = {
    403: "does not let the exporter through to the endpoint",
    407: "wants a user and a password",
    502: "cannot reach the endpoint",
    503: "cannot reach the endpoint",
    504: "gets no connection to the endpoint in time",
}


class Way(NamedTuple):
    """How an origin is reached.

    Attributes:
        origin: Scheme, host and port.
        route: The route there.
    """

    origin: str
    route: Route

    @property
    def next(self) -> str:
        """The URL of whom we connect to: the origin itself or a proxy."""
        return self.origin if self.route.proxy is None else self.route.proxy.url

    @property
    def next_peer(self) -> str:
        """Who that is, for messages."""
        return ENDPOINT if self.route.proxy is None else f"the proxy {self.route.proxy}"

    @property
    def peer(self) -> str:
        """Who answers in the end, for messages."""
        return ENDPOINT if self.route.proxy is None else f"{ENDPOINT} through the proxy {self.route.proxy}"

    @property
    def tunnel(self) -> Proxy | None:
        """The proxy that opens a way for bytes of which it understands nothing, if one does."""
        return self.route.proxy if self.origin.startswith("https:") else None

    @property
    def passes(self) -> Proxy | None:
        """The proxy that passes on each request, if one does."""
        return self.route.proxy if self.origin.startswith("http:") else None


def refusal(proxy: Proxy, status: int) -> TransportError:
    """Return the error for a status with which a proxy refuses to pass a request on."""
    why = _WHY.get(status, "does not open the way to the endpoint")
    if status == PROXY_REFUSES and proxy.authorization is not None:
        why = "refuses the user and the password of proxy_url"
    return TransportError(Reason.CONNECTION, f"the proxy {proxy} {why} (status {status})")


def authorized(proxy: Proxy) -> str:
    """Return the header field with a proxy's user and password, or an empty text."""
    return "" if proxy.authorization is None else f"Proxy-Authorization: {proxy.authorization.reveal()}\r\n"


class Answer(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT.

    Attributes:
        status: Done with the answer's status.
    """

    def __init__(self, transport: asyncio.Transport, wire: Wire, proxy: Proxy) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._wire = wire
        self._proxy = proxy
        self._came = bytearray()

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        self._came += data
        end = self._came.find(HEAD_END)
        if self.status.done():
            self._fail("sends something after its answer")
        elif not _BEGIN.startswith(self._came[: len(_BEGIN)]):
            self._fail("does not answer in HTTP as it should")
        elif end < 0 and len(self._came) <= LONGEST_ANSWER:
            return
        elif end < 0 or end > LONGEST_ANSWER:
            self._fail("answers with far more headers than it should")
        elif (found := _STATUS.match(self._came)) is None or found[1].startswith(b"1"):
            self._fail("does not answer in HTTP as it should")
        elif found[1].startswith(b"2") and len(self._came) > end + len(HEAD_END):
            self._fail("sends something after its answer")
        else:
            # What comes from now on is for TLS to judge.
            self._transport.pause_reading()
            self.status.set_result(int(found[1]))

    def _fail(self, why: str) -> None:
        self._transport.abort()
        if not self.status.done():
            self.status.set_exception(TransportError(Reason.HTTP, f"the proxy {self._proxy} {why}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and the wire, which waits for its end."""
        if not self.status.done():
            why = f"the proxy {self._proxy} closed the connection before an answer"
            self.status.set_exception(TransportError(Reason.CONNECTION, why))
            self.status.exception()  # nobody may wait any more
        self._wire.connection_lost(exc)


async def open_tunnel(wire: Wire, way: Way, context: ssl.SSLContext, agent: str, until: float) -> None:
    """Have the proxy at the other end of a new connection open the way to an origin, and begin TLS with that.

    Args:
        wire: The connection.
        way: The way to the origin.
        context: How the origin's certificate is verified.
        agent: The User-Agent.
        until: When to give up, on the event loop's clock.

    Raises:
        TransportError: It is not to be had.
    """
    assert way.tunnel is not None
    parts = urlsplit(way.origin)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    with translated(way.next_peer):
        async with asyncio.timeout_at(until):
            await _connect(wire, way.tunnel, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", agent)
    with translated(way.peer):
        async with asyncio.timeout_at(until):
            await _start_tls(wire, context, host, way.peer)


async def _connect(wire: Wire, proxy: Proxy, target: str, agent: str) -> None:
    transport = wire.transport
    if wire.spoiled:
        raise TransportError(Reason.HTTP, f"the proxy {proxy} sends something before it is asked")
    if transport is None or transport.is_closing():
        raise TransportError(Reason.CONNECTION, f"the proxy {proxy} closed the connection before an answer")
    answer = Answer(transport, wire, proxy)
    transport.set_protocol(answer)
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {agent}\r\n{authorized(proxy)}\r\n"
    transport.write(request.encode())
    status = await answer.status
    if not 200 <= status < 300:
        raise refusal(proxy, status)


async def _start_tls(wire: Wire, context: ssl.SSLContext, host: str, peer: str) -> None:
    """Begin TLS; raises ssl.SSLError where it cannot be agreed on, or the host's certificate is not trusted."""
    transport = wire.transport
    assert transport is not None
    try:
        secured = await asyncio.get_running_loop().start_tls(transport, wire, context, server_hostname=host)
    except ssl.SSLError:
        raise
    except OSError:
        secured = None
    if secured is None:
        raise TransportError(Reason.CONNECTION, f"the connection broke while TLS began with {peer}")
    wire.connection_made(secured)
