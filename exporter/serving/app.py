"""The paths of the public face: header → deadline, then whatever the service knows."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import web

from exporter import status
from exporter.exposition import Compressor, negotiate
from exporter.providers.interface import Callback
from exporter.rounds import AccountProber, place
from exporter.serving import origin, report, views
from exporter.serving.pages import Made, Page, Pages, give_way, turn
from exporter.serving.sending import PIECE, SEND_SECONDS, SERVER, Held, send, takes_gzip, waiting
from exporter.serving.service import Service
from exporter.serving.waiting import Places
from exporter.state.board import Change, Record

log = structlog.get_logger("web")

TIMEOUT_HEADER: Final = "X-Prometheus-Scrape-Timeout-Seconds"
LEAST_SECONDS, MOST_SECONDS = 0.05, 120.0
MOST_WAITING: Final = 64
MOST_PROBES: Final = 1024  # Prometheus may ask for each stream by a scrape of its own
MOST_DEBUG: Final = 8  # their transcripts are large
MOST_READERS: Final = 64
MOST_FOLLOWERS: Final = 64
MOST_UNREAD: Final = 1000
HEARTBEAT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 1.0
CALLBACK_SECONDS: Final = 4.0  # less than any cloud waits for its answer
MOST_CALLBACK: Final = 1 << 16
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": status.CONTENT_SECURITY_POLICY,
}

JSON: Final = "application/json; charset=utf-8"
NEVER_STORED: Final = {"Cache-Control": "no-store"}
EVENT_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    **SECURITY_HEADERS,
}

Reload = Callable[[], Awaitable[list[str]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Face:
    """What the web server shows of a service.

    Attributes:
        service: The running parts.
        reload: Reads the configuration again; returns what is wrong with it.
        offset: Seconds by which an answer comes before Prometheus's timeout.
        lifecycle: Whether `POST /-/reload` is open.
        telemetry_path: Path of the metrics.
        ready: Whether the service is able to probe.
        names: Host names at which the exporter is reached; `.NAME` stands for all that end in it.
    """

    service: Service
    reload: Reload
    offset: float = 0.5
    lifecycle: bool = False
    telemetry_path: str = "/metrics"
    ready: bool = True
    names: frozenset[str] = frozenset()
    _scrapes: Places = field(default_factory=lambda: Places(MOST_WAITING))
    _probes: Places = field(default_factory=lambda: Places(MOST_PROBES))
    _debugs: Places = field(default_factory=lambda: Places(MOST_DEBUG))
    _readers: Places = field(default_factory=lambda: Places(MOST_READERS))
    _held: Held = field(default_factory=Held)
    _pages: Pages = field(init=False)
    _accounts: Pages = field(init=False)
    _followers: set[asyncio.Queue[Change | None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._pages = Pages(self.service.clock.mono, give_way)
        self._accounts = Pages(self.service.clock.mono, turn)
        self.service.board.listeners.append(self._tell)

    @property
    def waiting(self) -> int:
        """How many scrapes wait."""
        return len(self._scrapes)

    @property
    def held(self) -> int:
        """How many bytes of large pages are being sent."""
        return self._held.bytes

    def application(self, middlewares: Iterable[Any] = ()) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(middlewares=[self._bounded, _errors, *middlewares], client_max_size=MOST_CALLBACK)
        application.add_routes(
            [
                web.get(self.telemetry_path, self.metrics),
                web.get("/probe", self.probe),
                web.get("/sd", self.service_discovery),
                web.get("/api/v1/streams", self.streams),
                web.get("/api/v1/events", self.events),
                web.route("*", "/callbacks/{account:.+}", self.callback),
                web.get("/-/healthy", self.healthy),
                web.get("/-/ready", self.readiness),
                web.post("/-/reload", self.reload_now),
                web.get("/config", self.configuration),
                web.get("/", self.page),
                web.get("/static/{name}", self.asset),
            ]
        )
        application.on_response_prepare.append(_secure)
        application.on_shutdown.append(self.let_go)
        return application

    @web.middleware
    async def _bounded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pack what is not metrics; send large pages piece by piece, and hold only so many bytes of them at a time."""
        response = await handler(request)
        if not isinstance(response, web.Response) or response.prepared or not isinstance(response.body, bytes):
            return response
        packed = takes_gzip(request) and response.content_type != "text/plain"
        if response.status != 200 or len(response.body) <= PIECE:
            if packed:
                response.enable_compression(web.ContentCoding.gzip)
            return response
        body, headers = response.body, {"Vary": "Accept-Encoding", **response.headers}
        if packed:
            compressor = Compressor()
            body = compressor.add(body) + compressor.end()
            headers["Content-Encoding"] = "gzip"
        with self._held.holding(body):
            return await send(request, body, headers)

    async def _paged(self, request: web.Request, page: Page, content_type: str, **headers: str) -> web.StreamResponse:
        """Answer with a page that all its readers share."""
        loop = asyncio.get_running_loop()
        async with waiting(self._readers, request, loop.time(), "readers of pages"):
            made = await self._pages.get(page)
        return await self._shared(request, made, content_type, **headers)

    async def _shared(self, request: web.Request, made: Made, content_type: str, **headers: str) -> web.StreamResponse:
        body, told = made.plain, {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding", **headers}
        if takes_gzip(request):
            body, told["Content-Encoding"] = made.packed, "gzip"
        if len(body) <= PIECE:
            return await send(request, body, told)
        with self._held.holding(body):
            return await send(request, body, told)

    # --- metrics -----------------------------------------------------------------------------------------------------

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Ask the providers, and answer before the deadline with what is known."""
        deadline = self.deadline(request)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        compressed = takes_gzip(request)
        async with waiting(self._scrapes, request, deadline, "scrapes"):
            await self.service.refresh(deadline)
            body = await self.service.document(openmetrics=openmetrics, compressed=compressed)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return await send(request, body, headers)

    def deadline(self, request: web.Request) -> float:
        """Return until when to answer, in monotonic seconds: Prometheus's timeout less the offset."""
        now = self.service.clock.mono()
        seconds = _positive(request.headers.get(TIMEOUT_HEADER, ""))
        budget = self.service.config.scrape.timeout if seconds is None else seconds - self.offset
        return now + min(max(budget, LEAST_SECONDS), MOST_SECONDS)

    async def probe(self, request: web.Request) -> web.StreamResponse:
        """Ask for one stream or one account; nothing that is not configured can be reached."""
        deadline = self.deadline(request)
        try:
            prober, record = self._target(request)
        except LookupError as error:
            return _text(f"{error.args[0]}\n", 400)
        if request.query.get("debug") == "true":
            async with waiting(self._debugs, request, deadline, "probes with debug=true"):
                calls = await self.service.watch_calls(prober, deadline, record)
            age = self.service.clock.mono() - record.tried if record else float("inf")
            shown = [views.stream_object(self.service, record)] if record else []
            return _text(report.transcript(calls, shown, age))
        async with waiting(self._probes, request, deadline, "probes"):
            if record is not None:
                await self.service.refresh_one(record, deadline)
            else:
                await self.service.refresh(deadline, prober)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        if record is None:
            made = await self._accounts.get(views.exposition(self.service, prober, openmetrics=openmetrics))
            return await self._shared(request, made, content_type)
        body = b"".join(self.service.part(prober, record, openmetrics=openmetrics))
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _target(self, request: web.Request) -> tuple[AccountProber, Record | None]:
        target, account = request.query.getall("target", []), request.query.getall("account", [])
        if len(target) + len(account) != 1:
            raise LookupError("give either target=PROVIDER/STREAM or account=NAME, once")
        accounts = self.service.prober.accounts
        if account:
            prober = accounts.get(account[0])
            if prober is None:
                raise LookupError("unknown account: it must be configured under accounts")
            return prober, None
        provider, _, stream = target[0].partition("/")
        record = self.service.board.get((provider, stream))
        if record is None:
            raise LookupError("unknown target: it must be PROVIDER/STREAM of a configured stream; see /sd")
        return self.service.prober.prober_of(record), record

    # --- what is watched ---------------------------------------------------------------------------------------------

    async def service_discovery(self, request: web.Request) -> web.StreamResponse:
        """Return the watched streams as Prometheus's http_sd targets."""
        return await self._paged(request, views.targets(self.service), JSON)

    async def streams(self, request: web.Request) -> web.StreamResponse:
        """Return what is known of each stream as JSON."""
        return await self._paged(request, views.streams(self.service), JSON, **NEVER_STORED)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Return the status page."""
        wanted = status.Filter.read(request.query.items())
        page = views.status_page(self.service, wanted, self.telemetry_path, ready=self.ready)
        return await self._paged(request, page, "text/html; charset=utf-8", **NEVER_STORED)

    async def asset(self, request: web.Request) -> web.Response:
        """Return a file that the page needs; its name changes with its content."""
        asset = status.ASSETS.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        return web.Response(
            body=asset.body,
            content_type=asset.content_type,
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    async def configuration(self, request: web.Request) -> web.StreamResponse:
        """Return the configuration in force, without secrets."""
        if refused := self._foreign(request):
            return refused
        return await self._paged(request, views.configuration(self.service), "application/yaml; charset=utf-8")

    def _foreign(self, request: web.Request) -> web.Response | None:
        """Refuse what another site's page may have sent."""
        why = origin.refusal(request.method, request.headers, secure=request.secure, names=self.names)
        return None if why is None else _text(f"{why}\n", 403)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell of each change of state as it comes, as server-sent events."""
        if len(self._followers) >= MOST_FOLLOWERS:
            return _text("too many followers of events; try again later\n", 503)
        changes: asyncio.Queue[Change | None] = asyncio.Queue(MOST_UNREAD)
        self._followers.add(changes)
        response = web.StreamResponse(headers=EVENT_HEADERS)
        try:
            await response.prepare(request)
            await response.write(b"retry: 3000\n\n")
            async for told in _told(request, changes):
                async with asyncio.timeout(SEND_SECONDS):
                    await response.write(told)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._followers.discard(changes)
        return response

    def _tell(self, change: Change) -> None:
        """Pass a change on; who does not read is let go, and will ask for everything when it comes back."""
        for changes in tuple(self._followers):
            if changes.full():
                self._followers.discard(changes)
                changes.get_nowait()
                changes.put_nowait(None)
            else:
                changes.put_nowait(change)

    async def let_go(self, _application: web.Application | None = None) -> None:
        """End all streams of events: the server stops."""
        for changes in tuple(self._followers):
            if changes.full():
                changes.get_nowait()
            changes.put_nowait(None)

    async def callback(self, request: web.Request) -> web.Response:
        """Hear a callback: it is verified and counted, and causes a question, never a state."""
        ear, name = self.service.ear, request.match_info["account"]
        listener = ear.listener(name)
        if listener is None:
            return _text("no account of this name has a callback secret\n", 404)
        try:
            received = await _received(request)
        except (web.HTTPException, web.RequestPayloadError, TimeoutError, ConnectionError, ValueError) as error:
            ear.refuse(listener, self.service.clock.unix())
            status_code = error.status if isinstance(error, web.HTTPException) else 400
            return _hung_up(_text("not a whole callback\n", status_code))
        verdict = ear.hear(listener, received, self.service.clock.unix())
        if verdict.heard is None:
            return _text(f"{verdict.outcome}\n", 403)
        for record in verdict.records:
            self.service.hint(record, verdict.heard.live)
        answer = listener.callbacks.answer
        return web.Response(text=answer, content_type="application/json" if answer else "text/plain")

    # --- life cycle --------------------------------------------------------------------------------------------------

    async def healthy(self, _request: web.Request) -> web.Response:
        """Say that the process is alive."""
        return _text("stream-exporter is healthy.\n")

    async def readiness(self, _request: web.Request) -> web.Response:
        """Say whether the service is configured and able to probe."""
        return _text("stream-exporter is ready.\n") if self.ready else _text("stream-exporter is not ready.\n", 503)

    async def reload_now(self, request: web.Request) -> web.Response:
        """Read the configuration again; a reload that has begun is finished even if the client leaves."""
        if refused := self._foreign(request):
            return refused
        if not self.lifecycle:
            return _text("the lifecycle API is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n", 403)
        problems = await asyncio.shield(asyncio.ensure_future(self.reload()))
        if problems:
            return _text("the configuration was refused; the one before stays:\n" + "\n".join(problems) + "\n", 500)
        return _text("the configuration was reloaded\n")


async def _received(request: web.Request) -> Callback:
    """Read a callback; raises what aiohttp raises for one that is too large, broken or cut off."""
    async with asyncio.timeout(CALLBACK_SECONDS):
        body = await request.read()
    headers = {key.lower(): value for key, value in request.headers.items()}
    return Callback(request.method, request.host.partition(":")[0], headers, dict(request.query), body)


def _hung_up(response: web.Response) -> web.Response:
    """Close the connection after the answer: what is left of the request is not waited for."""
    response.force_close()
    return response


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a fault of our own with 500 and its kind: its text might hold anything."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:
        log.error("bug", path=request.path, kind=type(error).__name__, place=place(error))
        return _text("an error of the exporter itself; its log says where\n", 500)


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the security headers on every answer, errors and refusals too; name no versions."""
    response.headers["Server"] = SERVER
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


async def _told(request: web.Request, changes: asyncio.Queue[Change | None]) -> AsyncIterator[bytes]:
    """Yield each change as an event, and a comment where none comes for a while, until the end or nobody listens."""
    silent = 0.0
    # A follower that has gone is noticed by looking: nothing that is written to it would tell for minutes.
    while request.transport is not None and not request.transport.is_closing():
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                change = await changes.get()
        except TimeoutError:
            silent += LOOK_SECONDS
            if silent < HEARTBEAT_SECONDS:
                continue
            yield b": still here\n\n"
        else:
            if change is None:
                return
            yield event(change)
        silent = 0.0


def event(change: Change) -> bytes:
    """Return a change of state as a server-sent event."""
    told = {
        "time": report.rfc3339(change.at),
        "provider": change.provider,
        "stream": change.stream,
        "old": str(change.old),
        "new": str(change.new),
        "evidence": change.evidence,
    }
    return f"event: change\ndata: {json.dumps(told)}\n\n".encode()


def _positive(text: str) -> float | None:
    """Return a finite positive number, or None for anything else."""
    try:
        # Python would take 1_0 and digits of other scripts, too.
        seconds = float(text) if text.isascii() and "_" not in text else 0.0
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _text(text: str, status_code: int = 200) -> web.Response:
    return web.Response(text=text, status=status_code)
