"""Where a command writes: lines and tables, for people and for pipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

Row = Sequence[str]

WIDEST_FIRST_COLUMN: Final = 32


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

    def table(self, head: Row, rows: Sequence[Row], right: range = range(0)) -> None:
        """Write a table: drawn on a terminal, aligned plain text into a pipe or file.

        Args:
            head: Titles of the columns.
            rows: Their cells; nothing in them is taken for markup.
            right: Numbers of the columns that are aligned to the right.
        """
        if self.stdout.isatty():
            _draw(self.stdout, head, rows, right)
        else:
            self.stdout.writelines(line + "\n" for line in _aligned(head, rows, right))


def _draw(stdout: TextIO, head: Row, rows: Sequence[Row], right: range) -> None:
    # Only a terminal needs them, and they take long to import.
    from rich.box import SIMPLE
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # The first column says what a row is about and stays whole where possible; narrow terminals fold the others.
    first = min(WIDEST_FIRST_COLUMN, max(cell_len(row[0]) for row in (head, *rows)))
    for column, title in enumerate(head):
        table.add_column(
            Text(title),
            justify="right" if column in right else "left",
            overflow="fold",
            width=None if column else first,
        )
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=stdout).print(table)


def _aligned(head: Row, rows: Sequence[Row], right: range) -> Iterator[str]:
    from rich.cells import cell_len

    lines = [[title.upper() for title in head], *rows]
    # A Chinese character takes two columns.
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = []
        for column, cell in enumerate(line):
            space = " " * (widths[column] - cell_len(cell))
            cells.append(space + cell if column in right else cell + space)
        yield "  ".join(cells).rstrip()
