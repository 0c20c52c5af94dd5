"""The simulated clouds on one listening address: recognise, decide, spoil, answer, log."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from email.utils import formatdate

from aiohttp import web

from exporter.simulator import control
from exporter.simulator.exchange import Exchange, Outgoing, Received, Refusal
from exporter.simulator.fake import Fake
from exporter.simulator.faults import SILENT, Fault, Wire, write
from exporter.simulator.providers import fakes
from exporter.simulator.sending import calling_back
from exporter.simulator.types import Call
from exporter.simulator.world import World

TIMED_OUT = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Simulator:
    """All clouds of a world, or some, on one address; an asynchronous context manager.

    Args:
        world: What the clouds hold; it may be changed while they serve.
        host: Address to listen on.
        port: Port to listen on, 0 for a free one.
        providers: The clouds that are served here; all by default.
        tls: Certificate to serve https with.
    """

    def __init__(
        self,
        world: World,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        providers: Iterable[str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.world = world
        self.url = ""
        self._host, self._port, self._tls = host, port, tls
        wanted = set(fakes() if providers is None else providers)
        self._fakes = [fake for name, fake in fakes().items() if name in wanted]
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; `url` tells where.

        Raises:
            OSError: The address cannot be had.
        """
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
        """Stop listening and drop every connection, hanging ones too; a second call does nothing."""
        await self._running.aclose()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        path, _, raw_query = request.raw_path.partition("?")
        if path.startswith(control.PREFIX):
            return control.answer(self.world, request, path, body)
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.method, path or "/", raw_query, headers, body, self.world.clock())
        fake = recognise(self._fakes, received)
        if fake is None:
            return web.Response(status=404, text="no cloud of this simulator knows such a request\n")
        return await self._serve(request, fake.examine(self.world, received))

    async def _serve(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        faults = self.world.strike(exchange)
        skew = sum(fault.seconds for fault in faults if fault.kind == "skew")
        if skew:
            exchange.received = replace(exchange.received, now=exchange.received.now + skew)
        outgoing = decide(exchange, faults)
        log(exchange, outgoing, faults)
        wire = write(outgoing, exchange.fake, faults)
        return await _deliver(request, wire, faults, formatdate(exchange.received.now, usegmt=True))


@contextmanager
def serving(world: World) -> Iterator[Simulator]:
    """Serve a world on a free port of the loopback interface, in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    simulator = Simulator(world)
    try:
        asyncio.run_coroutine_threadsafe(simulator.start(), loop).result()
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def recognise(known: list[Fake], received: Received) -> Fake | None:
    """Tell which cloud a request is meant for: the only one, else by the vendor's marks, else by the action's name."""
    if len(known) == 1:
        return known[0]
    marked = [fake for fake in known if fake.is_marked(received)]
    named = [fake for fake in known if received.query.get("Action") in fake.actions]
    certain = [fake for fake in marked if not fake.marks.weak]
    return next(iter(certain + named + marked), None)


def decide(exchange: Exchange, faults: list[Fault]) -> Outgoing:
    """Let the cloud answer. Its own refusal goes before a code that a fault asks for: bad calls never get that far."""
    try:
        outgoing = exchange.fake.answer(exchange)
    except Refusal as refused:
        return exchange.fake.refuse(exchange, refused)
    for fault in faults:
        if fault.kind == "throttle":
            return exchange.fake.refuse(exchange, exchange.fake.throttled(exchange, 1.0))
        if fault.kind == "code":
            made = Refusal(fault.code, message=fault.message or "made to fail", status=fault.status)
            return exchange.fake.refuse(exchange, made)
    return outgoing


def log(exchange: Exchange, outgoing: Outgoing, faults: list[Fault]) -> None:
    """Write a call into the world's log; a fault that keeps the answer back stands there as the code."""
    silent = [fault.kind for fault in faults if fault.kind in SILENT]
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
            nonce=exchange.common("signature-nonce", "SignatureNonce"),
            faults=tuple(fault.kind for fault in faults),
        )
    )


async def _deliver(request: web.BaseRequest, wire: Wire, faults: list[Fault], date: str) -> web.StreamResponse:
    conduct = {fault.kind: fault for fault in faults}
    if "delay" in conduct:
        await asyncio.sleep(conduct["delay"].seconds)
    if "hang" in conduct:
        await asyncio.Event().wait()
    if "reset" in conduct or "close" in conduct:
        _hang_up(request, reset="reset" in conduct)
    elif "drip_head" in conduct or "drip_body" in conduct or "cut" in conduct:
        await _raw(request, wire, conduct, date)
    _afterwards(request, wire, conduct, date)
    return web.Response(status=wire.status, headers={**wire.headers, "Date": date}, body=wire.body)


def _hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    """Break the connection without an answer, by RST or in order; what aiohttp writes afterwards goes nowhere."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        # A linger time of zero makes the kernel send RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()


def _afterwards(request: web.BaseRequest, wire: Wire, conduct: dict[str, Fault], date: str) -> None:
    """Arrange what happens on the connection after the answer: bytes that come unasked, or its end."""
    transport = request.transport
    if transport is None:
        return
    later = asyncio.get_running_loop().call_later
    if (stray := conduct.get("stray")) is not None:
        later(stray.seconds, transport.write, str(stray.value or TIMED_OUT).encode())
    if (again := conduct.get("again")) is not None:
        later(again.seconds, transport.write, _head(wire, date) + wire.body)
    if (idle := conduct.get("idle")) is not None:
        later(idle.seconds, transport.close)


def _head(wire: Wire, date: str) -> bytes:
    lines = [f"HTTP/1.1 {wire.status} OK", f"Date: {date}", f"Content-Length: {len(wire.body)}"]
    lines += [f"{name}: {value}" for name, value in wire.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _raw(request: web.BaseRequest, wire: Wire, conduct: dict[str, Fault], date: str) -> None:
    """Write the answer past aiohttp: byte by byte, or with a body shorter than promised."""
    head = _head(wire, date)
    body = wire.body[: len(wire.body) // 2] if "cut" in conduct else wire.body
    await _drip(request, head, conduct.get("drip_head"))
    await _drip(request, body, conduct.get("drip_body"))
    _hang_up(request, reset=False)


async def _drip(request: web.BaseRequest, data: bytes, fault: Fault | None) -> None:
    for piece in [data] if fault is None else [data[place : place + 1] for place in range(len(data))]:
        if request.transport is None or request.transport.is_closing():
            return
        request.transport.write(piece)
        if fault is not None:
            await asyncio.sleep(fault.seconds)
