"""The only file that opens a connection to a provider; it turns the client's errors into our own.

Nothing of the client's errors is passed on but their kind: they carry the signed URL.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from types import TracebackType
from typing import Final

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from exporter import __version__
from exporter.intake import Intake
from exporter.model import Reason, Reply, Request
from exporter.provider import MEBIBYTE, TransportError
from exporter.reading import Aside, at_once

DNS_SECONDS: Final = 60
RECEIVED_AHEAD: Final = 32 << 10
"""Bytes of a connection that are received before anybody reads them; the system takes the double."""


class OwnResolver(ThreadedResolver):
    """Resolves names in a thread pool of its own, so that one provider's dead DNS does not hold up the others."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raises OSError where there are none."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, look_up)
        except UnicodeError:
            # A label that is empty or longer than 63 characters cannot even be written as a question.
            raise OSError(socket.EAI_NONAME, "no name of a host") from None
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=numeric)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let the threads go; a look-up under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies the provider's certificate and speaks TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket that receives little ahead: what is not read yet is to wait at the sender."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_AHEAD)
    return made


class Transport:
    """One provider's connections, kept for the life of the process: no redirects, no cookies, no proxy."""

    def __init__(self, context: ssl.SSLContext | None = None, aside: Aside = at_once) -> None:
        """Make connections that are not open yet.

        Args:
            context: How TLS is spoken, where it is not `tls_context()`.
            aside: Unpacks large bodies off the event loop.
        """
        self._context = context
        self._intake = Intake(aside)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Transport:
        connector = aiohttp.TCPConnector(
            limit=0,
            ttl_dns_cache=DNS_SECONDS,
            ssl=self._context or tls_context(),
            keepalive_timeout=60,
            resolver=OwnResolver(),
            socket_factory=_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": f"stream-exporter/{__version__}", "Accept-Encoding": "identity"},
            trust_env=False,
            read_bufsize=RECEIVED_AHEAD // 2,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        """Make one call.

        Args:
            request: Signed request; its URL goes out byte for byte.
            timeout: Seconds for the whole call, from connecting to the last byte.
            largest: Bytes that the body may have, compressed or not.

        Raises:
            TransportError: There was no usable answer.
        """
        if self._session is None:
            raise RuntimeError("the transport is not open")
        headers = request.headers if largest <= MEBIBYTE else {**request.headers, "Accept-Encoding": "gzip"}
        try:
            # The client's own limit does not count the wait until a large body is let in.
            async with (
                asyncio.timeout(timeout),
                self._session.request(
                    request.method,
                    _url(request.url),
                    data=request.body or None,
                    headers=headers,
                    allow_redirects=False,
                    timeout=_timeout(timeout),
                    middlewares=ONCE if request.method == "GET" else (),
                ) as response,
            ):
                encoding = response.headers.get("Content-Encoding", "")
                parts = response.content.iter_any()
                body, permit = await self._intake.take(parts, response.content_length, encoding, largest)
                return Reply(response.status, response.headers, body, permit.give_back)
        except TransportError:
            raise
        except Exception as error:
            raise translate(error) from None


@lru_cache(maxsize=128)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


@lru_cache(maxsize=128)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Return a limit on the whole call, to the last byte; not rounded up to seconds, as the client would by itself."""
    return aiohttp.ClientTimeout(total=seconds, ceil_threshold=float("inf"))


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep the client from sending a request again by itself: nonce and Sequence would be those of the first."""
    try:
        return await handler(request)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise translate(error) from None


ONCE: Final = (_once,)


def translate(error: Exception) -> TransportError:
    """Return what to report for an error of the HTTP client, without anything of its text."""
    match error:
        case TimeoutError():
            return TransportError(Reason.TIMEOUT, "no complete answer in time")
        case aiohttp.ClientConnectorDNSError():
            return TransportError(Reason.DNS, "the endpoint's name was not resolved")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return TransportError(Reason.TLS, "no trusted TLS connection to the endpoint")
        case aiohttp.ClientConnectorError():
            return TransportError(Reason.CONNECTION, "the endpoint refused the connection or cannot be reached")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return TransportError(Reason.CONNECTION, "the connection broke before an answer", broke_early=True)
        case aiohttp.ClientPayloadError() | OSError():
            return TransportError(Reason.CONNECTION, "the connection broke within the answer")
        case aiohttp.ClientError():
            return TransportError(Reason.HTTP, "the answer is not HTTP as it should be")
        case _:
            return TransportError(Reason.BUG, f"unexpected {type(error).__name__} in the HTTP client")
