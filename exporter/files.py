"""Reads files of any kind from any place: a pipe is refused, and a mount that hangs holds nobody up for long.

Each operation runs in a thread. One that does not end in time is abandoned: neither the event loop nor the end of the
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
"""How long a file may take to be read, where the caller names no other limit."""

LOOK_SECONDS: Final = 0.05
"""How long a look at a file may take where other work waits for it."""

MOST_IDLE: Final = 4
LONGEST_PAUSE: Final = 600.0

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Daemons(Executor):
    """Runs functions in threads that the end of the process does not wait for; idle threads are used again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[tuple[Future[Any], Callable[[], Any]]]] = []

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a function; raises TimeoutError where no thread can be started for it."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            try:
                threading.Thread(target=self._work, args=(inbox,), name="files", daemon=True).start()
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
            # What was read is not kept until the next job comes.
            del future, function
            with self._lock:
                if len(self._idle) >= MOST_IDLE:
                    return
                self._idle.append(inbox)


DAEMONS: Final = Daemons()


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a function that reads files in a thread, so that it holds up neither the event loop nor the exit."""
    return await asyncio.get_running_loop().run_in_executor(DAEMONS, function, *args)


_lock = threading.Lock()
# What hangs, and when to try it again: later each time, so that a dead mount takes few threads.
_hanging: dict[object, tuple[list[Future[Any]], float]] = {}


def within(seconds: float, key: object, function: Callable[..., T], *args: Any) -> T:
    """Return what a function returns, or give it up after some seconds.

    Args:
        seconds: How long to wait.
        key: What the function is about. While earlier tries with this key hang, there are pauses between new ones.
        function: What may hang. When it is given up, it still runs on.
        args: Its arguments.

    Raises:
        TimeoutError: It did not end in time; `strerror` is a text for people.
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
    with _lock:  # old tries may hang for ever, as on a mount that was replaced
        _hanging.pop(key, None)
    return result


def read(path: Path, largest: int, seconds: float = SECONDS) -> bytes:
    """Return the first bytes of a regular file, `largest` of them at most.

    Raises:
        OSError: It cannot be read, or is a pipe, device, socket or directory.
        TimeoutError: It could not be read in time.
        ValueError: It is not the name of a file.
    """
    return within(seconds, ("read", path), _read, path, largest)


def _read(path: Path, largest: int) -> bytes:
    # Looked at before it is opened: opening some devices does something.
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
    """Return a file's status, or None where there is no file; raises TimeoutError. Symbolic links are followed."""
    try:
        return within(seconds, ("look", path), os.stat, path)
    except TimeoutError:
        raise
    except (OSError, ValueError):
        return None


Signature = tuple[int, ...] | None


def signature(path: Path | str, seconds: float = LOOK_SECONDS) -> Signature:
    """Return what changes with a file's content, or None where there is no file; raises TimeoutError.

    Symbolic links are followed, because a ConfigMap swaps them.
    """
    found = look(path, seconds)
    # The time of change, too: copies may keep the time of modification, and a new mode makes a file readable.
    return found and (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def is_missing(path: Path) -> bool:
    """Say whether it is certain that there is no file of this name."""
    try:
        within(LOOK_SECONDS, ("look", path), os.stat, path)
    except (OSError, ValueError) as error:
        return isinstance(error, FileNotFoundError)
    return False


def is_file(path: Path, seconds: float = LOOK_SECONDS) -> bool:
    """Say whether there is something of this name, other than a directory; raises TimeoutError as `look` does."""
    found = look(path, seconds)
    return found is not None and not stat.S_ISDIR(found.st_mode)


def may_be_file(path: Path) -> bool:
    """Say whether there is a file; one that cannot be seen in time counts, so that its failure is reported."""
    try:
        return is_file(path, SECONDS)
    except TimeoutError:
        return True


def matches(pattern: str, directory: Path | None = None, seconds: float = SECONDS) -> list[str]:
    """Return the names that fit a pattern, sorted; relative ones are looked for from `directory`.

    Raises:
        OSError, ValueError: It is not a pattern of file names.
        TimeoutError: They could not be listed in time.
    """
    try:
        find = partial(glob.glob, pattern, root_dir=directory, recursive=True)
        return sorted(within(seconds, ("matches", pattern, directory), find))
    except re.error:
        raise ValueError("is not a pattern of file names") from None


def problem(error: OSError | ValueError) -> str:
    """Say why a file is not read; the text follows its name."""
    if not isinstance(error, OSError):
        return "cannot be read: its name is not valid"
    if isinstance(error, TimeoutError) and error.strerror:
        return error.strerror
    return f"cannot be read: {error.strerror or type(error).__name__}"
