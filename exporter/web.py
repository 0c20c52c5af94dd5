"""The paths of the public face: header → deadline, then whatever the service knows."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import web

from exporter import report, status
from exporter.board import Change, Record
from exporter.config import redacted
from exporter.exposition import Compressor, negotiate
from exporter.prober import Lane, place
from exporter.provider import Received
from exporter.service import Service

log = structlog.get_logger("web")

TIMEOUT_HEADER: Final = "X-Prometheus-Scrape-Timeout-Seconds"
LEAST_SECONDS, MOST_SECONDS = 0.05, 120.0
MOST_WAITING: Final = 64
SEND_SECONDS: Final = 12.0
PIECE: Final = 1 << 16
MOST_HELD: Final = 12 << 20  # bytes of large pages that are being sent; a page larger than that goes alone
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
    """

    service: Service
    reload: Reload
    offset: float = 0.5
    lifecycle: bool = False
    telemetry_path: str = "/metrics"
    ready: bool = True
    waiting: int = 0
    held: int = 0
    _followers: set[asyncio.Queue[Change | None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.service.board.listeners.append(self._tell)

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
        packed = _takes_gzip(request.headers.get("Accept-Encoding", "")) and response.content_type != "text/plain"
        if response.status != 200 or len(response.body) <= PIECE:
            if packed:
                response.enable_compression(web.ContentCoding.gzip)
            return response
        body, headers = response.body, {"Vary": "Accept-Encoding", **response.headers}
        if packed:
            compressor = Compressor()
            body = compressor.add(body) + compressor.end()
            headers["Content-Encoding"] = "gzip"
        if self.held and self.held + len(body) > MOST_HELD:
            return _text("too many large pages are being read; try again later\n", 503)
        self.held += len(body)
        try:
            return await _send(request, body, headers)
        finally:
            self.held -= len(body)

    # --- metrics -----------------------------------------------------------------------------------------------------

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Ask the providers, and answer before the deadline with what is known."""
        deadline = self.deadline(request)
        if self.waiting >= MOST_WAITING:
            return _text("too many scrapes are waiting; try again later\n", 503)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        compressed = _takes_gzip(request.headers.get("Accept-Encoding", ""))
        self.waiting += 1
        try:
            await self.service.refresh(deadline)
            body = await self.service.document(openmetrics=openmetrics, compressed=compressed)
        finally:
            self.waiting -= 1
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return await _send(request, body, headers)

    def deadline(self, request: web.Request) -> float:
        """Return until when to answer, in monotonic seconds: Prometheus's timeout less the offset."""
        now = self.service.clock.mono()
        seconds = _positive(request.headers.get(TIMEOUT_HEADER, ""))
        budget = self.service.config.scrape.timeout if seconds is None else seconds - self.offset
        return now + min(max(budget, LEAST_SECONDS), MOST_SECONDS)

    async def probe(self, request: web.Request) -> web.Response:
        """Ask for one stream or one account; nothing that is not configured can be reached."""
        deadline = self.deadline(request)
        try:
            lane, record = self._target(request)
        except LookupError as error:
            return _text(f"{error.args[0]}\n", 400)
        if request.query.get("debug") == "true":
            calls = await self.service.watch_calls(lane, deadline, record)
            age = self.service.clock.mono() - record.tried if record else float("inf")
            return _text(report.transcript(calls, [self._object(record)] if record else [], age))
        if record is not None:
            await self.service.refresh_one(record, deadline)
        else:
            await self.service.refresh(deadline, lane)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        body = self.service.part(lane, record, openmetrics=openmetrics)
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _target(self, request: web.Request) -> tuple[Lane, Record | None]:
        target, account = request.query.getall("target", []), request.query.getall("account", [])
        if len(target) + len(account) != 1:
            raise LookupError("give either target=PROVIDER/STREAM or account=NAME, once")
        lanes = self.service.prober.lanes
        if account:
            lane = lanes.get(account[0])
            if lane is None:
                raise LookupError("unknown account: it must be configured under accounts")
            return lane, None
        provider, _, stream = target[0].partition("/")
        record = self.service.board.get((provider, stream))
        if record is None:
            raise LookupError("unknown target: it must be PROVIDER/STREAM of a configured stream; see /sd")
        return self.service.prober.lane_of(record), record

    # --- what is watched ---------------------------------------------------------------------------------------------

    async def service_discovery(self, _request: web.Request) -> web.Response:
        """Return the watched streams as Prometheus's http_sd targets."""
        return web.json_response([_target(record) for record in self.service.board])

    async def streams(self, _request: web.Request) -> web.Response:
        """Return what is known of each stream as JSON."""
        return web.json_response([self._object(record) for record in self.service.board], headers=NEVER_STORED)

    def _object(self, record: Record) -> dict[str, Any]:
        service = self.service
        return report.stream_object(record, record.state(service.clock.mono(), service.board.max_age))

    async def page(self, request: web.Request) -> web.Response:
        """Return the status page."""
        service = self.service
        known = status.Known(
            service.board,
            service.tally,
            tuple(service.prober.present()),
            service.clock.now(),
            telemetry_path=self.telemetry_path,
            ready=self.ready,
            reload_ok=service.source.reload_ok,
            events=True,
        )
        parts = []
        for part in status.slices(known, status.Filter.read(request.query.items())):
            parts.append(part)
            await asyncio.sleep(0)
        return web.Response(text="".join(parts), content_type="text/html", charset="utf-8", headers=NEVER_STORED)

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

    async def configuration(self, _request: web.Request) -> web.Response:
        """Return the configuration in force, without secrets."""
        return web.Response(text=redacted(self.service.config), content_type="application/yaml", charset="utf-8")

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

    async def reload_now(self, _request: web.Request) -> web.Response:
        """Read the configuration again."""
        if not self.lifecycle:
            return _text("the lifecycle API is not enabled; start with --web.enable-lifecycle, or send SIGHUP\n", 403)
        problems = await self.reload()
        if problems:
            return _text("the configuration was refused; the one before stays:\n" + "\n".join(problems) + "\n", 500)
        return _text("the configuration was reloaded\n")


async def _received(request: web.Request) -> Received:
    """Read a callback; raises what aiohttp raises for one that is too large, broken or cut off."""
    async with asyncio.timeout(CALLBACK_SECONDS):
        body = await request.read()
    headers = {key.lower(): value for key, value in request.headers.items()}
    return Received(request.method, request.host.partition(":")[0], headers, dict(request.query), body)


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
    """Give every answer the security headers, those of errors and of refused users too."""
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


async def _send(request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Send a shared body piece by piece: a reader that does not read holds one piece, and not for long."""
    response = web.StreamResponse(headers={**headers, **SECURITY_HEADERS})
    response.content_length = len(body)
    view = memoryview(body)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await response.prepare(request)
            for start in range(0, 0 if request.method == "HEAD" else len(body), PIECE):
                await response.write(view[start : start + PIECE])
            await response.write_eof()
    except TimeoutError:
        _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    """Cut a connection off at once: the kernel, too, would go on keeping what its reader does not read."""
    transport = request.transport
    if transport is None:
        return
    # A linger time of zero makes the kernel send RST and forget what is unsent.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _positive(text: str) -> float | None:
    """Return a finite positive number, or None for anything else."""
    try:
        # Python would take 1_0 and digits of other scripts, too.
        seconds = float(text) if text.isascii() and "_" not in text else 0.0
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _takes_gzip(accept: str) -> bool:
    for part in accept.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _text(text: str, status_code: int = 200) -> web.Response:
    return web.Response(text=text, status=status_code)


def _target(record: Record) -> dict[str, Any]:
    provider, name = record.key
    target = f"{provider}/{name}"
    labels = {f"__meta_stream_label_{label}": value for label, value in record.stream.labels.items()}
    return {
        "targets": [target],
        "labels": {
            "__metrics_path__": "/probe",
            "__param_target": target,
            "__meta_stream_provider": provider,
            "__meta_stream_name": name,
            "__meta_stream_account": record.stream.account,
            **labels,
        },
    }
