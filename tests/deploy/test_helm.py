"""The chart as a whole: valid for Kubernetes, hardened, and carrying its configuration."""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from packaging.version import Version
from referencing import Registry, Resource

from exporter import config
from exporter.providers import all_providers

from . import crds
from .chart import (
    CASES,
    CHART,
    account,
    case,
    container,
    helm,
    manifests,
    one,
    pod,
    rendered,
    values,
    workload,
)
from .tools import library

OLDEST = "1.25.0"
STRICT = "kubernetes-json-schema/v{}-local-strict"
FOREIGN = ("monitoring.coreos.com", "gateway.networking.k8s.io", "autoscaling.k8s.io")


def kubernetes() -> Any:
    """Return the schemas of Kubernetes' releases."""
    return library("kubernetes_validate", "pip install kubernetes-validate").utils


@cache
def definitions(version: str) -> Resource[Any]:
    """Return what the schemas of a release refer to."""
    return Resource.from_contents(kubernetes().schema_contents(f"{STRICT.format(version)}/_definitions.json", version))


@cache
def validator(kind: str, api: str, version: str) -> Draft202012Validator:
    """Return what judges a kind of manifest strictly, as kubernetes_validate does, which reads all files anew."""
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    schema = kubernetes().schema_contents(f"{STRICT.format(version)}/{kind.lower()}-{short}.json", version)
    own: Registry[Any] = Resource.from_contents(schema) @ Registry()
    return Draft202012Validator(schema, registry=definitions(version) @ own)


@case
def test_lint(given: dict[str, Any]) -> None:
    """Helm's linter has nothing above a hint to say."""
    report = helm().lint(CHART, given, strict=True)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@case
def test_manifests_are_valid(given: dict[str, Any]) -> None:
    """The oldest release of Kubernetes that the chart claims, and all from 1.29 to the newest, know every field."""
    versions = sorted({OLDEST, *kubernetes().all_versions()}, key=Version)
    newer = versions[versions.index("1.29.0") :]
    everything = manifests(given)
    own = [manifest for manifest in everything if not manifest["apiVersion"].startswith(FOREIGN)]
    assert {workload(everything)["kind"], "Service"} <= {manifest["kind"] for manifest in own}
    for version in (OLDEST, *newer):
        for manifest in own:
            validator(manifest["kind"], manifest["apiVersion"], version).validate(manifest)


@case
def test_custom_resources_are_valid(given: dict[str, Any]) -> None:
    """Prometheus Operator, the Gateway API and the Vertical Pod Autoscaler know every field of their resources."""
    for manifest in manifests(given):
        if manifest["apiVersion"].startswith(FOREIGN):
            assert crds.problems(manifest) == []


def test_every_kind_is_validated() -> None:
    """Between them, the sets of values render every kind of resource that the chart has a template for."""
    kinds = {manifest["kind"] for given in CASES.values() for manifest in manifests(given)}
    assert kinds >= {path.name.partition("-")[0] for path in crds.SCHEMAS.glob("*.json")}
    assert kinds >= {"Deployment", "StatefulSet", "Service", "ServiceAccount", "ConfigMap", "Secret", "Ingress"}
    assert kinds >= {"NetworkPolicy", "PodDisruptionBudget"}


@pytest.mark.parametrize("wrong", [{"interval": "15"}, {"intervals": "15s"}, {"scheme": 1}], ids=str)
def test_custom_resources_can_be_invalid(wrong: dict[str, Any]) -> None:
    """A field that is misspelt or has a wrong value does not pass as a custom resource."""
    monitor = one("ServiceMonitor", CASES["demo-values"])
    assert crds.problems(monitor) == []
    monitor["spec"]["endpoints"][0].update(wrong)
    assert crds.problems(monitor) != []


def test_oldest_release_is_the_promised_one() -> None:
    """The release that the manifests are held to is the one that Chart.yaml promises."""
    assert values(CHART / "Chart.yaml")["kubeVersion"] == f">={OLDEST}-0"


@case
def test_restricted(given: dict[str, Any]) -> None:
    """The pod fits the restricted Pod Security Standard, cannot write to its root and holds no token."""
    spec = pod(given)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(given)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@case
def test_selectors(given: dict[str, Any]) -> None:
    """All that selects the pod selects by labels that it has, and by none that an upgrade changes."""
    everything = manifests(given)
    labels = pod(given)["metadata"]["labels"]
    selectors = [
        workload(everything)["spec"]["selector"]["matchLabels"],
        *(manifest["spec"]["selector"] for manifest in everything if manifest["kind"] == "Service"),
    ]
    for manifest in everything:
        if manifest["kind"] in ("PodDisruptionBudget", "PodMonitor"):
            selectors.append(manifest["spec"]["selector"]["matchLabels"])
        if manifest["kind"] == "NetworkPolicy":
            selectors.append(manifest["spec"]["podSelector"]["matchLabels"])
    assert all(selector == selectors[0] for selector in selectors)
    assert selectors[0].items() <= labels.items()
    assert set(selectors[0]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}


@case
def test_mounts_have_volumes(given: dict[str, Any]) -> None:
    """Each mount has its volume, and no volume is left over or named twice."""
    spec = pod(given)["spec"]
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(set(volumes)) == len(volumes)
    assert {mount["name"] for mount in spec["containers"][0]["volumeMounts"]} == set(volumes)


def test_one_replica_at_a_time() -> None:
    """By default two pods never overlap, not even during an update: ZEGO's Sequence has one writer."""
    spec = one("Deployment", {})["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "NOTHING IS WATCHED"),
        ({"replicas": 2}, "WARNING: 2 replicas"),
        ({"shards": 2}, "_http._tcp.streams-stream-exporter-headless.monitoring.svc"),
        ({"demo": True}, "This is the demo"),
        ({"prometheusRule": {"enabled": True}}, "examples/alertmanager-values.yaml"),
    ],
)
def test_notes(given: dict[str, Any], words: str) -> None:
    """Whoever installs it is told what would otherwise be found out late."""
    assert words in rendered(given)["NOTES.txt"]


def test_switches_are_off() -> None:
    """The default installs nothing that needs custom resources, and no policy that could cut anybody off."""
    kinds = sorted(manifest["kind"] for manifest in manifests({}))
    assert kinds == ["ConfigMap", "Deployment", "Service", "ServiceAccount"]


def test_demo_reads_no_file() -> None:
    """The demo starts the demo, with neither a configuration nor a volume for it."""
    demo = container({"demo": True})
    assert demo["args"] == ["demo", "--web.listen-address=:10180"]
    assert [mount["mountPath"] for mount in demo["volumeMounts"]] == ["/tmp"]
    assert "ConfigMap" not in {manifest["kind"] for manifest in manifests({"demo": True})}


def test_configuration_arrives() -> None:
    """The file that the pod is told to read holds the given configuration, the further streams beside it."""
    given = CASES["accounts-values"]
    [written] = [manifest for manifest in manifests(given) if "stream-exporter.yml" in manifest.get("data", {})]
    [volume] = [volume["configMap"] for volume in pod(given)["spec"]["volumes"] if volume["name"] == "config"]
    assert volume["name"] == written["metadata"]["name"]
    paths = {item["path"]: written["data"][item["key"]] for item in volume["items"]}
    assert yaml.safe_load(paths.pop("stream-exporter.yml")) == given["config"]
    assert yaml.safe_load(paths.pop("streams.d/rtc.yml")) == given["streamFiles"]["rtc.yml"]
    assert paths == {}
    assert "--config.file=/etc/stream-exporter/stream-exporter.yml" in container(given)["args"]


def test_inventory_arrives() -> None:
    """A file of streams in CSV arrives as it is."""
    text = "name,account\na,main\n"
    data = one("ConfigMap", {**account(), "streamFiles": {"inventory.csv": text}})["data"]
    assert data["inventory.csv"] == text


def test_exporter_accepts_the_configuration(tmp_path: Path) -> None:
    """What lands in the pod is a configuration that the exporter starts with."""
    given = CASES["accounts-values"]
    [data] = [one["data"] for one in manifests(given) if "stream-exporter.yml" in one.get("data", {})]
    [volume] = [volume["configMap"] for volume in pod(given)["spec"]["volumes"] if volume["name"] == "config"]
    for secret in ("tencent-secret-id", "tencent-secret-key"):
        (tmp_path / secret).write_text("hush-hush", encoding="utf-8")
    for item in volume["items"]:
        file = tmp_path / item["path"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(data[item["key"]].replace("/run/secrets/stream-exporter", str(tmp_path)), encoding="utf-8")
    loaded = config.load(tmp_path / "stream-exporter.yml", all_providers(), {"ZEGO_SERVER_SECRET": "0" * 32})
    assert [stream.name for stream in loaded.streams] == ["arena-1", "rtc01", "rtc02"]


def test_restart_on_change() -> None:
    """A changed configuration changes the pod, anything else does not."""

    def checksum(given: dict[str, Any], name: str = "config") -> str | None:
        annotations: dict[str, str] = pod(given)["metadata"].get("annotations", {})
        return annotations.get(f"checksum/{name}")

    before = account(secret_key_env="A")
    assert checksum(before) is not None
    assert checksum(before) == checksum({**deepcopy(before), "commonLabels": {"team": "video"}})
    assert checksum(before) != checksum(account(secret_key_env="B"))
    assert checksum(before) != checksum({**before, "streamFiles": {"more.yml": [{"name": "b", "account": "main"}]}})
    assert checksum({**before, "restartOnConfigChange": False}) is None
    web = [{**before, "webConfig": {"config": {"basic_auth_users": {"a": text}}}} for text in ("$2y$1", "$2y$2")]
    assert checksum(web[0], "web-config") != checksum(web[1], "web-config")
    assert checksum({**web[0], "restartOnConfigChange": False}, "web-config") is None
