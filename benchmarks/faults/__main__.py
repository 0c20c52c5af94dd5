"""`python -m benchmarks.faults [--minutes 30] [--intensity all]`: run the campaigns and print the table."""

from __future__ import annotations

import argparse
import logging
import sys

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.faults import judge
from benchmarks.faults.campaign import INTENSITIES, NAMES, campaign
from exporter.providers import all_providers

COLUMNS = (
    "faults", "exporter", "false downs", "missed downs", "delay median", "delay p95", "calls/quota", "deadline misses",
    "false ups", "known", "scrapes", "calls",
)  # fmt: skip


def main() -> int:
    """Print one line per intensity and exporter; return 1 if this project's exporter missed its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", allow_abbrev=False, description=judge.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--minutes", type=float, default=30.0, help="simulated minutes of each campaign")
    parser.add_argument("--intensity", default="all", help="percent of the time with a fault, comma-separated")
    parser.add_argument("--streams", type=int, default=20, help="streams of each cloud, at most 100")
    parser.add_argument("--processes", type=int, default=1, help="of servers whose processes know their own streams")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--ours", action="store_true", help="leave the simple exporters out")
    flags = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asked = INTENSITIES if flags.intensity == "all" else tuple(float(one) / 100 for one in flags.intensity.split(","))
    streams = f"{flags.streams} streams at each of {len(all_providers())} clouds"
    table = Table(*COLUMNS, title=f"{streams}, {flags.minutes:g} simulated minutes, seed {flags.seed}")
    good = True
    for intensity in asked:
        for name in NAMES[:1] if flags.ours else NAMES:
            print(f"{intensity:.0%} {name} ...", file=sys.stderr, flush=True)
            found = campaign(name, flags.seed, flags.minutes, intensity, flags.streams, flags.processes)
            table.add_row(*_cells(intensity, found))
            if name == NAMES[0]:
                good = good and not faults_of(found)
                for line in found.examples:
                    print(f"  {line}", file=sys.stderr)
    Console(width=170).print(table)
    print("goal met" if good else "goal MISSED")
    return 0 if good else 1


def faults_of(found: judge.Verdict) -> list[str]:
    """Return what goes against the goal: 0 false downs, missed downs, quota violations and deadline misses."""
    figures = {
        "false downs": found.false_downs,
        "false ups": found.false_ups,
        "missed downs": found.missed_downs,
        "quota violations": int(found.quota > 1),
        "deadline misses": found.deadline_misses,
    }
    return [f"{name}: {figure}" for name, figure in figures.items() if figure]


def _cells(intensity: float, found: judge.Verdict) -> list[str]:
    return [
        f"{intensity:.0%}", found.name, str(found.false_downs), f"{found.missed_downs} of {found.downs}",
        f"{found.delay_median:.1f} s", f"{found.delay_p95:.1f} s", f"{found.quota:.2f}", str(found.deadline_misses),
        str(found.false_ups), f"{found.known:.1%}", str(found.scrapes), str(found.calls),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
