"""Takes bodies as they come: a playlist is kept whole until it is read, and nothing of FLV is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar
from zlib import crc32

from exporter.model import Reason
from exporter.playback import flv
from exporter.playback.flv import FlvReader, MalformedFlv
from exporter.playback.verdict import Unclear
from exporter.transport.aside import Aside

MOST_HELD: Final = 32 << 20
"""Bytes of playlists that all checks hold at once, without what each may hold at any time."""

SMALL: Final = 64 << 10
"""Bytes that each may hold at any time: large playlists of one origin are no trouble for small ones of others."""

HERE: Final = (32 << 10, 300)
"""Bytes and lines of a playlist that is read on the event loop."""

LARGE: Final = 1 << 20
"""Bytes from which on a playlist is large: the thread that reads rests as long after each as that one took."""

LONGEST_FLV: Final = 25.0
"""Seconds after which FLV is judged by what came until then."""

LATE: Final = 0.5
"""Seconds for which an event loop that was held up is given to take what has come meanwhile."""

T = TypeVar("T")


class Held:
    """What all checks hold and read: playlists are read one after the other, large ones behind those of usual size.

    Attributes:
        size: Bytes of playlists beyond those that each may hold.
    """

    def __init__(self, aside: Aside, time: Callable[[], float]) -> None:
        self.size = 0
        self._aside = aside
        self._time = time
        self._turns = asyncio.Lock()
        self._large = asyncio.Lock()

    async def read(self, body: bytearray, work: Callable[[], T]) -> T:
        """Do a piece of work on a body, beside the event loop if it takes long; return or raise what it does."""
        most, lines = HERE
        if len(body) <= most and body.count(b"\n") + body.count(b"\r") <= lines:
            return work()
        async with self._large if len(body) > LARGE else self._turns:
            began = self._time()
            try:
                read: T = await self._aside(work)
                return read
            finally:
                if len(body) > LARGE:
                    await asyncio.sleep(self._time() - began)


class Body:
    """Takes a body for so many seconds from its first part on, or for `LONGEST_FLV` if it is FLV.

    Attributes:
        kept: What has come of it, unless it is FLV.
        flv: Reads what comes, if it is FLV.
        late: Whether it took too long.
        checksum: That of all that came, if it is FLV.
        full: Whether as much has come as is taken, if it is FLV.
        silent: Whether no sound and no picture has come for too long.
        failed: Why no more of it was taken, if something is wrong with it.
    """

    def __init__(self, held: Held, time: Callable[[], float], longest: float) -> None:
        self.kept = bytearray()
        self.flv: FlvReader | None = None
        self.checksum = 0
        self.late = self.silent = self.full = False
        self._left = flv.MOST_TAKEN
        self.failed: Unclear | MalformedFlv | None = None
        self._began: float | None = None
        self._doubted: float | None = None
        self._held = held
        self._time = time
        self._longest = longest

    def __call__(self, part: bytes) -> bool:
        """Take a part; say whether more is wanted."""
        now = self._time()
        self._began = now if self._began is None else self._began
        try:
            wanted = self._taken(part, now)
            self.late = now - self._began >= (self._longest if self.flv is None else LONGEST_FLV)
            return wanted and not self.late
        except (Unclear, MalformedFlv) as error:
            self.failed = error
            return False

    def _taken(self, part: bytes, now: float) -> bool:
        if self.flv is None:
            self._keep(part)
            if self.kept[:3] != flv.SIGNATURE:
                return True
            self.flv, part = FlvReader(), bytes(self.kept)
            self.free()
        part = part[: self._left]
        self._left -= len(part)
        self.checksum = crc32(part, self.checksum)
        self.flv.feed(part, now)
        self.silent, self.full = self._is_silent(self.flv, now), not self._left
        return not (self.flv.lively or self.silent or self.full)

    def _is_silent(self, reader: FlvReader, now: float) -> bool:
        last = self._began if reader.last is None else reader.last
        if reader.within_media or last is None or now - last < flv.SILENT_SECONDS:
            self._doubted = None
            return False
        # It may have been the event loop that stood still: then there is more to take.
        self._doubted = now if self._doubted is None else self._doubted
        return now - self._doubted >= LATE

    def _keep(self, part: bytes) -> None:
        before = self._beyond
        self.kept += part
        self._held.size += self._beyond - before
        if self._beyond and self._held.size > MOST_HELD:
            raise Unclear(Reason.HTTP, "too many large playlists come at once; this one has its turn later")

    @property
    def _beyond(self) -> int:
        return max(0, len(self.kept) - SMALL)

    def free(self) -> None:
        """Keep nothing."""
        self._held.size -= self._beyond
        self.kept = bytearray()
