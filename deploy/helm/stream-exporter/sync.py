"""Copy the shipped rules and dashboards into the chart, which can only read files of its own folder.

Run after a change of either: python deploy/helm/stream-exporter/sync.py
"""

import shutil
from pathlib import Path

CHART = Path(__file__).resolve().parent
ROOT = CHART.parents[2]


def copy(sources: list[Path], folder: Path) -> None:
    """Make the folder hold these files and no others of their kind."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {source.name for source in sources}
    for old in (path for path in folder.iterdir() if path.is_file() and path.name not in wanted):
        old.unlink()
    for source in sources:
        shutil.copyfile(source, folder / source.name)


if __name__ == "__main__":
    copy([ROOT / "deploy" / "prometheus" / "rules.yml"], CHART / "files")
    copy(sorted((ROOT / "grafana" / "dashboards").glob("*.json")), CHART / "files" / "dashboards")
