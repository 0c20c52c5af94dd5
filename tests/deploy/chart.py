"""The chart through Helm's own library: lint, and rendered manifests as plain values."""

from pathlib import Path
from typing import Any

import yaml

from .tools import ROOT, library

CHART = ROOT / "deploy" / "helm" / "stream-exporter"
NAMESPACE = "monitoring"
RELEASE = "streams"

Manifest = dict[str, Any]


def helm() -> Any:
    """Return Helm as a library."""
    return library("helm_python", "pip install helm-python-sdk")


def values(path: Path) -> dict[str, Any]:
    """Return one file of values."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def rendered(given: dict[str, Any]) -> dict[str, str]:
    """Return what `helm template` makes of these values, text by the name of the template."""
    with helm().Chart.load(CHART) as chart:
        texts: dict[str, str] = chart.render(given, name=RELEASE, namespace=NAMESPACE)
    return {Path(name).name: text for name, text in texts.items()}


def manifests(given: dict[str, Any]) -> list[Manifest]:
    """Return every manifest that these values render."""
    texts = [text for name, text in rendered(given).items() if name != "NOTES.txt"]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]


def only(kind: str, found: list[Manifest]) -> Manifest:
    """Return the one manifest of a kind."""
    [manifest] = [manifest for manifest in found if manifest["kind"] == kind]
    return manifest


def pod(given: dict[str, Any]) -> Manifest:
    """Return the pod template of the deployment."""
    template: Manifest = only("Deployment", manifests(given))["spec"]["template"]
    return template
