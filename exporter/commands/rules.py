"""`stream-exporter rules`: the rule file for Prometheus."""

from __future__ import annotations

from exporter.commands.terminal import Terminal
from exporter.rules.building import render
from exporter.rules.options import RulesOptions


def run(options: RulesOptions, terminal: Terminal) -> int:
    """Write the rules to standard output."""
    terminal.say(render(options).rstrip("\n"))
    return 0
