"""Routes and inhibitions: accepted by the real tools, the cause is told and nobody else is silenced."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from exporter.rules.alerts import ALERTS
from exporter.rules.building import DURATION, MILLISECONDS
from exporter.rules.options import SITE_LABELS
from testbed.web import fetch
from tests.peers import servers

from .tools import ROOT, accepts, program

ALERTING = ROOT / "docs" / "alerting.md"
ROUTES = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
# Alertmanager's default of --data.retention.
RETENTION = 120 * 3600
WATCHDOG = "StreamWatchdog"


def amtool() -> str:
    """Return the path of amtool."""
    return program("amtool", "apt-get install prometheus-alertmanager")


def shipped() -> dict[str, Any]:
    """Return the shipped configuration."""
    found: dict[str, Any] = yaml.safe_load(ROUTES.read_text(encoding="utf-8"))
    return found


def seconds(text: str) -> float:
    """Return the seconds of a duration."""
    return sum(int(number) * MILLISECONDS[unit] for number, unit in DURATION.findall(text)) / 1000


def routes() -> list[dict[str, Any]]:
    """Return all routes, each with what it inherits."""
    top: dict[str, Any] = shipped()["route"]
    return [top, *(top | route for route in top["routes"])]


def route_of(**matched: str) -> dict[str, Any]:
    """Return the route with these matchers and nothing else."""
    wanted = [f'{label}="{value}"' for label, value in matched.items()]
    [found] = [route for route in routes() if route.get("matchers") == wanted]
    return found


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
        (("alertname=StreamWatchdog", "severity=none"), "dead-mans-switch"),
        (("alertname=StreamDown", "severity=gold", "provider=zego"), "team"),
        (("alertname=Unheard",), "team"),
    ],
)
def test_alerts_reach_their_receiver(labels: tuple[str, ...], receiver: str) -> None:
    """What is critical wakes somebody, and nothing falls through."""
    accepts(amtool(), "config", "routes", "test", f"--config.file={ROUTES}", f"--verify.receivers={receiver}", *labels)


def test_repetitions_are_within_the_retention() -> None:
    """Alertmanager remembers what it has told for its retention only: a longer repeat_interval would not be kept."""
    assert [route["repeat_interval"] for route in routes() if seconds(route["repeat_interval"]) >= RETENTION] == []


def test_the_figures_add_up() -> None:
    """docs/alerting.md promises for each alert what its rule takes, and then what its route waits."""
    section = ALERTING.read_text(encoding="utf-8").partition("## The figures")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|[^|]*\| (Stream\w+)[^|]*\| (\d+) s[^|]*\| (\d+) s \| (\d+) s \|", section, re.MULTILINE)
    assert len(rows) == 14
    severities = {rule.name: rule.severity for rule in reversed(ALERTS)}
    for name, *figures in rows:
        route = route_of(severity=severities[name])
        fires, told, joins = map(float, figures)
        waits = [fires + seconds(route[wait]) for wait in ("group_wait", "group_interval")]
        assert (name, told, joins) == (name, *waits)


def test_the_dead_mans_switch_comes_often() -> None:
    """It is repeated within two minutes, by a route of its own that no inhibition touches."""
    switch = route_of(alertname=WATCHDOG)
    assert seconds(switch["group_interval"]) + seconds(switch["repeat_interval"]) <= 120
    assert not [rule for rule in shipped()["inhibit_rules"] if WATCHDOG in str(rule["target_matchers"])]


def test_inhibitions_compare_the_site() -> None:
    """No rule reaches into another cluster, environment or namespace."""
    rules = shipped()["inhibit_rules"]
    assert [rule for rule in rules if not set(SITE_LABELS) <= set(rule["equal"])] == []
    assert set(SITE_LABELS) <= set(shipped()["route"]["group_by"])


def test_an_exporter_that_is_gone_silences_every_alert_of_ours() -> None:
    """The rule names all alerts but its own and the dead-man's switch, and no wildcard that others' alerts match."""
    ours = {rule.name for rule in ALERTS} - {WATCHDOG, "StreamExporterDown"}
    gone = [rule for rule in shipped()["inhibit_rules"] if "StreamExporterDown" in rule["source_matchers"][0]]
    assert len(gone) == 2
    for rule in gone:
        [names] = rule["target_matchers"]
        assert set(re.findall(r"\w+", names)) == ours | {"alertname"}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a real Alertmanager with the shipped configuration, whose messages go nowhere."""
    config = ROUTES.read_text(encoding="utf-8").replace("127.0.0.1:9095", "127.0.0.1:1")
    with servers.alertmanager(config, tmp_path_factory.mktemp("alertmanager")) as server:
        yield server.url


def alert(name: str, severity: str = "critical", **labels: str) -> dict[str, Any]:
    """Return an alert as Prometheus sends it."""
    common = {"alertname": name, "severity": severity, "job": "stream-exporter"}
    return {"labels": common | labels, "startsAt": datetime.now(UTC).isoformat()}


def elsewhere(alert: dict[str, Any], **labels: str) -> dict[str, Any]:
    """Return the same alert with other labels, by which `describe` knows it."""
    return {**alert, "labels": alert["labels"] | labels}


def describe(labels: dict[str, str]) -> str:
    """Return an alert's name, provider, stream, account and whatever tells its site in one line."""
    words = [labels.get(name) for name in ("alertname", "provider", "stream", "account")]
    site = [labels[name] for name in ("environment", "namespace", "job") if name in labels]
    return " ".join(word for word in [*words, *site] if word and word != "stream-exporter")


def silenced(address: str, cluster: str) -> set[str]:
    """Return which alerts of a cluster are held back."""
    found = [entry for entry in json.loads(fetch(f"{address}/api/v2/alerts")) if entry["status"]["inhibitedBy"]]
    return {describe(entry["labels"]) for entry in found if entry["labels"].get("cluster", "") == cluster}


DOWN = alert("StreamDown", provider="zego", account="z", stream="a")
BLIND = alert("StreamBlind", "warning", provider="zego", account="z", stream="b")
FROZEN = alert("StreamNotPlayable", provider="zego", account="z", stream="a", playback="hls")
MUTE = alert("StreamMediaLost", "warning", provider="zego", account="z", stream="b", media="audio")
HEALTHY = alert("StreamDown", provider="zego", account="y", stream="d")
NAMELESS = alert("StreamDown", provider="zego", stream="e")
OTHERS_DOWN = alert("StreamDown", provider="tencent", account="t", stream="a")
FLAPPING = alert("StreamFlapping", "warning", provider="zego", account="z", stream="a")
OTHER_FLAPPING = alert("StreamFlapping", "warning", provider="zego", account="z", stream="c")
SHORT = alert("StreamRedundancyLost", "warning", provider="zego", account="z", stream="a")
STAGED = elsewhere(DOWN, environment="stage")
SPACED = elsewhere(DOWN, namespace="space")
OTHER_JOB = elsewhere(DOWN, job="other-exporter")
FOREIGN = alert("StreamingDiskFull", provider="zego", account="z", stream="a")
SWITCH = {"labels": {"alertname": "StreamWatchdog", "severity": "none"}}
BYSTANDERS = [BLIND, MUTE, HEALTHY, NAMELESS, OTHERS_DOWN, OTHER_FLAPPING, STAGED, SPACED, OTHER_JOB, FOREIGN, SWITCH]
OF_ACCOUNT = {"StreamDown zego a z", "StreamBlind zego b z", "StreamMediaLost zego b z"}
OF_JOB = {
    "StreamBlind zego b z",
    "StreamMediaLost zego b z",
    "StreamDown zego d y",
    "StreamDown zego e",
    "StreamDown tencent a t",
    "StreamFlapping zego c z",
}
SYMPTOMS = ("StreamFlapping", "StreamRedundancyLost", "StreamNotPlayable", "StreamMediaLost")
# Posted last and of a job of its own: once its cause counts, all causes before it do.
MARKER = [
    alert("StreamProviderBlind", job="marker", provider="marker"),
    alert("StreamDown", job="marker", provider="marker"),
]


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        pytest.param(
            [alert("StreamProviderBlind", provider="zego", account="z"), DOWN],
            OF_ACCOUNT,
            id="a blind account silences its own streams",
        ),
        pytest.param(
            [
                alert("StreamCredentialsRejected", provider="zego", account="z"),
                alert("StreamProviderBlind", provider="zego", account="z"),
                alert("StreamProviderBlind", provider="tencent", account="z"),
                elsewhere(FROZEN, stream="c"),
                DOWN,
            ],
            {*OF_ACCOUNT, "StreamProviderBlind zego z"},
            id="a rejected account silences its own streams",
        ),
        pytest.param(
            [
                alert("StreamQuotaExhausted", "warning", provider="zego", account="z"),
                alert("StreamClockSkew", "warning", provider="zego", account="z"),
                alert("StreamAccountWatchesNothing", "warning", provider="zego", account="z"),
                alert("StreamCallbacksStopped", "warning", provider="zego", account="z"),
                DOWN,
            ],
            set(),
            id="an account that is slow silences nothing",
        ),
        pytest.param(
            [alert("StreamExporterDown"), alert("StreamProviderBlind", provider="volcengine", account="v")],
            {*OF_JOB, "StreamProviderBlind volcengine v"},
            id="an exporter that is down silences all of its own",
        ),
        pytest.param(
            [alert("StreamExporterDown", job="")],
            {*OF_JOB, "StreamDown zego a z other-exporter"},
            id="an exporter that vanished silences all of its site",
        ),
        pytest.param(
            [alert("StreamExporterDown", "warning", instance="b"), DOWN],
            set(),
            id="one lost replica silences nothing",
        ),
        pytest.param(
            [DOWN, FLAPPING, SHORT, FROZEN, elsewhere(MUTE, stream="a"), elsewhere(FROZEN, stream="c")],
            {f"{name} zego a z" for name in SYMPTOMS},
            id="a stream that is down is not told to flap",
        ),
        pytest.param(
            [elsewhere(DOWN, severity="gold"), FLAPPING],
            {"StreamFlapping zego a z"},
            id="a stream whose severity comes from a label silences the same",
        ),
        pytest.param(
            [alert("StreamForbidden", provider="zego", account="z", stream="a"), DOWN, FLAPPING],
            {"StreamDown zego a z", "StreamFlapping zego a z"},
            id="a forbidden stream is told by its reason",
        ),
    ],
)
def test_inhibition(
    alertmanager: str, posted: list[dict[str, Any]], expected: set[str], request: pytest.FixtureRequest
) -> None:
    """The cause is told, its symptoms are held back, and nothing else is, least of all in another cluster."""
    cluster = request.node.callspec.id
    here = [elsewhere(one, cluster=cluster) for one in [*posted, *BYSTANDERS, *MARKER]]
    there = [elsewhere(one, cluster=f"beside {cluster}") for one in [DOWN, *BYSTANDERS]]
    fetch(f"{alertmanager}/api/v2/alerts", [*there, *here])
    deadline = time.monotonic() + 60
    while "StreamDown marker marker" not in (found := silenced(alertmanager, cluster)):
        assert time.monotonic() < deadline, f"only {found} are held back"
        time.sleep(0.05)
    # Alertmanager judges one alert after the other while it answers: only the next answer knows of all causes.
    found = silenced(alertmanager, cluster)
    assert {line for line in found if "marker" not in line} == expected
    assert silenced(alertmanager, f"beside {cluster}") == set()
    assert silenced(alertmanager, "") == set()
