"""Writes everything that is generated: `python -m docs.generate`; with `--check` only says what is stale.

The READMEs' tables of clouds; codes, commands, configuration and metrics (docs/), rules and a test of them
(deploy/prometheus), dashboards (grafana/dashboards), copies of the dashboards and of the example in the package
(exporter/commands/shipped), and in the Helm chart (deploy/helm) the table of its values and copies of rules, dashboards
and inhibitions: a chart can only read files of its own folder.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from docs import (
    generate_chart,
    generate_clouds,
    generate_codes,
    generate_commands,
    generate_configuration,
    generate_metrics,
)
from exporter.rules.building import CHART as CHART_RULES
from exporter.rules.building import render
from exporter.rules.options import RulesOptions
from grafana import build

ROOT = Path(__file__).resolve().parents[1]
PROMETHEUS = ROOT / "deploy" / "prometheus"
EXAMPLE = ROOT / "stream-exporter.example.yml"
SHIPPED = ROOT / "exporter" / "commands" / "shipped"
CHART = ROOT / "deploy" / "helm" / "stream-exporter" / "files"


def generated() -> dict[Path, str]:
    """Return every generated file as it should be."""
    rules = render(RulesOptions())
    dashboards = build.build()
    return {
        **generate_clouds.generated(),
        generate_codes.PAGE: generate_codes.render(),
        generate_commands.PAGE: generate_commands.render(),
        generate_configuration.PAGE: generate_configuration.render(),
        generate_metrics.PAGE: generate_metrics.render(),
        PROMETHEUS / "rules.yml": rules,
        PROMETHEUS / "tests" / "lossy.yml": _printed(PROMETHEUS / "tests" / "build_lossy.py"),
        SHIPPED / EXAMPLE.name: EXAMPLE.read_text(encoding="utf-8"),
        CHART / "rules-template.yml": render(CHART_RULES),
        **generate_chart.generated(),
        **{
            folder / name: text
            for folder in (build.DASHBOARDS, CHART / "dashboards", SHIPPED / "dashboards")
            for name, text in dashboards.items()
        },
    }


def _printed(script: Path) -> str:
    """Return what a generator prints that is not part of a package."""
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout  # noqa: S603


def stale(files: dict[Path, str]) -> list[Path]:
    """Return the files that are not as they should be, and those in generated folders that should not be there."""
    old = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    folders = {(path.parent, path.suffix) for path in files if path.suffix == ".json"}
    found = [path for folder, suffix in sorted(folders) for path in sorted(folder.glob(f"*{suffix}"))]
    return old + [path for path in found if path not in files]


def main(arguments: list[str]) -> int:
    """Write what is stale, or with `--check` only say it; then 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something is stale")
    check = parser.parse_args(arguments).check
    files = generated()
    changed = stale(files)
    for path in changed:
        print(("stale: " if check else "written: ") + str(path.relative_to(ROOT)))
        if not check:
            _put(path, files.get(path))
    return int(check and bool(changed))


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
