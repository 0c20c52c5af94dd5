"""Makes calls over kept connections: no redirects, no cookies, and it repeats no call by itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from functools import cache, partial
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
from aiohttp.connector import Connection as Dialled
from yarl import URL

from exporter.model import Reply, Request
from exporter.routes import STRAIGHT, Route
from exporter.transport.aside import Aside, at_once
from exporter.transport.errors import translate, translated
from exporter.transport.intake import SMALL, Intake
from exporter.transport.pool import REST_SECONDS, Pool
from exporter.transport.requests import USER_AGENT, origin, written
from exporter.transport.resolver import LookUp, Resolver, look_up
from exporter.transport.tunnel import PROXY_REFUSES, Way, open_tunnel, refusal
from exporter.transport.wire import ENDLESS, HEAD_ALONE, Wire

DNS_SECONDS: Final = 60
CONNECT_GAP: Final = 0.25  # seconds after which another connection is tried, where no pace sets the gap
RECEIVED_AHEAD: Final = 64 << 10  # bytes; the system doubles it


def tls_context(authorities: str = "") -> ssl.SSLContext:
    """Return a context that verifies a server's certificate and speaks TLS 1.2 or newer.

    Args:
        authorities: Certificates in PEM that are trusted instead of the system's. As in Go and curl, they need not be
            roots, nor keep to the letter of RFC 5280, as those of companies often don't.
    """
    context = ssl.create_default_context(cadata=authorities or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@cache
def _trusting(_system: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities: reading them halts all else for tens of milliseconds."""
    return tls_context()


class Head(NamedTuple):
    """The head of an answer; look up headers in lower case."""

    status: int
    headers: Mapping[str, str]


class Connection:
    """A connection, for one call at a time.

    Attributes:
        reused: Whether a call was made on it before.
        idle_since: When its last call ended, in seconds of the loop's clock.
        spent: Seconds that making it took, until its first call: a call's time limit covers both.
        sequence: What tells the call that goes out next from all others, if anything outside does.
    """

    __slots__ = (
        "_dialled", "_intake", "_passes", "_peer", "_pool", "_wire", "idle_since", "reused", "sequence", "spent",
    )  # fmt: skip

    def __init__(self, pool: Pool[Connection], dialled: Dialled, intake: Intake, spent: float, way: Way) -> None:
        self._pool = pool
        self._intake = intake
        self._dialled = dialled
        self._passes = way.passes
        self._peer = way.peer
        wire = dialled.protocol
        assert isinstance(wire, Wire)
        self._wire = wire
        wire.on_stray = pool.distrust
        if wire.spoiled:
            pool.distrust()
        self.reused = False
        self.idle_since = 0.0
        self.spent = spent
        self.sequence = 0

    @property
    def usable(self) -> bool:
        """Whether a request may go out on it, as far as is known."""
        return self._wire.usable

    def quiet(self) -> Awaitable[bool]:
        """Check whether anything has arrived unasked; say whether a request may go out now."""
        return self._wire.quiet()

    async def send(self, request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
        """Make one call.

        Args:
            request: Signed request; its URL goes out byte for byte.
            timeout: Seconds for the whole call, from connecting to the last byte.
            largest: Bytes that the body may have, compressed or not.

        Raises:
            TransportError: There was no usable answer.
        """
        spent, self.spent = self.spent, 0.0
        wire, until = self._wire, asyncio.get_running_loop().time() + timeout - spent
        try:
            message = await wire.ask(written(request, largest, self._passes), largest, until)
            if self._passes is not None and message.code == PROXY_REFUSES:
                raise refusal(self._passes, message.code)
            encoding = message.headers.get("Content-Encoding", "")
            if not encoding and (small := wire.whole(SMALL)) is not None:
                return Reply(message.code, message.headers, small)
            async with asyncio.timeout_at(until):
                body, permit = await self._intake.take(self._parts(), encoding, largest)
            return Reply(message.code, message.headers, body, permit.give_back)
        except Exception as error:
            raise translate(error, began=wire.began, peer=self._peer) from None
        finally:
            self.reused = True

    async def open(self, request: Request, until: float) -> Head:
        """Make one call whose body is taken by `read` as it comes, and may be left at any time.

        Args:
            request: Request; its URL goes out byte for byte.
            until: When to give up waiting for the answer's head, on the event loop's clock.

        Raises:
            TransportError: There was no usable answer.
        """
        self.spent, wire = 0.0, self._wire
        try:
            message = await wire.ask(written(request, 0, self._passes), ENDLESS, until, HEAD_ALONE)
            if self._passes is not None and message.code == PROXY_REFUSES:
                raise refusal(self._passes, message.code)
            return Head(message.code, message.headers)
        except Exception as error:
            raise translate(error, began=wire.began, peer=self._peer) from None
        finally:
            self.reused = True

    async def _parts(self) -> AsyncIterator[bytes]:
        while part := await self._wire.part():
            yield part

    async def read(self) -> bytes:
        """Return what has come of the body, as soon as there is something, and nothing at its end.

        Raises:
            TransportError: It broke off.
        """
        with translated(self._peer, began=True):
            return await self._wire.part()

    @property
    def ready(self) -> bool:
        """Whether `read` need not wait."""
        return self._wire.ahead > 0

    @property
    def received(self) -> int:
        """How many bytes of the last answer's body have come, as they were sent."""
        return self._wire.received

    @property
    def whole(self) -> bool:
        """Whether the last answer's body has come to its end, and was read to it."""
        return self._wire.taken

    def release(self) -> None:
        """Give it back; it is kept if its call ended as it should."""
        self._pool.release(self)

    def close(self) -> None:
        """End it, without waiting for a request to go out that nobody takes."""
        if self._wire.due:
            self._wire.spoil()
        self._dialled.close()

    def abandon(self) -> None:
        """End it as if it had broken."""
        self._wire.spoil()


def _receiving_little_ahead(most: int, address: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket that leaves most of a large answer with its sender until it is read."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, most)
    return made


class Dialler(aiohttp.TCPConnector):
    """Makes connections that accept only the bytes of the answer that is due."""

    def __init__(self, resolver: Resolver, ahead: int) -> None:
        sockets = partial(_receiving_little_ahead, ahead)
        super().__init__(limit=0, ttl_dns_cache=DNS_SECONDS, resolver=resolver, socket_factory=sockets)
        self._factory = partial(Wire, loop=self._loop)  # type: ignore[assignment]

    async def dial(self, way: Way, context: ssl.SSLContext, until: float) -> Dialled:
        """Return a connection on which requests may go out, by a time of the loop's clock; raises `TransportError`."""
        wanted = aiohttp.ClientRequest("GET", URL(way.next), loop=self._loop, ssl=context)
        with translated(way.next_peer):
            async with asyncio.timeout_at(until):
                dialled = await self.connect(wanted, [], NO_LIMIT)
        if way.tunnel is not None:
            wire = dialled.protocol
            assert isinstance(wire, Wire)
            try:
                await open_tunnel(wire, way, context, USER_AGENT, until)
            except BaseException:
                wire.spoil()
                wire.connection_lost(None)  # nobody else may tell it
                dialled.close()
                raise
        return dialled


class Transport:
    """One provider's connections, kept for the life of the process.

    Args:
        context: How certificates are verified, where a route names no authorities.
        rest: Seconds for which a connection is left alone after an answer.
        look_up: Resolves names.
        aside: Unpacks large bodies off the event loop.
        patient: Whether a name is looked up later where too many are at once, instead of failing.
        ahead: Bytes of an answer, doubled by the system, that may come before they are read.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        rest: float = REST_SECONDS,
        look_up: LookUp = look_up,
        aside: Aside = at_once,
        *,
        patient: bool = False,
        ahead: int = RECEIVED_AHEAD,
    ) -> None:
        self._contexts = {} if context is None else {"": context}
        self._intake = Intake(aside)
        self._rest = rest
        self._resolver = Resolver(look_up, waits=patient)
        self._ahead = ahead
        self._dialler: Dialler | None = None
        self._pools: dict[Way, Pool[Connection]] = {}

    async def __aenter__(self) -> Self:
        self._context("")
        self._dialler = Dialler(self._resolver, self._ahead)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            pool.close()
        if self._dialler is not None:
            await self._dialler.close()

    def connect(
        self,
        url: str,
        timeout: float,
        gap: float = CONNECT_GAP,
        most: int = 1,
        *,
        new: bool = False,
        route: Route = STRAIGHT,
    ) -> Awaitable[Connection]:
        """Return a connection to a URL's host that is free for one call; `release` gives it back.

        Args:
            url: Any URL there.
            timeout: Seconds that making a connection may take.
            gap: Seconds between two calls: while no connection is free, one more is begun that often.
            most: How many may be in the making at once.
            new: Whether it must be one that nobody has used.
            route: The way there.

        Raises:
            TransportError: None could be made.
        """
        pool = self._pool(Way(origin(url), route))
        return pool.new(timeout) if new else pool.get(timeout, gap, most)

    async def send(self, request: Request, timeout: float, largest: int, route: Route = STRAIGHT) -> Reply:  # noqa: ASYNC109
        """Make one call on a connection of its own; raises `TransportError`."""
        connection = await self.connect(request.url, timeout, new=True, route=route)
        try:
            return await connection.send(request, timeout, largest)
        finally:
            connection.release()

    def _pool(self, way: Way) -> Pool[Connection]:
        pool = self._pools.get(way)
        if pool is None:
            self._forget()
            loop = asyncio.get_running_loop()
            pool = self._pools[way] = Pool(lambda timeout: self._dial(way, timeout), loop.time, self._rest)
        return pool

    def _forget(self) -> None:
        """Drop what nobody needs any more: a reload may have changed the ways."""
        self._pools = {way: pool for way, pool in self._pools.items() if pool.needed}
        wanted = {"", *(way.route.authorities for way in self._pools)}
        self._contexts = {each: context for each, context in self._contexts.items() if each in wanted}

    def _context(self, authorities: str) -> ssl.SSLContext:
        context = self._contexts.get(authorities)
        if context is None:
            context = tls_context(authorities) if authorities else _trusting(ssl.get_default_verify_paths())
            self._contexts[authorities] = context
        return context

    async def _dial(self, way: Way, timeout: float) -> Connection:  # noqa: ASYNC109
        loop = asyncio.get_running_loop()
        started = loop.time()
        with translated(way.next_peer):
            if self._dialler is None:
                raise RuntimeError("the transport is not open")
            dialled = await self._dialler.dial(way, self._context(way.route.authorities), started + timeout)
        pool = self._pool(way)
        made = Connection(pool, dialled, self._intake, loop.time() - started, way)
        # What greets its clients does so a moment after the connection is there; that is no answer to the first call.
        try:
            await asyncio.sleep(pool.settling)
        except BaseException:
            made.close()
            raise
        return made


NO_LIMIT: Final = aiohttp.ClientTimeout(total=None)
