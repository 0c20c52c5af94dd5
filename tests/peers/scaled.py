"""The shipped rules and configurations with all their times shrunk, so that minutes pass in seconds."""

from __future__ import annotations

from typing import Any

import yaml

from exporter.rules.building import render, scale_duration
from exporter.rules.options import RulesOptions
from tests.deploy.tools import ROOT

DEPLOY = ROOT / "deploy"
SCALE = 1 / 15  # the shipped scrape interval of 15 s becomes one second
TIMES = frozenset(
    {
        "scrape_interval",
        "scrape_timeout",
        "evaluation_interval",
        "resolve_timeout",
        "group_wait",
        "group_interval",
        "repeat_interval",
    }
)
SHIPPED_HOOK = "http://127.0.0.1:9095"
SHIPPED_EXPORTER = "localhost:10180"


def duration(text: str) -> str:
    """Return a duration in the scaled time."""
    return scale_duration(text, SCALE)


def rules() -> str:
    """Return the shipped rules with shorter windows, from the builder that writes them."""
    return render(RulesOptions(), SCALE)


def _shrunk(node: Any, key: str = "") -> Any:
    if isinstance(node, dict):
        return {name: _shrunk(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_shrunk(value) for value in node]
    return duration(node) if key in TIMES else node


def _shipped(path: str) -> Any:
    return _shrunk(yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8")))


def alertmanager(hook: str) -> str:
    """Return Alertmanager's shipped configuration with its receivers at a test's webhook."""
    text = yaml.safe_dump(_shipped("alertmanager/alertmanager.yml"), sort_keys=False)
    assert text.count(SHIPPED_HOOK) == 4
    return text.replace(SHIPPED_HOOK, hook)


def per_stream(exporter: str) -> str:
    """Return the shipped example with a target per stream, for an exporter at HOST:PORT."""
    text = yaml.safe_dump(_shipped("prometheus/per-stream.yml"), sort_keys=False)
    assert text.count(SHIPPED_EXPORTER) == 3
    return text.replace(SHIPPED_EXPORTER, exporter)


def prometheus(exporter: str, alertmanager: str) -> str:
    """Return Prometheus's shipped configuration for an exporter and an Alertmanager at HOST:PORT."""
    shipped = _shipped("prometheus/prometheus.yml")
    shipped["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    shipped["scrape_configs"][0]["static_configs"][0]["targets"] = [exporter]
    return yaml.safe_dump(shipped, sort_keys=False)
