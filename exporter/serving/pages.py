"""Makes a page once for all who ask for it while nothing changes, in slices that let more urgent work go first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from exporter.exposition import Compressor

SLICE_SECONDS: Final = 0.003
# After each slice the page pauses for this many times as long as other work has just taken.
GIVE: Final = 4.0
LONGEST_PAUSE: Final = 0.05
MOST_KEPT: Final = 8 << 20  # bytes of pages kept for later readers


@dataclass(frozen=True, slots=True)
class Page:
    """How a page is made, and how long it is good.

    Attributes:
        key: Identifies the page.
        parts: Yields the page's text or bytes, in parts that take a few milliseconds at most.
        state: Returns what the page shows: while that is equal, the page is good.
        until: Returns the monotonic seconds at which the page, made now, is too old whatever the state.
        plain: Whether the page is kept plain.
        packed: Whether it is kept in the gzip format.
    """

    key: Hashable
    parts: Callable[[], Iterator[str | bytes]]
    state: Callable[[], object] = lambda: None
    until: Callable[[], float] = lambda: float("inf")
    plain: bool = True
    packed: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """A page's bytes, plain and in the gzip format; empty where a form is not wanted."""

    plain: bytes
    packed: bytes

    def __len__(self) -> int:
        return len(self.plain) + len(self.packed)


@dataclass(slots=True)
class _Draft:
    """What there is of a page so far."""

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

    def made(self) -> Made:
        end = self.compressor.end() if self.page.packed else b""
        return Made(b"".join(self.plain), b"".join(self.packed) + end)


@dataclass(slots=True)
class _Making:
    """A page that is being made, or was.

    Attributes:
        under: The configuration under which it was begun.
        state: What it shows.
        until: Monotonic seconds at which it is too old.
        readers: How many wait for it. When nobody does any more, it is given up.
        task: Makes it, and returns None if it was given up.
    """

    page: Page
    under: object = None
    state: object = None
    until: float = float("-inf")
    readers: int = 0
    task: asyncio.Task[Made | None] | None = None


class Pages:
    """Makes one page at a time.

    A reader gets a page that was begun at the state of the moment it asked, or later. So however many ask, at any time
    only one page is being made, and at most one more of each waits for its turn.

    Args:
        mono: The monotonic clock, in seconds.
        under: Returns what must stay the same object from a page's first part to its last: the configuration in force.
        between: Awaited between two slices.
        most_kept: Bytes of pages kept for later readers.
    """

    def __init__(
        self,
        mono: Callable[[], float],
        under: Callable[[], object],
        between: Callable[[], Awaitable[None]],
        most_kept: float = MOST_KEPT,
    ) -> None:
        self._mono = mono
        self._under = under
        self._between = between
        self._most_kept = most_kept
        self._turn = asyncio.Lock()
        self._waiting: dict[Hashable, _Making] = {}
        self._begun: dict[Hashable, _Making] = {}

    async def get(self, page: Page) -> Made:
        """Return a page as of now. A reader that is cancelled takes nothing from the others."""
        made = None
        while made is None:
            making = self._making(page)
            assert making.task is not None
            making.readers += 1
            try:
                made = await asyncio.shield(making.task)
            finally:
                making.readers -= 1
        return made

    def _making(self, page: Page) -> _Making:
        begun, waiting = self._begun.get(page.key), self._waiting.get(page.key)
        if begun is not None and self._good(begun, page):
            return begun
        if waiting is None:
            waiting = self._waiting[page.key] = _Making(page)
            waiting.task = asyncio.create_task(self._make(waiting))
        return waiting

    def _good(self, begun: _Making, page: Page) -> bool:
        return self._mono() < begun.until and begun.under is self._under() and begun.state == page.state()

    async def _make(self, making: _Making) -> Made | None:
        key, made = making.page.key, None
        async with self._turn:
            del self._waiting[key]
            self._begun.pop(key, None)
            self._begun[key] = making
            try:
                made = await self._made(making)
            finally:
                if made is None and self._begun.get(key) is making:
                    del self._begun[key]
        self._trim()
        return made

    async def _made(self, making: _Making) -> Made | None:
        """Make a page slice by slice; return None once nobody waits for it."""
        parts, draft = self._begin(making), _Draft(making.page)
        while making.readers:
            ended = self._slice(parts, draft)
            if self._under() is not making.under:
                # Begun under another configuration, it would mix the two.
                parts, draft = self._begin(making), _Draft(making.page)
            elif ended:
                return draft.made()
            await self._between()
        return None

    def _begin(self, making: _Making) -> Iterator[str | bytes]:
        page = making.page
        making.under, making.state, making.until = self._under(), page.state(), page.until()
        return page.parts()

    def _slice(self, parts: Iterator[str | bytes], draft: _Draft) -> bool:
        """Work for one slice of time; return whether the page is complete."""
        end = self._mono() + SLICE_SECONDS
        for part in parts:
            draft.add(part)
            if self._mono() >= end:
                return False
        return True

    def _trim(self) -> None:
        """Forget pages that are too old to be used, and the oldest where there are too many."""
        now, kept = self._mono(), 0
        for key, making in reversed(list(self._begun.items())):
            if making.task is None or not making.task.done():
                continue
            made = making.task.result()
            kept += 0 if made is None else len(made)
            if made is None or kept > self._most_kept or now >= making.until:
                del self._begun[key]


async def turn() -> None:
    """Let everything else run once."""
    await asyncio.sleep(0)


async def give_way() -> None:
    """Let everything else run, and for longer if it has much to do."""
    before = time.perf_counter()
    # One turn of the loop brings in what has arrived, the next one deals with it.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    took = time.perf_counter() - before
    if took > SLICE_SECONDS / 10:
        await asyncio.sleep(min(GIVE * took, LONGEST_PAUSE))
