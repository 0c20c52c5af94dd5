"""A real Prometheus scrapes the exporter: both formats, compressed, one stream at a time, and as one of a pair."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request

import pytest
import yaml

from exporter.exposition import FAMILIES
from exporter.simulator import Simulator, demo_configuration, demo_world, serving
from testbed.processes import Server, until
from testbed.processes import exporter as serving_exporter
from testbed.web import Asked, fetch, opened, served
from tests.deploy.tools import ROOT, program

from . import scaled, servers
from .servers import number, told, vector

CONFIGURED = {"team", "tier"}
OURS = {family.name: family for family in FAMILIES}
TROUBLE = ("level=warn", "level=error", "scrape failed", "append failed", "out-of-order", "duplicate")


@pytest.fixture(scope="module", params=[2, 3], ids=lambda major: f"Prometheus {major}")
def major(request: pytest.FixtureRequest) -> int:
    """Each major version of Prometheus that people run."""
    found: int = request.param
    return found


@pytest.fixture(scope="module")
def clouds() -> Iterator[Simulator]:
    """The simulated clouds of the demo: one account is rejected and one throttled, the others are well."""
    with serving(demo_world()) as simulator:
        yield simulator


@contextmanager
def watching(clouds: Simulator, folder: Path, reuse: str) -> Iterator[Server]:
    """Run an exporter with the demo's configuration."""
    document = {**yaml.safe_load(demo_configuration(clouds.url)), "scrape": {"reuse": reuse}}
    with serving_exporter(document, folder=folder / "exporter") as one:
        yield one


@pytest.fixture(scope="module")
def exporter(clouds: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An exporter that asks anew at each scrape."""
    with watching(clouds, tmp_path_factory.mktemp("exporter"), "0s") as one:
        yield one


@dataclass(slots=True)
class Relay:
    """Passes scrapes on to the exporter, and keeps how they were asked for and answered."""

    address: str = ""
    passed: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def relay(exporter: Server, accept: str | None = None) -> Iterator[Relay]:
    """Listen for scrapes; with `accept`, ask for another format than Prometheus does."""
    passing = Relay()

    def passed_on(asked: Asked) -> tuple[dict[str, str], bytes]:
        headers = {name: value for name, value in asked.headers.items() if name != "Host"}
        headers |= {"Accept": accept} if accept else {}
        with opened(Request(exporter.url + asked.path, headers=headers), timeout=5) as answer:
            body, given = answer.read(), answer.headers
        passing.passed.append((given["Content-Type"].partition(";")[0], given["Content-Encoding"]))
        return {name: given[name] for name in ("Content-Type", "Content-Encoding")}, body

    with served(passed_on) as passing.address:
        yield passing


@dataclass(frozen=True, slots=True)
class Scraped:
    """A Prometheus that scrapes the exporter by two ways: job `openmetrics` and job `text`."""

    prometheus: Server
    openmetrics: Relay
    text: Relay


def job(name: str, address: str, **more: object) -> dict[str, object]:
    """Return a scrape configuration."""
    return {"job_name": name, "static_configs": [{"targets": [address]}], **more}


@pytest.fixture(scope="module")
def scraped(exporter: Server, major: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Prometheus after some scrapes in both formats."""
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        openmetrics = stack.enter_context(relay(exporter))
        text = stack.enter_context(relay(exporter, "text/plain;version=0.0.4"))
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [job("openmetrics", openmetrics.address), job("text", text.address)],
        }
        server = stack.enter_context(servers.prometheus(yaml.safe_dump(config), folder, major=major))
        until(lambda: (number(server.url, "min(count_over_time(up[1m]))") or 0) >= 4, "some scrapes are made")
        yield Scraped(server, openmetrics, text)


def test_both_formats_are_scraped_compressed(scraped: Scraped) -> None:
    """Prometheus gets OpenMetrics since it asks for it, plain text where that is asked for, and gzip either way."""
    assert set(scraped.openmetrics.passed) == {("application/openmetrics-text", "gzip")}
    assert set(scraped.text.passed) == {("text/plain", "gzip")}


def test_every_scrape_is_taken_without_complaint(scraped: Scraped) -> None:
    """No scrape fails, no sample is dropped, doubled or out of order, and the log has no warning."""
    url = scraped.prometheus.url
    assert number(url, "min(min_over_time(up[1m]))") == 1
    kept = vector(url, "scrape_samples_scraped - scrape_samples_post_metric_relabeling")
    assert [value for _, value in kept] == [0, 0]
    refused = [line for line in fetch(f"{url}/metrics").splitlines() if line.startswith("prometheus_target_scrapes_")]
    assert len(refused) >= 5
    assert [line for line in refused if not line.endswith(" 0")] == []
    assert [
        line for line in scraped.prometheus.log().splitlines() if any(word in line.lower() for word in TROUBLE)
    ] == []


def test_both_formats_say_the_same(scraped: Scraped) -> None:
    """The same series come of both formats."""

    def series(job: str) -> set[frozenset[tuple[str, str]]]:
        found = vector(scraped.prometheus.url, f'{{job="{job}", __name__=~"(stream|process)_.+"}}')
        return {frozenset({**labels, "job": "", "instance": ""}.items()) for labels, _ in found}

    assert len(series("text")) > 500
    # The two are scraped in turn: what has just changed is in one before it is in the other.
    until(lambda: series("openmetrics") == series("text"), "both jobs have the same series")


@pytest.mark.parametrize("way", ["openmetrics", "text"])
def test_target_metadata_is_the_table_of_metrics(scraped: Scraped, way: str) -> None:
    """Prometheus knows type and help of every family, also of those that have no sample yet; a store has its own."""
    found = told(scraped.prometheus.url, "targets/metadata", match_target=f'{{job="{way}"}}')
    known = {(one["metric"], one["type"], one["help"]) for one in found if one["metric"].startswith("stream_")}

    def name(family: str) -> str:
        return family.removesuffix("_total") if way == "openmetrics" else family

    own = {"stream_exporter_store_up", "stream_exporter_replicas"}
    assert known == {(name(one.name), one.kind, one.help) for one in FAMILIES if one.name not in own}


def test_series_have_the_labels_of_the_table(scraped: Scraped) -> None:
    """What is scraped has the labels that the table of metrics promises, and no series has another name."""
    found = told(scraped.prometheus.url, "series", **{"match[]": '{job="openmetrics", __name__=~"stream_.+"}'})
    assert found
    for series in found:
        name, labels = series["__name__"], set(series) - {"__name__", "job", "instance"}
        kind = name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        family = OURS[name] if name in OURS else OURS[kind]
        extra = CONFIGURED if name == "stream_info" else {"le"} if name.endswith("_bucket") else set()
        assert labels == {*family.labels, *extra}, name


def test_times_and_counters_are_sane(scraped: Scraped, clouds: Simulator) -> None:
    """Times are Unix seconds of just now; counters never go back, and a change of state is counted once."""
    url = scraped.prometheus.url
    times = "stream_last_success_timestamp_seconds or stream_exporter_config_last_reload_success_timestamp_seconds"
    ages = [value for _, value in vector(url, f"time() - ({times} or process_start_time_seconds)")]
    assert len(ages) > 40
    assert all(-1 <= age < 300 for age in ages)
    one = '{provider="zego", stream="lobby-host", job="text"}'
    before = number(url, f"stream_state_changes_total{one}")
    assert before is not None
    clouds.world.set("zego/lobby-host", "inactive")
    until(lambda: number(url, f"stream_active{one}") == 0, "the stream is seen down")
    clouds.world.set("zego/lobby-host", "active")
    until(lambda: number(url, f"stream_active{one}") == 1, "the stream is seen live again")
    assert number(url, f"stream_state_changes_total{one}") == before + 2
    assert (number(url, "sum(increase(stream_provider_responses_total[10s]))") or 0) > 0
    for family in FAMILIES:
        if family.kind != "gauge":
            name = f"{family.name}_count" if family.kind == "histogram" else family.name
            assert number(url, f"sum(resets({name}[5m]))") in (0, None), name


def test_promtool_finds_nothing_to_improve(exporter: Server) -> None:
    """Names, types, units and help follow the conventions that promtool knows; but rates of media are in bits."""
    promtool = program("promtool", "apt-get install prometheus")
    text = fetch(f"{exporter.url}/metrics")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    remark = 'stream_ingest_bits_per_second use base unit "bytes" instead of "bits"\n'
    assert (done.returncode, done.stdout, done.stderr) == (3, "", remark)


def test_each_stream_can_be_a_target_of_its_own(exporter: Server, major: int, tmp_path: Path) -> None:
    """The shipped example finds the gold streams through /sd and probes each, beside the scrape of all."""
    streams = json.loads(fetch(f"{exporter.url}/api/v1/streams"))
    gold = {f"{one['provider']}/{one['stream']}" for one in streams if one["labels"]["tier"] == "gold"}
    assert 10 < len(gold) < len(streams)
    with servers.prometheus(scaled.per_stream(exporter.address), tmp_path, major=major) as server:

        def probed() -> dict[str, float]:
            found = vector(server.url, f'up{{instance!="{exporter.address}"}}')
            return {labels["instance"]: value for labels, value in found}

        until(lambda: probed() == dict.fromkeys(gold, 1), "all gold streams are probed")
        until(lambda: number(server.url, f'up{{instance="{exporter.address}"}}') == 1, "/metrics is scraped too")
        active = vector(server.url, f'stream_active{{instance!="{exporter.address}"}}')
        assert {labels["instance"] for labels, _ in active} == gold
        assert all(labels["instance"] == f"{labels['provider']}/{labels['stream']}" for labels, _ in active)
        assert {labels["job"] for labels, _ in active} == {"stream-exporter"}
        calls = vector(server.url, "stream_provider_responses_total")
        assert {labels["instance"] for labels, _ in calls} == {exporter.address}


def test_readme_shows_the_example_that_is_tried() -> None:
    """What a reader copies from the README is the job that a real Prometheus has scraped."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = [job for block in blocks if "http_sd_configs" in block for job in yaml.safe_load(block)["scrape_configs"]]
    shipped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "per-stream.yml").read_text(encoding="utf-8"))
    assert shown == shipped["scrape_configs"][1:]


def test_a_pair_of_prometheus_costs_one_round(tmp_path: Path) -> None:
    """Where `reuse` is just below the scrape interval, a second Prometheus asks the clouds nothing."""
    with ExitStack() as stack:
        clouds, pair = stack.enter_context(serving(demo_world())), []
        exporter = stack.enter_context(watching(clouds, tmp_path, "900ms"))
        for name in ("a", "b"):
            config = yaml.safe_load(servers.scraping(exporter.address))
            config["global"]["external_labels"] = {"replica": name}
            pair.append(stack.enter_context(servers.prometheus(yaml.safe_dump(config), tmp_path / name)))

        def scrapes() -> list[float]:
            return [number(one.url, "sum_over_time(up[5m])") or 0 for one in pair]

        until(lambda: min(scrapes()) >= 6, "each of the pair has scraped six times")
        made = sum(scrapes())
        rounds = sum(call.stream == "zego/canary-3" for call in list(clouds.world.log))
        # A stream whose turn comes late in a round is young enough for the next scrape: it is asked every other time.
        assert 3 <= rounds < 0.75 * made
