"""Every query of every dashboard, answered by a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import peer
import pytest
from live import WINDOWS, check, check_all
from sample import served

from grafana.queries import load


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that scrapes the sample."""
    if peer.BINARY is None:
        pytest.skip("Prometheus is not installed: no query of the dashboards was tried")
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as running:
        address = running.enter_context(served())
        yield running.enter_context(peer.prometheus(address, folder))


def test_every_query_finds_data(prometheus: str) -> None:
    """Each panel and each variable shows something once an exporter with streams in every state is scraped."""
    failures = ["nothing was asked yet"]

    def all_well() -> bool:
        failures[:] = [str(failure) for failure in check_all(prometheus)]
        return not failures

    try:
        peer.wait_until(all_well, 60, "some queries never found data")
    except TimeoutError:
        pytest.fail("\n".join(failures))


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
