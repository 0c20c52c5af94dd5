"""A web of playlists, segments and FLV in virtual time, and a prober that checks it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from exporter.addresses import PlaybackAddress, PlaybackSettings
from exporter.fields import Secret
from exporter.model import Account, Reason, Stream
from exporter.playback.checks import PlaybackChecks
from exporter.playback.fetch import Fetched, NotFetched, Take, Wanted
from exporter.playback.rates import Rates
from exporter.rounds.shared import Clock
from exporter.state.board import Board
from exporter.state.counters import Counters
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Record
from exporter.transport.aside import at_once
from testbed.virtual import run
from tests.virtual import EPOCH, account

ORIGIN = "https://play.example"
TS = b"\x47" + bytes(187)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers with: its status, its body all at once, or in parts that come at a time each."""

    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[tuple[float, bytes], ...] = ()  # seconds since the request
    open: bool = False  # whether nothing ends the body
    moved: str = ""  # the path to which redirects lead
    delay: float = 0.02


Answer = Callable[[float], Page | NotFetched]
"""What a path answers with, at a time in seconds since the start."""


@dataclass(slots=True)
class Web:
    """Answers by path, in virtual time."""

    pages: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[float, str]] = field(default_factory=list)
    ranges: list[tuple[str, int]] = field(default_factory=list)  # where first bytes were asked for
    sent: int = 0
    rates: Rates = field(default_factory=lambda: Rates(asyncio.get_running_loop().time))
    started: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self.started

    async def fetch(self, wanted: Wanted, take: Take) -> Fetched:
        """Answer as the path's page says."""
        await self.rates.turn(ORIGIN)
        path = urlsplit(wanted.url).path
        self.asked.append((round(self.now, 3), path))
        if wanted.first:
            self.ranges.append((path, wanted.start))
        began = self.now
        page = self.pages[path](began) if path in self.pages else Page(status=404)
        if isinstance(page, NotFetched):
            await asyncio.sleep(0.02)
            raise page
        await asyncio.sleep(page.delay)
        body = page.body.encode() if isinstance(page.body, str) else page.body
        parts = page.parts or (((0.0, body),) if body else ())
        received, ending, first = 0, "whole", None
        for when, part in parts:
            silence = wanted.silence
            wait = max(0.0, began + when - self.now)
            if silence is not None and wait >= silence:
                await asyncio.sleep(silence)
                ending = "silent"
                break
            await asyncio.sleep(wait)
            first = self.now - began if first is None else first
            received += len(part)
            if not take(part):
                ending = "enough"
                break
            if received >= wanted.most:
                ending = "most"
                break
        else:
            if page.open and wanted.silence is not None:
                await asyncio.sleep(wanted.silence)
                ending = "silent"
        self.sent += received
        url = f"{ORIGIN}{page.moved}" if page.moved else wanted.url
        took = self.now - began
        found = Fetched(url, ORIGIN, page.status, page.headers, first, took, received, ending)  # type: ignore[arg-type]
        return found._replace(redirected=page.moved != "")

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(one == path for _, one in self.asked)


def address(path: str = "/live/a.m3u8", name: str = "main", **fields: Any) -> PlaybackAddress:
    """Return an address at the origin."""
    return PlaybackAddress(name, Secret(f"{ORIGIN}{path}"), f"{ORIGIN}{path}", (ORIGIN,), **fields)


def watched(*addresses: PlaybackAddress, name: str = "a") -> Stream:
    """Return a Tencent stream with addresses."""
    from exporter.providers import all_providers

    made: Stream = all_providers()["tencent"].stream(
        name=name, account="main", domain="push.example", playback=tuple(addresses)
    )
    return made


@dataclass(slots=True)
class Rig:
    """A prober, its board, and the web that it checks."""

    web: Web
    checks: PlaybackChecks
    board: Board
    counters: Counters

    def record(self, name: str = "a") -> Record:
        """Return a stream's record."""
        found = self.board.get(("tencent", name))
        assert found is not None
        return found

    def outcome(self, name: str = "a", playback: str = "main") -> PlaybackCheck | None:
        """Return what is known of an address."""
        known = self.record(name).playback.get(playback)
        return None if known is None else known.check

    def up(self, name: str = "a", playback: str = "main") -> bool | None:
        """Return whether an address plays, as far as is known."""
        found = self.outcome(name, playback)
        return None if found is None else found.up

    def verdict(self) -> tuple[bool | None, Reason | None]:
        """Return whether the address plays, and why nobody knows; something was told of it."""
        found = self.outcome()
        assert found is not None
        return found.up, found.reason

    def configure(self, *streams: Stream, settings: PlaybackSettings = PlaybackSettings()) -> None:  # noqa: B008
        """Watch these streams."""
        main: Account = account()
        self.board.watch([("tencent", one) for one in streams], 120.0)
        self.checks.configure([main], streams, settings, 120.0)


def rig(*streams: Stream, **settings: Any) -> Rig:
    """Return a prober that watches these streams; nothing is checked before somebody scrapes."""
    loop = asyncio.get_running_loop()
    web, board, counters = Web(), Board(120.0), Counters()
    clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
    made = Rig(web, PlaybackChecks(board, counters, clock, at_once, web), board, counters)
    made.configure(*streams, settings=PlaybackSettings(**settings))
    return made


# --- media -----------------------------------------------------------------------------------------------------------


def media(number: int, *, rows: int = 3, target: int = 2, more: str = "") -> str:
    """Return a media playlist whose newest row has a number."""
    first = number - rows + 1
    listed = "".join(f"#EXTINF:{target},\nseg-{first + row}.ts?t=secret\n" for row in range(rows))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{first}\n{listed}{more}"


def moving(target: int = 2, until: float = float("inf")) -> Answer:
    """Return a playlist that has a new row every target duration, until a time."""
    return lambda now: Page(media(10 + int(min(now, until) / target), target=target))


def flv_tag(kind: int, timestamp: int, body: bytes) -> bytes:
    """Return an FLV tag with what stands behind it."""
    head = (
        struct.pack(">I", len(body))[1:] + struct.pack(">I", timestamp)[1:] + bytes([timestamp >> 24 & 0xFF, 0, 0, 0])
    )
    return bytes([kind]) + head + body + struct.pack(">I", 11 + len(body))


FLV_HEAD = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"


def flv(seconds: float, every: float = 0.1, burst: float = 0.0) -> tuple[tuple[float, bytes], ...]:
    """Return the parts of a stream of audio tags: the first `burst` seconds at once, the others as time goes."""
    tags = [
        (index * every, flv_tag(8, int(index * every * 1000), b"\xaf\x01" + bytes(20)))
        for index in range(int(seconds / every))
    ]
    return ((0.0, FLV_HEAD), *((max(0.0, when - burst), tag) for when, tag in tags))


# --- stories ---------------------------------------------------------------------------------------------------------

A = "/live/a.m3u8"
SEGMENTS = {f"/live/seg-{number}.ts": (lambda _: Page(TS, 206)) for number in range(400)}


async def each_second(one: Rig, seconds: float, tell: Callable[[Rig], T]) -> list[T]:
    """Return what is told second by second, without what is the same as before."""
    seen: list[T] = []
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        if seen[-1:] != [told := tell(one)]:
            seen.append(told)
    return seen


def story(pages: dict[str, Answer], tell: Callable[[Rig], Awaitable[None]], **settings: float) -> Rig:
    """Watch one address of HLS on a web with these pages, scrape once, and go on as told."""
    made: list[Rig] = []

    async def whole() -> None:
        one = rig(watched(address(A)), **settings)
        made.append(one)
        one.web.pages = {**SEGMENTS, **pages}
        async with one.checks:
            one.checks.scraped()
            await tell(one)

    run(whole())
    return made[0]
