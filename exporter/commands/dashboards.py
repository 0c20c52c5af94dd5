"""`stream-exporter dashboards`: the Grafana dashboards that come with the package."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from exporter.commands.options import DashboardsOptions
from exporter.commands.terminal import Terminal
from exporter.providers.reading import printable
from exporter.spelling import did_you_mean


def run(options: DashboardsOptions, terminal: Terminal) -> int:
    """Write, print or list dashboards; return 2 for an unknown name, 1 if a file cannot be written."""
    found = _dashboards()
    name = options.name.removesuffix(".json")
    if name and name not in found:
        hint = did_you_mean(name, found, quote="")
        terminal.complain(f"unknown dashboard {printable(name)}; it is one of {', '.join(found)}{hint}")
        return 2
    chosen = {name: found[name]} if name else found
    if options.output_dir is not None:
        return _write(chosen, options.output_dir, terminal)
    if name:
        terminal.say(found[name].rstrip("\n"))
    else:
        terminal.table(("name", "title"), [(name, json.loads(text)["title"]) for name, text in found.items()])
        terminal.say("\nPrint one with `dashboards NAME`, write all with `dashboards --output-dir DIRECTORY`.")
    return 0


def _dashboards() -> dict[str, str]:
    """Return the dashboards as JSON, by name."""
    folder = files("exporter.commands").joinpath("shipped", "dashboards")
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".json"): file.read_text(encoding="utf-8") for file in found}


def _write(dashboards: dict[str, str], folder: Path, terminal: Terminal) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in dashboards.items():
            file = folder / f"{name}.json"
            file.write_text(text, encoding="utf-8")
            terminal.say(f"written: {file}")
    except OSError as error:
        terminal.complain(f"cannot write {error.filename or folder}: {error.strerror}")
        return 1
    return 0
