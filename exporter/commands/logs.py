"""Logging to standard error, in logfmt or JSON; a full disk or a closed stderr is survived."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO

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
