"""Secret files, which are read again when they change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from exporter import files

read_small = partial(files.read, largest=(64 << 10) + 1, seconds=3.0)
"""Read one byte more than a secret may have, to detect a file that is too large."""

LOOK_SECONDS = 0.1
FIRST_LOOK_SECONDS = 1.0
"""Limit for the first look at a file, so that on a busy machine a slow one does not count as present."""

HANGS: files.Signature = ()


def signature(path: Path) -> files.Signature:
    """Return a value that changes with a file's content, or HANGS."""
    try:
        return files.signature(path, LOOK_SECONDS)
    except TimeoutError:
        return HANGS


class Files:
    """Reads files, and detects without reading them again whether any has changed.

    Attributes:
        signatures: The signature of each file from before it was read.
    """

    def __init__(self, read: Callable[[Path], bytes]) -> None:
        self._read = read
        self.signatures: dict[Path, files.Signature] = {}

    def read(self, path: Path) -> bytes:
        """Return a file's content; raises OSError or ValueError."""
        # Taken before the file is read, to notice a change in between.
        if path not in self.signatures:
            self.signatures[path] = signature(path)
        return self._read(path)

    async def changed(self) -> bool:
        """Return whether any file has changed since it was read; one that hangs counts as unchanged."""
        with suppress(TimeoutError):  # no thread can be started
            return bool(self.signatures) and await files.in_thread(self._differ)
        return False

    def _differ(self) -> bool:
        return any(signature(path) not in (before, HANGS) for path, before in self.signatures.items())


class Presence:
    """Checks whether files exist. While their disk hangs, the last result counts, so that sources do not change."""

    def __init__(self) -> None:
        self._known: dict[Path, bool] = {}

    def __call__(self, path: Path) -> bool:
        """Return whether a file exists; one that hangs from the start counts, so that its failure is reported."""
        seconds = files.LOOK_SECONDS if path in self._known else FIRST_LOOK_SECONDS
        with suppress(TimeoutError):
            self._known[path] = files.is_file(path, seconds)
        return self._known.setdefault(path, True)
