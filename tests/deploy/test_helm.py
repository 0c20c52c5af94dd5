"""The chart: valid for Kubernetes, hardened, and in step with what it ships."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

import exporter
from exporter import config
from exporter.fields import SecretSource
from exporter.providers import found

from .chart import CHART, NAMESPACE, Manifest, helm, manifests, only, pod, rendered, values
from .tools import ROOT, accepts, library, program

CASES = {"defaults": {}, **{path.stem: values(path) for path in sorted((CHART / "ci").glob("*-values.yaml"))}}
OPERATOR = "monitoring.coreos.com/v1"
OLDEST = "1.25.0"

case = pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())


def account(**fields: Any) -> dict[str, Any]:
    """Return values that watch one stream of one account."""
    accounts = [{"name": "main", "provider": "tencent", **fields}]
    return {"config": {"accounts": accounts, "streams": [{"name": "a", "account": "main", "domain": "d.example"}]}}


def groups(given: dict[str, Any]) -> list[Manifest]:
    """Return the rule groups that these values render."""
    found_groups: list[Manifest] = only("PrometheusRule", manifests(given))["spec"]["groups"]
    return found_groups


def names(rule_groups: list[Manifest]) -> list[str]:
    """Return the names of all alerts and records of some groups."""
    return [rule.get("alert") or rule["record"] for group in rule_groups for rule in group["rules"]]


def shipped_rules() -> list[Manifest]:
    """Return the groups of the shipped rules."""
    shipped: list[Manifest] = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8"))[
        "groups"
    ]
    return shipped


@case
def test_lint(given: dict[str, Any]) -> None:
    """Helm's linter has nothing above a hint to say."""
    report = helm().lint(CHART, given, strict=True)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@case
def test_manifests_are_valid(given: dict[str, Any]) -> None:
    """Kubernetes knows every field, from the oldest release that the chart claims to the newest."""
    kubernetes = library("kubernetes_validate", "pip install kubernetes-validate")
    own = [manifest for manifest in manifests(given) if manifest["apiVersion"] != OPERATOR]
    assert {"Deployment", "Service"} <= {manifest["kind"] for manifest in own}
    for version in (OLDEST, kubernetes.latest_version()):
        for manifest in own:
            kubernetes.validate(manifest, version, strict=True)


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
    container = spec["containers"][0]
    assert container["securityContext"] == {
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
        only("Deployment", everything)["spec"]["selector"]["matchLabels"],
        only("Service", everything)["spec"]["selector"],
    ]
    for manifest in everything:
        if manifest["kind"] == "PodDisruptionBudget":
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


def test_probes() -> None:
    """Liveness and readiness ask the paths of the public face on the named port."""
    [container] = pod({})["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": "http"}
    assert container["ports"] == [{"name": "http", "containerPort": 10180, "protocol": "TCP"}]


def test_one_replica_at_a_time() -> None:
    """By default two pods never overlap, not even during an update: ZEGO's Sequence has one writer."""
    spec = only("Deployment", manifests({}))["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("given", "words"),
    [({}, "NOTHING IS WATCHED"), ({"replicas": 2}, "WARNING: 2 replicas"), ({"demo": True}, "This is the demo")],
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
    [container] = pod({"demo": True})["spec"]["containers"]
    assert container["args"] == ["demo", "--web.listen-address=:10180"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert "ConfigMap" not in {manifest["kind"] for manifest in manifests({"demo": True})}


def test_configuration_arrives() -> None:
    """The file that the pod is told to read holds the given configuration, the further streams beside it."""
    given = CASES["accounts-values"]
    [written, _] = [manifest for manifest in manifests(given) if manifest["kind"] == "ConfigMap"]
    template = pod(given)["spec"]
    [volume] = [volume["configMap"] for volume in template["volumes"] if volume["name"] == "config"]
    assert volume["name"] == written["metadata"]["name"]
    paths = {item["path"]: yaml.safe_load(written["data"][item["key"]]) for item in volume["items"]}
    assert paths == {"stream-exporter.yml": given["config"], "streams.d/rtc.yml": given["streamFiles"]["rtc.yml"]}
    assert "--config.file=/etc/stream-exporter/stream-exporter.yml" in template["containers"][0]["args"]


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
    loaded = config.load(tmp_path / "stream-exporter.yml", found(), {"ZEGO_SERVER_SECRET": "0" * 32})
    assert [stream.name for stream in loaded.streams] == ["arena-1", "rtc01", "rtc02"]


def test_restart_on_change() -> None:
    """A changed configuration changes the pod, anything else does not."""

    def checksum(given: dict[str, Any]) -> str | None:
        annotations: dict[str, str] = pod(given)["metadata"].get("annotations", {})
        return annotations.get("checksum/config")

    before = account(secret_key_env="A")
    assert checksum(before) is not None
    assert checksum(before) == checksum({**deepcopy(before), "commonLabels": {"team": "video"}})
    assert checksum(before) != checksum(account(secret_key_env="B"))
    assert checksum(before) != checksum({**before, "streamFiles": {"more.yml": [{"name": "b", "account": "main"}]}})
    assert checksum({**before, "restartOnConfigChange": False}) is None


def secret_fields() -> list[str]:
    """Return the secret fields of all providers' accounts."""
    fields = [field for provider in found().values() for field in provider.account.model_fields.items()]
    return sorted({name for name, field in fields if field.annotation == SecretSource | None})


def test_plain_secrets_are_refused() -> None:
    """No secret field of any provider can be written into the ConfigMap, and the refusal does not repeat its value."""
    fields = secret_fields()
    assert {"server_secret", "secret_key", "access_key_secret", "secret_access_key"} <= set(fields)
    for field in fields:
        assert rendered(account(**{f"{field}_file": "/run/secrets/stream-exporter/x"}))
        with pytest.raises(helm().HelmRenderError, match=f"give {field}_file or {field}_env") as refusal:
            rendered(account(**{field: "hush-hush"}))
        assert "hush-hush" not in str(refusal.value)


HUSH = "hush0Hush1HUSH2"


def nested(**fields: Any) -> list[dict[str, Any]]:
    """Return values with the fields in an account, deeper in it, in a stream and in a further file of streams."""
    stream = {"name": "b", "account": "main", "domain": "d.example"}
    return [
        account(**fields),
        account(http=fields),
        account(playback=[{"name": "x", "deep": [fields]}]),
        {**account(), "config": {**account()["config"], "streams": [{**stream, **fields}]}},
        {**account(), "config": {**account()["config"], "scrape": fields}},
        {**account(), "streamFiles": {"more.yml": [{**stream, **fields}]}},
        {**account(), "streamFiles": {"more.yml": [{**stream, "labels": fields}]}},
    ]


LEAKS: dict[str, dict[str, Any]] = {
    "capitals": {"SECRET_KEY": HUSH},
    "mixed case": {"Secret_Key": HUSH},
    "camel case": {"secretKey": HUSH},
    "a dash": {"secret-key": HUSH},
    "a number": {"TOKEN": 20240101},
    "a list": {"token": [HUSH]},
    "a mapping": {"password": {"value": HUSH}},
    "a misspelt key": {"secret_keyy": HUSH},
    "a key of no provider": {"my_password": HUSH},
    "user and password": {"endpoint": f"https://user:{HUSH}@host.example"},
    "a user alone": {"endpoint": f"https://{HUSH}@host.example"},
    "an address in capitals": {"endpoint": f"HTTPS://USER:{HUSH}@HOST.EXAMPLE"},
    "a proxy": {"proxy_url": f"http://user:{HUSH}@proxy.example:3128"},
    "a proxy without a scheme": {"proxy_url": f"user:{HUSH}@proxy.example:3128"},
    "a store": {"url": f"redis://:{HUSH}@cache:6379/0"},
    "a push address": {"stream": f"rtmp://d.example/live/a?txSecret={HUSH}&txTime=6F000000"},
    "a stream with its key": {"stream": f"a?auth_key={HUSH}"},
    "a playback address": {"url": f"https://cdn.example/a.m3u8?token={HUSH}"},
    "a variable that is none": {"secret_key_env": f"{HUSH}/+="},
    "a file that is none": {"secret_key_file": HUSH},
    "a private key": {"key": f"-----BEGIN PRIVATE KEY-----\n{HUSH}\n"},
    "an access key": {"region": f"AKID{HUSH}"},
    "an access key as a key": {f"LTAI{HUSH}": None},
}  # fmt: skip


@pytest.mark.parametrize("fields", LEAKS.values(), ids=LEAKS.keys())
def test_no_secret_reaches_a_config_map(fields: dict[str, Any]) -> None:
    """Whatever its key is called and wherever it stands, a secret stops the rendering and is not repeated."""
    for given in nested(**fields):
        with pytest.raises(helm().HelmRenderError, match="config becomes a ConfigMap") as refusal:
            rendered(given)
        assert HUSH not in str(refusal.value)


def test_what_only_looks_like_a_secret_is_rendered() -> None:
    """Names of files, of variables and of streams, plain addresses and everything else stay possible."""
    for fields in (
        {"secret_key_env": "TENCENT_KEY", "secret_id_file": "/run/secrets/stream-exporter/id"},
        {"token_file": "/var/run/token", "endpoint": "http://proxy.example:8080/", "region": "ap-guangzhou"},
        {"labels": {"team": "esports", "keyframe": "2s", "mail": "ops@example.org"}},
        {"stream": "arena-1_main:0", "app": "live", "url": "https://cdn.example/a.m3u8?session=1"},
        {"quota": {"DescribeLiveStreamState": 100}, "tls_config": {"ca_file": "/etc/ca.pem", "key_file": "/etc/key"}},
    ):
        assert rendered(account(**fields))["configmap.yaml"]


@pytest.mark.parametrize(
    "given",
    [
        {"extraArg": []},
        {"image": {"tags": "1"}},
        {"replicas": -1},
        {"serviceMonitor": {"interval": "15"}},
        {"extraArgs": ["-x"]},
    ],
    ids=str,
)
def test_misspelt_values_are_refused(given: dict[str, Any]) -> None:
    """The schema of the values catches what would otherwise be ignored."""
    with pytest.raises(helm().HelmValuesError):
        rendered(given)


def test_schema_knows_every_value() -> None:
    """Schema and values.yaml name the same values."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]) - {"global"} == set(values(CHART / "values.yaml"))


def test_versions() -> None:
    """The chart installs the version of the exporter that it lies beside."""
    chart = values(CHART / "Chart.yaml")
    assert chart["appVersion"] == exporter.__version__
    [container] = pod({})["spec"]["containers"]
    assert container["image"] == f"stream-exporter:{exporter.__version__}"


def test_service_monitor() -> None:
    """The monitor selects the service and its port, and gives the job by which rules and dashboards select."""
    everything = manifests(CASES["demo-values"])
    monitor, service = only("ServiceMonitor", everything), only("Service", everything)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    shipped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    [job] = [scrape["job_name"] for scrape in shipped["scrape_configs"]]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]


def test_service_monitor_fields() -> None:
    """Every field of an endpoint is one that Prometheus Operator knows: no schema here would find a misspelt one."""
    [endpoint] = only("ServiceMonitor", manifests(CASES["accounts-values"]))["spec"]["endpoints"]
    transport = {"port", "path", "scheme", "tlsConfig", "basicAuth", "interval", "scrapeTimeout"}
    assert set(endpoint) == transport | {"relabelings", "metricRelabelings"}


def test_rules_are_the_shipped_ones() -> None:
    """The PrometheusRule holds the shipped rules unchanged."""
    assert groups({"prometheusRule": {"enabled": True}}) == shipped_rules()


def test_rules_can_be_left_out_and_added() -> None:
    """A rule named in `disabled` is left out, groups of one's own are added, nothing else changes."""
    wanted = [name for name in names(shipped_rules()) if name != "StreamFlapping"]
    assert names(groups(CASES["demo-values"])) == [*wanted, "TooFewStreams"]


def test_promtool(tmp_path: Path) -> None:
    """Prometheus accepts the rendered rules."""
    promtool = program("promtool", "apt-get install prometheus")
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": groups(CASES["demo-values"])}), encoding="utf-8")
    said = accepts(promtool, "check", "rules", file)
    assert f"{len(names(shipped_rules()))} rules found" in said


@pytest.mark.parametrize(
    ("source", "copies"),
    [(ROOT / "deploy" / "prometheus", "rules.yml"), (ROOT / "grafana" / "dashboards", "dashboards/*.json")],
    ids=["rules", "dashboards"],
)
def test_copies_are_fresh(source: Path, copies: str) -> None:
    """The chart carries the shipped rules and dashboards; renew: python deploy/helm/stream-exporter/sync.py."""
    shipped = {path.name: path.read_bytes() for path in source.glob(Path(copies).name)}
    assert {path.name: path.read_bytes() for path in (CHART / "files").glob(copies)} == shipped


def test_dashboards() -> None:
    """The sidecar finds every shipped dashboard under its file name, each small enough for client-side apply."""
    folder = ROOT / "grafana" / "dashboards"
    shipped = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    assert shipped
    maps = [manifest for manifest in manifests(CASES["demo-values"]) if manifest["kind"] == "ConfigMap"]
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in maps} == {"1"}
    found_dashboards = {name: text for one in maps for name, text in one["data"].items()}
    assert {name: json.loads(text) for name, text in found_dashboards.items()} == shipped
    assert max(len(json.dumps(one)) for one in maps) < 256 * 1024
