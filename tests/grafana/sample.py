"""A made-up exporter: serves `sample.prom` with values that change from scrape to scrape."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from testbed import web

SAMPLE = Path(__file__).with_name("sample.prom")
_NOTE = re.compile(r"(?P<sample>.*) # (?P<word>grows|ago|cycle|once) (?P<rest>.*)")


def exposition(text: str, scrape: int, now: float) -> str:
    """Return what a scrape gets: each sample at the value that the note behind it says.

    `grows R` adds R per scrape; `ago S` is the Unix time S seconds before now; `cycle N: A B -` holds each value for N
    scrapes and begins anew; `once N: A B` stays at the last one; `-` leaves the sample out.
    """
    lines = (_line(line, scrape, now) for line in text.splitlines())
    return "\n".join(line for line in lines if line is not None) + "\n"


def _line(line: str, scrape: int, now: float) -> str | None:
    match = _NOTE.fullmatch(line)
    if match is None:
        return line
    if match["word"] == "grows":
        name, _, value = match["sample"].rpartition(" ")
        return f"{name} {float(value) + float(match['rest']) * scrape}"
    if match["word"] == "ago":
        return f"{match['sample']} {now - float(match['rest'])}"
    value = _chosen(match["rest"], scrape, endless=match["word"] == "cycle")
    return None if value == "-" else f"{match['sample']} {value}"


def _chosen(rest: str, scrape: int, *, endless: bool) -> str:
    hold, _, values = rest.partition(": ")
    choices, place = values.split(), scrape // int(hold)
    return choices[place % len(choices) if endless else min(place, len(choices) - 1)]


def served(*, ahead: int = 0, clock: Callable[[], float] = time.time) -> AbstractContextManager[str]:
    """Serve the sample on loopback, from a later scrape on if it is ahead; yields host:port."""
    text, scrapes = SAMPLE.read_text(encoding="utf-8"), itertools.count(ahead)

    def answer(_asked: web.Asked) -> tuple[dict[str, str], bytes]:
        body = exposition(text, next(scrapes), clock()).encode()
        return {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}, body

    return web.served(answer)
