"""What several commands do: read the configuration, build the running parts, write for people."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TextIO

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console as Rich
from rich.table import Table
from rich.text import Text

from exporter import config, files, providers
from exporter.config import Config, ConfigErrors
from exporter.config.problems import Problem
from exporter.credentials import chooser

LONGEST_FIRST: Final = 32
NO_FILE: Final = """\
There is no configuration at {path}. What to do:
  - see everything at work without an account: stream-exporter demo
  - write one: stream-exporter.example.yml has an account and a stream of each cloud to copy from, and
    `stream-exporter schema` prints a JSON Schema for your editor
  - name another place: --config.file FILE"""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command writes, and the environment that it runs in."""

    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]

    def say(self, text: str = "") -> None:
        """Write a line of the result."""
        self.stdout.write(text + "\n")

    def complain(self, text: str) -> None:
        """Write a line about what is wrong."""
        self.stderr.write(text + "\n")


def read_configuration(path: Path, terminal: Terminal) -> Config | None:
    """Return the configuration with its warnings told, or None after telling every error."""
    try:
        found = config.load(path, providers.found(), terminal.environ, choose=chooser(terminal.environ))
    except ConfigErrors as errors:
        terminal.complain(str(errors))
        advise_if_missing(path, terminal)
        return None
    for each in found.warnings:
        terminal.complain(warning(each))
    return found


def advise_if_missing(path: Path, terminal: Terminal) -> None:
    """Say how to come by a configuration where there is none."""
    if files.is_missing(path):
        terminal.complain("\n" + NO_FILE.format(path=path))


def warning(found: Problem) -> str:
    """Return a warning as one line, with its place."""
    return f"{found.file}:{found.line}:{found.column}: {found.path}: warning: {found.message}"


def show_table(stdout: TextIO, head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> None:
    """Write a table: drawn where a person looks at it, aligned plain text where it goes on into a pipe or file.

    Args:
        stdout: Where to.
        head: Titles of the columns.
        rows: Their cells; nothing in them is taken for markup.
        right: Numbers of the columns that are aligned to the right.
    """
    if stdout.isatty():
        _drawn(stdout, head, rows, right)
    else:
        stdout.writelines(line + "\n" for line in _aligned(head, rows, right))


def _drawn(stdout: TextIO, head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> None:
    table = Table(box=SIMPLE, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # What a row is about is kept whole where that is possible; narrow terminals fold the other columns.
    first = min(LONGEST_FIRST, max(cell_len(row[0]) for row in (head, *rows)))
    for place, title in enumerate(head):
        side: Literal["left", "right"] = "right" if place in right else "left"
        table.add_column(Text(title), justify=side, overflow="fold", width=None if place else first)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Rich(file=stdout).print(table)


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int]) -> Iterator[str]:
    lines = [[title.upper() for title in head], *rows]
    # A Chinese character takes two columns.
    widths = [max(cell_len(line[place]) for line in lines) for place in range(len(head))]
    for line in lines:
        cells = []
        for place, cell in enumerate(line):
            space = " " * (widths[place] - cell_len(cell))
            cells.append(space + cell if place in right else cell + space)
        yield "  ".join(cells).rstrip()


@contextlib.contextmanager
def stop_signals(*numbers: signal.Signals) -> Iterator[asyncio.Event]:
    """Set an event on these signals while the block runs, instead of ending the process."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in numbers:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
