"""The log: one line per event, what cannot be written is lost, and nobody's flood becomes ours."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from exporter.commands import logs


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, _text: str) -> int:
        """Fail."""
        raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put the process's settings back."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    """Line breaks, control characters and lone surrogates of a provider do not break the log."""
    text = io.StringIO()
    logs.configure("debug", "logfmt", text)
    structlog.get_logger("x").info("said", message="a\nlevel=error msg=forged\r\x1b[31m\ud800")
    assert text.getvalue().count("\n") == 1
    text.getvalue().encode("utf-8")
    text.truncate(0)
    text.seek(0)
    logs.configure("debug", "json", text)
    structlog.get_logger("x").info("said", message="a\nb")
    assert json.loads(text.getvalue())["message"] == "a b"


def test_what_cannot_be_written_is_lost_and_nothing_else() -> None:
    """A full disk and a closed stream are survived."""
    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        logs.configure("debug", "logfmt", stream)
        structlog.get_logger("x").error("said")
    assert closed.closed


def test_the_event_loop_says_the_same_once_a_minute_and_no_details() -> None:
    """A hundred complaints a second are one line; the exception's text, which may carry a URL, is none."""
    text, now = io.StringIO(), [0.0]
    logs.configure("debug", "logfmt", text)
    complain = logs.LoopErrors(lambda: now[0])
    loop = asyncio.new_event_loop()
    try:
        for _ in range(1000):
            complain(loop, {"message": "no descriptors left", "exception": OSError("CANARY")})
        complain(loop, {"message": "something else"})
        now[0] = 61.0
        complain(loop, {"message": "no descriptors left", "exception": OSError("CANARY")})
        for number in range(1000):
            complain(loop, {"message": f"words {number}"})
    finally:
        loop.close()
    lines = text.getvalue().splitlines()
    assert sum("no descriptors left" in line for line in lines) == 2
    assert "OSError" in lines[0]
    assert "CANARY" not in text.getvalue()


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Return a pipe's two ends."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def read_all(descriptor: int, lines: int) -> list[bytes]:
    """Read so many lines."""
    with open(os.dup(descriptor), "rb") as file:
        return [file.readline() for _ in range(lines)]


def test_a_pipe_that_nobody_reads_holds_nobody() -> None:
    """Lines that find it stuck are dropped and counted, the end does not wait, and a later reader gets the rest."""
    with pipe() as (reading, writing):
        log = logs.BackgroundWriter(writing, stuck_after=0.0)
        started = time.monotonic()
        while not log.dropped():
            log.write("x" * 999 + "\n")
            assert time.monotonic() - started < 20
        log.finish(0.05)
        assert time.monotonic() - started < 20
        assert {len(line) for line in read_all(reading, 60)} == {1000}


def test_what_waits_has_a_limit() -> None:
    """However long a stuck pipe is borne with, no more lines are kept than there is room for."""
    with pipe() as (_, writing):
        log = logs.BackgroundWriter(writing, stuck_after=3600, most_bytes=10_000)
        for _ in range(1000):
            log.write("x" * 999 + "\n")
        log.finish(0.01)
        # A pipe takes 64 KiB, and the line that is being written was taken as well.
        assert 1000 - 64 - 12 <= log.dropped() <= 1000 - 9


def test_a_burst_loses_nothing_where_somebody_reads() -> None:
    """Ten thousand lines at once, some longer than a pipe takes in one piece, arrive whole and in order."""
    with pipe() as (reading, writing):
        log = logs.BackgroundWriter(writing)
        wanted = [f"{number} {'y' * (9000 if number % 1000 == 0 else 100)}\n".encode() for number in range(10_000)]
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.extend(read_all(reading, len(wanted))))
        reader.start()
        for line in wanted:
            log.write(line.decode())
        log.finish(10)
        reader.join(20)
        assert got == wanted
        assert log.dropped() == 0


def test_a_pipe_that_others_made_non_blocking_gets_whole_lines() -> None:
    """Who shares the pipe may have set O_NONBLOCK: a line that does not fit at once is finished later."""
    with pipe() as (reading, writing):
        os.set_blocking(writing, False)
        log = logs.BackgroundWriter(writing)
        log.write("z" * 200_000 + "\n")
        assert read_all(reading, 1) == [b"z" * 200_000 + b"\n"]
        log.finish(10)
        assert log.dropped() == 0


def test_nobody_at_the_other_end_is_counted() -> None:
    """A reader that has gone away costs lines, which are counted, and nothing else."""
    reading, writing = os.pipe()
    os.close(reading)
    log = logs.BackgroundWriter(writing)
    log.write("a\nb\n")
    log.finish(10)
    os.close(writing)
    assert log.dropped() == 2


def test_standard_error_is_the_log_for_everybody() -> None:
    """What Python itself says on standard error goes the same way, line by line, while the block runs."""
    with pipe() as (reading, writing):
        before = sys.stderr
        with open(os.dup(writing), "w", encoding="utf-8") as stream:
            with logs.in_background(stream) as target:
                print("part", end=" ", file=sys.stderr)
                print("and whole", file=sys.stderr)
                assert logs.dropped(target)() == 0
            assert sys.stderr is before
        assert read_all(reading, 1) == [b"part and whole\n"]


def test_a_stream_that_is_none_of_the_system_is_written_directly() -> None:
    """Text that is kept in memory has no reader to wait for: it is there at once."""
    text = io.StringIO()
    with logs.in_background(text) as target:
        assert target is text
        assert logs.dropped(target)() == 0
