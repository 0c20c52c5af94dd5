"""Rules and routes: freshly generated, accepted by the real tools, right about the situations they are written for."""

import json
import re
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
import yaml

from exporter.model import Reason

from .tools import ROOT, accepts, program, run

PROMETHEUS = ROOT / "deploy" / "prometheus"
BUILD_RULES = PROMETHEUS / "build_rules.py"
RULES = PROMETHEUS / "rules.yml"
ROUTES = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
SCENARIOS = sorted((PROMETHEUS / "tests").glob("*.yml"))
SCALE = 0.1

ALERTS = {
    "StreamExporterDown": {"critical", "warning"},
    "StreamProviderBlind": {"critical"},
    "StreamDown": {"critical"},
    "StreamForbidden": {"critical"},
    "StreamBlind": {"warning"},
    "StreamFlapping": {"warning"},
    "StreamRedundancyLost": {"warning"},
    "StreamQuotaExhausted": {"warning", "info"},
    "StreamCredentialsRejected": {"critical"},
    "StreamConfigReloadFailed": {"warning"},
    "StreamClockSkew": {"warning"},
    "StreamCallbacksStopped": {"warning"},
}


def build(*arguments: str | Path) -> str:
    """Return what a generator prints."""
    return accepts(sys.executable, *arguments)


def promtool() -> str:
    """Return the path of promtool."""
    return program("promtool", "apt-get install prometheus")


def amtool() -> str:
    """Return the path of amtool."""
    return program("amtool", "apt-get install prometheus-alertmanager")


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
    assert build(BUILD_RULES) == RULES.read_text(encoding="utf-8")


def test_lossy_scenario_is_fresh() -> None:
    """The committed losses are the seeded ones, not a lucky draw."""
    generated = build(PROMETHEUS / "tests" / "build_lossy.py")
    assert generated == (PROMETHEUS / "tests" / "lossy.yml").read_text(encoding="utf-8")


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
    assert re.fullmatch(r"[a-z_]+:stream_[a-z_]+:(avg|sum|count|increase)\d+[mhd]", rule["record"])


def test_promtool_accepts_rules_and_configuration() -> None:
    """The rules and the sample configuration load in a real Prometheus."""
    accepts(promtool(), "check", "rules", RULES)
    accepts(promtool(), "check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(scenario: Path) -> None:
    """Each situation raises the alarms it should, in time, and no other."""
    accepts(promtool(), "test", "rules", scenario)


@cache
def generator() -> dict[str, Any]:
    """Return the names that the generator defines."""
    return runpy.run_path(str(BUILD_RULES))


def scale(node: Any, key: str = "") -> Any:
    """Return a scenario with all its times shrunk."""
    if isinstance(node, dict):
        return {key: scale(value, key) for key, value in node.items()}
    if isinstance(node, list):
        return [scale(value, key) for value in node]
    if key in {"interval", "evaluation_interval", "eval_time"}:
        return generator()["scale_duration"](node, SCALE)
    if key == "expr":
        return generator()["scale_expression"](node, SCALE)
    return node


@pytest.mark.parametrize("name", ["down", "outage"])
def test_scaled_rules_hold_the_same_figures_in_scaled_time(name: str, tmp_path: Path) -> None:
    """A test that shrinks the rules tests the same rules, ten times faster."""
    (tmp_path / "rules.yml").write_text(build(BUILD_RULES, "--scale", str(SCALE)), encoding="utf-8")
    scenario = scale(yaml.safe_load((PROMETHEUS / "tests" / f"{name}.yml").read_text(encoding="utf-8")))
    (tmp_path / "scenario.yml").write_text(yaml.safe_dump(scenario | {"rule_files": ["rules.yml"]}), encoding="utf-8")
    accepts(promtool(), "test", "rules", tmp_path / "scenario.yml")


def test_a_scale_that_leaves_nothing_is_refused() -> None:
    """A factor that would round a window to nothing is an error, not a rule that never fires."""
    done = run(sys.executable, BUILD_RULES, "--scale", "0.00000001")
    assert done.returncode != 0
    assert "below a millisecond" in done.stderr


REPLICAS = ("a", "b", "c")


def series(name: str, instance: str, stream: str, values: str, **labels: str) -> dict[str, str]:
    """Return one entry of input_series."""
    known = {"job": "stream-exporter", "instance": instance, "provider": "zego", "stream": stream} | labels
    written = ", ".join(f'{key}="{value}"' for key, value in known.items())
    return {"series": f"{name}{{{written}}}", "values": values}


def test_joined_labels_survive_disagreement_and_absence(tmp_path: Path) -> None:
    """Replicas with different labels for a stream, or none at all, cost no alert; what most of them say counts."""
    (tmp_path / "rules.yml").write_text(
        build(BUILD_RULES, "--info-label", "team", "--info-label", "tier"), encoding="utf-8"
    )
    teams = {"a": "old", "b": "new", "c": "new"}
    inputs = [series("stream_active", who, stream, "0x40") for who in REPLICAS for stream in ("known", "bare")]
    inputs += [series("stream_info", who, "known", "1x40", team=teams[who], account="z") for who in REPLICAS]
    labels = 'job="stream-exporter", provider="zego", severity="critical"'
    down = f'ALERTS{{alertname="StreamDown", alertstate="firing", {labels}'
    check = {
        "expr": 'ALERTS{alertname="StreamDown", alertstate="firing"}',
        "eval_time": "5m",
        "exp_samples": [
            {"labels": f'{down}, stream="known", team="new"}}', "value": 1},
            {"labels": f'{down}, stream="bare"}}', "value": 1},
        ],
    }
    scenario = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": inputs, "promql_expr_test": [check]}],
    }
    (tmp_path / "scenario.yml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    accepts(promtool(), "test", "rules", tmp_path / "scenario.yml")


def test_amtool_accepts_the_routes() -> None:
    """The routes load in a real Alertmanager."""
    accepts(amtool(), "check-config", ROUTES)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=StreamDown", "severity=critical", "provider=zego"), "on-call"),
        (("alertname=StreamProviderBlind", "severity=critical", "provider=zego"), "on-call"),
        (("alertname=StreamBlind", "severity=warning", "provider=zego"), "team"),
        (("alertname=StreamQuotaExhausted", "severity=info", "provider=zego"), "notes"),
        (("alertname=Unheard",), "team"),
    ],
)
def test_alerts_reach_their_receiver(labels: tuple[str, ...], receiver: str) -> None:
    """What is critical wakes somebody, and nothing falls through."""
    accepts(amtool(), "config", "routes", "test", f"--config.file={ROUTES}", f"--verify.receivers={receiver}", *labels)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetch(address: str, body: object = None) -> str:
    """Return the answer to a GET, or to a POST of ``body`` as JSON."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(address, data, {"Content-Type": "application/json"}), timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def is_ready(address: str) -> bool:
    """Say whether Alertmanager takes alerts."""
    try:
        fetch(f"{address}/-/ready")
    except URLError:
        return False
    return True


def wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return once Alertmanager takes alerts; fail with its own words if it ends or takes 30 s."""
    deadline = time.monotonic() + 30
    while not is_ready(address):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a real Alertmanager with the shipped configuration, whose messages go nowhere."""
    server = program("prometheus-alertmanager", "apt-get install prometheus-alertmanager")
    config = tmp_path / "alertmanager.yml"
    config.write_text(ROUTES.read_text(encoding="utf-8").replace("127.0.0.1:9095", "127.0.0.1:1"), encoding="utf-8")
    listen = f"127.0.0.1:{free_port()}"
    flags = ["--cluster.listen-address=", f"--web.listen-address={listen}", f"--storage.path={tmp_path}"]
    log = tmp_path / "log"
    command = [server, f"--config.file={config}", *flags]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_until_ready(f"http://{listen}", process, log)
            yield f"http://{listen}"
        finally:
            process.terminate()


def alert(name: str, severity: str = "critical", **labels: str) -> dict[str, Any]:
    """Return an alert as Prometheus sends it."""
    common = {"alertname": name, "severity": severity, "job": "stream-exporter"}
    return {"labels": common | labels, "startsAt": datetime.now(UTC).isoformat()}


def silenced(address: str) -> set[str]:
    """Return which alerts are held back, each as its name and its provider and stream."""
    found = json.loads(fetch(f"{address}/api/v2/alerts"))
    return {describe(entry["labels"]) for entry in found if entry["status"]["inhibitedBy"]}


def describe(labels: dict[str, str]) -> str:
    """Return an alert's name, job if it is another one, provider and stream in one line."""
    words = (labels["alertname"], labels.get("provider"), labels.get("stream"), labels.get("env"))
    return " ".join(word for word in words if word)


DOWN = alert("StreamDown", provider="zego", stream="a")
BLIND = alert("StreamBlind", "warning", provider="zego", stream="b")
OTHERS_DOWN = alert("StreamDown", provider="tencent", stream="a")
FLAPPING = alert("StreamFlapping", "warning", provider="zego", stream="a")
OTHER_FLAPPING = alert("StreamFlapping", "warning", provider="zego", stream="c")
SHORT = alert("StreamRedundancyLost", "warning", provider="zego", stream="a")
ELSEWHERE = {"labels": DOWN["labels"] | {"job": "other-stream-exporter", "env": "elsewhere"}}
FOREIGN = alert("DiskFull", provider="zego", stream="a")
STREAMS = [BLIND, OTHERS_DOWN, OTHER_FLAPPING, ELSEWHERE, FOREIGN]
# Posted last and of a job of its own: once its cause counts, all causes before it do.
MARKER = [
    alert("StreamProviderBlind", job="marker", provider="marker"),
    alert("StreamDown", job="marker", provider="marker"),
]


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        pytest.param(
            [alert("StreamProviderBlind", provider="zego"), DOWN, *STREAMS],
            {"StreamDown zego a", "StreamBlind zego b"},
            id="a blind provider silences its own streams",
        ),
        pytest.param(
            [alert("StreamCredentialsRejected", provider="zego", account="z"), DOWN, *STREAMS],
            {"StreamDown zego a", "StreamBlind zego b"},
            id="a rejected account silences its provider's streams",
        ),
        pytest.param(
            [alert("StreamExporterDown"), alert("StreamProviderBlind", provider="volcengine"), *STREAMS],
            {"StreamBlind zego b", "StreamDown tencent a", "StreamFlapping zego c", "StreamProviderBlind volcengine"},
            id="an exporter that is down silences all of its own",
        ),
        pytest.param(
            [alert("StreamExporterDown", job=""), *STREAMS],
            {"StreamBlind zego b", "StreamDown tencent a", "StreamFlapping zego c", "StreamDown zego a elsewhere"},
            id="an exporter that vanished silences all of ours",
        ),
        pytest.param(
            [alert("StreamExporterDown", "warning", instance="b"), DOWN, *STREAMS],
            set(),
            id="one lost replica silences nothing",
        ),
        pytest.param(
            [DOWN, FLAPPING, SHORT, *STREAMS],
            {"StreamFlapping zego a", "StreamRedundancyLost zego a"},
            id="a stream that is down is not told to flap",
        ),
        pytest.param(
            [alert("StreamForbidden", provider="zego", stream="a"), DOWN, FLAPPING, *STREAMS],
            {"StreamDown zego a", "StreamFlapping zego a"},
            id="a forbidden stream is told by its reason",
        ),
    ],
)
def test_inhibition(alertmanager: str, posted: list[dict[str, Any]], expected: set[str]) -> None:
    """The cause is told, its symptoms are held back, and nothing else is."""
    fetch(f"{alertmanager}/api/v2/alerts", [*posted, *MARKER])
    deadline = time.monotonic() + 10
    while "StreamDown marker" not in (found := silenced(alertmanager)):
        assert time.monotonic() < deadline, f"only {found} are held back"
        time.sleep(0.05)
    assert {line for line in found if "marker" not in line} == expected
