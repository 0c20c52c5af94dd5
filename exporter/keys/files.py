"""Secret files: read once, and again when they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exporter import files

LARGEST = (64 << 10) + 1
"""One byte more than any secret may have, so that what is too large is seen to be."""

READ_SECONDS = 3.0
LOOK_SECONDS = 0.1

Signature = files.Signature | str
HANGS: Signature = "hangs"


def read_small(path: Path) -> bytes:
    """Return a file's first 64 KiB and one byte; a pipe is refused, and a slow disk given up.

    Raises:
        OSError: It cannot be read, or is no regular file.
        ValueError: It is not the name of a file.
    """
    return files.read(path, LARGEST, READ_SECONDS)


def signature(path: Path) -> Signature:
    """Return what changes with a file's content, or HANGS."""
    try:
        return files.signature(path, LOOK_SECONDS)
    except TimeoutError:
        return HANGS


class Files:
    """Reads files, and knows without reading whether any of them has changed since."""

    def __init__(self, read: Callable[[Path], bytes] = read_small) -> None:
        self._read = read
        self._seen: dict[Path, Signature] = {}

    def __bool__(self) -> bool:
        """Say whether any file was read."""
        return bool(self._seen)

    def read(self, path: Path) -> bytes:
        """Return a file's content; raises OSError or ValueError."""
        # Looked at before it is read: what changes in between is seen as a change.
        if path not in self._seen:
            self._seen[path] = signature(path)
        return self._read(path)

    def changed(self) -> bool:
        """Say whether any file has changed since it was read, or could not be; one that hangs has not changed."""
        return any(signature(path) not in (seen, HANGS) for path, seen in self._seen.items())


class Presence:
    """Says whether files are there; if one cannot be seen in time, what was last known of it.

    So an account does not change its identity while a disk hangs.
    """

    def __init__(self) -> None:
        self._known: dict[Path, bool] = {}

    def __call__(self, path: Path) -> bool:
        """Say whether a file is there; one that was never seen counts, so that its failure is reported."""
        try:
            self._known[path] = files.is_file(path)
        except TimeoutError:
            return self._known.get(path, True)
        return self._known[path]
