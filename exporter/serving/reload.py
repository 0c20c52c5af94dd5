"""Reloads the configuration: on request, on SIGHUP, and when a file has changed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from exporter import files
from exporter.config import Config, ConfigErrors
from exporter.rounds.shared import place
from exporter.serving.service import Service

log = structlog.get_logger("reload")

M_ARENA_MAX = -8  # of mallopt(3)

WATCH_SECONDS = 2.0
FILE_SECONDS = 1.0  # for one file
HASTY_SECONDS = 0.01  # for each file once one has hung: a thousand may be on the same mount

STOPPING = "the exporter is stopping; nothing was read"

Signatures = tuple[object, ...]


class Reloader:
    """Reloads the configuration; one with errors is reported and changes nothing.

    At any time one reload runs and one is queued: each caller gets the result of a reload that started after its call.

    Args:
        service: What is configured.
        load: Reads the configuration; raises `ConfigErrors`.
        began: Called when a reload starts.
        ended: Called when it is over, unless `stop` has cancelled it.
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
        self._signatures = FileSignatures()
        self._seen = self._signature()
        self._under_way: asyncio.Task[list[str]] | None = None
        self._waiting: asyncio.Task[list[str]] | None = None

    async def reload(self) -> list[str]:
        """Read and apply the configuration files; return their errors."""
        task = self._waiting
        if task is None:
            task = self._waiting = asyncio.create_task(self._next(self._under_way), name="reload")
        try:
            # One caller may be cancelled while others still wait.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return [STOPPING]
            raise

    def stop(self) -> None:
        """Cancel all reloads: the exporter is stopping, and a file may hang."""
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
        # Taken before the files are read, so that a write during the read counts as another change.
        self._seen = await files.in_thread(self._signature)
        try:
            config = await files.in_thread(self._load)
        except ConfigErrors as error:
            return self._refuse(str(error).splitlines())
        except Exception as error:
            # Its text might hold a secret.
            return self._refuse([f"an error of the exporter itself: {type(error).__name__} in {place(error)}"])
        await self._accept(config)
        return []

    def _refuse(self, problems: list[str]) -> list[str]:
        self._service.refused()
        log.error("configuration refused; the one before stays", problems=len(problems), first=problems[0])
        return problems

    async def _accept(self, config: Config) -> None:
        before = self._service.config.files, self._service.config.patterns
        self._service.configure(config)
        if (config.files, config.patterns) != before:
            self._seen = await files.in_thread(self._signature)
        for warning in config.warnings:
            log.warning("configuration", warning=str(warning))
        log.info("configuration reloaded", accounts=len(config.accounts), **watched(config))

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reload whenever a file of the configuration has changed, until cancelled."""
        while True:
            await sleep(WATCH_SECONDS)
            now = await files.in_thread(self._signature)
            # A file may be half written: wait until it has settled.
            if now != self._seen:
                await sleep(WATCH_SECONDS / 4)
                if await files.in_thread(self._signature) == now:
                    await self.reload()

    def _signature(self) -> Signatures:
        config = self._service.config
        return self._signatures(config.files, config.patterns)


def watched(config: Config) -> dict[str, int | str]:
    """Return what the log says of the streams that are watched."""
    shard = config.shard.words
    return {"streams": len(config.streams), **({"shard": shard} if shard else {})}


def use_one_malloc_arena() -> None:
    """Make the C library use one heap for all threads, if it can: a heap per thread would hold some megabytes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def freeze_objects() -> None:
    """Exclude objects that live as long as the configuration from garbage collection."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class FileSignatures:
    """Returns signatures of files and patterns; one that times out keeps its last signature."""

    def __init__(self, seconds: float = FILE_SECONDS) -> None:
        self._seconds = seconds
        self._last: dict[Path | str, object] = {}

    def __call__(self, paths: Iterable[Path], patterns: Iterable[str] = ()) -> Signatures:
        """Return a value that changes with the files' content."""
        seconds, signatures = self._seconds, dict[Path | str, object]()
        keys: list[Path | str] = [*paths, *patterns]
        for key in keys:
            try:
                if isinstance(key, Path):
                    signatures[key] = files.signature(key, seconds)
                else:
                    signatures[key] = tuple(files.matches(key, seconds=seconds))
            except TimeoutError:
                signatures[key] = self._last.get(key)
                seconds = min(seconds, HASTY_SECONDS)
            except (OSError, ValueError):  # not a pattern of file names
                signatures[key] = ()
        self._last = signatures
        return tuple(signatures.values())
