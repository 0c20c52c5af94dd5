"""Configuration → running parts, swapped whole: on request, on SIGHUP, and when a file has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from exporter.config import Config, ConfigErrors
from exporter.service import Service

log = structlog.get_logger("reload")

WATCH_SECONDS = 2.0


class Reloader:
    """Reads the configuration again; one that has errors changes nothing but says so."""

    def __init__(self, service: Service, load: Callable[[], Config]) -> None:
        self._service = service
        self._load = load
        self._lock = asyncio.Lock()
        self._files = service.config.files
        self._seen = signature(self._files)

    async def reload(self) -> list[str]:
        """Put the configuration that stands in the files now into force; return what is wrong with it."""
        async with self._lock:
            self._seen = signature(self._files)
            try:
                config = await asyncio.to_thread(self._load)
            except ConfigErrors as error:
                problems = str(error).splitlines()
                self._service.refused()
                log.error("configuration refused; the one before stays", problems=len(problems), first=problems[0])
                return problems
            self._service.configure(config)
            self._files = config.files
            self._seen = signature(self._files)
            log.info("configuration reloaded", accounts=len(config.accounts), streams=len(config.streams))
            return []

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reload whenever a file of the configuration has changed, until cancelled."""
        while True:
            await sleep(WATCH_SECONDS)
            now = signature(self._files)
            # Written in two steps, a file is seen half done: wait until it has kept still.
            if now != self._seen:
                await sleep(WATCH_SECONDS / 4)
                if signature(self._files) == now:
                    await self.reload()


def signature(files: Iterable[Path]) -> tuple[object, ...]:
    """Return what changes with the files' content: follows symbolic links, as a ConfigMap's are swapped."""
    return tuple(_stat(file) for file in files)


def _stat(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
