"""Rules: freshly generated, accepted by the real tools, documented, and changed by options as promised."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.model import Reason
from exporter.rules.building import CHART, render
from exporter.rules.options import JOB, RulesOptions
from exporter.rules.options import RUNBOOK as SHIPPED_RUNBOOK

from .tools import ROOT, accepts, program

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"

ALERTS = {
    "StreamExporterDown": {"critical", "warning"},
    "StreamProviderBlind": {"critical"},
    "StreamDown": {"critical"},
    "StreamLate": {"critical"},
    "StreamUnexpected": {"info"},
    "StreamForbidden": {"critical"},
    "StreamBlind": {"warning"},
    "StreamFlapping": {"warning"},
    "StreamRedundancyLost": {"warning"},
    "StreamMediaLost": {"warning"},
    "StreamMediaMissing": {"warning"},
    "StreamStalled": {"warning"},
    "StreamNotPlayable": {"critical"},
    "StreamPlaybackBlind": {"warning"},
    "StreamQuotaExhausted": {"warning", "info"},
    "StreamCredentialsRejected": {"critical"},
    "StreamAccountWatchesNothing": {"warning"},
    "StreamConfigReloadFailed": {"warning"},
    "StreamExporterStoreDown": {"warning"},
    "StreamClockSkew": {"warning"},
    "StreamCallbacksStopped": {"warning"},
    "StreamUnwatched": {"critical"},
    "StreamWatchdog": {"none"},
}


def promtool() -> str:
    """Return the path of promtool."""
    return program("promtool", "apt-get install prometheus")


@cache
def groups() -> list[dict[str, Any]]:
    """Return the groups of the committed rules."""
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return found


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the committed rules of one kind, alert or record."""
    return [rule for group in groups() for rule in group["rules"] if kind in rule]


def anchors(page: Path) -> set[str]:
    """Return the addresses that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Return the text below one heading of the second level."""
    parts = re.split(r"^##? (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return parts[parts.index(heading) + 1]


def test_rules_are_fresh() -> None:
    """Nobody edits the generated rules by hand or forgets to write them anew."""
    assert render(RulesOptions()) == RULES.read_text(encoding="utf-8")


def test_alerts_are_the_promised_ones() -> None:
    """The names and severities that people route by stay."""
    found: dict[str, set[str]] = {}
    for rule in rules("alert"):
        found.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    assert found == ALERTS


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_alert_leads_to_its_runbook(rule: dict[str, Any]) -> None:
    """Whoever is paged lands on a heading that says what it means, what to look at and what to do."""
    address, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert address.endswith("/docs/runbook.md")
    assert anchor in anchors(RUNBOOK)
    assert {"summary", "description"} <= rule["annotations"].keys()
    text = section(RUNBOOK, rule["alert"])
    assert all(word in text for word in ("**Means.**", "**Look at.**", "**Do.**"))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_in_the_runbook(reason: Reason) -> None:
    """Each way a probe can fail has its page."""
    text = section(RUNBOOK, reason.value)
    assert all(word in text for word in ("**Means.**", "**Look at.**", "**Do.**"))


@pytest.mark.parametrize("page", [RUNBOOK, ROOT / "docs" / "alerting.md"], ids=lambda page: page.name)
def test_links_inside_the_pages_lead_somewhere(page: Path) -> None:
    """No link of the two pages points at a heading or a file that is not there."""
    links = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8"))
    assert links
    for file, anchor in links:
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), anchor


@pytest.mark.parametrize("rule", rules("record"), ids=lambda rule: rule["record"])
def test_recorded_names_follow_the_convention(rule: dict[str, Any]) -> None:
    """Recorded series are named level:metric:operation, with a metric of ours in the middle."""
    assert re.fullmatch(
        r"[a-z_]+:stream_[a-z_]+:((avg|sum|count|increase|last)\d+[mhd]|(max_)?expected)", rule["record"]
    )


def test_promtool_accepts_rules_and_configuration() -> None:
    """The rules and the sample configuration load in a real Prometheus."""
    accepts(promtool(), "check", "rules", RULES)
    accepts(promtool(), "check", "config", PROMETHEUS / "prometheus.yml")


REPLICAS = ("a", "b", "c")


def series(name: str, instance: str, stream: str, values: str, **labels: str) -> dict[str, str]:
    """Return one entry of input_series."""
    known = {"job": "stream-exporter", "instance": instance, "provider": "zego", "stream": stream} | labels
    written = ", ".join(f'{key}="{value}"' for key, value in known.items())
    return {"series": f"{name}{{{written}}}", "values": values}


def firing(when: str, name: str, *alerts: str) -> dict[str, Any]:
    """Return a check: with which labels an alert fires."""
    found = f'ALERTS{{alertname="{name}", alertstate="firing"'
    return {
        "expr": f"{found}}}",
        "eval_time": when,
        "exp_samples": [{"labels": f"{found}, {labels}}}", "value": 1} for labels in alerts],
    }


def judge(folder: Path, options: RulesOptions, inputs: list[dict[str, str]], *checks: dict[str, Any]) -> None:
    """Hold the rules that these options make to checks."""
    (folder / "rules.yml").write_text(render(options), encoding="utf-8")
    test = {"interval": "15s", "input_series": inputs, "promql_expr_test": list(checks)}
    scenario = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    (folder / "scenario.yml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    accepts(promtool(), "test", "rules", folder / "scenario.yml")


def test_joined_labels_survive_disagreement_and_absence(tmp_path: Path) -> None:
    """Replicas with different labels for a stream, or none at all, cost no alert; what most of them say counts."""
    teams = {"a": "old", "b": "new", "c": "new"}
    inputs = [series("stream_active", who, stream, "0x40") for who in REPLICAS for stream in ("known", "bare")]
    inputs += [series("stream_info", who, "known", "1x40", team=teams[who], account="z") for who in REPLICAS]
    common = 'job="stream-exporter", provider="zego", severity="critical"'
    known, bare = f'{common}, stream="known", account="z", team="new"', f'{common}, stream="bare"'
    judge(tmp_path, RulesOptions(info_label=("team", "tier")), inputs, firing("5m", "StreamDown", known, bare))


@pytest.mark.parametrize("chosen", ["team", "account", "environment"])
def test_a_chosen_label_that_targets_have_too_costs_no_alert(chosen: str, tmp_path: Path) -> None:
    """Two sites that would get the same label are one alert; a rule that fails to be evaluated would be none at all."""
    values = {"stream_active": "0x40", "stream_info": "1x40"}
    own = [{chosen: site, "exported_account": "a"} for site in ("north", "south")]
    inputs = [series(name, "a", "main", values[name], **labels) for name in values for labels in own]
    told = {
        "expr": 'count(count by (stream) (ALERTS{alertname="StreamDown", alertstate="firing"}))',
        "eval_time": "5m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    judge(tmp_path, RulesOptions(info_label=(chosen,)), inputs, told)


TIERS = {"gold": "gold", "calm": "warning", "test": "info", "loud": "critical", "none": ""}


def with_tiers(**severities: str) -> list[str]:
    """Return the labels of alerts about streams that are named by their tiers, of these severities."""
    return [
        f'job="stream-exporter", provider="zego", account="z", stream="{stream}", tier="{TIERS[stream]}", '
        f'severity="{severity}"'
        for stream, severity in severities.items()
    ]


def test_severity_comes_from_a_label(tmp_path: Path) -> None:
    """The label says how grave a page is, lets nothing be graver than an information, and makes no warning a page."""
    inputs = [series("stream_active", "a", stream, "0x40") for stream in TIERS]
    inputs += [series("stream_state_changes_total", "a", stream, "0+1x40") for stream in TIERS]
    inputs += [series("stream_info", "a", stream, "1x40", account="z", tier=tier) for stream, tier in TIERS.items()]
    pages = with_tiers(gold="gold", calm="warning", test="info", loud="critical", none="critical")
    others = with_tiers(gold="warning", calm="warning", test="info", loud="warning", none="warning")
    checks = [firing("5m", "StreamDown", *pages), firing("5m", "StreamFlapping", *others)]
    judge(tmp_path, RulesOptions(severity_label="tier"), inputs, *checks)


def test_the_job_is_yours(tmp_path: Path) -> None:
    """A regular expression with characters that PromQL escapes matches what it says, and nothing else."""
    options = RulesOptions(job=r'live\.exporter|"quoted"')
    ours = {"series": 'up{job="live.exporter", instance="a"}', "values": "0x20"}
    other = {"series": 'up{job="live-exporter", instance="b"}', "values": "0x20"}
    down = firing("3m", "StreamExporterDown", 'severity="critical", job="live.exporter"')
    judge(tmp_path, options, [ours, other], down)


def test_the_runbook_is_yours() -> None:
    """Every alert leads to its heading in the runbook given."""
    text = render(RulesOptions(runbook_url="https://wiki.example/runbook"))
    found = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"] if "alert" in rule]
    addresses = [rule["annotations"]["runbook_url"] for rule in found]
    assert addresses == [f"https://wiki.example/runbook#{rule['alert'].lower()}" for rule in found]
    assert len(found) > 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"info_label": ("a-b",)}, "'a-b' is not the name of a label"),
        ({"severity_label": "__tier"}, "'__tier' is not the name of a label"),
        ({"info_label": ("media",)}, "cannot take media"),
        ({"info_label": ("playback",)}, "cannot take playback"),
        ({"info_label": ("pod",)}, "cannot take pod"),
        ({"replica_label": ("job",)}, "replicas cannot differ in job"),
        ({"severity_label": ""}, "'' is not the name of a label"),
        ({"job": "("}, "is not a regular expression"),
        ({"job": "(?!test).*"}, "Prometheus, which has no (?!"),
        ({"job": r"(a)\1"}, r"Prometheus, which has no \1"),
        ({"job": ""}, "the regular expression for the job is empty"),
    ],
)
def test_what_would_make_broken_rules_is_refused(options: dict[str, Any], message: str) -> None:
    """Rules that Prometheus would refuse, or that would never fire, are not written."""
    with pytest.raises(ValueError, match=re.escape(message)):
        RulesOptions(**options)


@pytest.mark.parametrize("labels", [(), ("team",), ("team", "tier")])
@pytest.mark.parametrize("severity", [None, "tier"])
def test_the_chart_can_fill_its_template(labels: tuple[str, ...], severity: str | None) -> None:
    """With its words replaced as the chart does it, its template holds the rules that the same flags make."""
    wanted = RulesOptions(info_label=labels, severity_label=severity)
    text = render(CHART).replace(", INFO_LABELS, SEVERITY_LABEL", "".join(f", {label}" for label in wanted.chosen))
    text = text.replace("EXPORTER_JOB", JOB).replace("RUNBOOK_URL", SHIPPED_RUNBOOK)
    text = text.replace("SEVERITY_LABEL", severity) if severity else re.sub(
        r"\{\{ if .*SEVERITY_LABEL.*\{\{ else \}\}(\w+)\{\{ end \}\}", r"\1", text)  # fmt: skip
    assert yaml.safe_load(text) == yaml.safe_load(render(wanted))
