"""What a release takes from the repository: `check TAG` before it is built, `notes TAG` for what it says.

    python3 deploy/release.py check v0.1.0
    python3 deploy/release.py notes v0.1.0

Without a tag, `notes` prints what is unreleased.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = {
    "exporter/__init__.py": r'^__version__ = "(.+)"$',
    "deploy/helm/stream-exporter/Chart.yaml": r'^(?:version|appVersion): "?([^"\n]+)"?$',
}
"""Where the version is written, and how."""


def versions(root: Path) -> set[str]:
    """Return the versions that are written in the repository; one, if it is well."""
    return {
        found
        for place, line in PLACES.items()
        for found in re.findall(line, (root / place).read_text(encoding="utf-8"), re.MULTILINE)
    }


def notes(changelog: str, version: str) -> str:
    """Return the text of one section of the changelog; empty where there is none.

    Args:
        changelog: The whole text.
        version: Such as `0.1.0`, or `Unreleased`.
    """
    section = rf"^## \[?{re.escape(version)}\]?(?: - \d{{4}}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)"
    found = re.search(section, changelog, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def problems(root: Path, tag: str) -> list[str]:
    """Return what keeps a tag from being released."""
    version, written = tag.removeprefix("v"), versions(root)
    found = []
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        found.append(f"{tag!r} is not a tag like v1.2.3")
    if written != {version}:
        found.append(f"the tag says {version}, the repository {' and '.join(sorted(written))}: {', '.join(PLACES)}")
    if not notes((root / "CHANGELOG.md").read_text(encoding="utf-8"), version):
        found.append(f"CHANGELOG.md has no section `## {version} - YYYY-MM-DD`")
    return found


def main(words: list[str]) -> int:
    """Run a command; return 1 with problems, or without notes."""
    match words:
        case ["check", tag]:
            found = problems(ROOT, tag)
            print("\n".join(found) or f"{tag} can be released", file=sys.stderr if found else sys.stdout)
            return int(bool(found))
        case ["notes"] | ["notes", _]:
            version = words[1].removeprefix("v") if len(words) > 1 else "Unreleased"
            text = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
            print(text or f"CHANGELOG.md has no section {version}", file=sys.stdout if text else sys.stderr)
            return int(not text)
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
