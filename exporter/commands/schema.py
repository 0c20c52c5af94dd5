"""`stream-exporter schema`: the configuration's JSON Schema, for editors."""

from __future__ import annotations

import json

from exporter import config, providers
from exporter.commands.options import NoOptions
from exporter.commands.terminal import Terminal


def run(_options: NoOptions, terminal: Terminal) -> int:
    """Write the schema to standard output."""
    terminal.say(json.dumps(config.schema(providers.all_providers()), indent=2, ensure_ascii=False))
    return 0
