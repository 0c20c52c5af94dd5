"""The chart with a web configuration, a prefix of the paths, and callbacks published."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.commands.options import FLAGS
from exporter.serving.access.reading import ConfigFile
from testbed.processes import exporter
from testbed.provider import NOWHERE, tencent
from testbed.web import fetch

from .chart import CASES, case, container, helm, manifests, one, only, pod, refusal, rendered, workload

TLS: dict[str, Any] = {"tls_server_config": {"cert_file": "tls.crt", "key_file": "tls.key"}}
MUTUAL = {"tls_server_config": {**TLS["tls_server_config"], "client_auth_type": "RequireAndVerifyClientCert"}}
PASSWORDS = {"basic_auth_users": {"prometheus": "$2y$10$hush"}}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def probes(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how the kubelet asks, by each of the probes that there are."""
    found = container({"startupProbe": {"httpGet": {"path": "/-/healthy", "port": "http"}}, **given})
    return [{key: found[name][key] for key in found[name] if key in ("httpGet", "tcpSocket")} for name in PROBES]


def asked(scheme: str | None = None, prefix: str = "") -> list[dict[str, Any]]:
    """Return what all probes are to ask over HTTP."""
    extra = {"scheme": scheme} if scheme else {}
    paths = ("/-/healthy", "/-/ready", "/-/healthy")
    return [{"httpGet": {"path": prefix + path, "port": "http", **extra}} for path in paths]


def test_probes() -> None:
    """Liveness and readiness ask the paths of the public face on the named port."""
    assert probes({}) == asked()
    assert container({})["ports"] == [{"name": "http", "containerPort": 10180, "protocol": "TCP"}]
    assert "startupProbe" not in container({})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"config": PASSWORDS}, asked()),
        ({"config": {**TLS, **PASSWORDS}, "tlsSecret": "web"}, asked("HTTPS")),
        ({"existingSecret": "web"}, asked()),
        ({"existingSecret": "web", "tls": True}, asked("HTTPS")),
        ({"config": MUTUAL, "tlsSecret": "web"}, [{"tcpSocket": {"port": "http"}}] * 3),
        ({"existingSecret": "web", "clientCertificates": True}, [{"tcpSocket": {"port": "http"}}] * 3),
    ],
    ids=[
        "passwords",
        "TLS",
        "existing",
        "existing with TLS",
        "client certificates",
        "existing with client certificates",
    ],
)
def test_probes_fit(given: dict[str, Any], wanted: list[dict[str, Any]]) -> None:
    """Probes speak TLS where the exporter does, and only connect where it wants a certificate: the kubelet has none."""
    assert probes({"webConfig": given}) == wanted


def test_own_probes_stay() -> None:
    """A probe that names its scheme, or asks otherwise than over HTTP, is left as it is; null switches one off."""
    given = {"webConfig": {"config": TLS}, "livenessProbe": {"httpGet": {"scheme": "HTTP"}}, "readinessProbe": None}
    assert container(given)["livenessProbe"]["httpGet"]["scheme"] == "HTTP"
    assert "readinessProbe" not in container(given)
    command = {"exec": {"command": ["true"]}}
    assert container({**given, "startupProbe": command})["startupProbe"] == command


def test_web_configuration_arrives() -> None:
    """The exporter is told to read the file that the Secret holds, with the certificate beside it."""
    given = CASES["web-values"]
    secret = one("Secret", given)
    assert yaml.safe_load(secret["stringData"]["web.yml"]) == given["webConfig"]["config"]
    [volume] = [volume["projected"] for volume in pod(given)["spec"]["volumes"] if volume["name"] == "web-config"]
    [mount] = [mount for mount in container(given)["volumeMounts"] if mount["name"] == "web-config"]
    assert [source["secret"]["name"] for source in volume["sources"]] == [
        secret["metadata"]["name"],
        given["webConfig"]["tlsSecret"],
    ]
    assert mount["readOnly"] is True
    assert f"--web.config.file={mount['mountPath']}/web.yml" in container(given)["args"]


def test_exporter_accepts_the_web_configuration(tmp_path: Path) -> None:
    """What the Secret holds is a web configuration that the exporter starts with."""
    file = tmp_path / "web.yml"
    file.write_text(one("Secret", CASES["web-values"])["stringData"]["web.yml"], encoding="utf-8")
    loaded = ConfigFile(file, lambda _: None).read()
    assert set(loaded.basic_auth_users) == {"prometheus"}
    assert loaded.tls_server_config is not None


@case
def test_exporter_knows_the_flags(given: dict[str, Any]) -> None:
    """Every flag that the container is given is one of the command that it runs."""
    command, *arguments = container(given)["args"]
    known = {flag.name for flag in FLAGS if command in flag.commands.split()}
    assert {argument.partition("=")[0] for argument in arguments} <= known


def test_existing_web_configuration() -> None:
    """A Secret that is there already is mounted, and none is made."""
    given = {"webConfig": {"existingSecret": "own"}}
    assert "Secret" not in {manifest["kind"] for manifest in manifests(given)}
    [volume] = [volume["projected"] for volume in pod(given)["spec"]["volumes"] if volume["name"] == "web-config"]
    assert volume["sources"] == [{"secret": {"name": "own"}}]


def test_passwords_reach_only_the_secret() -> None:
    """No hash of a password and no inline key of the web configuration stands in another manifest than the Secret."""
    given = {"webConfig": {"config": {**PASSWORDS, "tls_server_config": {"cert": "c", "key": "hush-hush"}}}}
    others = [manifest for manifest in manifests(given) if manifest["kind"] != "Secret"]
    assert "hush" not in yaml.safe_dump_all(others)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"webConfig": {"config": TLS, "existingSecret": "a"}}, "give config or existingSecret, not both"),
        ({"webConfig": {"tlsSecret": "a"}}, "do nothing without config or existingSecret"),
        ({"webConfig": {"tls": True}}, "do nothing without config or existingSecret"),
        ({"demo": True, "webConfig": {"config": TLS}}, "the demo knows no web configuration"),
        ({"demo": True, "webConfig": {"existingSecret": "a"}}, "the demo knows no web configuration"),
    ],
    ids=str,
)
def test_contradictions_are_refused(given: dict[str, Any], words: str) -> None:
    """Values of the web configuration that contradict each other, or would do nothing, are refused."""
    assert words in refusal(given)


@pytest.mark.parametrize("monitor", ["serviceMonitor", "podMonitor"])
def test_scrapes_follow(monitor: str) -> None:
    """Prometheus comes by TLS where the exporter serves it, unless told otherwise, and so does the service say."""

    def scheme(**given: Any) -> str:
        found = manifests({"webConfig": {"config": TLS}, monitor: {"enabled": True, **given}})
        [kind] = [one for one in found if one["kind"].endswith("Monitor")]
        [endpoint] = kind["spec"].get("endpoints") or kind["spec"]["podMetricsEndpoints"]
        assert only("Service", found)["spec"]["ports"][0]["appProtocol"] == "https"
        return str(endpoint["scheme"])

    assert scheme() == "https"
    assert scheme(scheme="http") == "http"


def test_prefix() -> None:
    """A prefix of the paths is told to the exporter and followed by probes, scrapes and published callbacks."""
    given = {
        "routePrefix": "/streams",
        "serviceMonitor": {"enabled": True},
        "ingress": {"enabled": True, "hosts": ["a.example"]},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    }
    everything = manifests(given)
    assert "--web.route-prefix=/streams" in workload(everything)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert probes(given) == asked(prefix="/streams")
    assert only("ServiceMonitor", everything)["spec"]["endpoints"][0]["path"] == "/streams/metrics"
    assert only("Ingress", everything)["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/streams/callbacks/"
    [match] = only("HTTPRoute", everything)["spec"]["rules"][0]["matches"]
    assert match["path"]["value"] == "/streams/callbacks/"


@pytest.mark.parametrize("prefix", ["", "/streams"])
@pytest.mark.parametrize("url", ["", "https://a.example", "https://a.example/outside"])
def test_the_exporter_answers_where_the_probes_ask(prefix: str, url: str, tmp_path: Path) -> None:
    """What the chart renders starts, and answers the paths of its probes and monitors, whatever people call it."""
    given = {"routePrefix": prefix, "externalUrl": url, "serviceMonitor": {"enabled": True}}
    flags = [word for word in container(given)["args"] if word.startswith(("--web.route-", "--web.external-"))]
    asked = [probe["httpGet"]["path"] for probe in probes(given)]
    asked.append(one("ServiceMonitor", given)["spec"]["endpoints"][0]["path"])
    with exporter(tencent(NOWHERE, 1), *flags, folder=tmp_path) as server:
        for path in asked:
            fetch(server.url + path)


def test_external_url() -> None:
    """The address by which people come is told to the exporter; one with a password in it is refused."""
    assert "--web.external-url=https://a.example" in container({"externalUrl": "https://a.example"})["args"]
    with pytest.raises(helm().HelmValuesError):
        rendered({"externalUrl": "https://user:hush@a.example"})


def test_ingress_publishes_callbacks_alone() -> None:
    """The Ingress leads one path of each host to the service, and has nothing for all else."""
    everything = manifests({"ingress": {"enabled": True, "hosts": ["a.example", "b.example"]}})
    spec = only("Ingress", everything)["spec"]
    assert set(spec) == {"rules"}
    assert [rule["host"] for rule in spec["rules"]] == ["a.example", "b.example"]
    service = only("Service", everything)
    for rule in spec["rules"]:
        [path] = rule["http"]["paths"]
        assert (path["path"], path["pathType"]) == ("/callbacks/", "Prefix")
        assert path["backend"]["service"]["name"] == service["metadata"]["name"]
        assert path["backend"]["service"]["port"]["name"] == service["spec"]["ports"][0]["name"]


def test_route_publishes_callbacks_alone() -> None:
    """The HTTPRoute has one rule, for one path, and it leads to the service."""
    everything = manifests({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}})
    [rule] = only("HTTPRoute", everything)["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/callbacks/"}}]
    [backend] = rule["backendRefs"]
    service = only("Service", everything)
    assert backend == {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}


def test_nobody_to_publish_for() -> None:
    """Without a host an Ingress would serve every name, and without a Gateway a route none: both are refused."""
    assert "name at least one host" in refusal({"ingress": {"enabled": True}})
    assert "name at least one Gateway" in refusal({"httpRoute": {"enabled": True}})
