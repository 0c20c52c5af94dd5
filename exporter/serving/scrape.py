"""`/metrics` and `/probe`: ask the providers, then respond before the deadline with what is known."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from aiohttp import web

from exporter.exposition import Names, negotiate, takes_gzip
from exporter.playback.steps import PlaybackTranscript
from exporter.rounds.account import AccountProber
from exporter.rounds.transcript import Transcript
from exporter.serving import views
from exporter.serving.pages import PageCache
from exporter.serving.sending import LargePages, admitted, compressed, send, text
from exporter.serving.service import Service
from exporter.serving.waiting import Places
from exporter.state.record import Record

TIMEOUT_HEADER: Final = "X-Prometheus-Scrape-Timeout-Seconds"
LEAST_SECONDS, MOST_SECONDS = 0.05, 120.0
VARIES: Final = {"Vary": "Accept, Accept-Encoding"}
MOST_WAITING: Final = 64
MOST_PROBES: Final = 1024  # Prometheus may probe each stream in a scrape of its own
MOST_DEBUG: Final = 8  # their transcripts are large


class Scrapes:
    """Handles scrapes and probes; responds `offset` seconds before Prometheus's timeout.

    Scrapes, probes and probes with `debug=true` wait in `places`, `probes` and `debugs`.
    """

    def __init__(self, service: Service, large: LargePages, offset: float) -> None:
        self.places = Places(MOST_WAITING)
        self.probes = Places(MOST_PROBES)
        self.debugs = Places(MOST_DEBUG)
        self._service = service
        self._large = large
        self._offset = offset
        self._parts = PageCache(service.clock.mono, lambda: service.config)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Handle a scrape: ask about all streams and return their metrics."""
        deadline = self.deadline(request)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        gzipped, names = takes_gzip(request.headers), _names(request)
        async with admitted(self.places, request, deadline, "scrapes"):
            await self._service.refresh(deadline)
            if names is None:
                body = await self._service.document(openmetrics=openmetrics, compressed=gzipped)
        if names is not None:
            page = await self._parts.get(views.exposition(self._service, None, names, openmetrics=openmetrics))
            return await self._large.send_page(request, page, content_type, VARIES)
        headers = {"Content-Type": content_type, **VARIES}
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        return await send(request, body, headers)

    async def probe(self, request: web.Request) -> web.StreamResponse:
        """Handle a probe of one stream or one account; only configured ones can be reached."""
        try:
            prober, record = self._target(request)
        except LookupError as error:
            return text(f"{error.args[0]}\n", 400)
        deadline = self.deadline(request)
        if request.query.get("debug") == "true":
            return await self._debug(request, deadline, prober, record)
        openmetrics, content_type = negotiate(request.headers.get("Accept", ""))
        names = _names(request)
        async with admitted(self.probes, request, deadline, "probes"):
            if record is not None:
                await self._service.refresh_one(record, deadline)
            else:
                await self._service.refresh(deadline, prober)
        if record is not None:
            body = b"".join(views.part(self._service, prober, record, names, openmetrics=openmetrics))
            return compressed(request, web.Response(body=body, headers={"Content-Type": content_type, **VARIES}))
        page = await self._parts.get(views.exposition(self._service, prober, names, openmetrics=openmetrics))
        return await self._large.send_page(request, page, content_type, VARIES)

    async def _debug(
        self, request: web.Request, deadline: float, prober: AccountProber, record: Record | None
    ) -> web.StreamResponse:
        """Show each request (redacted), its response, and how it was judged."""
        async with admitted(self.debugs, request, deadline, "probes with debug=true"):
            calls, checks = await self._watch(deadline, prober, record)
        now = self._service.clock.now()
        row = None if record is None else next(self._service.board.rows(now, [record.key]), None)
        transcript = views.transcript(calls, checks, row, now.mono)
        return await self._large.send(request, transcript.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    async def _watch(
        self, deadline: float, prober: AccountProber, record: Record | None
    ) -> tuple[list[Transcript], list[PlaybackTranscript]]:
        """Ask the provider, and check a single stream's addresses beside that; return both as they went."""
        asking = self._service.watch_calls(prober, deadline, record)
        if record is None or not record.stream.playback:
            return await asking, []
        calls, checks = await asyncio.gather(asking, self._service.playback.settle(record, deadline))
        return calls, checks

    async def ask(self, request: web.Request, record: Record) -> None:
        """Ask about a stream for a reader of the status page, however recent its answer."""
        prober, deadline = self._service.prober.accounts[record.stream.account], self.deadline(request)
        async with admitted(self.debugs, request, deadline, "questions by hand"):
            await self._watch(deadline, prober, record)

    def deadline(self, request: web.Request) -> float:
        """Return the monotonic seconds by which to respond: Prometheus's timeout less the offset."""
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
            shard = self._service.config.shard
            where = f"; shard {shard.of(provider, stream)} would watch it, this is {shard.words}" if shard.words else ""
            raise LookupError(f"unknown target: it must be PROVIDER/STREAM of a configured stream; see /sd{where}")
        return self._service.prober.accounts[record.stream.account], record


def _names(request: web.Request) -> Names:
    """Return the families that the parameters `name[]` ask for, None for all."""
    return frozenset(filter(None, request.query.getall("name[]", []))) or None


def _positive(header: str) -> float | None:
    """Read a finite positive number; return None for anything else."""
    try:
        # Python also accepts 1_0 and digits of other scripts.
        seconds = float(header) if header.isascii() and "_" not in header else 0.0
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
