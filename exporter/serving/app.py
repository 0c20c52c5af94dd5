"""All paths of the web server, and what they share: error handling and security headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import quote, unquote

import structlog
from aiohttp import web

from exporter import status
from exporter.rounds.shared import place
from exporter.serving import callbacks, origin, views
from exporter.serving.events import Events
from exporter.serving.pages import Page, PageCache, give_way
from exporter.serving.paths import OPEN
from exporter.serving.scrape import Scrapes
from exporter.serving.sending import NO_HEADERS, SERVER, LargePages, admitted, compressed, text
from exporter.serving.service import Service
from exporter.serving.waiting import Places

log = structlog.get_logger("web")

MOST_READERS: Final = 64
MOST_TARGET: Final = 300  # characters; what is configured is shorter
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
    """The web application of a service.

    Attributes:
        reload: Reloads the configuration; returns its errors.
        offset: Seconds before Prometheus's timeout at which a scrape is answered.
        lifecycle: Whether `POST /-/reload` is enabled.
        site: What the operator chooses for the status page, and the path of the metrics.
        ready: Whether the service can probe.
        names: Host names of the exporter; `.NAME` matches every name that ends in it.
        prefix: What stands before every path, as in `/streams`.
        home: The path of the status page as browsers see it.
    """

    service: Service
    reload: Reload
    offset: float = 0.5
    lifecycle: bool = False
    site: status.Site = field(default_factory=status.Site)
    ready: bool = True
    names: frozenset[str] = frozenset()
    prefix: str = ""
    home: str = "/"
    large: LargePages = field(default_factory=LargePages)
    readers: Places = field(default_factory=lambda: Places(MOST_READERS))
    pages: PageCache = field(init=False)
    scrapes: Scrapes = field(init=False)
    events: Events = field(init=False)

    def __post_init__(self) -> None:
        self.pages = PageCache(self.service.clock.mono, lambda: self.service.config, give_way)
        self.scrapes = Scrapes(self.service, self.large, self.offset)
        self.events = Events(self.service.board)

    def application(self, middlewares: Iterable[Any] = ()) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(middlewares=[_errors, *middlewares], client_max_size=callbacks.MOST_CALLBACK)
        application.add_routes(web.route(method, self.prefix + path, act) for method, path, act in self._paths())
        if self.prefix:
            application.add_routes(web.get(path, act) for _, path, act in self._paths() if path in OPEN)
            application.add_routes([web.get("/", _leading_to(f"{self.prefix}/"))])
            application.add_routes([web.get(self.prefix, _leading_to(self.home))])
        application.on_response_prepare.append(_secure)
        application.on_shutdown.append(self.events.close)
        return application

    def _paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", self.site.telemetry_path, self.scrapes.metrics),
            ("GET", "/probe", self.scrapes.probe),
            ("GET", "/sd", self._targets),
            ("GET", "/api/v1/streams", self._streams),
            ("GET", "/api/v1/events", self.events.follow),
            ("*", "/callbacks/{account:.+}", partial(callbacks.receive, self.service, self.events)),
            ("GET", "/-/healthy", self._healthy),
            ("GET", "/-/ready", self._readiness),
            ("POST", "/-/reload", self._reload_now),
            ("GET", "/config", self._configuration),
            ("GET", "/", self._page),
            ("POST", "/", self._ask),
            ("GET", "/static/{name}", self._asset),
        ]

    async def _shared(
        self, request: web.Request, page: Page, content_type: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> web.StreamResponse:
        """Respond with a page that is rendered once for all its readers."""
        async with admitted(self.readers, request, asyncio.get_running_loop().time(), "readers of pages"):
            rendered = await self.pages.get(page)
        return await self.large.send_page(request, rendered, content_type, headers)

    # --- pages -------------------------------------------------------------------------------------------------------

    async def _targets(self, request: web.Request) -> web.StreamResponse:
        return await self._shared(request, views.targets(self.service, self.prefix), JSON)

    async def _streams(self, request: web.Request) -> web.StreamResponse:
        return await self._shared(request, views.streams(self.service), JSON, NEVER_STORED)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        chosen = status.Filter.read(request.query.items())
        page = views.status_page(self.service, chosen, self.site, ready=self.ready)
        return await self._shared(request, page, "text/html; charset=utf-8", NEVER_STORED)

    async def _ask(self, request: web.Request) -> web.Response:
        """Ask about a stream, then lead back to the page as it was: to the same filter, order and row.

        Another site's page may send this, as it may send `GET /probe`: neither tells it anything, and a stream is asked
        about once a second at most.
        """
        wanted = unquote(str((await request.post()).get("target", "")))[:MOST_TARGET]
        provider, _, name = wanted.partition("/")
        back = "./" + status.Filter.read(request.query.items()).address(asked=wanted)
        if (record := self.service.board.get((provider, name))) is not None:
            await self.scrapes.ask(request, record)
            back += f"#s-{quote(wanted, errors='replace')}"
        return web.Response(status=303, headers={"Location": back, **NEVER_STORED})

    async def _asset(self, request: web.Request) -> web.Response:
        """Serve a file of the status page; its name changes with its content, so it may be cached for ever."""
        asset = status.ASSETS.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return compressed(request, web.Response(body=asset.body, content_type=asset.content_type, headers=headers))

    async def _configuration(self, request: web.Request) -> web.StreamResponse:
        if refused := self._cross_site(request):
            return refused
        return await self._shared(request, views.configuration(self.service), "application/yaml; charset=utf-8")

    # --- life cycle --------------------------------------------------------------------------------------------------

    async def _healthy(self, _request: web.Request) -> web.Response:
        return text("stream-exporter is healthy.\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        return text("stream-exporter is ready.\n") if self.ready else text("stream-exporter is not ready.\n", 503)

    async def _reload_now(self, request: web.Request) -> web.Response:
        """Reload the configuration; a reload that has started finishes even if the client disconnects."""
        if refused := self._cross_site(request):
            return refused
        if not self.lifecycle:
            return text("the lifecycle API is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n", 403)
        problems = await asyncio.shield(asyncio.ensure_future(self.reload()))
        if problems:
            return text("the configuration was refused; the one before stays:\n" + "\n".join(problems) + "\n", 500)
        return text("the configuration was reloaded\n")

    def _cross_site(self, request: web.Request) -> web.Response | None:
        """Refuse a request that another site's page may have sent."""
        why = origin.refusal(request.method, request.headers, secure=request.secure, names=self.names)
        return None if why is None else text(f"{why}\n", 403)


def _leading_to(path: str) -> Handler:
    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPFound(path)

    return redirect


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to a bug with 500; log its type and place only, as its text might hold secrets."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:
        log.error("bug", path=request.path, kind=type(error).__name__, place=place(error))
        return text("an error of the exporter itself; its log says where\n", 500)


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the security headers on every response, errors included; reveal no versions."""
    response.headers["Server"] = SERVER
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
