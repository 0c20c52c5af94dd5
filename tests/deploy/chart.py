"""The chart through Helm's own library: lint, and rendered manifests as plain values."""

import json
from collections import Counter
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from .tools import ROOT, library

CHART = ROOT / "deploy" / "helm" / "stream-exporter"
NAMESPACE = "monitoring"
RELEASE = "streams"
WORKLOADS = ("Deployment", "StatefulSet")

Manifest = dict[str, Any]


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that stands in a map twice, as Kubernetes' own clients do."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the map of a node whose keys are all different."""
        counted = Counter(self.construct_object(key, deep=True) for key, _ in node.value)
        twice = [key for key, count in counted.items() if count > 1]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice in one map: {twice}", node.start_mark)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def helm() -> Any:
    """Return Helm as a library."""
    return library("helm_python", "pip install helm-python-sdk")


def values(path: Path) -> dict[str, Any]:
    """Return one file of values."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


CASES = {"defaults": {}, **{path.stem: values(path) for path in sorted((CHART / "ci").glob("*-values.yaml"))}}
"""Sets of values, each to be rendered and judged as a whole."""

case = pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())


def account(**fields: Any) -> dict[str, Any]:
    """Return values that watch one stream of one account."""
    accounts = [{"name": "main", "provider": "tencent", **fields}]
    return {"config": {"accounts": accounts, "streams": [{"name": "a", "account": "main", "domain": "d.example"}]}}


def rendered(given: dict[str, Any]) -> Mapping[str, str]:
    """Return what `helm template` makes of these values, text by the name of the template."""
    return _rendered(json.dumps(given))


@cache
def _rendered(given: str) -> Mapping[str, str]:
    with helm().Chart.load(CHART) as chart:
        texts: dict[str, str] = chart.render(json.loads(given), name=RELEASE, namespace=NAMESPACE)
    return MappingProxyType({Path(name).name: text for name, text in texts.items()})


def refusal(given: dict[str, Any]) -> str:
    """Return the words with which the chart refuses these values."""
    with pytest.raises(helm().HelmRenderError) as refused:
        rendered(given)
    return str(refused.value)


def manifests(given: dict[str, Any]) -> list[Manifest]:
    """Return every manifest that these values render."""
    texts = [text for name, text in rendered(given).items() if name != "NOTES.txt"]
    return [manifest for text in texts for manifest in yaml.load_all(text, Loader) if manifest]


def only(kind: str, found: list[Manifest]) -> Manifest:
    """Return the one manifest of a kind."""
    [manifest] = [manifest for manifest in found if manifest["kind"] == kind]
    return manifest


def one(kind: str, given: dict[str, Any]) -> Manifest:
    """Return the one manifest of a kind that these values render."""
    return only(kind, manifests(given))


def workload(found: list[Manifest]) -> Manifest:
    """Return what runs the pods."""
    [manifest] = [manifest for manifest in found if manifest["kind"] in WORKLOADS]
    return manifest


def pod(given: dict[str, Any]) -> Manifest:
    """Return the template of the pod."""
    template: Manifest = workload(manifests(given))["spec"]["template"]
    return template


def container(given: dict[str, Any]) -> Manifest:
    """Return the container of the exporter."""
    first: Manifest = pod(given)["spec"]["containers"][0]
    return first
