"""The log: one line per event, what cannot be written is lost, and nobody's flood becomes ours."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator

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
    complain = logs.Complaints(lambda: now[0])
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
