"""Ask a running Prometheus everything that the dashboards ask, and tell what it could not answer."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exporter.rules.building import render
from exporter.rules.options import RulesOptions
from testbed.processes import Server, until
from tests.peers import scaled, servers

from .ask import Refused, Window, instant, names, ranged
from .queries import Dashboard, filled, load, of_one_stream, quoted, targets, variables

WINDOWS = {"__rate_interval": "15s", "__interval": "5s", "__range": "1m"}
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
_LABEL_NAMES = re.compile(r"label_names\((.+)\)")

Values = Mapping[str, str]
Place = tuple[str, str, str]  # dashboard, panel, query as it is written


HOUR = 1 / 900  # four seconds


def prometheus(folder: Path, *targets: str) -> AbstractContextManager[Server]:
    """Run Prometheus that scrapes some HOST:PORT every second, with the shipped rules in as small a time."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = yaml.safe_load(scaled.rules())["groups"]
    rules[1:] = yaml.safe_load(render(RulesOptions(), HOUR))["groups"][1:]
    rules[1]["interval"] = "1s"
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": rules}), encoding="utf-8")
    config = yaml.safe_load(servers.scraping(*targets))
    config["scrape_configs"][0]["static_configs"][0]["labels"] = {"cluster": "here"}
    return servers.prometheus(yaml.safe_dump(config | {"rule_files": ["rules.yml"]}), folder)


@dataclass(frozen=True, slots=True)
class Failure:
    """A query that failed or found nothing."""

    dashboard: str
    panel: str
    expr: str
    problem: str


def _has_numbers(result: Iterable[dict[str, Any]]) -> bool:
    pairs = [pair for series in result for pair in series.get("values", [series.get("value")])]
    return any(math.isfinite(float(pair[1])) for pair in pairs)


def _seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def problem_of(prometheus: str, target: dict[str, Any], values: Values) -> str | None:
    """Ask one panel's query as Grafana does, at an instant or over the range; None where it found data."""
    now, expr = time.time(), filled(target["expr"], values)
    window = Window(now - _seconds(values["__range"]), now, _seconds(values["__interval"]))
    try:
        found = instant(prometheus, expr, now) if target.get("instant") else ranged(prometheus, expr, window)
    except Refused as refusal:
        return str(refusal)
    return None if _has_numbers(found) else "no data"


def _choices(prometheus: str, dashboard: Dashboard, windows: Values) -> list[dict[str, str]]:
    """Return the values to try: all at once, or one stream after the other where a dashboard looks at one."""
    if not of_one_stream(dashboard):
        return [dict(windows)]
    series = instant(prometheus, "group by (provider, stream) (stream_info)", time.time())
    chosen = [{name: quoted(one["metric"][name]) for name in ("provider", "stream")} for one in series]
    return [{**windows, **values} for values in chosen]


def _variable_problem(prometheus: str, query: str) -> str | None:
    if match := _LABEL_VALUES.fullmatch(query):
        found = names(prometheus, match[1], match[2])
    elif match := _LABEL_NAMES.fullmatch(query):
        found = names(prometheus, match[1])
    else:
        return "neither label_values nor label_names"
    return None if found else "no values"


def check(
    prometheus: str, name: str, dashboard: Dashboard, windows: Values, found: set[Place] | None = None
) -> list[Failure]:
    """Ask all queries of one dashboard, those of its variables too, but none of those that `found` data before.

    A query of the dashboard for one stream passes if it finds data for any watched stream, since no provider tells
    everything; an error of Prometheus fails it for whichever stream it came.
    """
    choices, failures = _choices(prometheus, dashboard, windows), []
    if not choices:
        return [Failure(name, "*", "stream_info", "no watched stream is seen")]
    found = set() if found is None else found
    for panel, target in targets(dashboard):
        place = (name, panel["title"], target["expr"])
        if place in found:
            continue
        if problem := _best(prometheus, target, choices):
            failures.append(Failure(name, panel["title"], filled(target["expr"], choices[0]), problem))
        else:
            found.add(place)
    for variable, query in variables(dashboard, choices[0]):
        if problem := _variable_problem(prometheus, query):
            failures.append(Failure(name, f"variable {variable}", query, problem))
    return failures


def _best(prometheus: str, target: dict[str, Any], choices: list[dict[str, str]]) -> str | None:
    problem: str | None = None
    for values in choices:
        problem = problem_of(prometheus, target, values)
        if problem != "no data":
            break
    return problem


def check_all(prometheus_url: str, windows: Values = WINDOWS, found: set[Place] | None = None) -> list[Failure]:
    """Ask a Prometheus every query of every committed dashboard, but none of those that `found` data before.

    Args:
        prometheus_url: For instance http://127.0.0.1:9090; it has scraped an exporter for a while.
        windows: `__rate_interval`, `__interval` and `__range` to fill in, as durations in s, m or h; the range should
            not be longer than Prometheus has been scraping, the rate interval at least four scrapes.
        found: Takes up the queries that find data.

    Returns:
        The queries that failed or found no number; empty when all is well.
    """
    return [failure for name, board in load().items() for failure in check(prometheus_url, name, board, windows, found)]


def wait_for_data(prometheus_url: str, windows: Values = WINDOWS) -> None:
    """Wait until every query has found data, for a minute; a failure shows the ones that have not."""
    failures = ["nothing was asked yet"]
    found: set[Place] = set()

    def all_well() -> bool:
        failures[:] = [str(failure) for failure in check_all(prometheus_url, windows, found)]
        return not failures

    try:
        until(all_well, "every query finds data", 60)
    except AssertionError:
        raise AssertionError("\n".join(failures)) from None
