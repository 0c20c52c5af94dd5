"""The values of the chart: each is known, documented, strict, and arrives where it belongs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import exporter
from docs.generate_chart import chart_values, generated, schema_of
from exporter.config.schema import schema as configuration_schema
from exporter.providers import all_providers

from . import crds
from .chart import CHART, container, helm, manifests, one, only, pod, refusal, rendered, values
from .tools import ROOT

NAME = "streams-stream-exporter"
GENERAL = ("ConfigMap", "Deployment", "ServiceAccount")
"""Kinds that only have the labels of all, where they have the name of the release."""


def test_labels_are_merged() -> None:
    """A label given twice stands there once: the more special wins, and none that selects the pod can be changed."""
    own = {"team": "special", "app.kubernetes.io/name": "other", "app.kubernetes.io/version": "mine"}
    given = {
        "commonLabels": {"team": "common", "app.kubernetes.io/instance": "other", "helm.sh/chart": "mine"},
        "podLabels": own,
        "podAnnotations": {"checksum/config": "mine"},
        "service": {"labels": own},
        **{kind: {"enabled": True, "additionalLabels": own} for kind in ("serviceMonitor", "prometheusRule")},
        "alertmanagerConfig": {"enabled": True, "additionalLabels": own},
        "dashboards": {"enabled": True, "labels": own},
        "ingress": {"enabled": True, "hosts": ["a.example"], "labels": own},
    }
    everything = manifests(given)
    pods = [{"kind": "Pod", **only("Deployment", everything)["spec"]["template"]}]
    for manifest in everything + pods:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "stream-exporter"
        assert labels["app.kubernetes.io/instance"] == "streams"
        assert labels["helm.sh/chart"] == "mine"
        general = manifest["metadata"].get("name") == NAME and manifest["kind"] in GENERAL
        assert labels["team"] == ("common" if general else "special")
        assert labels["app.kubernetes.io/version"] == (exporter.__version__ if general else "mine")
    assert pods[0]["metadata"]["annotations"]["checksum/config"] == "mine"


def test_stateful_set() -> None:
    """A StatefulSet runs the same pod, under a service that exists, and is what the autoscaler aims at."""
    update = {"podManagementPolicy": "OrderedReady", "updateStrategy": {"type": "OnDelete"}}
    given = {"kind": "StatefulSet", "replicas": 3, "verticalPodAutoscaler": {"enabled": True}, **update}
    everything = manifests(given)
    spec = only("StatefulSet", everything)["spec"]
    [headless] = [one for one in everything if one["kind"] == "Service" and one["spec"].get("clusterIP") == "None"]
    assert spec["serviceName"] == headless["metadata"]["name"]
    assert spec["replicas"] == 3
    assert update.items() <= spec.items()
    assert "strategy" not in spec
    assert spec["template"] == pod({})
    assert only("VerticalPodAutoscaler", everything)["spec"]["targetRef"]["kind"] == "StatefulSet"


def test_pod_fields() -> None:
    """What is given for the pod and its container arrives there, and host networking keeps the cluster's names."""
    hook = {"preStop": {"sleep": {"seconds": 5}}}
    given = {"hostNetwork": True, "priorityClassName": "high", "lifecycle": hook, "nodeSelector": {"a": "true"}}
    spec = pod(given)["spec"]
    assert spec["hostNetwork"] is True
    assert spec["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert spec["priorityClassName"] == "high"
    assert spec["nodeSelector"] == {"a": "true"}
    assert container(given)["lifecycle"] == hook
    assert "hostNetwork" not in pod({})["spec"]
    assert pod({**given, "dnsPolicy": "Default"})["spec"]["dnsPolicy"] == "Default"


def test_service() -> None:
    """Port of the nodes and families of addresses arrive; a port for a service without one on the nodes is refused."""
    families = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    spec = one("Service", {"service": {"type": "NodePort", "nodePort": 30180, **families}})["spec"]
    assert spec["ports"] == [
        {"name": "http", "port": 10180, "targetPort": "http", "protocol": "TCP", "nodePort": 30180}
    ]
    assert families.items() <= spec.items()
    assert "service.type must be NodePort or LoadBalancer" in refusal({"service": {"nodePort": 30180}})


@pytest.mark.parametrize(
    ("image", "everywhere", "wanted"),
    [
        ({}, "", "stream-exporter:{version}"),
        ({"registry": "own.example", "tag": "x"}, "", "own.example/stream-exporter:x"),
        ({"registry": "own.example"}, "mirror.example", "mirror.example/stream-exporter:{version}"),
    ],
)
def test_image(image: dict[str, str], everywhere: str, wanted: str) -> None:
    """The chart installs the version that it lies beside; the registry of all images wins over that of this one."""
    given = {"image": image, "global": {"imageRegistry": everywhere}}
    assert container(given)["image"] == wanted.format(version=exporter.__version__)
    assert values(CHART / "Chart.yaml")["appVersion"] == exporter.__version__


@pytest.mark.parametrize(
    "given",
    [
        {"extraArg": []},
        {"image": {"tags": "1"}},
        {"replicas": -1},
        {"shards": 0},
        {"shards": 1025},
        {"store": {"url": "cache:6379"}},
        {"kind": "DaemonSet"},
        {"serviceMonitor": {"interval": "15"}},
        {"podMonitor": {"intervall": "15s"}},
        {"extraArgs": ["-x"]},
        {"webConfig": {"tlsSecrets": "a"}},
        {"livenessProbe": {"periodSecond": 1}},
        {"config": {"account": []}},
        {"routePrefix": "streams"},
        {"prometheusRule": {"infoLabels": ["a-b"]}},
        {"prometheusRule": {"infoLabels": ["alertname"]}},
        {"prometheusRule": {"severityLabel": "__name__"}},
        {"prometheusRule": {"job": ""}},
        {"service": {"ipFamilies": ["IPv5"]}},
        {"verticalPodAutoscaler": {"updateMode": "On"}},
    ],
    ids=str,
)
def test_misspelt_values_are_refused(given: dict[str, Any]) -> None:
    """The schema of the values catches what would otherwise be ignored."""
    with pytest.raises(helm().HelmValuesError):
        rendered(given)


def names(part: dict[str, Any]) -> set[str]:
    """Return the keys that a part of the schema knows; a map of fixed keys must know no others."""
    assert part["additionalProperties"] is False
    return set(part["properties"])


def test_schema_knows_every_value() -> None:
    """Schema and values.yaml name the same values, at every depth, and the schema refuses all others."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = values(CHART / "values.yaml")
    assert names(schema) == set(defaults)
    groups = {value.name.rpartition(".")[0] for value in chart_values()} - {"", "global"}
    assert {"networkPolicy.egress", "serviceMonitor", "webConfig"} <= groups
    for group in groups:
        inner = defaults
        for key in group.split("."):
            inner = inner[key]
        part = schema_of(schema, group)
        assert names(schema["definitions"]["monitor"] if "$ref" in part else part) == set(inner), group


def test_schema_knows_the_configuration() -> None:
    """The values take every key that the exporter's configuration has at its top."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(configuration_schema(all_providers())["properties"]) <= names(schema_of(schema, "config"))


@pytest.mark.parametrize("page", [CHART / "README.md", ROOT / "docs/deployment.md"], ids=lambda page: page.name)
def test_examples_render(page: Path) -> None:
    """Each example of values in the documents renders, as does each of them together with the others."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    known = values(CHART / "values.yaml")
    examples = [example for example in map(yaml.safe_load, blocks) if set(example) <= set(known)]
    assert len(examples) >= 2
    together: dict[str, Any] = {}
    for example in examples:
        together |= example
        assert manifests(example)
    for manifest in manifests(together):
        assert not manifest["apiVersion"].startswith("monitoring") or crds.problems(manifest) == []


def test_readme_lists_every_value() -> None:
    """The README's table is fresh (renew: python -m docs.generate), and says of every value what it is for."""
    assert [value.name for value in chart_values() if not value.purpose] == []
    assert [path.name for path, text in generated().items() if path.read_text(encoding="utf-8") != text] == []
