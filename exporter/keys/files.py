"""Secret files: read once, and again when they have changed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

LARGEST = (64 << 10) + 1
"""One byte more than any secret may have, so that what is too large is seen to be."""


def read_small(path: Path) -> bytes:
    """Return a file's first 64 KiB and one byte; never waits for a pipe's other end.

    Raises:
        OSError: It cannot be read, or is no regular file.
        ValueError: It is not the name of a file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return file.read(LARGEST)


def signature(path: Path) -> tuple[int, ...] | None:
    """Return what changes with a file's content; symbolic links are followed, as a ConfigMap's are swapped."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    # The time of change, too: copies may keep the time of modification, and a new mode makes a file readable.
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


class Files:
    """Reads files, and knows without reading whether any of them has changed since."""

    def __init__(self, read: Callable[[Path], bytes] = read_small) -> None:
        self._read = read
        self._seen: dict[Path, tuple[int, ...] | None] = {}

    def read(self, path: Path) -> bytes:
        """Return a file's content; raises OSError or ValueError."""
        # Looked at before it is read: what changes in between is seen as a change.
        self._seen.setdefault(path, signature(path))
        return self._read(path)

    def changed(self) -> bool:
        """Say whether a file that was read, or could not be, is another one now."""
        return any(signature(path) != seen for path, seen in self._seen.items())
