"""What the committed dashboards promise without any server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import promql_parser
import pytest
import yaml

from exporter.rules.alerts import ALERTS
from exporter.status.filter import Filter
from grafana.build import DASHBOARDS, build

from .contract_metrics import MADE, METRICS, samples
from .queries import Dashboard, filled, load, of_one_stream, panels, queries, targets

BOARDS = load()
PANELS = [
    pytest.param(panel, id=f"{name}:{panel['title']}") for name, board in BOARDS.items() for panel in panels(board)
]
QUERIES = [
    pytest.param(target["expr"], id=f"{name}:{panel['title']}:{target['refId']}")
    for name, board in BOARDS.items()
    for panel, target in targets(board)
]
NAMES = sorted(BOARDS)
GRAFANA = Path(DASHBOARDS).parent
RUNBOOK = GRAFANA.parent / "docs" / "runbook.md"
GRAFANA_11 = yaml.safe_load(Path(__file__).with_name("grafana11.yml").read_text(encoding="utf-8"))
# Labels that Prometheus adds to everything it scrapes.
SCRAPED = {"cluster", "job", "instance"}


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """Yield every metric selector of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    parts = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "param", "vector_selector")]
    for part in [*parts, *getattr(node, "args", [])]:
        if part is not None:
            yield from selectors(part)


def metrics_of(expr: str) -> list[tuple[str, set[str]]]:
    """Return each metric that an expression selects, with the labels that it matches on."""
    found = selectors(promql_parser.parse(filled(expr)))
    return [(one.name or "", {matcher.name for matcher in one.matchers.matchers}) for one in found]


@pytest.mark.parametrize("name", NAMES)
def test_committed_json_is_what_the_generator_writes(name: str) -> None:
    """Nobody edits the JSON by hand, and nobody forgets to generate it: python -m grafana.build."""
    made = build()
    assert sorted(made) == sorted(path.name for path in DASHBOARDS.glob("*"))
    assert (DASHBOARDS / f"{name}.json").read_text(encoding="utf-8") == made[f"{name}.json"]


@pytest.mark.parametrize("panel", PANELS)
def test_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """Each panel has a title, a description in sentences, a unit, a word for emptiness and the chosen data source."""
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert len(panel["description"]) > 30
    assert panel["description"].rstrip("`").endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert sources == [{"type": "prometheus", "uid": "${datasource}"}] * len(sources)
    assert len(sources) > 1


@pytest.mark.parametrize("expr", QUERIES)
def test_query_parses_and_asks_for_known_metrics(expr: str) -> None:
    """Each query is PromQL, selects only metrics that the exporter has, and only by labels that those have."""
    known, found = samples(METRICS | MADE), metrics_of(expr)
    assert found
    for metric, labels in found:
        assert metric in known
        assert labels <= known[metric] | SCRAPED


@pytest.mark.parametrize("expr", QUERIES)
def test_query_keeps_to_the_chosen_job_and_the_rate_interval(expr: str) -> None:
    """Another exporter's streams do not leak in, and no window of a rate is a guess."""
    assert re.search(r'cluster=~"\$cluster\|?", job=~"\$job\|?"', expr)
    windows = re.findall(r"\brate\([^\[]*\[([^\]]*)\]", expr)
    assert windows.count("$__rate_interval") == len(windows)


def test_every_metric_of_streams_and_providers_is_shown() -> None:
    """No metric about streams or providers is exposed and then forgotten by the dashboards."""
    shown = {
        metric for board in BOARDS.values() for _, target in targets(board) for metric, _ in metrics_of(target["expr"])
    }
    base = {re.sub("_(bucket|count|sum)$", "", name) for name in shown}
    assert set(METRICS) <= base


@pytest.mark.parametrize("expr", QUERIES)
def test_recorded_series_are_not_asked_for_by_exporter(expr: str) -> None:
    """Whichever exporter is chosen, what the rules record of all of them together is shown."""
    assert not [metric for metric, labels in metrics_of(expr) if ":" in metric and "instance" in labels]


@pytest.mark.parametrize("name", NAMES)
def test_titles_and_numbers_are_unique(name: str) -> None:
    """A failure can name its panel, and a link to one panel keeps pointing at it."""
    everything = [each for one in BOARDS[name]["panels"] for each in (one, *one.get("panels", []))]
    titles, numbers = [one["title"] for one in everything], [one["id"] for one in everything]
    assert len(set(titles)) == len(titles)
    assert numbers == list(range(1, len(numbers) + 1))


def grids(board: Dashboard) -> Iterator[list[dict[str, int]]]:
    """Yield the places of the panels that are seen at first, and those of each folded row, itself included."""
    yield [one["gridPos"] for one in board["panels"]]
    for row in board["panels"]:
        if row.get("panels"):
            top = row["gridPos"]["y"]
            yield [{**one["gridPos"], "y": one["gridPos"]["y"] - top} for one in (row, *row["panels"])]


@pytest.mark.parametrize("name", NAMES)
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    """No panel hides another, leaves the 24 columns, or leaves a hole beside it; open rows too."""
    for places in grids(BOARDS[name]):
        for one, other in combinations(places, 2):
            beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert beside or above
        height = max(one["y"] + one["h"] for one in places)
        assert sum(one["w"] * one["h"] for one in places) == 24 * height
        assert all(one["x"] + one["w"] <= 24 for one in places)


def test_what_only_some_have_is_folded_and_says_whose_it_is() -> None:
    """Who has no such cloud or callbacks gets one closed heading that says so, not panels without data."""
    folded = [row for board in BOARDS.values() for row in board["panels"] if row.get("collapsed")]
    callbacks = "Callbacks (only for accounts that have a callback secret)"
    playback = "What viewers get (only for streams that have `playback`)"
    assert {row["title"] for row in folded} == {"Inputs (Tencent Cloud CSS only)", playback, callbacks}
    inside = {one["title"] for row in folded for one in row["panels"]}
    rare = {"stream_inputs", "stream_callbacks_total", "stream_last_callback_timestamp_seconds"}
    rare |= {"stream_playback_up", "stream_playback_errors_total", "stream_playback_bytes_total"}
    elsewhere = {
        panel["title"]
        for board in BOARDS.values()
        for panel, target in targets(board)
        if rare & {metric for metric, _ in metrics_of(target["expr"])}
    } - inside
    viewers = {"Not playable", "Not playable now, and since when", "Checks without a result", "Source, cloud, viewers"}
    assert elsewhere == {"Media, inputs, push or pull", "Degraded", "Degraded now"} | viewers


@pytest.mark.parametrize("name", NAMES)
def test_dashboard_settings(name: str) -> None:
    """Links to a dashboard stay valid, it shows the reader's time zone and refreshes itself."""
    board = BOARDS[name]
    assert board["title"].startswith("Streams / ")
    assert board["uid"] == f"stream-exporter-{name}"
    assert board["timezone"] == "browser"
    assert board["refresh"] == "30s"
    assert "stream-exporter" in board["tags"]


def words(board: Dashboard) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the parts of a dashboard, each with its place in the table of the words of Grafana 11."""
    yield ("board",), board
    yield from ((("link",), link) for link in board["links"])
    yield from ((("variable",), variable) for variable in board["templating"]["list"])
    yield from ((("row",), panel) for panel in board["panels"] if panel["type"] == "row")
    for panel in panels(board):
        defaults, overrides = panel["fieldConfig"]["defaults"], panel["fieldConfig"].get("overrides", [])
        changed = {each["id"]: each["value"] for one in overrides for each in one["properties"]}
        custom = {name.removeprefix("custom."): 0 for name in changed if name.startswith("custom.")}
        yield ("panel",), panel
        yield from ((("target",), target) for target in panel["targets"])
        yield ("defaults",), defaults | {name: 0 for name in changed if "." not in name}
        yield ("options", panel["type"]), panel["options"]
        yield ("custom", panel["type"]), defaults.get("custom", {}) | custom


@pytest.mark.parametrize("name", NAMES)
def test_nothing_needs_a_grafana_newer_than_11(name: str) -> None:
    """Kinds of panels, their options and everything around them are words that Grafana 11.0 knows."""
    assert BOARDS[name]["schemaVersion"] == 39
    for place, part in words(BOARDS[name]):
        known: Any = GRAFANA_11
        for step in place:
            known = known[step]
        assert set(part) <= set(known.split()), place


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_the_promised_ones_and_used(name: str) -> None:
    """Exporters, accounts and streams can be chosen everywhere, several at once, and each choice has an effect."""
    board = BOARDS[name]
    found = [variable["name"] for variable in board["templating"]["list"]]
    assert found[:8] == ["datasource", "cluster", "job", "instance", "page", "provider", "account", "stream"]
    several = {variable["name"] for variable in board["templating"]["list"] if variable["multi"]}
    one = {"provider", "stream"} if of_one_stream(board) else set()
    assert several == {"cluster", "job", "instance", "provider", "account", "stream"} - one
    uses = [board["panels"], board["links"], *(variable.get("query") for variable in board["templating"]["list"])]
    text = " ".join(map(str, uses))
    for variable in found:
        assert re.search(rf"\$\{{?{variable}\b", text)


def test_only_the_stream_dashboard_looks_at_one_stream() -> None:
    """Fleet and Providers take any number of streams, Stream takes one."""
    assert {name: of_one_stream(board) for name, board in BOARDS.items()} == {
        "fleet": False,
        "providers": False,
        "stream": True,
    }


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_the_other_dashboards_the_page_and_the_runbook(name: str) -> None:
    """From each dashboard the others are one click away, with time and choices kept, and so are page and runbook."""
    links = {
        link["url"].split("/")[2] if link["url"].startswith("/d/") else link["title"]: link
        for link in BOARDS[name]["links"]
    }
    others = {board["uid"] for board in BOARDS.values()} - {BOARDS[name]["uid"]}
    assert set(links) == others | {"Status page", "Runbook"}
    assert links["Runbook"]["url"].endswith("/docs/runbook.md")
    assert links["Status page"]["url"].startswith("http://${page:raw}/")
    assert all(links[uid]["keepTime"] and links[uid]["includeVars"] for uid in others)


def test_a_click_on_a_stream_finds_it_on_the_page() -> None:
    """The link of the Stream dashboard asks the status page for that stream, whatever its name holds."""
    [link] = [link["url"] for link in BOARDS["stream"]["links"] if link["title"] == "Status page"]
    query = link.partition("?")[2].replace("${provider:percentencode}", "zego")
    found = Filter.read(parse_qsl(query.replace("${stream:percentencode}", quote("a&b c"))))
    assert (set(found.providers), found.text) == ({"zego"}, "a&b c")


def test_every_address_inside_panels_is_a_dashboard_of_ours_or_the_runbook() -> None:
    """A click on a stream, an account or a code leads somewhere."""
    uids = {board["uid"] for board in BOARDS.values()}
    found = re.findall(r"'url': '([^']+)'", " ".join(str(panels(board)) for board in BOARDS.values()))
    assert found
    for url in found:
        assert url.split("/")[2] in uids or url.partition("#")[0].endswith("/docs/runbook.md")


def test_each_alert_links_to_its_section_of_the_runbook() -> None:
    """Names of alerts become the anchors that the rules themselves link to."""
    anchors = {f"#{alert.name.lower()}" for alert in ALERTS if alert.severity != "none"}
    text = RUNBOOK.read_text(encoding="utf-8")
    for board in BOARDS.values():
        [panel] = [panel for panel in panels(board) if panel["title"] == "Firing alerts"]
        [link] = [
            one["properties"] for one in panel["fieldConfig"]["overrides"] if one["matcher"]["options"] == "runbook"
        ]
        values = {each["id"]: each["value"] for each in link}
        shown = {f"#{one['text']}" for one in values["mappings"][0]["options"].values()}
        assert shown == anchors
        assert values["links"][0]["url"].endswith("/docs/runbook.md#${__value.text}")
    assert {alert.name for alert in ALERTS} <= set(re.findall(r"^#+ (\w+)$", text, re.MULTILINE))


def test_no_source_is_hard_coded() -> None:
    """The dashboards can be imported into any Grafana: only the variable names the data source."""
    for board in BOARDS.values():
        assert set(re.findall(r"'uid': '([^']+)'", str(board["panels"]) + str(board["templating"]))) == {
            "${datasource}"
        }


def test_queries_are_told_with_their_titles_and_filled() -> None:
    """The library that other tests use returns every query, and leaves no variable in it."""
    board: Dashboard = {
        "panels": [{"type": "row", "panels": [{"type": "stat", "title": "T", "targets": [{"expr": 'a{s="$stream"}'}]}]}]
    }
    assert queries(board, {"stream": "x"}) == [("T", 'a{s="x"}')]
    assert not any("$" in expr for name in NAMES for _, expr in queries(BOARDS[name]))
    with pytest.raises(KeyError):
        filled("a{s='$unheard_of'}")


def test_provisioning_points_at_what_is_there() -> None:
    """Grafana finds its Prometheus by the uid that people link to, and the dashboards where compose mounts them."""
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/stream-exporter.yml").read_text(encoding="utf-8"))
    folders = yaml.safe_load((GRAFANA / "provisioning/dashboards/stream-exporter.yml").read_text(encoding="utf-8"))
    prometheus = sources["datasources"][0]
    assert (prometheus["uid"], prometheus["url"]) == ("prometheus", "http://prometheus:9090")
    assert folders["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"
