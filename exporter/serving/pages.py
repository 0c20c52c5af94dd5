"""Renders a page once for all who request it while nothing changes, in slices that let more urgent work run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from exporter.exposition import Compressor

SLICE_SECONDS: Final = 0.003
# After each slice, rendering pauses for this many times as long as other work has just taken.
GIVE: Final = 4.0
LONGEST_PAUSE: Final = 0.05
MOST_CACHED: Final = 8 << 20  # bytes of pages kept for later readers


@dataclass(frozen=True, slots=True)
class Page:
    """How to render a page, and how long the result is valid.

    Attributes:
        key: Identifies the page.
        parts: Yields text or bytes, in parts that take a few milliseconds at most.
        state: Returns what the page depends on: the page is valid while this stays equal.
        until: Returns the monotonic seconds at which a page rendered now expires whatever the state.
        plain: Whether to keep the page uncompressed.
        packed: Whether to keep it gzipped.
    """

    key: Hashable
    parts: Callable[[], Iterator[str | bytes]]
    state: Callable[[], object] = lambda: None
    until: Callable[[], float] = lambda: float("inf")
    plain: bool = True
    packed: bool = True


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page's bytes, uncompressed and gzipped; a form that its `Page` does not keep is empty."""

    plain: bytes
    packed: bytes

    def __len__(self) -> int:
        return len(self.plain) + len(self.packed)


@dataclass(slots=True)
class _Draft:
    """The part of a page that has been rendered so far."""

    page: Page
    plain: list[bytes] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)
    compressor: Compressor = field(default_factory=Compressor)

    def add(self, part: str | bytes) -> None:
        data = part.encode() if isinstance(part, str) else part
        if self.page.plain:
            self.plain.append(data)
        if self.page.packed:
            self.packed.append(self.compressor.add(data))

    def finish(self) -> RenderedPage:
        end = self.compressor.end() if self.page.packed else b""
        return RenderedPage(b"".join(self.plain), b"".join(self.packed) + end)


@dataclass(slots=True)
class _Job:
    """The rendering of a page: queued, running or done.

    Attributes:
        config: The configuration in force when it started.
        state: The page's state when it started.
        until: Monotonic seconds at which the result expires.
        readers: How many wait for it; with none left it is abandoned.
        task: Renders the page; its result is None if it was abandoned.
    """

    page: Page
    config: object = None
    state: object = None
    until: float = float("-inf")
    readers: int = 0
    task: asyncio.Task[RenderedPage | None] | None = None


class PageCache:
    """Renders one page at a time, and shares each result.

    A reader gets a page whose rendering started when it asked, or later, or whose state is still current. However many
    ask, one page is being rendered at any time, and at most one job per page is queued.

    Args:
        mono: The monotonic clock, in seconds.
        config: Returns the configuration in force; a page during whose rendering it changes is started over.
        between: Awaited between two slices.
        most_cached: Bytes of pages kept for later readers.
    """

    def __init__(
        self,
        mono: Callable[[], float],
        config: Callable[[], object],
        between: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
        most_cached: float = MOST_CACHED,
    ) -> None:
        self._mono = mono
        self._config = config
        self._between = between
        self._most_cached = most_cached
        self._rendering = asyncio.Lock()
        self._queued: dict[Hashable, _Job] = {}
        self._started: dict[Hashable, _Job] = {}

    async def get(self, page: Page) -> RenderedPage:
        """Return a page as of now. Cancelling one reader does not affect the others."""
        rendered = None
        while rendered is None:
            job = self._job(page)
            assert job.task is not None
            job.readers += 1
            try:
                rendered = await asyncio.shield(job.task)
            finally:
                job.readers -= 1
        return rendered

    def _job(self, page: Page) -> _Job:
        started, queued = self._started.get(page.key), self._queued.get(page.key)
        if started is not None and self._is_valid(started, page):
            return started
        if queued is None:
            queued = self._queued[page.key] = _Job(page)
            queued.task = asyncio.create_task(self._run(queued))
        return queued

    def _is_valid(self, job: _Job, page: Page) -> bool:
        return self._mono() < job.until and job.config is self._config() and job.state == page.state()

    async def _run(self, job: _Job) -> RenderedPage | None:
        key, rendered = job.page.key, None
        async with self._rendering:
            del self._queued[key]
            self._started.pop(key, None)
            self._started[key] = job
            try:
                rendered = await self._render(job)
            finally:
                if rendered is None and self._started.get(key) is job:
                    del self._started[key]
        self._trim()
        return rendered

    async def _render(self, job: _Job) -> RenderedPage | None:
        """Render a page slice by slice; return None once nobody waits for it."""
        parts, draft = self._start(job), _Draft(job.page)
        while job.readers:
            ended = self._render_slice(parts, draft)
            if self._config() is not job.config:
                # The page would mix two configurations.
                parts, draft = self._start(job), _Draft(job.page)
            elif ended:
                return draft.finish()
            await self._between()
        return None

    def _start(self, job: _Job) -> Iterator[str | bytes]:
        page = job.page
        job.config, job.state, job.until = self._config(), page.state(), page.until()
        return page.parts()

    def _render_slice(self, parts: Iterator[str | bytes], draft: _Draft) -> bool:
        """Render for one slice of time; return whether the page is complete."""
        end = self._mono() + SLICE_SECONDS
        for part in parts:
            draft.add(part)
            if self._mono() >= end:
                return False
        return True

    def _trim(self) -> None:
        """Drop expired pages, and the oldest ones beyond the size limit."""
        now, total = self._mono(), 0
        for key, job in reversed(list(self._started.items())):
            if job.task is None or not job.task.done():
                continue
            rendered = job.task.result()
            total += 0 if rendered is None else len(rendered)
            if rendered is None or total > self._most_cached or now >= job.until:
                del self._started[key]


async def give_way() -> None:
    """Let everything else run, and for longer if it has much to do."""
    before = time.perf_counter()
    # The first turn of the loop reads what has arrived, the second handles it.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    took = time.perf_counter() - before
    if took > SLICE_SECONDS / 10:
        await asyncio.sleep(min(GIVE * took, LONGEST_PAUSE))
