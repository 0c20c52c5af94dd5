"""`stream-exporter dashboards`: the Grafana dashboards that come with the package."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from exporter.commands.terminal import Terminal
from exporter.providers.reading import printable
from exporter.rules.options import RUNBOOK, DashboardsOptions
from exporter.spelling import did_you_mean

PAGE: Final = "http://${page:raw}"
"""Where the shipped dashboards suppose the status page: the variable holds the first exporter's `instance`."""
EXPORTERS: Final = 'cluster=~"$cluster", job=~"$job", instance=~"$instance"'


def run(options: DashboardsOptions, terminal: Terminal) -> int:
    """Write, print or list dashboards; return 2 for an unknown name, 1 if a file cannot be written."""
    found = {name: fitted(text, options) for name, text in _dashboards().items()}
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


def fitted(text: str, options: DashboardsOptions) -> str:
    """Return a dashboard, as JSON, with filters by the chosen labels and links to the given addresses.

    Every panel asks `stream_info` which streams are chosen: what is added to its selector filters them all. Alerts that
    carry such a label are filtered by it, and the rest of them are kept.
    """
    text = text.replace(RUNBOOK, json.dumps(options.runbook_url, ensure_ascii=False)[1:-1])
    for label in options.chosen:
        chosen = f'{label}=~\\"$info_{label}'
        text = text.replace("stream_info{", f'stream_info{{{chosen}\\", ')
        text = text.replace("ALERTS_FOR_STATE{", f'ALERTS_FOR_STATE{{{chosen}|\\", ')
    if options.page_url is not None:
        text = text.replace(PAGE, json.dumps(options.page_url.rstrip("/"), ensure_ascii=False)[1:-1])
    board = json.loads(text)
    variables = []
    for variable in board["templating"]["list"]:
        if variable["name"] == "provider":
            variables += [_label_variable(label, variable["datasource"]) for label in options.chosen]
        if variable["name"] == "account" and options.chosen:
            del variable["allValue"]  # all are the accounts of the chosen streams
        if variable["name"] != "page" or options.page_url is None:
            variables.append(variable)
    board["templating"]["list"] = variables
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _label_variable(label: str, source: dict[str, str]) -> dict[str, Any]:
    """Return the variable to choose values of a label by; all of them are also the streams that lack it."""
    query = f"label_values(stream_info{{{EXPORTERS}}}, {label})"
    return {
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": source,
        "definition": query,
        "description": "A label from the configuration of the streams",
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": f"info_{label}",
        "query": {"query": query, "refId": f"variable-info_{label}"},
        "refresh": 2,
        "sort": 7,
        "type": "query",
    }


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
