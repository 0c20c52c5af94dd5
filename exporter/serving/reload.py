"""Configuration → running parts, swapped whole: on request, on SIGHUP, and when a file has changed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from exporter import files
from exporter.config import Config, ConfigErrors
from exporter.rounds import place
from exporter.serving.service import Service

log = structlog.get_logger("reload")

M_ARENA_MAX = -8  # of mallopt(3)

WATCH_SECONDS = 2.0
LOOK_SECONDS = 1.0
HASTY_SECONDS = 0.01
"""How long a look at a file may take once another has hung: a thousand may be on the same mount."""

STOPPING = "the exporter is stopping; nothing was read"

Seen = tuple[object, ...]


class Reloader:
    """Reads the configuration again; one that has errors changes nothing but says so.

    However many ask at a time, one reload is under way and one waits: each gets the outcome of one that began after
    it had asked.

    Args:
        service: What is configured.
        load: Reads the configuration; raises `ConfigErrors`.
        began: Called when a reload begins.
        ended: Called when it is over, unless `stop` has given it up.
    """

    def __init__(
        self,
        service: Service,
        load: Callable[[], Config],
        began: Callable[[], object] = object,
        ended: Callable[[], object] = object,
    ) -> None:
        self._service = service
        self._load = load
        self._began = began
        self._ended = ended
        self._look = Look()
        self._seen = self._signature()
        self._under_way: asyncio.Task[list[str]] | None = None
        self._waiting: asyncio.Task[list[str]] | None = None

    async def reload(self) -> list[str]:
        """Apply the configuration as the files have it now; return what is wrong with it."""
        task = self._waiting
        if task is None:
            task = self._waiting = asyncio.create_task(self._next(self._under_way), name="reload")
        try:
            # A caller may leave; others want the outcome too.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return [STOPPING]
            raise

    def stop(self) -> None:
        """Give up all reloads: the exporter stops, and a file may hang."""
        for task in (self._under_way, self._waiting):
            if task is not None:
                task.cancel()

    async def _next(self, before: asyncio.Task[list[str]] | None) -> list[str]:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._under_way, self._waiting = self._waiting, None
        self._began()
        problems = await self._reload()
        self._ended()
        return problems

    async def _reload(self) -> list[str]:
        # Taken before the files are read: what is written meanwhile is one more change.
        self._seen = await files.in_thread(self._signature)
        try:
            config = await files.in_thread(self._load)
        except ConfigErrors as error:
            return self._refuse(str(error).splitlines())
        except Exception as error:
            # Its text might hold anything.
            return self._refuse([f"an error of the exporter itself: {type(error).__name__} in {place(error)}"])
        await self._accept(config)
        return []

    def _refuse(self, problems: list[str]) -> list[str]:
        self._service.refused()
        log.error("configuration refused; the one before stays", problems=len(problems), first=problems[0])
        return problems

    async def _accept(self, config: Config) -> None:
        watched = self._service.config.files, self._service.config.patterns
        self._service.configure(config)
        if (config.files, config.patterns) != watched:
            self._seen = await files.in_thread(self._signature)
        for warning in config.warnings:
            log.warning("configuration", warning=str(warning))
        log.info("configuration reloaded", accounts=len(config.accounts), streams=len(config.streams))

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reload whenever a file of the configuration has changed, until cancelled."""
        while True:
            await sleep(WATCH_SECONDS)
            now = await files.in_thread(self._signature)
            # Written in two steps, a file is seen half done: wait until it has kept still.
            if now != self._seen:
                await sleep(WATCH_SECONDS / 4)
                if await files.in_thread(self._signature) == now:
                    await self.reload()

    def _signature(self) -> Seen:
        config = self._service.config
        return self._look(config.files, config.patterns)


def keep_one_heap() -> None:
    """Have the C library keep one heap for all threads, if it can: one for each thread would keep some megabytes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def settle_memory() -> None:
    """Keep the garbage collector away from what lives as long as the configuration."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Look:
    """Looks at files and patterns; what cannot be seen in time counts as it was seen last."""

    def __init__(self, seconds: float = LOOK_SECONDS) -> None:
        self._seconds = seconds
        self._last: dict[Path | str, object] = {}

    def __call__(self, paths: Iterable[Path], patterns: Iterable[str] = ()) -> Seen:
        """Return what changes with the files' content."""
        seconds, last = self._seconds, dict[Path | str, object]()
        keys: list[Path | str] = [*paths, *patterns]
        for key in keys:
            try:
                if isinstance(key, Path):
                    last[key] = files.signature(key, seconds)
                else:
                    last[key] = tuple(files.matches(key, seconds=seconds))
            except TimeoutError:
                last[key] = self._last.get(key)
                seconds = min(seconds, HASTY_SECONDS)
            except (OSError, ValueError):  # not a pattern of file names
                last[key] = ()
        self._last = last
        return tuple(last.values())
