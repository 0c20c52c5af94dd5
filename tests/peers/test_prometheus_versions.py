"""Prometheus 3 beside Prometheus 2, with the shipped configuration and rules: both keep and fire the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest
import yaml

from exporter.simulator import demo_configuration, demo_world, serving
from testbed.processes import Server, exporter, until
from testbed.web import served

from . import scaled, servers
from .servers import told, vector

MAJORS = (2, 3)
REJECTED = 'ALERTS{alertname="StreamCredentialsRejected", alertstate="firing"}'


@dataclass(frozen=True, slots=True)
class Both:
    """Prometheus 2 and 3, in this order, and the instance that both scrape."""

    servers: tuple[Server, ...]
    instance: str

    def series(self, name: str) -> list[set[frozenset[tuple[str, str]]]]:
        """Return the series that each has now of the families whose name fits a regular expression, with all labels."""
        wanted = f'{{__name__=~"{name}", instance="{self.instance}"}}'
        return [{frozenset(labels.items()) for labels, _ in vector(one.url, wanted)} for one in self.servers]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both scrape one exporter of the demo's clouds, as the shipped configuration tells them, in shrunk time."""
    folder = tmp_path_factory.mktemp("versions")
    with ExitStack() as stack:
        clouds = stack.enter_context(serving(demo_world()))
        document = {**yaml.safe_load(demo_configuration(clouds.url)), "scrape": {"reuse": "300ms"}}
        watching = stack.enter_context(exporter(document, folder=folder / "exporter"))
        nobody = stack.enter_context(served(lambda _asked: ({}, b"")))
        running = []
        for major in MAJORS:
            place = folder / str(major)
            place.mkdir()
            (place / "rules.yml").write_text(scaled.rules(), encoding="utf-8")
            config = scaled.prometheus(watching.address, nobody)
            running.append(stack.enter_context(servers.prometheus(config, place, major=major)))
        yield Both(tuple(running), watching.address)


def test_each_is_the_version_it_is_taken_for(both: Both) -> None:
    """What is compared here are two versions, not one with itself."""
    versions = [told(one.url, "status/buildinfo")["version"].partition(".")[0] for one in both.servers]
    assert versions == [str(major) for major in MAJORS]


@pytest.mark.parametrize("family", ["stream_.+", "(process|python)_.+", "up|scrape_samples_scraped"])
def test_both_keep_the_same_series(both: Both, family: str) -> None:
    """Names and labels are the same, those of histograms too, whose buckets Prometheus 3 spells in its own way."""

    def same() -> bool:
        two, three = both.series(family)
        return bool(two) and two == three

    # Each scrapes at its own moment: what has just changed is in one before it is in the other.
    until(same, "both have the same series")


def test_buckets_are_spelled_as_they_are_kept(both: Both) -> None:
    """A rule or a panel that names a bucket finds it in either."""
    for series in both.series("stream_provider_request_duration_seconds_bucket"):
        assert {"0.1", "1.0", "+Inf"} <= {dict(labels)["le"] for labels in series}


def _healths(server: Server) -> Counter[str]:
    return Counter(rule["health"] for group in told(server.url, "rules")["groups"] for rule in group["rules"])


def _evaluated(server: Server, count: int) -> bool:
    return _healths(server)["ok"] >= count


def test_both_evaluate_the_rules(both: Both) -> None:
    """The shipped rules load, none fails, and both tell of the account that the demo's cloud rejects."""
    # The records of whole days need not have been made yet: the shrunk interval of their group is four minutes.
    *often, daily = (len(group["rules"]) for group in yaml.safe_load(scaled.rules())["groups"])
    for one in both.servers:
        until(partial(vector, one.url, REJECTED), "the rejected account is told of")
        until(partial(_evaluated, one, sum(often)), "all others are evaluated")
        assert _healths(one) in ({"ok": sum(often), "unknown": daily}, {"ok": sum(often) + daily})
    two, three = ([labels for labels, _ in vector(one.url, REJECTED)] for one in both.servers)
    assert two == three
