"""Write the dashboards as JSON: python -m grafana.build [FOLDER].

The files under grafana/dashboards are made by this and by nothing else; a test fails where they differ.
"""

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import fleet, providers, stream
from grafana.board import Board

DASHBOARDS = Path(__file__).resolve().parent / "dashboards"
MAKERS = {"fleet": fleet.dashboard, "stream": stream.dashboard, "providers": providers.dashboard}


SCHEMA = 39
"""That of Grafana 11.0: newer ones read it, older ones nothing newer."""
NEWER = {
    "stat": "percentChangeColorMode",
    "state-timeline": "perPage",
    "bargauge": "legend",
}
"""Options that the SDK writes and Grafana 11.0 does not know; tests/grafana/grafana11.yml has those it knows."""


def _close_up(panels: list[dict[str, Any]]) -> None:
    """Move up what follows closed rows: the SDK leaves room for what is in them."""
    hidden = 0
    for panel in panels:
        inside = panel.get("panels", [])
        for one in (panel, *inside):
            one["gridPos"]["y"] -= hidden
        row = panel["gridPos"]["y"] + 1
        hidden += max((one["gridPos"]["y"] + one["gridPos"]["h"] - row for one in inside), default=0)


def _text(board: Board) -> str:
    built = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    built["schemaVersion"] = SCHEMA
    _close_up(built["panels"])
    for variable in built["templating"]["list"]:
        del variable["allowCustomValue"]
    for panel in [each for one in built["panels"] for each in (one, *one.get("panels", []))]:
        panel.get("options", {}).pop(NEWER.get(panel["type"]), None)
    return json.dumps(built, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def build() -> dict[str, str]:
    """Return the text of every dashboard by its file name."""
    return {f"{name}.json": _text(make()) for name, make in MAKERS.items()}


def write(folder: Path) -> None:
    """Write every dashboard into a folder."""
    for name, text in build().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DASHBOARDS)
