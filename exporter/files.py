"""Reads files safely: refuses pipes and devices, and gives up on mounts that hang.

Each operation runs in a thread. If it does not end in time, it is abandoned: neither the event loop nor the end of the
process waits for it.
"""

from __future__ import annotations

import asyncio
import errno
import glob
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SECONDS: Final = 5.0
"""Default limit for reading a file."""

LOOK_SECONDS: Final = 0.05
"""Limit for checking a file while other work waits."""

MOST_IDLE: Final = 4
LONGEST_PAUSE: Final = 600.0

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Daemons(Executor):
    """Runs functions in daemon threads, and reuses idle ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[tuple[Future[Any], Callable[[], Any]]]] = []

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a function; raises TimeoutError if no thread can be started."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            try:
                threading.Thread(target=self._work, args=(inbox,), name="daemon", daemon=True).start()
            except RuntimeError:
                raise TimeoutError(errno.EAGAIN, "could not be read: no thread can be started for it") from None
        inbox.put((future, partial(function, *args, **kwargs)))
        return future

    def _work(self, inbox: SimpleQueue[tuple[Future[Any], Callable[[], Any]]]) -> None:
        while True:
            future, function = inbox.get()
            try:
                result = function()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            # Free the result now, not when the next job comes.
            del future, function
            with self._lock:
                if len(self._idle) >= MOST_IDLE:
                    return
                self._idle.append(inbox)


DAEMONS: Final = Daemons()


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a function that reads files in a thread, so that it blocks neither the event loop nor the exit."""
    return await asyncio.get_running_loop().run_in_executor(DAEMONS, function, *args)


_lock = threading.Lock()
# The operations that hang by key, and when to try again: later each time, so that a dead mount takes few threads.
_hanging: dict[object, tuple[list[Future[Any]], float]] = {}


def within(seconds: float, key: object, function: Callable[..., T], *args: Any) -> T:
    """Return a function's result, or abandon it after some seconds; its thread keeps running.

    While earlier calls with the same key hang, there are growing pauses between new ones.

    Raises:
        TimeoutError: It did not end in time, or is not tried yet; `strerror` may be shown to users.
    """
    late = TimeoutError(errno.ETIMEDOUT, f"could not be read in {seconds:g} s: its disk or mount hangs")
    with _lock:
        jobs, until = _hanging.get(key, ([], 0.0))
        if all(job.done() for job in jobs):
            _hanging.pop(key, None)
        elif time.monotonic() < until:
            raise late
    job = DAEMONS.submit(function, *args)
    try:
        result = job.result(seconds)
    except TimeoutError:
        if job.done():
            raise
        with _lock:
            jobs = [*(one for one in _hanging.get(key, ([], 0.0))[0] if not one.done()), job]
            _hanging[key] = (jobs, time.monotonic() + min(2.0 ** len(jobs), LONGEST_PAUSE))
        raise late from None
    with _lock:  # earlier calls may hang for ever, as on a mount that was replaced
        _hanging.pop(key, None)
    return result


def read(path: Path, largest: int, seconds: float = SECONDS) -> bytes:
    """Return at most the first `largest` bytes of a regular file.

    Raises:
        OSError: It cannot be read, or is a pipe, device, socket or directory.
        TimeoutError: It could not be read in time.
        ValueError: The name is not valid.
    """
    return within(seconds, ("read", path), _read, path, largest)


def _read(path: Path, largest: int) -> bytes:
    # Checked before it is opened, because opening some devices has side effects.
    _regular(os.stat(path).st_mode)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(handle, "rb") as file:
        _regular(os.fstat(handle).st_mode)
        return file.read(largest) or b""


def _regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")


def look(path: Path | str, seconds: float = LOOK_SECONDS) -> os.stat_result | None:
    """Return a file's status, or None if it does not exist, following symbolic links; raises TimeoutError."""
    try:
        return within(seconds, ("look", path), os.stat, path)
    except TimeoutError:
        raise
    except (OSError, ValueError):
        return None


Signature = tuple[int, ...] | None


def signature(path: Path | str, seconds: float = LOOK_SECONDS) -> Signature:
    """Return a value that changes with a file's content, or None if it does not exist; raises TimeoutError.

    Symbolic links are followed, because updates of a ConfigMap swap them.
    """
    status = look(path, seconds)
    # With ctime, because copies may keep mtime, and a new mode may make a file readable.
    return status and (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def is_missing(path: Path) -> bool:
    """Return whether a file certainly does not exist."""
    try:
        within(LOOK_SECONDS, ("look", path), os.stat, path)
    except (OSError, ValueError) as error:
        return isinstance(error, FileNotFoundError)
    return False


def is_file(path: Path, seconds: float = LOOK_SECONDS) -> bool:
    """Return whether something other than a directory has this name; raises TimeoutError."""
    status = look(path, seconds)
    return status is not None and not stat.S_ISDIR(status.st_mode)


def may_be_file(path: Path) -> bool:
    """Return whether a file exists; one that hangs counts, so that its failure is reported."""
    try:
        return is_file(path, SECONDS)
    except TimeoutError:
        return True


def matches(pattern: str, directory: Path | None = None, seconds: float = SECONDS) -> list[str]:
    """Return the names that match a pattern, sorted; relative patterns start at `directory`.

    Raises:
        OSError, ValueError: It is not a pattern of file names.
        TimeoutError: They could not be listed in time.
    """
    try:
        search = partial(glob.glob, pattern, root_dir=directory, recursive=True)
        return sorted(within(seconds, ("matches", pattern, directory), search))
    except re.error:
        raise ValueError("is not a pattern of file names") from None


def problem(error: OSError | ValueError) -> str:
    """Return why a file could not be read; the text follows its name."""
    if not isinstance(error, OSError):
        return "cannot be read: its name is not valid"
    if isinstance(error, TimeoutError) and error.strerror:
        return error.strerror
    return f"cannot be read: {error.strerror or type(error).__name__}"
