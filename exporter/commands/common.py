"""What several commands do: read the configuration, and wait for signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from exporter import config, files, providers
from exporter.commands.options import Address, SocketFile
from exporter.commands.terminal import Terminal
from exporter.config import Config, ConfigErrors, Problem
from exporter.credentials.chain import chooser

NO_FILE: Final = """
There is no configuration at {path}. What to do:
  - see everything at work without an account: stream-exporter demo
  - write one: `stream-exporter example` prints one with an account and a stream of each cloud to keep or delete, and
    `stream-exporter schema` a JSON Schema for your editor
  - name another place: --config.file FILE"""


def read_configuration(path: Path, terminal: Terminal, *, whole: bool = False) -> Config | None:
    """Return the configuration after writing its warnings, or None after writing every error."""
    try:
        found = load(path, terminal, whole=whole)
    except ConfigErrors as errors:
        tell_errors(errors, path, terminal)
        return None
    tell_warnings(found, terminal)
    return found


def load(path: Path, terminal: Terminal, *, whole: bool = False) -> Config:
    """Return the configuration, with the streams of all shards if `whole`; raises ConfigErrors."""
    environ = terminal.environ
    return config.load(
        path, providers.all_providers(), environ, choose=chooser(environ), now=time.time(), host=host(), whole=whole
    )


def host() -> str:
    """Return the name of this machine."""
    return os.uname().nodename


def tell_errors(errors: ConfigErrors, path: Path, terminal: Terminal) -> None:
    """Write every error of the configuration."""
    terminal.complain(str(errors))
    advise_if_missing(path, terminal)


def tell_warnings(found: Config, terminal: Terminal) -> None:
    """Write the warnings that the configuration came with."""
    for warning in found.warnings:
        terminal.complain(warning_line(warning))


def warning_line(warning: Problem) -> str:
    """Return a warning that has a place as it is told."""
    return str(replace(warning, message=f"warning: {warning.message}"))


def advise_if_missing(path: Path, terminal: Terminal) -> None:
    """Say where to get a configuration if there is none."""
    if files.is_missing(path):
        terminal.complain(NO_FILE.format(path=path.absolute()))


def cannot_listen(address: Address | SocketFile, error: OSError, flag: str) -> str:
    """Say why an address cannot be listened on, and which flag names another."""
    # asyncio's text of a refused address repeats it as a tuple; errors of name resolution have numbers of their own.
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return f"cannot listen on {address}: {why}; choose another {flag}"


@contextlib.contextmanager
def on_signals(act: Callable[[], object], *numbers: signal.Signals) -> Iterator[None]:
    """Have these signals do something else than end the process while the block runs."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
