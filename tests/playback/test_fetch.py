"""Fetching what viewers get, over real sockets: servers that are slow, endless, wrong or hostile, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from exporter.addresses import PlaybackAddress, origin_of
from exporter.fields import Secret
from exporter.playback.fetch import Fetched, Fetcher, NotFetched, Wanted
from exporter.playback.rates import Rates
from exporter.routes import UNSET, Http
from tests.core.test_transport import answer, saying, serving

CANARY = "canary-that-nobody-may-see"
PLAYLIST = b"#EXTM3U\n"


def address(url: str, *more: str, private: bool = False, shown: str = "") -> PlaybackAddress:
    """Return a configured address; a check of it may ask its own origin and more."""
    origins = (origin_of(url), *more)
    return PlaybackAddress("main", Secret(url), shown or url.partition("?")[0], origins, private=private)


@dataclass
class Seen:
    """What came of a fetch: its outcome, and the parts of the body."""

    outcome: Fetched | NotFetched | None = None
    parts: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts)

    @property
    def fetched(self) -> Fetched:
        """The outcome, which is an answer."""
        assert isinstance(self.outcome, Fetched), self.outcome
        return self.outcome

    @property
    def error(self) -> NotFetched:
        """The outcome, which is none."""
        assert isinstance(self.outcome, NotFetched), self.outcome
        return self.outcome


@dataclass
class Net:
    """A fetcher and its turns."""

    fetcher: Fetcher
    http: Http

    async def get(
        self, url: str, of: PlaybackAddress | None = None, enough: int = 1 << 40, seconds: float = 10.0, **given: Any
    ) -> Seen:
        """Fetch until so many bytes were taken."""
        seen = Seen()

        def take(part: bytes) -> bool:
            seen.parts.append(part)
            return len(seen.body) < enough

        wanted = Wanted(url, of or address(url), self.http, seconds, given.pop("most", 1 << 20), **given)
        try:
            seen.outcome = await self.fetcher.fetch(wanted, take)
        except NotFetched as error:
            seen.outcome = error
        return seen


@asynccontextmanager
async def opened(http: Http = UNSET, **given: Any) -> AsyncIterator[Net]:
    """Open a fetcher whose connections need no rest."""
    rates = Rates(asyncio.get_running_loop().time)
    async with Fetcher(rates, rest=0.0, **given) as fetcher:
        yield Net(fetcher, http)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(bounded())


def test_a_playlist_comes_whole_and_its_connection_serves_the_next() -> None:
    """An ordinary answer: its body, its status, its headers and times, and one connection for all."""

    async def main() -> None:
        async with serving(saying(answer(PLAYLIST, "X-Cache: HIT"))) as heard, opened() as net:
            for _ in range(3):
                seen = await net.get(f"{heard.url}/live/a.m3u8?token={CANARY}")
                assert seen.body == PLAYLIST
                fetched = seen.fetched
                assert (fetched.status, fetched.ending, fetched.received) == (200, "whole", len(PLAYLIST))
                assert fetched.headers["x-cache"] == "HIT"
                assert fetched.shown == f"{heard.url}/live/a.m3u8"
                assert fetched.first_byte is not None
                assert 0 <= fetched.first_byte <= fetched.seconds < 10
            assert heard.connections == 1
            request = heard.requests[0]
            assert request.startswith(f"GET /live/a.m3u8?token={CANARY} HTTP/1.1\r\n".encode())
            assert b"\r\nAccept-Encoding: identity\r\n" in request
            assert b"range" not in request.lower()

    run(main)
