"""What the dashboards say about 30 days, by Prometheus's own test of rules: unknown time is neither live nor down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.deploy.test_rules import RULES, promtool, series
from tests.deploy.tools import accepts

from .queries import filled, load, queries

QUARTER = 6 * 60  # six hours of samples
VALUES = {"live": f"1x{QUARTER - 1}", "down": f"0x{QUARTER - 1}", "unknown": f"stale _x{QUARTER - 2}"}


def inputs(stream: str, *quarters: str) -> list[dict[str, str]]:
    """Return the series of a stream that is `live`, `down` or `unknown` for six hours at a time."""
    unknown = " ".join(f"{int(one == 'unknown')}x{QUARTER - 1}" for one in quarters)
    return [
        series("stream_info", "a", stream, f"1x{4 * QUARTER}", account="main"),
        series("stream_active", "a", stream, " ".join(VALUES[one] for one in quarters)),
        series("stream_state", "a", stream, unknown, state="unknown"),
    ]


def check(title: str, place: int, wanted: dict[str, float]) -> dict[str, Any]:
    """Return the check that a panel of Fleet shows these values, by stream, after a day."""
    expr = [filled(text) for name, text in queries(load()["fleet"]) if name == title][place]
    labels = {
        stream: f'{{provider="zego", account="main", stream="{stream}"}}' if stream else "{}" for stream in wanted
    }
    samples = [{"labels": labels[stream], "value": value} for stream, value in wanted.items()]
    return {"expr": f"round({expr}, 0.1)", "eval_time": "24h", "exp_samples": samples}


def test_unknown_time_is_neither_live_nor_down(tmp_path: Path) -> None:
    """Availability is of the known time; how much of it was known, and of how many days, is said beside it."""
    checks = [
        check("Availability by stream, 30 days", 0, {"steady": 1, "half": 0.5}),
        check("Availability by stream, 30 days", 1, {"steady": 1, "half": 0.5}),
        check("Availability by stream, 30 days", 2, {"steady": 1, "half": 1}),
        check("Available, 30 days", 0, {"": 0.8}),
        check("Known, 30 days", 0, {"": 0.8}),
        check("Days counted, of 30", 0, {"": 1}),
    ]
    streams = [*inputs("steady", *["live"] * 4), *inputs("half", "live", "unknown", "unknown", "down")]
    # promtool evaluates every group at one interval: that of the hourly one, which the month is made of.
    test = {"interval": "1m", "input_series": streams, "promql_expr_test": checks}
    scenario = {"rule_files": [str(RULES)], "evaluation_interval": "1h", "tests": [test]}
    (tmp_path / "month.yml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    accepts(promtool(), "test", "rules", tmp_path / "month.yml")
