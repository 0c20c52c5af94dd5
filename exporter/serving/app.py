"""All paths of the web server, and what they share: error handling, security headers, bounds on large answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import web

from exporter import status
from exporter.exposition import Compressor, takes_gzip
from exporter.rounds import place
from exporter.serving import callbacks, origin, views
from exporter.serving.events import Events
from exporter.serving.pages import Page, Pages, give_way
from exporter.serving.scrape import Scrapes
from exporter.serving.sending import NO_HEADERS, PIECE, SERVER, LargePages, text, waiting
from exporter.serving.service import Service
from exporter.serving.waiting import Places

log = structlog.get_logger("web")

MOST_READERS: Final = 64
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": status.CONTENT_SECURITY_POLICY,
}
JSON: Final = "application/json; charset=utf-8"
NEVER_STORED: Final = {"Cache-Control": "no-store"}

Reload = Callable[[], Awaitable[list[str]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class App:
    """What the web server shows of a service.

    Attributes:
        service: The running parts.
        reload: Reads the configuration again; returns what is wrong with it.
        offset: Seconds by which an answer comes before Prometheus's timeout.
        lifecycle: Whether `POST /-/reload` is open.
        telemetry_path: Path of the metrics.
        ready: Whether the service is able to probe.
        names: Host names at which the exporter is reached; `.NAME` stands for all that end in it.
        prefix: What stands before every path, as in `/streams`.
        home: The path of the status page as browsers see it.
    """

    service: Service
    reload: Reload
    offset: float = 0.5
    lifecycle: bool = False
    telemetry_path: str = "/metrics"
    ready: bool = True
    names: frozenset[str] = frozenset()
    prefix: str = ""
    home: str = "/"
    large: LargePages = field(default_factory=LargePages)
    readers: Places = field(default_factory=lambda: Places(MOST_READERS))
    pages: Pages = field(init=False)
    scrapes: Scrapes = field(init=False)
    events: Events = field(init=False)

    def __post_init__(self) -> None:
        self.pages = Pages(self.service.clock.mono, lambda: self.service.config, give_way)
        self.scrapes = Scrapes(self.service, self.large, self.offset)
        self.events = Events(self.service.board)

    def application(self, middlewares: Iterable[Any] = ()) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(
            middlewares=[self._bounded, _errors, *middlewares], client_max_size=callbacks.MOST_CALLBACK
        )
        application.add_routes(web.route(method, self.prefix + path, act) for method, path, act in self._paths())
        if self.prefix:
            # Whoever asks whether the exporter is alive need not know the prefix.
            application.add_routes([web.get("/-/healthy", self._healthy), web.get("/-/ready", self._readiness)])
            application.add_routes([web.get("/", _leading_to(f"{self.prefix}/"))])
            application.add_routes([web.get(self.prefix, _leading_to(self.home))])
        application.on_response_prepare.append(_secure)
        application.on_shutdown.append(self.events.close)
        return application

    def _paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", self.telemetry_path, self.scrapes.metrics),
            ("GET", "/probe", self.scrapes.probe),
            ("GET", "/sd", self._targets),
            ("GET", "/api/v1/streams", self._streams),
            ("GET", "/api/v1/events", self.events.follow),
            ("*", "/callbacks/{account:.+}", partial(callbacks.receive, self.service)),
            ("GET", "/-/healthy", self._healthy),
            ("GET", "/-/ready", self._readiness),
            ("POST", "/-/reload", self._reload_now),
            ("GET", "/config", self._configuration),
            ("GET", "/", self._page),
            ("GET", "/static/{name}", self._asset),
        ]

    @web.middleware
    async def _bounded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Compress what is not plain text; send large answers piece by piece, and only so many bytes at a time."""
        response = await handler(request)
        if not isinstance(response, web.Response) or response.prepared or not isinstance(response.body, bytes):
            return response
        packed = False
        if response.content_type != "text/plain":
            response.headers.setdefault("Vary", "Accept-Encoding")
            packed = takes_gzip(request.headers)
        if response.status != 200 or len(response.body) <= PIECE:
            if packed:
                response.enable_compression(web.ContentCoding.gzip)
            return response
        body, headers = response.body, dict(response.headers)
        if packed:
            compressor = Compressor()
            body = compressor.add(body) + compressor.end()
            headers["Content-Encoding"] = "gzip"
        return await self.large.send(request, body, headers)

    async def _shared(
        self, request: web.Request, page: Page, content_type: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> web.StreamResponse:
        """Answer with a page that is made once for all its readers."""
        async with waiting(self.readers, request, asyncio.get_running_loop().time(), "readers of pages"):
            made = await self.pages.get(page)
        return await self.large.send_made(request, made, content_type, headers)

    # --- what is watched ---------------------------------------------------------------------------------------------

    async def _targets(self, request: web.Request) -> web.StreamResponse:
        return await self._shared(request, views.targets(self.service, self.prefix), JSON)

    async def _streams(self, request: web.Request) -> web.StreamResponse:
        return await self._shared(request, views.streams(self.service), JSON, NEVER_STORED)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        wanted = status.Filter.read(request.query.items())
        page = views.status_page(self.service, wanted, self.telemetry_path, ready=self.ready)
        return await self._shared(request, page, "text/html; charset=utf-8", NEVER_STORED)

    async def _asset(self, request: web.Request) -> web.Response:
        """Return a file that the page needs; its name changes with its content."""
        asset = status.ASSETS.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=asset.body, content_type=asset.content_type, headers=headers)

    async def _configuration(self, request: web.Request) -> web.StreamResponse:
        if refused := self._foreign(request):
            return refused
        return await self._shared(request, views.configuration(self.service), "application/yaml; charset=utf-8")

    # --- life cycle --------------------------------------------------------------------------------------------------

    async def _healthy(self, _request: web.Request) -> web.Response:
        return text("stream-exporter is healthy.\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        return text("stream-exporter is ready.\n") if self.ready else text("stream-exporter is not ready.\n", 503)

    async def _reload_now(self, request: web.Request) -> web.Response:
        """Read the configuration again; a reload that has begun is finished even if the client leaves."""
        if refused := self._foreign(request):
            return refused
        if not self.lifecycle:
            return text("the lifecycle API is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n", 403)
        problems = await asyncio.shield(asyncio.ensure_future(self.reload()))
        if problems:
            return text("the configuration was refused; the one before stays:\n" + "\n".join(problems) + "\n", 500)
        return text("the configuration was reloaded\n")

    def _foreign(self, request: web.Request) -> web.Response | None:
        """Refuse what another site's page may have sent."""
        why = origin.refusal(request.method, request.headers, secure=request.secure, names=self.names)
        return None if why is None else text(f"{why}\n", 403)


def _leading_to(path: str) -> Handler:
    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPFound(path)

    return redirect


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a bug with 500 and log its type and place: its text might hold secrets."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:
        log.error("bug", path=request.path, kind=type(error).__name__, place=place(error))
        return text("an error of the exporter itself; its log says where\n", 500)


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the security headers on every answer, errors and refusals too; name no versions."""
    response.headers["Server"] = SERVER
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
