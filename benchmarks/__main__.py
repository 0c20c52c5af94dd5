"""`python -m benchmarks [NAME ...]`: measure, and print the table of figures with their goals."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks import callbacks, config_load, exposition, held, playback, rounds, scrapes, shards, store
from benchmarks.table import Row

ALL: dict[str, Callable[[], list[Row]]] = {
    "cost": rounds.cost,
    "wide": rounds.wide,
    "paced": rounds.paced,
    "exposition": exposition.rows,
    "held": held.rows,
    "reuse": scrapes.reused,
    "deadline": scrapes.deadlines,
    "listed": scrapes.listed,
    "config": config_load.rows,
    "callbacks": callbacks.rows,
    "playback": playback.rows,
    "shards": shards.rows,
    "store": store.rows,
}


def main() -> int:
    """Run the benchmarks asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", allow_abbrev=False)
    parser.add_argument("name", nargs="*", choices=[*ALL, []], help="which to run; all by default")
    names = parser.parse_args().name or list(ALL)
    table = Table(title=f"Python {platform.python_version()} on {platform.machine()}", title_justify="left")
    for column in ("figure", "measured", "goal", "", "of which"):
        table.add_column(column)
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for row in ALL[name]():
            sign = "met" if row.met else "MISSED"
            table.add_row(
                row.name, f"{row.figure:.2f} {row.unit}", f"{row.compare} {row.goal:g} {row.unit}", sign, row.detail
            )
    Console(width=190).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
