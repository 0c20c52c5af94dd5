"""Which alerts the dashboards show: those that fire, of what is chosen, whatever labels they lack."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from exporter.commands.dashboards import fitted
from exporter.rules.options import DashboardsOptions
from grafana.build import build
from tests.deploy.test_rules import promtool
from tests.deploy.tools import accepts

from .queries import filled

# What tells an alert from others, and what more it has.
STREAM_1 = 'provider="zego", account="main", stream="s1"'
ALERTS = {
    "down": (f'alertname="StreamDown", {STREAM_1}', 'job="stream-exporter", team="news"'),
    "other stream": (
        'alertname="StreamDown", provider="zego", account="main", stream="s2"',
        'job="stream-exporter", team="shop"',
    ),
    "hls": (f'alertname="StreamNotPlayable", {STREAM_1}, playback="hls"', 'job="stream-exporter", team="news"'),
    "flv": (
        f'alertname="StreamNotPlayable", {STREAM_1}, playback="flv"',
        'job="stream-exporter", team="news"',
    ),
    "account": ('alertname="StreamCredentialsRejected", provider="zego", account="main"', 'job="stream-exporter"'),
    "other account": ('alertname="StreamProviderBlind", provider="zego", account="test"', 'job="stream-exporter"'),
    "vanished": ('alertname="StreamExporterDown"', 'severity="critical"'),
}
# A dead-man's switch, another program's, and one that only waits: none of them is shown.
HIDDEN = ['alertname="StreamWatchdog", severity="none"', 'alertname="StreamThreadDown", job="kafka"']
PENDING = f'alertname="StreamBlind", {STREAM_1}, job="stream-exporter"'


def shown(folder: Path, name: str, alerts: set[str], labels: tuple[str, ...] = (), **chosen: str) -> None:
    """Hold the table of a dashboard, with some choices, to the alerts that it shows."""
    board = json.loads(fitted(build()[f"{name}.json"], DashboardsOptions(info_label=labels)))
    [expr] = [one["targets"][0]["expr"] for one in board["panels"] if one["title"] == "Firing alerts"]
    firing = [*(", ".join(one) for one in ALERTS.values()), *HIDDEN]
    series = [f'ALERTS{{{one}, alertstate="firing"}}' for one in firing]
    series += [f"ALERTS_FOR_STATE{{{one}}}" for one in (*firing, PENDING)]
    series += [
        f'ALERTS{{{PENDING}, alertstate="pending"}}',
        f'stream_info{{{STREAM_1}, job="stream-exporter", instance="a"}}',
    ]
    query = f"group by (alertname, provider, account, stream, playback) ({filled(expr, chosen)})"
    wanted = [{"labels": f"{{{ALERTS[one][0]}}}", "value": 1} for one in alerts]
    test = {
        "interval": "15s",
        "input_series": [{"series": one, "values": "1x20"} for one in series],
        "promql_expr_test": [{"expr": query, "eval_time": "4m", "exp_samples": wanted}],
    }
    (folder / "alerts.yml").write_text(yaml.safe_dump({"tests": [test]}), encoding="utf-8")
    accepts(promtool(), "test", "rules", folder / "alerts.yml")


def test_fleet_shows_every_alert_that_fires(tmp_path: Path) -> None:
    """Also those about an account or a vanished exporter, which lack stream, account and job; each address is a row."""
    shown(tmp_path, "fleet", set(ALERTS))


def test_choices_narrow_the_alerts(tmp_path: Path) -> None:
    """The choice of an account and a job hides those of others; alerts that name none stay."""
    shown(tmp_path, "providers", {"other account", "vanished"}, account="test", job="(stream-exporter|second)")
    shown(tmp_path, "fleet", {"vanished"}, job="second")


def test_a_stream_has_its_own_alerts_and_those_of_what_it_depends_on(tmp_path: Path) -> None:
    """Neither a stream nor an account beside it shows."""
    own = {"down", "hls", "flv"}
    shown(tmp_path, "stream", own | {"account", "vanished"}, provider="zego", stream="s1")


def test_labels_filter_the_alerts_that_carry_them(tmp_path: Path) -> None:
    """The alerts of another team's streams go; those that cannot carry the label stay."""
    shown(tmp_path, "fleet", set(ALERTS) - {"other stream"}, ("team",), info_team="news")
