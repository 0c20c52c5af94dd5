"""Logging to standard error, in logfmt or JSON; it survives a full disk, a closed stderr and an unread pipe."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final, Literal, TextIO, cast

import structlog

Level = Literal["debug", "info", "warn", "error"]
LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


SAME_WORDS_SECONDS = 60.0
MOST_WORDS = 100


MOST_BYTES: Final = 4 << 20
STALLED_SECONDS: Final = 0.5
FLUSH_SECONDS: Final = 1.0
LONGEST_LINE: Final = 1 << 16


class Unblocked(io.TextIOBase):
    """A text stream whose lines are written by a thread of its own, so that writing never waits.

    A line is dropped and counted if the line before it has been stuck for some time, if too much waits already, or if
    it cannot be written at all.
    """

    def __init__(self, descriptor: int, *, most_bytes: int = MOST_BYTES, stalled: float = STALLED_SECONDS) -> None:
        """Start the thread.

        Args:
            descriptor: Where to write; a copy of it is used, so that it may be closed meanwhile.
            most_bytes: How much may wait.
            stalled: Seconds after which a line that is not taken counts as stuck.
        """
        self._descriptor = os.dup(descriptor)
        self._most_bytes = most_bytes
        self._stalled = stalled
        self._state = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._part = ""
        self._bytes = 0
        self._since: float | None = None
        self._ended = False
        self._dropped = 0
        threading.Thread(target=self._work, name="log", daemon=True).start()

    def writable(self) -> bool:
        """Say that this is for writing."""
        return True

    def dropped(self) -> int:
        """Return how many lines were dropped."""
        return self._dropped

    def write(self, text: str) -> int:
        """Take text; each line is written as a whole, once it is complete."""
        with self._state:
            *lines, self._part = (self._part + text).split("\n")
            if len(self._part) > LONGEST_LINE:
                lines, self._part = [*lines, self._part], ""
            for line in lines:
                self._take(f"{line}\n".encode("utf-8", "backslashreplace"))
        return len(text)

    def _take(self, line: bytes) -> None:
        stuck = self._since is not None and time.monotonic() - self._since > self._stalled
        if self._ended or stuck or self._bytes + len(line) > self._most_bytes:
            self._dropped += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        self._state.notify_all()

    def finish(self, seconds: float = FLUSH_SECONDS) -> None:
        """Take nothing more; wait until all is written, or until nothing has been written for some seconds."""
        with self._state:
            self._ended = True
            self._state.notify_all()
            left = -1
            while self._bytes and self._bytes != left:
                left = self._bytes
                self._state.wait_for(lambda: not self._bytes, seconds)

    def _work(self) -> None:
        while (line := self._next()) is not None:
            written = _put(self._descriptor, line)
            with self._state:
                self._bytes -= len(line)
                self._since = None
                self._dropped += not written
                self._state.notify_all()
        os.close(self._descriptor)

    def _next(self) -> bytes | None:
        """Wait for a line; return None at the end."""
        with self._state:
            self._state.wait_for(lambda: self._lines or self._ended)
            if not self._lines:
                return None
            self._since = time.monotonic()
            return self._lines.popleft()


def _put(descriptor: int, line: bytes) -> bool:
    """Write a line; return False where it could not be."""
    left = memoryview(line)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            # Another process that shares the descriptor has made it non-blocking.
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
        except OSError:
            return False
    return True


@contextlib.contextmanager
def unblocked(stream: TextIO) -> Iterator[TextIO]:
    """Yield a stand-in for a stream that never waits for its reader; it is `sys.stderr` too while the block runs.

    A stream without a file descriptor is yielded as it is.
    """
    try:
        made = Unblocked(stream.fileno())
    except (OSError, ValueError):
        yield stream
        return
    with contextlib.redirect_stderr(cast("TextIO", made)) as target:
        try:
            yield target
        finally:
            made.finish()


def dropped(stream: object) -> Callable[[], int]:
    """Return a function that tells how many lines a stream has dropped."""
    return stream.dropped if isinstance(stream, Unblocked) else int


class Writer:
    """Writes one line per event; what cannot be written is lost, nothing else is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        """Write a line."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(message + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = log = msg


def configure(level: Level, form: Literal["logfmt", "json"], stream: TextIO) -> None:
    """Set up logging for the process."""
    keys = ["ts", "level", "logger", "msg"]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=keys, drop_missing=True)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.EventRenamer("msg"),
            _one_line,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: Writer(stream),
        cache_logger_on_first_use=False,
    )
    # Libraries speak here too, and their errors may carry a signed URL: only their names get through.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_without_details)


class Complaints:
    """Logs what the event loop complains of in its own words, the same words once a minute.

    Without descriptors left it complains a hundred times a second; and the exception behind may carry a signed URL.
    """

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._said: dict[str, float] = {}

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take a complaint, as `loop.set_exception_handler` hands it over."""
        words, error = str(context.get("message", "")), context.get("exception")
        now = self._mono()
        if now - self._said.get(words, float("-inf")) < SAME_WORDS_SECONDS:
            return
        if len(self._said) >= MOST_WORDS:
            self._said.clear()
        self._said[words] = now
        log = structlog.get_logger("asyncio")
        log.error("the event loop complains", words=words, kind=type(error).__name__ if error is not None else None)


def _without_details(record: logging.LogRecord) -> bool:
    """Keep asyncio's own words, without the exception behind them."""
    record.exc_info = record.exc_text = None
    return True


def _one_line(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Keep each event on one line of valid UTF-8, whatever a provider sent; drop what is empty."""
    return {key: _clean(value) for key, value in event.items() if value not in (None, "")}


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(sign if sign.isprintable() else " " for sign in text)
