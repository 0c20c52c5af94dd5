"""The workflows that check, package and release, and what a release takes from the repository."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import release

from .tools import ROOT, accepts, program

WORKFLOWS = ROOT / ".github" / "workflows"
CHANGELOG = """\
# Changelog

## Unreleased

Soon.

## 1.2.3 - 2026-11-26

### Added

- A thing.

## 1.2.2 - 2026-11-01

- Another.
"""


def jobs(name: str) -> dict[str, dict[str, Any]]:
    """Return the jobs of a workflow."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))["jobs"]
    return found


def released(root: Path, version: str, chart: str = "") -> Path:
    """Write what a release looks at, and return its place."""
    for name in release.PLACES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "exporter/__init__.py").write_text(f'__version__ = "{version}"\n')
    text = f"version: {chart or version}\nappVersion: {version}\n"
    (root / "deploy/helm/stream-exporter/Chart.yaml").write_text(text)
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    return root


def test_actionlint() -> None:
    """Every workflow is one that GitHub understands, and so are the shell scripts in it."""
    program("shellcheck", "apt-get install shellcheck")
    actionlint = program("actionlint", "go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
    accepts(actionlint, *sorted(WORKFLOWS.glob("*.yml")))


def test_shellcheck() -> None:
    """The scripts that run as root at installation are free of the usual mistakes, as is what CI runs."""
    scripts = [ROOT / "deploy/debian" / name for name in ("postinst", "prerm", "postrm")]
    accepts(program("shellcheck", "apt-get install shellcheck"), *scripts, ROOT / ".ci/run")


def test_ci_packages_what_is_released() -> None:
    """CI builds by the very workflow that a release builds by, which may write nothing anywhere."""
    called = {jobs(name)["package"]["uses"] for name in ("ci", "release")}
    assert called == {"./.github/workflows/package.yml"}
    assert {tuple(job["permissions"].items()) for job in jobs("package").values()} == {(("contents", "read"),)}


def test_nothing_is_published_before_all_is_built() -> None:
    """Whatever can write waits until everything was built and tried, and for a person's approval."""
    for name, job in jobs("release").items():
        if "write" in job["permissions"].values():
            assert "package" in job["needs"], name
            assert job["environment"] in ("release", "pypi")
    assert jobs("release")["package"]["needs"] == "check"


def test_artifacts_meet() -> None:
    """Each artifact that a job downloads is one that the packaging uploads, and each of those is used."""
    steps = [step for name in ("package", "release") for job in jobs(name).values() for step in job.get("steps", [])]

    def named(action: str) -> set[str]:
        found = [step["with"] for step in steps if step.get("uses", "").startswith(f"actions/{action}-artifact@")]
        words = [word for given in found for word in re.findall(r"[a-z]+", given.get("name") or given["pattern"])]
        return {word for word in words if word in ("files", "image", "deb")}

    assert named("upload") == named("download") == {"files", "image", "deb"}


def test_versions_agree() -> None:
    """The exporter, the chart and what the chart runs have one version, and the changelog has something to say."""
    assert len(release.versions(ROOT)) == 1
    assert release.notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), "Unreleased")


def test_notes() -> None:
    """The notes of a release are its section of the changelog, no more."""
    assert release.notes(CHANGELOG, "1.2.3") == "### Added\n\n- A thing."
    assert release.notes(CHANGELOG, "1.2.2") == "- Another."
    assert release.notes(CHANGELOG, "Unreleased") == "Soon."
    assert release.notes(CHANGELOG, "1.2") == ""


@pytest.mark.parametrize(
    ("tag", "version", "chart", "said"),
    [
        ("v1.2.3", "1.2.3", "", []),
        ("1.2.3", "1.2.3", "", ["is not a tag like"]),
        ("v1.2.3", "1.2.3", "1.2.2", ["the repository 1.2.2 and 1.2.3"]),
        ("v1.2.4", "1.2.4", "", ["no section `## 1.2.4 - "]),
        ("v1.2", "1.2.3", "", ["is not a tag like", "the tag says 1.2", "no section"]),
    ],
)
def test_what_keeps_a_tag_from_being_released(
    tag: str, version: str, chart: str, said: list[str], tmp_path: Path
) -> None:
    """A tag that the repository does not bear out is refused before anything is built, with every reason."""
    problems = release.problems(released(tmp_path, version, chart), tag)
    assert len(problems) == len(said)
    assert all(word in problem for word, problem in zip(said, problems, strict=True))
