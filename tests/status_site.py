"""The status page behind a small web server on loopback, as `exporter.serving.app` serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from exporter import status
from exporter.model import State
from tests.status_world import World, whole_page


@dataclass
class Site:
    """A site whose world a test changes while browsers look at it.

    Attributes:
        broken: Whether the page answers 503.
        slow: What an answer to a question waits for.
        changes: Snapshot's fields besides the world's.
        loads: How often the page was asked for, and with which query.
        listening: Readers of `/api/v1/events`.
    """

    world: World
    address: str = ""
    broken: bool = False
    slow: asyncio.Event | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    listening: list[asyncio.Queue[bytes]] = field(default_factory=list)

    async def page(self, request: web.Request) -> web.Response:
        """Return the page."""
        self.loads.append(request.query_string)
        if self.broken:
            return web.Response(status=503)
        text = whole_page(self.world.snapshot(**self.changes), status.Filter.read(request.query.items()))
        policy = {"Content-Security-Policy": status.CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type="text/html", headers=policy)

    async def ask(self, request: web.Request) -> web.Response:
        """Let the provider say that a stream is live, and lead back, as the app does."""
        if self.slow is not None:
            await self.slow.wait()
        wanted = unquote(str((await request.post())["target"]))
        provider, _, name = wanted.partition("/")
        if (record := self.world.board.get((provider, name))) is not None:
            self.world.answer(record, State.ACTIVE, 0)
        chosen = status.Filter.read(request.query.items())
        back = f"./{chosen.address(asked=wanted)}#s-{quote(wanted)}"
        return web.Response(status=303, headers={"Location": back})

    async def asset(self, request: web.Request) -> web.Response:
        """Return style, script or icon."""
        asset = status.ASSETS[request.match_info["name"]]
        return web.Response(body=asset.body, content_type=asset.content_type)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell changes as they come."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.listening.append(queue)
        while news := await queue.get():
            await response.write(news)
        return response

    def tell(self, news: bytes = b"data: {}\n\n") -> None:
        """Tell all listeners of a change; an empty one is the last."""
        for queue in self.listening:
            queue.put_nowait(news)


@asynccontextmanager
async def serving(world: World, port: int = 0) -> AsyncIterator[Site]:
    """Serve a world on a free port of loopback."""
    site = Site(world)
    application = web.Application()
    routes = {"/": site.page, "/static/{name}": site.asset, "/api/v1/events": site.events}
    application.add_routes([web.get(path, handler) for path, handler in routes.items()])
    application.add_routes([web.post("/", site.ask)])
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        site.address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield site
    finally:
        site.tell(b"")
        await runner.cleanup()
