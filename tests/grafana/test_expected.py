"""What the dashboards say about streams by what is expected of them, by Prometheus's own test of queries."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.deploy.test_rules import promtool, series
from tests.deploy.tools import accepts

from .queries import load, queries

STATES = ("active", "inactive", "forbidden", "not_found", "unknown")
# Stream: its state, and whether it is expected; None as of an exporter that does not say.
STREAMS = {
    "live": ("active", 1),
    "stuck": ("active", 1),
    "mute": ("active", 1),
    "alone": ("active", 1),
    "extra": ("active", 0),  # lacks everything too
    "down": ("inactive", 1),
    "gone": ("not_found", None),
    "off": ("inactive", 0),
    "blocked": ("forbidden", 0),
    "dark": ("unknown", 0),
}
SHORT = {"stuck": {"stalled"}, "mute": {"media"}, "alone": {"inputs"}, "extra": {"stalled", "media", "inputs"}}


def inputs() -> list[dict[str, str]]:
    """Return the series of all streams, of one exporter."""
    found = []
    for name, (state, expected) in STREAMS.items():
        short, told = SHORT.get(name, set()), {"stream_info": 1, "stream_expected": expected}
        told["stream_active"] = None if state == "unknown" else int(state == "active")
        told |= {"stream_ingest_stalled": int("stalled" in short), "stream_inputs_expected": 2}
        told["stream_inputs"] = 1 if "inputs" in short else 2
        for metric, value in told.items():
            more = {"account": "main"} if metric == "stream_info" else {}
            found += [] if value is None else [series(metric, "a", name, f"{value}x300", **more)]
        found += [series("stream_state", "a", name, f"{int(one == state)}x300", state=one) for one in STATES]
        found += [series("stream_media_active", "a", name, f"{int('media' not in short)}x300", media="video")]
        found += [series("stream_media_expected", "a", name, "1x300", media="video")]
    return found


def held(
    folder: Path,
    title: str,
    place: int,
    samples: dict[str, float],
    given: list[dict[str, str]] | None = None,
    **chosen: str,
) -> None:
    """Hold a query of a panel, of Stream if one is chosen, to its samples: by their labels in braces."""
    dashboard = "stream" if chosen else "fleet"
    expr = [text for name, text in queries(load()[dashboard], chosen) if name == title][place]
    wanted = [{"labels": labels, "value": value} for labels, value in samples.items()]
    check = {"expr": expr, "eval_time": "2h", "exp_samples": wanted}
    test = {"interval": "1m", "input_series": given or inputs(), "promql_expr_test": [check]}
    (folder / "expected.yml").write_text(yaml.safe_dump({"tests": [test]}), encoding="utf-8")
    accepts(promtool(), "test", "rules", folder / "expected.yml")


@pytest.mark.parametrize(
    ("title", "place", "value"),
    [
        ("Live of expected", 0, 4),
        ("Live of expected", 1, 6),
        ("Live of expected", 2, 10),
        ("Live share", 0, 4 / 6),
        ("Down", 0, 2),
        ("Unknown", 0, 1),
        ("Off air", 0, 2),
        ("Live, not expected", 0, 1),
        ("Degraded", 0, 3),
        ("Stalled", 0, 1),
        ("Streams by state", 0, 5),
        ("Streams by state", 1, 1),
        ("Streams by state", 4, 2),
    ],
)
def test_each_stream_counts_where_it_belongs(tmp_path: Path, title: str, place: int, value: float) -> None:
    """Off air is not down, an exporter that does not say expects its streams, and only what is expected is degraded."""
    held(tmp_path, title, place, {"{}": value})


@pytest.mark.parametrize(
    ("title", "place", "rows"),
    [
        ("Down now, and since when", 0, {"down": 2, "gone": 1}),
        ("Unknown now", 0, {"dark": 1}),
        ("Degraded now", 0, {"alone": 1}),
        ("Degraded now", 1, {"mute": 1}),
        ("Degraded now", 2, {"stuck": 1}),
        ("Live, not expected now", 0, {"extra": 1}),
    ],
)
def test_tables_name_the_streams(tmp_path: Path, title: str, place: int, rows: dict[str, float]) -> None:
    """A table has a row for each stream that its tile counts, and for no other."""
    labels = '{{provider="zego", account="main", stream="{}"}}'.format
    held(tmp_path, title, place, {labels(stream): value for stream, value in rows.items()})


def test_lanes_show_off_air(tmp_path: Path) -> None:
    """Among the lanes of Fleet is none of a stream that is never expected, nor of one that was live all the time."""
    labels = '{{provider="zego", stream="{}"}}'.format
    held(tmp_path, "States of the streams that were live least", 0, {labels("down"): 2, labels("gone"): 1})


@pytest.mark.parametrize(
    ("stream", "state"), [("live", 4), ("extra", 4), ("down", 2), ("gone", 1), ("off", 5), ("blocked", 5), ("dark", 0)]
)
def test_state_of_a_stream_may_be_off_air(tmp_path: Path, stream: str, state: int) -> None:
    """Only a state that is neither live nor unknown turns calm while the stream is not expected."""
    one = f'{{provider="zego", stream="{stream}"}}'
    held(tmp_path, "State now", 0, {one: state}, provider="zego", stream=stream)
