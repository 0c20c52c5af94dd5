"""Runs the command line in this process, or as a process of its own."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import yaml

from exporter.cli import main

CANARY = "canary-that-must-not-be-shown"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Everything that was written."""
        return self.out + self.err


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say that a person is looking."""
        return True


def run(*argv: str, environ: Mapping[str, str] | None = None, screen: bool = False) -> Done:
    """Run a command; the log's settings, which are the process's, are put back after it."""
    kind = Screen if screen else io.StringIO
    out, err = kind(), kind()
    before = structlog.get_config()
    try:
        code = main(argv, out, err, environ or {})
    finally:
        structlog.configure(**before)
    return Done(code, out.getvalue(), err.getvalue())


def written(path: Any, accounts: list[dict[str, Any]], streams: list[dict[str, Any]], **scrape: str) -> str:
    """Write a configuration that only its owner may read, and return its place."""
    path.write_text(yaml.safe_dump({"scrape": scrape, "accounts": accounts, "streams": streams}), encoding="utf-8")
    path.chmod(0o600)
    return str(path)


def tencent(**fields: Any) -> dict[str, Any]:
    """Return a Tencent account of a configuration."""
    return {"name": "main", "provider": "tencent", "secret_id": "an-id", "secret_key": CANARY, **fields}


@contextmanager
def process(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command as a process; it is killed if it still runs at the end of the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", "exporter", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def lines_until(child: subprocess.Popen[str], last: str, seconds: float = 30.0) -> list[str]:
    """Read a process's lines up to the first that begins with `last`."""
    assert child.stdout is not None
    lines: list[str] = []
    end = time.monotonic() + seconds
    while not (lines and lines[-1].startswith(last)):
        # Once a line is there, the others may stand in Python's buffer, where select does not see them.
        ready = lines or select.select([child.stdout], [], [], max(0.0, end - time.monotonic()))[0]
        line = child.stdout.readline() if ready else ""
        assert line, f"{last} was not said within {seconds} s; {lines}"
        lines.append(line.rstrip("\n"))
    return lines


def stop(child: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal and return the exit code and what was said on standard error."""
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    return child.returncode, err
