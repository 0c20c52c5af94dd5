"""Several pods of the chart: shards, each told which it is, and replicas that share a store."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from exporter.config.document import Document
from exporter.config.findings import Findings
from exporter.config.shards import Shard, Shards

from .chart import CASES, account, container, manifests, one, only, pod, refusal, rendered, workload

STORE = {"store": {"url": "redis://cache:6379/0"}}
NAME = "streams-stream-exporter"


def expanded(given: dict[str, Any], name: str) -> dict[str, str]:
    """Return the environment of the container in a pod of this name, as the kubelet makes it."""
    found: dict[str, str] = {}
    for variable in container(given).get("env", []):
        if variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") == "metadata.name":
            found[variable["name"]] = name
        else:
            found[variable["name"]] = variable.get("value", "").replace("$(POD_NAME)", found.get("POD_NAME", ""))
    return found


def test_each_pod_knows_its_shard() -> None:
    """The exporter reads the number of its pod out of the environment, and there are as many pods as shards."""
    given = {**account(), "shards": 12}
    found = workload(manifests(given))
    assert (found["kind"], found["spec"]["replicas"]) == ("StatefulSet", 12)
    shards = []
    for number in range(12):
        environ = expanded(given, f"{found['metadata']['name']}-{number}")
        shards.append(Shards(Findings(Document("c.yml"), lambda _: b""), environ, "node-1", whole=False).read({}))
    assert shards == [Shard(number, 12) for number in range(12)]
    assert "env" not in container(account())


def test_pods_of_shards_have_names_and_nodes_of_their_own() -> None:
    """A headless Service gives each pod its name, and pods go to different nodes where they can; values win."""
    everything = manifests({**account(), "shards": 3})
    services = {one["metadata"]["name"]: one for one in everything if one["kind"] == "Service"}
    assert services.keys() == {NAME, f"{NAME}-headless"}
    assert services[f"{NAME}-headless"]["spec"]["clusterIP"] == "None"
    assert only("StatefulSet", everything)["spec"]["serviceName"] == f"{NAME}-headless"
    [term] = pod({"shards": 3})["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == services[NAME]["spec"]["selector"]
    assert pod({"shards": 3, "affinity": {"nodeAffinity": {}}})["spec"]["affinity"] == {"nodeAffinity": {}}
    assert "affinity" not in pod({"kind": "StatefulSet", "replicas": 3})["spec"]


def test_no_pod_is_scraped_twice() -> None:
    """The ServiceMonitor leaves the headless Service out, by a label that the other one lacks."""
    everything = manifests({"shards": 3, "serviceMonitor": {"enabled": True}})
    [rule] = only("ServiceMonitor", everything)["spec"]["selector"]["matchExpressions"]
    services = [one["metadata"]["labels"].get(rule["key"]) for one in everything if one["kind"] == "Service"]
    assert rule["operator"] == "NotIn"
    assert sorted(label in rule["values"] for label in services) == [False, True]


def test_a_long_name_fits_the_headless_service() -> None:
    """No name of a Service is longer than a DNS label may be."""
    everything = manifests({"shards": 2, "fullnameOverride": "a" * 63})
    names = [one["metadata"]["name"] for one in everything if one["kind"] == "Service"]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 63


def test_replicas_with_a_store_are_a_stateful_set_that_is_told_of_it() -> None:
    """The store's address and the number of pods land in the configuration, and nobody warns of the replicas."""
    given = {**account(), "replicas": 2, **STORE}
    assert workload(manifests(given))["kind"] == "StatefulSet"
    written = yaml.safe_load(one("ConfigMap", given)["data"]["stream-exporter.yml"])
    assert written == {**given["config"], "store": {"url": "redis://cache:6379/0", "replicas": 2}}
    assert "WARNING" not in rendered(given)["NOTES.txt"]
    assert "STREAM_EXPORTER_SHARD" not in expanded(given, "any-0")


def test_the_address_of_the_store_may_be_secret() -> None:
    """A Secret is mounted as a file, and the configuration names that file; shards are counted as pods."""
    given = CASES["shards-values"]
    written = yaml.safe_load(one("ConfigMap", given)["data"]["stream-exporter.yml"])
    path = "/run/secrets/stream-exporter-store"
    assert written["store"] == {"url_file": f"{path}/url", "replicas": 4}
    spec = pod(given)["spec"]
    [mount] = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["mountPath"] == path]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "stream-exporter-store"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shards": 2, "replicas": 2}, "shards: leave replicas at 1"),
        ({"shards": 2, "demo": True}, "shards: the demo has none"),
        ({"store": {"url": "redis://c:6379", "existingSecret": "s"}}, "store: give url or existingSecret, not both"),
        ({**STORE, "config": {"store": {"url": "redis://c:6379"}}}, "store: give it here or in config, not both"),
        ({**STORE, "existingConfigMap": "mine"}, "store: goes into config"),
        ({"store": {"url": "redis://:hush@c:6379"}}, "store: config becomes a ConfigMap"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(given: dict[str, Any], words: str) -> None:
    """Values that do nothing, or put a password into a ConfigMap, stop the installation; no secret is repeated."""
    told = refusal(given)
    assert words in told
    assert "hush" not in told


def test_a_deployment_may_be_scaled_to_zero() -> None:
    """Without shards, replicas mean what they say."""
    assert workload(manifests({"replicas": 0}))["spec"]["replicas"] == 0
