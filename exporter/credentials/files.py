"""Secret files: read once, and again when they have changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from exporter import files

read_small = partial(files.read, largest=(64 << 10) + 1, seconds=3.0)
"""Read as much as any secret may have, and one byte more, so that a larger file shows."""

LOOK_SECONDS = 0.1
FIRST_LOOK_SECONDS = 1.0
"""Limit for the first look at a file: on a busy machine, one that is slow should not count as present."""

HANGS: files.Signature = ()


def signature(path: Path) -> files.Signature:
    """Return what changes with a file's content, or HANGS."""
    try:
        return files.signature(path, LOOK_SECONDS)
    except TimeoutError:
        return HANGS


class Files:
    """Reads files, and tells without reading whether any of them has changed since.

    Attributes:
        seen: The signature of each file, taken before it was read.
    """

    def __init__(self, read: Callable[[Path], bytes]) -> None:
        self._read = read
        self.seen: dict[Path, files.Signature] = {}

    def read(self, path: Path) -> bytes:
        """Return a file's content; raises OSError or ValueError."""
        # Taken before the file is read: what changes in between is seen as a change.
        if path not in self.seen:
            self.seen[path] = signature(path)
        return self._read(path)

    async def changed(self) -> bool:
        """Say whether any file has changed since the attempt to read it; one that hangs counts as unchanged."""
        with suppress(TimeoutError):  # no thread can be started
            return bool(self.seen) and await files.in_thread(self._differ)
        return False

    def _differ(self) -> bool:
        return any(signature(path) not in (seen, HANGS) for path, seen in self.seen.items())


class Presence:
    """Says whether files exist, and remembers it for the time in which their disk hangs, so that sources stay."""

    def __init__(self) -> None:
        self._known: dict[Path, bool] = {}

    def __call__(self, path: Path) -> bool:
        """Say whether a file exists; one that hangs at its first look counts, so that its failure is reported."""
        seconds = files.LOOK_SECONDS if path in self._known else FIRST_LOOK_SECONDS
        with suppress(TimeoutError):
            self._known[path] = files.is_file(path, seconds)
        return self._known.setdefault(path, True)
