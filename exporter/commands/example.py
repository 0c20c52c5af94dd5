"""`stream-exporter example`: a configuration with an account and a stream of each cloud, to keep what is used."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from exporter.commands.options import NoOptions
from exporter.commands.terminal import Terminal

FILE: Final = "stream-exporter.example.yml"


def run(_options: NoOptions, terminal: Terminal) -> int:
    """Write the configuration to standard output."""
    terminal.say(files("exporter.commands").joinpath("shipped", FILE).read_text(encoding="utf-8").rstrip("\n"))
    return 0
