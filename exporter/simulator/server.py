"""The simulated clouds on one address: recognise the cloud, respond, log, inject faults, send."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from email.utils import formatdate

from aiohttp import web

from exporter.simulator import control
from exporter.simulator.connection import send
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal
from exporter.simulator.fake import Fake
from exporter.simulator.faults import UNANSWERED, Fault, write
from exporter.simulator.playback.server import answer as answer_viewer
from exporter.simulator.playback.site import PREFIX as PLAYBACK_PREFIX
from exporter.simulator.providers import fakes
from exporter.simulator.sending import calling_back
from exporter.simulator.types import Call
from exporter.simulator.world import World


class Simulator:
    """Serves some or all clouds of a world on one address; an asynchronous context manager.

    Args:
        world: The world; it may change while it is served.
        port: 0 for a free one.
        providers: The clouds to serve; all by default.
        step: Seconds of media that FLV viewers get at once.
    """

    def __init__(
        self,
        world: World,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        providers: Iterable[str] | None = None,
        tls: ssl.SSLContext | None = None,
        step: float = 0.2,
    ) -> None:
        self.world = world
        self._step = step
        self.url = ""
        self._host, self._port, self._tls = host, port, tls
        names = set(fakes() if providers is None else providers)
        self._fakes = [fake for name, fake in fakes().items() if name in names]
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start listening and set `url`; raises OSError if the address is not available."""
        server = web.Server(
            self._handle, handler_cancellation=True, access_log=None, max_line_size=65536, max_field_size=65536
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.01)
        async with AsyncExitStack() as stack:
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await stack.enter_async_context(calling_back(self.world))
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._tls).start()
            self._running = stack.pop_all()
        host, port = runner.addresses[0][:2]
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening and drop all connections, hanging ones included; a second call does nothing."""
        await self._running.aclose()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        path, _, raw_query = request.raw_path.partition("?")
        if path.startswith(control.PREFIX):
            return control.answer(self.world, request, path, body)
        if path.startswith(PLAYBACK_PREFIX):
            return await answer_viewer(self.world, request, path, raw_query, self._step)
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.method, path or "/", raw_query, headers, body, self.world.clock())
        fake = recognise(self._fakes, received)
        if fake is None:
            return web.Response(status=404, text="no cloud of this simulator knows such a request\n")
        return await self._serve(request, fake.parse(self.world, received))

    async def _serve(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        faults = self.world.faults_for(exchange.names)
        skew = sum(fault.seconds for fault in faults if fault.kind == "skew")
        if skew:
            exchange.received = replace(exchange.received, now=exchange.received.now + skew)
        outgoing = respond(exchange, faults)
        log(exchange, outgoing, faults)
        wire = write(outgoing, exchange.fake, faults)
        return await send(request, wire, faults, formatdate(exchange.received.now, usegmt=True))


@contextmanager
def serving(world: World, tls: ssl.SSLContext | None = None) -> Iterator[Simulator]:
    """Serve a world on a free port of the loopback interface, in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    simulator = Simulator(world, tls=tls)
    try:
        asyncio.run_coroutine_threadsafe(simulator.start(), loop).result()
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def recognise(clouds: list[Fake], received: Received) -> Fake | None:
    """Return the cloud that a request is for: the only one, else by the vendor's marks and the action's name.

    One vendor's clouds have the same marks, and actions of two vendors may have the same name.
    """
    if len(clouds) == 1:
        return clouds[0]
    marked = [fake for fake in clouds if fake.is_marked(received)]
    named = [fake for fake in clouds if received.query.get("Action") in fake.actions]
    certain = [fake for fake in marked if not fake.marks.weak]
    both = [fake for fake in certain if fake in named]
    return next(iter(both + certain + named + marked), None)


def respond(exchange: Exchange, faults: list[Fault]) -> Outgoing:
    """Return the cloud's response. Its own refusal takes precedence over a code that a fault injects."""
    try:
        outgoing = exchange.fake.answer(exchange)
    except Refusal as refusal:
        return exchange.fake.refuse(exchange, refusal)
    for fault in faults:
        if fault.kind == "throttle":
            return exchange.fake.refuse(exchange, exchange.fake.throttled(exchange, 1.0))
        if fault.kind == "code":
            injected = Refusal(fault.code, message=fault.message or "made to fail", status=fault.status)
            return exchange.fake.refuse(exchange, injected)
    return outgoing


def log(exchange: Exchange, outgoing: Outgoing, faults: list[Fault]) -> None:
    """Add a call to the world's log; a fault that suppresses the response is logged as its code."""
    silent = [fault.kind for fault in faults if fault.kind in UNANSWERED]
    exchange.world.log.append(
        Call(
            time=exchange.world.clock(),
            provider=exchange.fake.name,
            account=exchange.account.name if exchange.account else "",
            action=exchange.action,
            stream=exchange.stream.key if exchange.stream else "",
            address=exchange.address,
            code=silent[0] if silent else outgoing.code,
            verified=exchange.verified,
            nonce=exchange.common_parameter("signature-nonce", exchange.fake.once),
            faults=tuple(fault.kind for fault in faults),
        )
    )
