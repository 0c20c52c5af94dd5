"""Write the dashboards as JSON: python -m grafana.build [FOLDER].

The files under grafana/dashboards are made by this and by nothing else; a test fails where they differ.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import fleet, providers, stream

DASHBOARDS = Path(__file__).resolve().parent / "dashboards"
MAKERS = {"fleet": fleet.dashboard, "stream": stream.dashboard, "providers": providers.dashboard}


def build() -> dict[str, str]:
    """Return the text of every dashboard by its file name."""
    return {
        f"{name}.json": json.dumps(make().build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, make in MAKERS.items()
    }


def write(folder: Path) -> None:
    """Write every dashboard into a folder."""
    for name, text in build().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DASHBOARDS)
