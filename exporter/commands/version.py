"""`stream-exporter version`: the same as `--version`."""

from __future__ import annotations

import sys
from typing import Final

from exporter import __version__
from exporter.commands.options import NoOptions
from exporter.commands.terminal import Terminal

PROGRAM: Final = "stream-exporter"


def line() -> str:
    """Return the versions of the exporter and of Python."""
    return f"{PROGRAM} {__version__} (Python {sys.version.partition(' ')[0]})"


def run(_options: NoOptions, terminal: Terminal) -> int:
    """Write the version to standard output."""
    terminal.say(line())
    return 0
