"""Configuration → running parts, swapped whole: on request, on SIGHUP, and when a file has changed."""

from __future__ import annotations

import asyncio
import gc
import glob
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from exporter.config import Config, ConfigErrors
from exporter.prober import place
from exporter.service import Service

log = structlog.get_logger("reload")

WATCH_SECONDS = 2.0


class Reloader:
    """Reads the configuration again; one that has errors changes nothing but says so."""

    def __init__(self, service: Service, load: Callable[[], Config]) -> None:
        self._service = service
        self._load = load
        self._lock = asyncio.Lock()
        self._seen = self._signature()

    async def reload(self) -> list[str]:
        """Put the configuration that stands in the files now into force; return what is wrong with it."""
        async with self._lock:
            # Taken before the files are read: what is written meanwhile is one more change.
            self._seen = self._signature()
            try:
                config = await asyncio.to_thread(self._load)
            except ConfigErrors as error:
                return self._refuse(str(error).splitlines())
            except Exception as error:
                # Its text might hold anything.
                return self._refuse([f"an error of the exporter itself: {type(error).__name__} in {place(error)}"])
            self._accept(config)
            return []

    def _refuse(self, problems: list[str]) -> list[str]:
        self._service.refused()
        log.error("configuration refused; the one before stays", problems=len(problems), first=problems[0])
        return problems

    def _accept(self, config: Config) -> None:
        files = self._service.config.files, self._service.config.patterns
        self._service.configure(config)
        if (config.files, config.patterns) != files:
            self._seen = self._signature()
        for warning in config.warnings:
            log.warning("configuration", warning=str(warning))
        log.info("configuration reloaded", accounts=len(config.accounts), streams=len(config.streams))

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Reload whenever a file of the configuration has changed, until cancelled."""
        while True:
            await sleep(WATCH_SECONDS)
            now = self._signature()
            # Written in two steps, a file is seen half done: wait until it has kept still.
            if now != self._seen:
                await sleep(WATCH_SECONDS / 4)
                if self._signature() == now:
                    await self.reload()

    def _signature(self) -> tuple[object, ...]:
        config = self._service.config
        return signature(config.files, config.patterns)


def settle_memory() -> None:
    """Keep the collector from walking again and again what lives as long as the configuration does."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def signature(files: Iterable[Path], patterns: Iterable[str] = ()) -> tuple[object, ...]:
    """Return what changes with the files' content: follows symbolic links, as a ConfigMap's are swapped."""
    return *map(_stat, files), *(tuple(_matches(pattern)) for pattern in patterns)


def _stat(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _matches(pattern: str) -> list[str]:
    try:
        return sorted(glob.glob(pattern, recursive=True))
    except (OSError, ValueError, re.error):
        return []
