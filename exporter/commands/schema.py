"""`stream-exporter schema`: the configuration's JSON Schema, for editors."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from exporter import config, providers
from exporter.commands.options import NoOptions
from exporter.commands.terminal import Terminal

_LINK: Final = re.compile(r"\[([^]]*)\]\([^)]*\)")


def run(_options: NoOptions, terminal: Terminal) -> int:
    """Write the schema to standard output."""
    whole = _without_links(config.schema(providers.all_providers()))
    terminal.say(json.dumps(whole, indent=2, ensure_ascii=False))
    return 0


def _without_links(part: Any) -> Any:
    """Return a part of the schema whose descriptions have no links: they lead into a page that an editor lacks."""
    if isinstance(part, list):
        return [_without_links(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _LINK.sub(r"\1", each) if key == "description" and isinstance(each, str) else _without_links(each)
        for key, each in part.items()
    }
