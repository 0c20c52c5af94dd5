"""Fetches an address of viewers: only origins that it may ask, redirects included, and no more than is wanted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from exporter.addresses import PlaybackAddress
from exporter.model import Reason, Request
from exporter.playback.rates import Rates
from exporter.playback.urls import Target, may_ask, may_be_private, onward, target
from exporter.providers.interface import TransportError
from exporter.rounds.gate import MOST_SPOILED, is_quiet
from exporter.routes import Http
from exporter.transport import Transport, translate
from exporter.transport.client import CONNECT_GAP, Connection
from exporter.transport.errors import ENDPOINT
from exporter.transport.pool import REST_SECONDS
from exporter.transport.resolver import LookUp, look_up, public_only
from exporter.transport.unpacking import OUT_STEP, Unpacker

MOST_REDIRECTS: Final = 5
MOST_CONNECTING: Final = 16
LATE: Final = 0.1  # seconds by which a timer is late where the event loop was held up
REDIRECTS: Final = (301, 302, 303, 307, 308)
AHEAD: Final = 24 << 10
"""Bytes of an answer, doubled by the system, that may come before they are read: they count too."""

WITH_MEDIA: Final = (200, 206)

Take = Callable[[bytes], bool]
"""Takes a part of a body; says whether more is wanted."""

Ending = Literal["whole", "enough", "silent", "most"]


class Wanted(NamedTuple):
    """What to fetch.

    Attributes:
        url: The whole address.
        address: The configured address that led to it, which says whom it may ask.
        http: How that one's account reaches servers.
        timeout: Seconds for the head of each answer and, without `silence`, for all of it, once its turn has come.
        most: Bytes of the body, packed or unpacked, after which no more is received.
        first: Ask for the first bytes only, so many; 0 for all. A server may send all the same.
        silence: Seconds without a byte after which a body is silent; None where `timeout` holds for the body too.
        silence_of_flv: The same for a body that is said to be FLV, by its type or the end of its path.
        new: Whether only a connection will do that nobody has used.
        start: Where those first bytes begin.
    """

    url: str
    address: PlaybackAddress
    http: Http
    timeout: float
    most: int
    first: int = 0
    silence: float | None = None
    silence_of_flv: float | None = None
    new: bool = False
    start: int = 0

    def __repr__(self) -> str:
        return f"<wanted of {self.address.shown}>"


class Fetched(NamedTuple):
    """What came.

    Attributes:
        url: Whence, after redirects; with its query, so it is not shown.
        origin: Its scheme, host and port.
        status: The HTTP status. The body was read only where it is 200 or 206.
        headers: By name, in any case.
        first_byte: Seconds from the request to the first byte of the body; None if there was none.
        seconds: How long all took, without waiting for turns.
        received: Bytes of the bodies as they came over the wire, those of redirects too.
        ending: Whether the body is whole, or enough of it was taken, or it fell silent, or `most` was reached.
        reused: Whether it came over a connection that was used before, where it may answer another request.
        redirected: Whether redirects led there.
    """

    url: str
    origin: str
    status: int
    headers: Mapping[str, str]
    first_byte: float | None
    seconds: float
    received: int
    ending: Ending
    reused: bool = False
    redirected: bool = False

    def __repr__(self) -> str:
        return f"<fetched {self.status} from {self.origin}>"


class NotFetched(Exception):  # noqa: N818 - a finding
    """There was no answer to judge; its text is fit to be shown.

    Attributes:
        reason: Why, as the label `reason`.
        received: Bytes that had come.
    """

    def __init__(self, reason: Reason, message: str, received: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.received = received

    @classmethod
    def of(cls, error: TransportError, received: int = 0) -> NotFetched:
        """Return what an error of the transport comes to; the endpoint is a server of viewers here."""
        return cls(error.reason, error.message.replace(ENDPOINT, "the server"), received)


class Fetcher:
    """Fetches over kept connections of its own, never those of the providers' APIs.

    Args:
        rates: How fast hosts may be asked.
        context: How certificates are verified, where a route names no authorities.
        look_up: Resolves names.
        rest: Seconds for which a connection is left alone after an answer.
        gap: Seconds after which another connection is begun while none has come.
    """

    def __init__(
        self,
        rates: Rates,
        context: ssl.SSLContext | None = None,
        look_up: LookUp = look_up,
        rest: float = REST_SECONDS,
        gap: float = CONNECT_GAP,
    ) -> None:
        self.rates = rates
        self._gap = gap
        self._open = AsyncExitStack()
        # Kept apart, as a connection or a cached name of the one may lead where the other must not go.
        self._look_ups = {True: look_up, False: public_only(look_up)}
        self._transports: dict[bool, Transport] = {}
        self._context = context
        self._rest = rest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _transport(self, *, private: bool) -> Transport:
        """Return the connections to whatever address a name has, or to public ones; made once they are needed."""
        transport = self._transports.get(private)
        if transport is None:
            # Stored before the first await, so that there is never a second one.
            transport = Transport(self._context, self._rest, self._look_ups[private], patient=True, ahead=AHEAD)
            self._transports[private] = transport
            await self._open.enter_async_context(transport)
        return transport

    async def fetch(self, wanted: Wanted, take: Take) -> Fetched:
        """Fetch, follow redirects to origins that may be asked, and hand the body to `take` as it comes.

        What `take` raises is passed on.

        Raises:
            NotFetched: No answer came, or none that may be followed.
        """
        asked = _permitted(wanted, partial(target, wanted.url), "the address")
        received, seconds, reused = 0, 0.0, False
        for redirects in range(MOST_REDIRECTS + 1):
            try:
                fetched = await self._fetch_one(wanted, asked, take)
                received += fetched.received
                seconds += fetched.seconds
                reused |= fetched.reused
                location = fetched.headers.get("location", "")
                if fetched.status not in REDIRECTS or not location:
                    return fetched._replace(received=received, seconds=seconds, reused=reused, redirected=redirects > 0)
                asked = _permitted(wanted, partial(onward, asked, location), "the redirect")
            except NotFetched as error:
                error.received += received
                raise
        raise NotFetched(Reason.HTTP, f"redirects lead on more than {MOST_REDIRECTS} times", received)

    async def _fetch_one(self, wanted: Wanted, asked: Target, take: Take) -> Fetched:
        """Ask for one URL, once more on a new connection if its own broke before an answer."""
        for new in (True,) if wanted.new else (False, True):
            connection, until = await self._turn(wanted, asked, new=new)
            try:
                return await _exchange(connection, wanted, asked, until, take)
            except TransportError as error:
                if new or not error.broke_early:
                    raise NotFetched.of(error, connection.received) from None
            finally:
                connection.release()
        raise AssertionError("the second time is the last")

    async def _turn(self, wanted: Wanted, asked: Target, *, new: bool) -> tuple[Connection, float]:
        """Wait until a request may go out; it has to at once, as it would bunch with the next if it connected first.

        Returns:
            Its connection, on which nothing has come unasked, and when all of its answer must be there.
        """
        loop, left = asyncio.get_running_loop(), wanted.timeout
        for _ in range(MOST_SPOILED):
            started = loop.time()
            try:
                connection = await self._connect(wanted, asked, left, new=new)
            except NotFetched:
                await self.rates.turn(asked.origin)  # or a dead server would be tried as fast as it refuses
                raise
            left -= loop.time() - started
            try:
                await self.rates.turn(asked.origin)
            except BaseException:
                connection.release()
                raise
            if await is_quiet(connection):
                return connection, loop.time() + left
        raise NotFetched(Reason.HTTP, "the server sends something before it is asked")

    async def _connect(self, wanted: Wanted, asked: Target, seconds: float, *, new: bool) -> Connection:
        route = wanted.http.route(f"{asked.origin}/")
        # A proxy looks names up itself; its own may well be private.
        open_to_all = route.proxy is not None or may_be_private(wanted.address, asked)
        transport = await self._transport(private=open_to_all)
        try:
            async with asyncio.timeout(seconds):
                return await transport.connect(asked.origin, seconds, self._gap, MOST_CONNECTING, new=new, route=route)
        except (TransportError, TimeoutError) as error:
            raise NotFetched.of(translate(error)) from None


def _permitted(wanted: Wanted, find: Callable[[], Target], what: str) -> Target:
    """Return what may be asked for; raises `NotFetched`."""
    try:
        found = find()
    except ValueError as error:
        raise NotFetched(Reason.HTTP, f"{what} {error}") from None
    if not may_ask(wanted.address, found):
        message = f"{what} leads to {found.origin}, which is not asked unless it is listed under `origins`"
        raise NotFetched(Reason.HTTP, message)
    return found


async def _exchange(connection: Connection, wanted: Wanted, asked: Target, until: float, take: Take) -> Fetched:
    """Ask for one URL on a connection; raises `TransportError`."""
    loop, reused = asyncio.get_running_loop(), connection.reused
    begun = loop.time()
    fields = {"Accept-Encoding": "identity"}
    if wanted.first:
        fields["Range"] = f"bytes={wanted.start}-{wanted.start + wanted.first - 1}"
    status, headers = await connection.open(Request("GET", asked.url, fields), until)
    if wanted.silence is None and wanted.silence_of_flv is not None and _says_flv(asked, headers):
        wanted = wanted._replace(silence=wanted.silence_of_flv)
    body = _Body(connection, wanted, until, take)
    # No other body is waited for; one that came with its head leaves the connection as it should be.
    ending: Ending = "enough"
    if status in WITH_MEDIA:
        encoding = headers.get("content-encoding", "").strip().lower()
        ending = await body.receive(encoding, partial=status != WITH_MEDIA[0])
    first_byte = None if body.first is None else body.first - begun
    seconds, received = loop.time() - begun, connection.received
    return Fetched(asked.url, asked.origin, status, headers, first_byte, seconds, received, ending, reused)


def _says_flv(asked: Target, headers: Mapping[str, str]) -> bool:
    return "flv" in headers.get("content-type", "").lower() or urlsplit(asked.url).path.lower().endswith(".flv")


class _Body:
    """Receives a body.

    Attributes:
        first: When its first byte came, on the loop's clock.
    """

    def __init__(self, connection: Connection, wanted: Wanted, until: float, take: Take) -> None:
        self.first: float | None = None
        self._until = until
        self._connection = connection
        self._wanted = wanted
        self._take = take
        self._left = wanted.most

    async def receive(self, encoding: str, *, partial: bool) -> Ending:
        """Receive until its end or until it is enough; raises `TransportError`."""
        loop, connection = asyncio.get_running_loop(), self._connection
        unpacker = Unpacker(encoding)
        while not connection.whole:
            # What has come with the head needs no time limit.
            part = await (connection.read() if connection.ready else self._part())
            if part is None:
                return "silent"
            if part and self.first is None:
                self.first = loop.time()
            if part and (ending := await self._taken(unpacker, part)) is not None:
                return ending
        if not partial:
            unpacker.end()
        return "whole"

    async def _part(self) -> bytes | None:
        """Return what comes next, nothing at the end, or None if the body is silent; raises `TransportError`.

        Where the event loop was held up, what has come meanwhile may still have to be taken.
        """
        loop, silence, last = asyncio.get_running_loop(), self._wanted.silence, False
        until = self._until if silence is None else loop.time() + silence
        while True:
            try:
                async with asyncio.timeout_at(until):
                    return await self._connection.read()
            except TimeoutError as error:
                if silence is None:
                    raise translate(error) from None
            late = loop.time() - until
            if last and late < LATE:
                return None
            last, until = True, loop.time() + max(LATE, min(late, silence))

    async def _taken(self, unpacker: Unpacker, part: bytes) -> Ending | None:
        """Hand on what a part holds; say how the body ended, if that was enough of it."""
        for piece in unpacker.feed(part):
            fits = piece[: self._left]
            self._left -= len(fits)
            if fits and not self._take(fits):
                return "enough"
            if len(fits) < len(piece):
                return "most"
            if len(piece) == OUT_STEP:
                await asyncio.sleep(0)  # a few bytes may hold megabytes
        full = self._connection.received > self._wanted.most  # what is packed may unpack to nothing
        return None if self._connection.whole or (self._left and not full) else "most"
