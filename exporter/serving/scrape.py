"""`/metrics` and `/probe`: ask the providers, and answer before the deadline with what is known."""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from exporter.exposition import Compressor, Names, negotiate, takes_gzip
from exporter.rounds import AccountProber
from exporter.serving import views
from exporter.serving.pages import Pages, turn
from exporter.serving.sending import LargePages, send, text, waiting
from exporter.serving.service import Service
from exporter.serving.waiting import Places
from exporter.state.board import Record

TIMEOUT_HEADER: Final = "X-Prometheus-Scrape-Timeout-Seconds"
LEAST_SECONDS, MOST_SECONDS = 0.05, 120.0
VARIES: Final = {"Vary": "Accept, Accept-Encoding"}
MOST_WAITING: Final = 64
MOST_PROBES: Final = 1024  # Prometheus may ask for each stream by a scrape of its own
MOST_DEBUG: Final = 8  # their transcripts are large


class Scrapes:
    """Answers scrapes and probes.

    Attributes:
        places: Where scrapes wait.
        probes: Where probes wait.
        debugs: Where probes with `debug=true` wait.

    Args:
        service: The running parts.
        large: Sends large pages.
        offset: Seconds by which an answer comes before Prometheus's timeout.
    """

    def __init__(self, service: Service, large: LargePages, offset: float) -> None:
        self.places = Places(MOST_WAITING)
        self.probes = Places(MOST_PROBES)
        self.debugs = Places(MOST_DEBUG)
        self._service = service
        self._large = large
        self._offset = offset
        self._parts = Pages(service.clock.mono, lambda: service.config, turn)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Ask for all streams."""
        deadline = self.deadline(request)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        compressed, names = takes_gzip(request.headers), _names(request)
        async with waiting(self.places, request, deadline, "scrapes"):
            await self._service.refresh(deadline)
            if names is None:
                body = await self._service.document(openmetrics=openmetrics, compressed=compressed)
        if names is not None:
            made = await self._parts.get(views.exposition(self._service, None, names, openmetrics=openmetrics))
            return await self._large.send_made(request, made, content_type, VARIES)
        return await _send(request, body, content_type, compressed=compressed)

    async def probe(self, request: web.Request) -> web.StreamResponse:
        """Ask for one stream or one account; nothing that is not configured can be reached."""
        try:
            prober, record = self._target(request)
        except LookupError as error:
            return text(f"{error.args[0]}\n", 400)
        deadline = self.deadline(request)
        if request.query.get("debug") == "true":
            return await self._debug(request, deadline, prober, record)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        names = _names(request)
        async with waiting(self.probes, request, deadline, "probes"):
            if record is not None:
                await self._service.refresh_one(record, deadline)
            else:
                await self._service.refresh(deadline, prober)
        if record is None:
            made = await self._parts.get(views.exposition(self._service, prober, names, openmetrics=openmetrics))
            return await self._large.send_made(request, made, content_type, VARIES)
        body = b"".join(views.part(self._service, prober, record, names, openmetrics=openmetrics))
        if compressed := takes_gzip(request.headers):
            compressor = Compressor()
            body = compressor.add(body) + compressor.end()
        return await _send(request, body, content_type, compressed=compressed)

    async def _debug(
        self, request: web.Request, deadline: float, prober: AccountProber, record: Record | None
    ) -> web.Response:
        """Show what was asked (redacted), what came back, and how it was judged."""
        async with waiting(self.debugs, request, deadline, "probes with debug=true"):
            calls = await self._service.watch_calls(prober, deadline, record)
        now, board = self._service.clock.mono(), self._service.board
        return text(views.transcript(calls, None if record is None else record.row(now, board.max_age), now))

    def deadline(self, request: web.Request) -> float:
        """Return when to answer at the latest, in monotonic seconds: Prometheus's timeout less the offset."""
        seconds = _positive(request.headers.get(TIMEOUT_HEADER, ""))
        budget = self._service.config.scrape.timeout if seconds is None else seconds - self._offset
        return self._service.clock.mono() + min(max(budget, LEAST_SECONDS), MOST_SECONDS)

    def _target(self, request: web.Request) -> tuple[AccountProber, Record | None]:
        target, account = request.query.getall("target", []), request.query.getall("account", [])
        if len(target) + len(account) != 1:
            raise LookupError("give either target=PROVIDER/STREAM or account=NAME, once")
        if account:
            prober = self._service.prober.accounts.get(account[0])
            if prober is None:
                raise LookupError("unknown account: it must be configured under accounts")
            return prober, None
        provider, _, stream = target[0].partition("/")
        record = self._service.board.get((provider, stream))
        if record is None:
            raise LookupError("unknown target: it must be PROVIDER/STREAM of a configured stream; see /sd")
        return self._service.prober.prober_of(record), record


async def _send(request: web.Request, body: bytes, content_type: str, *, compressed: bool) -> web.StreamResponse:
    headers = {"Content-Type": content_type, **VARIES}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return await send(request, body, headers)


def _names(request: web.Request) -> Names:
    """Return the families that the parameters `name[]` ask for, None for all."""
    return frozenset(filter(None, request.query.getall("name[]", []))) or None


def _positive(header: str) -> float | None:
    """Return a finite positive number, or None for anything else."""
    try:
        # Python would take 1_0 and digits of other scripts, too.
        seconds = float(header) if header.isascii() and "_" not in header else 0.0
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
