"""What a dashboard asks Prometheus: its queries with the variables filled in, as Grafana would fill them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grafana.build import DASHBOARDS

Dashboard = dict[str, Any]

EVERYTHING = {
    "cluster": ".*",
    "instance": ".+",
    "page": "localhost:10180",
    "job": ".+",
    "provider": ".+",
    "account": ".+",
    "stream": ".+",
    "label": "account",
    "__rate_interval": "1m",
    "__interval": "15s",
    "__range": "1h",
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


def load(folder: Path = DASHBOARDS) -> dict[str, Dashboard]:
    """Read the committed dashboards by their names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return all panels that show something, those within collapsed rows too."""
    found: list[dict[str, Any]] = []
    for panel in dashboard["panels"]:
        found += panel.get("panels", []) if panel["type"] == "row" else [panel]
    return found


def filled(text: str, values: Mapping[str, str] | None = None) -> str:
    """Put values in the place of variables.

    Raises:
        KeyError: The text has a variable that is not known.
    """
    known = {**EVERYTHING, **(values or {})}
    return _VARIABLE.sub(lambda match: known[match[1] or match[2]], text)


def quoted(value: str) -> str:
    """Escape a value for a place between double quotes in PromQL."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def targets(dashboard: Dashboard) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every query of a dashboard with its panel, as the JSON has them."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield panel, target


def queries(dashboard: Dashboard, values: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return (panel title, PromQL) of every query; without values, all that a variable can choose is chosen.

    A dashboard whose `stream` holds one value at a time (`of_one_stream`) needs `provider` and `stream`.
    """
    return [(panel["title"], filled(target["expr"], values)) for panel, target in targets(dashboard)]


def of_one_stream(dashboard: Dashboard) -> bool:
    """Tell whether the dashboard looks at one stream at a time."""
    return any(variable["name"] == "stream" and not variable["multi"] for variable in dashboard["templating"]["list"])


def variables(dashboard: Dashboard, values: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return (name, filled query) of the variables whose values Prometheus tells."""
    found = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    return [(variable["name"], filled(variable["query"]["query"], values)) for variable in found]
