"""Where a command writes: lines and tables, for people and for pipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TextIO

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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stdout)
    table = Table(box=SIMPLE, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # A blank pads each column, and another stands between two.
    for column, width in enumerate(_widths([head, *rows], console.width - 2 * (len(head) - 1))):
        justify: Literal["right", "left"] = "right" if column in right else "left"
        table.add_column(Text(head[column]), justify=justify, overflow="fold", width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _widths(lines: Sequence[Row], space: int) -> list[int]:
    """Return the widths of columns that have so much space together; the first of the lines is the heading.

    The first column says what a row is about and stays whole where possible: the widest of the others give way. No
    column is narrower than the longest word of its heading.
    """
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    least = [max(map(cell_len, title.split())) for title in lines[0]]
    widths[0] = max(least[0], min(widths[0], WIDEST_FIRST_COLUMN))
    while sum(widths) > space and widths != least:
        others = [column for column in range(1, len(widths)) if widths[column] > least[column]]
        widths[max(others, key=widths.__getitem__, default=0)] -= 1
    return widths


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
