"""Logging to standard error, in logfmt or JSON; it survives a full disk, a closed stderr and an unread pipe."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final, TextIO, cast

import structlog

from exporter.commands.options import Level, LogFormat
from exporter.providers.reading import printable

REPEAT_SECONDS: Final = 60.0
MOST_MESSAGES: Final = 100

MOST_BYTES: Final = 4 << 20
STUCK_SECONDS: Final = 0.5
FLUSH_SECONDS: Final = 1.0
LONGEST_LINE: Final = 1 << 16


class BackgroundWriter(io.TextIOBase):
    """A text stream whose lines are written by a thread, so that `write` never waits.

    A line is dropped and counted if the one before it is stuck, if too much waits already, or if it cannot be written.
    """

    def __init__(self, descriptor: int, *, most_bytes: int = MOST_BYTES, stuck_after: float = STUCK_SECONDS) -> None:
        """Start the thread.

        Args:
            descriptor: Where to write; it is duplicated, so the caller may close it.
            most_bytes: How much may wait.
            stuck_after: Seconds after which a line that is not taken counts as stuck.
        """
        self._descriptor = os.dup(descriptor)
        self._most_bytes = most_bytes
        self._stuck_after = stuck_after
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._partial = ""
        self._bytes = 0
        self._writing_since: float | None = None
        self._finished = False
        self._dropped = 0
        threading.Thread(target=self._write_lines, name="log", daemon=True).start()

    def writable(self) -> bool:
        """Say that the stream can be written to."""
        return True

    def dropped(self) -> int:
        """Return how many lines were dropped."""
        return self._dropped

    def write(self, text: str) -> int:
        """Queue the lines that are complete."""
        with self._changed:
            *lines, self._partial = (self._partial + text).split("\n")
            if len(self._partial) > LONGEST_LINE:
                lines, self._partial = [*lines, self._partial], ""
            for line in lines:
                self._queue(f"{line}\n".encode("utf-8", "backslashreplace"))
        return len(text)

    def _queue(self, line: bytes) -> None:
        stuck = self._writing_since is not None and time.monotonic() - self._writing_since > self._stuck_after
        if self._finished or stuck or self._bytes + len(line) > self._most_bytes:
            self._dropped += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        self._changed.notify_all()

    def finish(self, seconds: float = FLUSH_SECONDS) -> None:
        """Drop what comes from now on; wait until all is written, or until nothing has been for some seconds."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()
            before = -1
            while self._bytes and self._bytes != before:
                before = self._bytes
                self._changed.wait_for(lambda: not self._bytes, seconds)

    def _write_lines(self) -> None:
        while (line := self._next()) is not None:
            written = _write(self._descriptor, line)
            with self._changed:
                self._bytes -= len(line)
                self._writing_since = None
                self._dropped += not written
                self._changed.notify_all()
        os.close(self._descriptor)

    def _next(self) -> bytes | None:
        """Wait for a line; return None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._finished)
            if not self._lines:
                return None
            self._writing_since = time.monotonic()
            return self._lines.popleft()


def _write(descriptor: int, line: bytes) -> bool:
    """Write a line; return whether it could be."""
    rest = memoryview(line)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            # Another process that shares the descriptor has made it non-blocking.
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
        except OSError:
            return False
    return True


@contextlib.contextmanager
def in_background(stream: TextIO) -> Iterator[TextIO]:
    """Yield a stand-in for a stream that never waits for its reader; it is `sys.stderr` too while the block runs.

    A stream without a file descriptor is yielded as it is.
    """
    try:
        writer = BackgroundWriter(stream.fileno())
    except (OSError, ValueError):
        yield stream
        return
    with contextlib.redirect_stderr(cast("TextIO", writer)) as target:
        try:
            yield target
        finally:
            writer.finish()


def dropped(stream: object) -> Callable[[], int]:
    """Return a function that says how many lines a stream has dropped."""
    return stream.dropped if isinstance(stream, BackgroundWriter) else int


class LineWriter:
    """Writes each event as a line; one that cannot be written is lost, without an error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        """Write a line."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(message + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = log = msg


def configure(level: Level, form: LogFormat, stream: TextIO) -> None:
    """Set up logging for the process."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=["ts", "level", "logger", "msg"], drop_missing=True)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.EventRenamer("msg"),
            _one_line,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: LineWriter(stream),
        cache_logger_on_first_use=False,
    )
    # Libraries log too, and their errors may carry a signed URL: only their own words get through.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_without_exception)


def _without_exception(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


def _one_line(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Keep each event on one line of valid UTF-8, whatever a provider sent; drop what is empty."""
    return {
        key: printable(value, sys.maxsize) if isinstance(value, str) else value
        for key, value in event.items()
        if value not in (None, "")
    }


class LoopErrors:
    """Logs the event loop's own errors, the same message once a minute and without the exception's text.

    Without descriptors left the loop reports a hundred a second; and the exception may carry a signed URL.
    """

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._logged: dict[str, float] = {}

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take an error, as `loop.set_exception_handler` hands it over."""
        message, error = str(context.get("message", "")), context.get("exception")
        now = self._mono()
        if now - self._logged.get(message, float("-inf")) < REPEAT_SECONDS:
            return
        if len(self._logged) >= MOST_MESSAGES:
            self._logged.clear()
        self._logged[message] = now
        log = structlog.get_logger("asyncio")
        log.error("the event loop complains", words=message, kind=type(error).__name__ if error is not None else None)
