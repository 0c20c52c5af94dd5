"""Every query of every dashboard, answered by a real Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter.commands.dashboards import fitted
from exporter.rules.options import DashboardsOptions
from grafana.build import DASHBOARDS
from grafana.promql import ACTIVE, LIVE, UNKNOWN, WATCHED, counted, expected, share, total
from testbed.processes import until

from .ask import instant
from .live import WINDOWS, check, wait_for_data
from .live import prometheus as watching
from .queries import filled, load, queries
from .sample import served


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that scrapes two exporters which watch the same streams and disagree about some."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as running:
        pair = [running.enter_context(served()), running.enter_context(served(ahead=4))]
        yield running.enter_context(watching(folder, *pair)).url


def test_every_query_finds_data(prometheus: str) -> None:
    """Each panel and each variable shows something once an exporter with streams in every state is scraped."""
    wait_for_data(prometheus)


def test_a_query_without_data_is_told(prometheus: str) -> None:
    """The check is one that can fail: a metric that no exporter has is reported, as is broken PromQL."""
    target = {"expr": "stream_no_such_metric", "refId": "A"}
    broken = {"expr": "sum by (", "refId": "A", "instant": True}
    board = {
        "panels": [{"type": "stat", "title": "Nothing", "targets": [target, broken]}],
        "templating": {"list": []},
    }
    problems = [failure.problem for failure in check(prometheus, "made-up", board, WINDOWS)]
    assert problems[0] == "no data"
    assert "parse error" in problems[1]
    assert len(problems) == 2


def test_committed_dashboards_are_all_asked() -> None:
    """The three dashboards are what the live check reads; none is left out by its name."""
    assert sorted(load()) == ["fleet", "providers", "stream"]


def test_two_exporters_of_the_same_streams_count_once(prometheus: str) -> None:
    """A highly available pair neither doubles the fleet nor lets a stream be live and down at once."""

    def one(expr: str) -> float:
        found = instant(prometheus, filled(expr), now)
        return float(found[0]["value"][1])

    until(lambda: len(instant(prometheus, "up == 1", time.time())) == 2, "two exporters are seen")
    now = time.time()
    assert one(total()) == 12
    assert one(counted(ACTIVE)) + one(counted(f"{ACTIVE} == bool 0")) + one(counted(UNKNOWN)) == 12
    assert one(counted(expected(WATCHED))) == 10
    assert one(share()) == one(counted(LIVE)) / 10


@pytest.mark.parametrize("label", ["account", "provider", "team"])
def test_fleet_can_be_grouped_by_any_label(prometheus: str, label: str) -> None:
    """Whichever label is chosen, the groups add up to the fleet, and no label breaks the query."""
    until(lambda: len(instant(prometheus, "up == 1", time.time())) == 2, "two exporters are seen")
    chosen = [expr for title, expr in queries(load()["fleet"], {"label": label}) if title == "By $label"]
    answers = [instant(prometheus, expr, time.time()) for expr in chosen]
    assert sum(float(group["value"][1]) for group in answers[0]) == 12
    assert all({frozenset(group["metric"]) for group in answer} == {frozenset({label})} for answer in answers)


def test_a_chosen_label_filters_every_panel(prometheus: str) -> None:
    """With `--info-label`, the streams of a team are counted alone; all values take in those that lack the label."""
    until(lambda: len(instant(prometheus, "up == 1", time.time())) == 2, "two exporters are seen")
    text = (DASHBOARDS / "fleet.json").read_text(encoding="utf-8")
    board = json.loads(fitted(text, DashboardsOptions(info_label=("team",))))

    def watched(team: str) -> float:
        asked = [expr for title, expr in queries(board, {"info_team": team}) if title == "Live of expected"]
        return float(instant(prometheus, asked[2], time.time())[0]["value"][1])

    of_team = 'count(group by (provider, stream) (stream_info{team="esports"}))'
    assert watched("esports") == float(instant(prometheus, of_team, time.time())[0]["value"][1]) < 12
    assert watched(".*") == 12
    assert [
        one for one in check(prometheus, "fleet", board, {**WINDOWS, "info_team": ".*"}) if "variable" in one.panel
    ] == []
