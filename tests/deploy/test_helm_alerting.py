"""What the chart brings for Prometheus, Alertmanager and Grafana is what is shipped, fitted to the values."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.commands.dashboards import fitted
from exporter.rules.building import CHART as TEMPLATE
from exporter.rules.building import render
from exporter.rules.options import DashboardsOptions, RulesOptions

from .chart import CASES, CHART, NAMESPACE, Manifest, manifests, one, only, refusal
from .tools import ROOT, accepts, program

MONITORS = {"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"}


def groups(**given: Any) -> list[Manifest]:
    """Return the rule groups that these values render."""
    found: list[Manifest] = one("PrometheusRule", {"prometheusRule": {"enabled": True, **given}})["spec"]["groups"]
    return found


def shipped_rules(**flags: Any) -> list[Manifest]:
    """Return the groups of the rules that `stream-exporter rules` prints with some flags."""
    shipped: list[Manifest] = yaml.safe_load(render(RulesOptions(**flags)))["groups"]
    return shipped


def shipped_alertmanager() -> Manifest:
    """Return the shipped configuration of Alertmanager."""
    shipped: Manifest = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    return shipped


def rules(found: list[Manifest]) -> list[Manifest]:
    """Return the rules of some groups."""
    return [rule for group in found for rule in group["rules"]]


def names(found: list[Manifest]) -> list[str]:
    """Return the names of all alerts and records of some groups."""
    return [rule.get("alert") or rule["record"] for rule in rules(found)]


@pytest.mark.parametrize(("kind", "field"), MONITORS.items())
def test_monitors(kind: str, field: str) -> None:
    """A monitor selects what it scrapes and its port, and gives the job by which rules and dashboards select."""
    everything = manifests({kind[0].lower() + kind[1:]: {"enabled": True}})
    monitor = only(kind, everything)
    service, template = only("Service", everything), only("Deployment", everything)["spec"]["template"]
    scraped = service if kind == "ServiceMonitor" else template
    assert monitor["spec"]["selector"]["matchLabels"].items() <= scraped["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    [endpoint] = monitor["spec"][field]
    ports = scraped["spec"].get("ports") or scraped["spec"]["containers"][0]["ports"]
    assert endpoint["port"] == ports[0]["name"]
    shipped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    [job] = [scrape["job_name"] for scrape in shipped["scrape_configs"]]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]


def test_monitor_values_arrive() -> None:
    """What is given for a scrape arrives in its endpoint."""
    authorization = {"type": "Bearer", "credentials": {"name": "web", "key": "token"}}
    given = {"honorLabels": True, "authorization": authorization, "interval": "1h", "scheme": "https"}
    [endpoint] = one("ServiceMonitor", {"serviceMonitor": {"enabled": True, **given}})["spec"]["endpoints"]
    assert given.items() <= endpoint.items()


@pytest.mark.parametrize("monitor", ["serviceMonitor", "podMonitor"])
@pytest.mark.parametrize(
    ("interval", "timeout"), [("15s", "16s"), ("1m", "61s"), ("1m30s", "1m31s"), ("1500ms", "2s"), ("59m59s", "1h")]
)
def test_timeout_above_interval(monitor: str, interval: str, timeout: str) -> None:
    """A timeout above the interval is refused, as Prometheus would refuse its whole configuration with it."""
    given = {"enabled": True, "interval": interval, "scrapeTimeout": timeout}
    assert f"{monitor}: scrapeTimeout {timeout} is above interval {interval}" in refusal({monitor: given})


@pytest.mark.parametrize(("interval", "timeout"), [("15s", "15s"), ("1m", "60s"), ("2h", "119m"), ("1d", "10s")])
def test_timeout_within_interval(interval: str, timeout: str) -> None:
    """A timeout as long as the interval, or shorter, is rendered, in whatever units they are given."""
    given = {"enabled": True, "interval": interval, "scrapeTimeout": timeout}
    [endpoint] = one("ServiceMonitor", {"serviceMonitor": given})["spec"]["endpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == (interval, timeout)


def test_two_monitors() -> None:
    """Both monitors at once would scrape every pod twice, and are refused."""
    assert "enable one" in refusal({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}})


def test_two_ways_to_authorize() -> None:
    """User and password beside an authorization header are refused, as the operator would refuse them."""
    given = {"enabled": True, "basicAuth": {"username": {}}, "authorization": {"type": "Bearer"}}
    assert "give basicAuth or authorization, not both" in refusal({"serviceMonitor": given})


def test_rules_are_the_shipped_ones() -> None:
    """The PrometheusRule holds the shipped rules unchanged."""
    assert groups() == shipped_rules()


def test_rules_can_be_left_out_and_added() -> None:
    """A rule named in `disabled` is left out, groups of one's own are added, nothing else changes."""
    wanted = [name for name in names(shipped_rules()) if name != "StreamFlapping"]
    given = CASES["demo-values"]["prometheusRule"]
    assert names(groups(**given)) == [*wanted, "TooFewStreams"]


@pytest.mark.parametrize("severity", ["", "tier", "account"])
@pytest.mark.parametrize(
    "labels", [[], ["team"], ["team", "tier"], ["cluster", "team"], ["stream", "namespace"]], ids=str
)
def test_labels_of_streams(labels: list[str], severity: str) -> None:
    """Alerts carry the labels of their streams, and a severity from one, as the command makes the rules for them."""
    wanted = shipped_rules(info_label=tuple(labels), severity_label=severity or None)
    assert groups(infoLabels=labels, severityLabel=severity) == wanted


@pytest.mark.parametrize("job", ["live.*", r"a\.b|c", '"<&>"'])
def test_job_and_runbook(job: str) -> None:
    """Another job and another runbook are those that the command writes."""
    wanted = shipped_rules(job=job, runbook_url="https://wiki.example/a")
    assert groups(job=job, runbookUrl="https://wiki.example/a") == wanted


def test_labels_of_alerts() -> None:
    """Every alert carries the labels given for all, and keeps its severity; no recording rule carries them."""
    given = {"cluster": "eu-1", "severity": "mine"}
    for rule, shipped in zip(rules(groups(alertLabels=given)), rules(shipped_rules()), strict=True):
        labels = {**shipped["labels"], "cluster": "eu-1"} if "alert" in rule else None
        assert rule.get("labels") == labels


@pytest.mark.parametrize("name", ["demo-values", "web-values"])
def test_promtool(name: str, tmp_path: Path) -> None:
    """Prometheus accepts the rendered rules."""
    promtool = program("promtool", "apt-get install prometheus")
    found = groups(**CASES[name]["prometheusRule"])
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": found}), encoding="utf-8")
    assert f"{len(names(found))} rules found" in accepts(promtool, "check", "rules", file)


def test_alerts_reach_the_alertmanager_config(tmp_path: Path) -> None:
    """Alerts without a namespace get that of the AlertmanagerConfig, which hears no others; the rest keep theirs."""
    given = {"alertmanagerConfig": {"enabled": True}, "prometheusRule": {"enabled": True}}
    spec = one("PrometheusRule", given)["spec"]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    series = [{"series": 'up{job="a-stream-exporter", instance="i", namespace="video"}', "values": "0x10"}]
    expected = {"StreamWatchdog": NAMESPACE, "StreamExporterDown": "video"}
    queries = [
        {
            "expr": f'count by (alertname, namespace) (ALERTS{{alertname="{name}", alertstate="firing"}})',
            "eval_time": "2m",
            "exp_samples": [{"labels": f'{{alertname="{name}", namespace="{wanted}"}}', "value": 1}],
        }
        for name, wanted in expected.items()
    ]
    test = {"interval": "15s", "input_series": series, "promql_expr_test": queries}
    scenario = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    (tmp_path / "scenario.yml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    accepts(program("promtool", "apt-get install prometheus"), "test", "rules", "scenario.yml", cwd=tmp_path)


def written(matchers: list[Manifest]) -> list[str]:
    """Return the operator's matchers as Alertmanager's own files write them."""
    return [f'{one["name"]}{one["matchType"]}"{one["value"]}"' for one in matchers]


def test_inhibitions() -> None:
    """The AlertmanagerConfig holds the shipped inhibitions, and without receivers nothing else."""
    spec = one("AlertmanagerConfig", {"alertmanagerConfig": {"enabled": True}})["spec"]
    assert set(spec) == {"inhibitRules"}
    assert [
        {
            "source_matchers": written(rule["sourceMatch"]),
            "target_matchers": written(rule["targetMatch"]),
            **({"equal": rule["equal"]} if "equal" in rule else {}),
        }
        for rule in spec["inhibitRules"]
    ] == shipped_alertmanager()["inhibit_rules"]


def snake(route: Manifest) -> Manifest:
    """Return a route of the operator as Alertmanager's own files write it."""
    found = {re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", key): value for key, value in route.items()}
    if "matchers" in found:
        found["matchers"] = written(found["matchers"])
    if "routes" in found:
        found["routes"] = [snake(inner) for inner in found["routes"]]
    return found


def test_routes() -> None:
    """With receivers the shipped routes are there too, for the alerts of this exporter alone."""
    shipped = shipped_alertmanager()
    receivers = [{"name": receiver["name"]} for receiver in shipped["receivers"]]
    given = {"alertmanagerConfig": {"enabled": True, "receivers": receivers}}
    route = one("AlertmanagerConfig", given)["spec"]["route"]
    assert snake(route) == {**shipped["route"], "matchers": ['alertname=~"Stream.+"']}
    assert all(re.match("Stream.+", rule["alert"]) for rule in rules(shipped_rules()) if "alert" in rule)


def test_own_route() -> None:
    """A route of one's own replaces the shipped ones, which need the receivers that they name."""
    own = {"enabled": True, "receivers": [{"name": "me"}]}
    route = {"receiver": "me"}
    assert one("AlertmanagerConfig", {"alertmanagerConfig": {**own, "route": route}})["spec"]["route"] == route
    assert "the shipped routes need one named on-call" in refusal({"alertmanagerConfig": own})
    assert "give alertmanagerConfig.receivers too" in refusal({"alertmanagerConfig": {"enabled": True, "route": route}})


def test_example_for_alertmanager() -> None:
    """The example for Alertmanager's own values holds the shipped inhibitions."""
    example = yaml.safe_load((CHART / "examples" / "alertmanager-values.yaml").read_text(encoding="utf-8"))
    assert example == {"alertmanager": {"config": {"inhibit_rules": shipped_alertmanager()["inhibit_rules"]}}}


def test_copies_are_fresh() -> None:
    """The chart carries the shipped dashboards and the rules' template; renew: python -m docs.generate."""
    shipped = {path.name: path.read_bytes() for path in (ROOT / "grafana/dashboards").glob("*.json")}
    assert {path.name: path.read_bytes() for path in (CHART / "files/dashboards").glob("*")} == shipped
    assert (CHART / "files/rules-template.yml").read_text(encoding="utf-8") == render(TEMPLATE)


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


@pytest.mark.parametrize("labels", [[], ["team", "tier", "provider"]])
@pytest.mark.parametrize("page", ["", "https://streams.example.com/live/"])
def test_dashboards_are_those_of_the_command(labels: list[str], page: str) -> None:
    """Labels and runbook of the rules, and the external URL, fit dashboards as the command's flags do."""
    runbook = 'https://wiki.example/run"book?id=7'
    rules = {"infoLabels": labels, "runbookUrl": runbook}
    values = {"dashboards": {"enabled": True}, "prometheusRule": rules, "externalUrl": page}
    maps = [one for one in manifests(values) if "grafana_dashboard" in one["metadata"].get("labels", {})]
    found = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    options = DashboardsOptions(info_label=tuple(labels), page_url=page or None, runbook_url=runbook)
    shipped = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "grafana/dashboards").glob("*.json")}
    assert found == {name: json.loads(fitted(text, options)) for name, text in shipped.items()}
