"""The drawing of panels: what a picture must not get wrong."""

from __future__ import annotations

from typing import Any

import pytest

from grafana.ask import Window
from grafana.draw import Series, Shown, card, duration, said
from grafana.look import GREEN, GREY, RED
from grafana.queries import load, panels
from grafana.render import windows

WINDOW = Window(0, 100, 10)


def of_kind(kind: str, title: str) -> dict[str, Any]:
    """Return a committed panel."""
    found = [one for board in load().values() for one in panels(board) if (one["type"], one["title"]) == (kind, title)]
    return found[0]


def test_a_gap_is_drawn_as_a_gap() -> None:
    """Where no exporter was seen there is no colour: two samples far apart are two marks, not one."""
    lane = of_kind("state-timeline", "State over time")
    series = Series("state", {}, [(0, 4), (10, 4), (60, 4), (70, 4)])
    assert card(Shown(lane, [[series]], WINDOW), {}).count(f'fill="{GREEN}"') == 2
    line = of_kind("timeseries", "Age of the last definite answer")
    assert card(Shown(line, [[series]], WINDOW), {}).count("<polyline") == 2


@pytest.mark.parametrize(("value", "word", "color"), [(4, "live", GREEN), (2, "inactive", RED), (0, "unknown", GREY)])
def test_a_state_has_its_word_and_colour(value: float, word: str, color: str) -> None:
    """Unknown is never drawn like down, and no state is told by colour alone."""
    drawn = card(Shown(of_kind("stat", "State now"), [[Series("state", {}, [(100, value)])]], WINDOW), {})
    assert f'style="color:{color}">{word}<' in drawn


def test_names_are_escaped() -> None:
    """A stream's name cannot become markup."""
    lane = of_kind("state-timeline", "States of the streams that were live least")
    drawn = card(Shown(lane, [[Series("<script>x</script>", {}, [(0, 4)])]], WINDOW), {})
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn


def test_an_empty_panel_says_why() -> None:
    """Nothing to show is said in the panel's own words."""
    assert "No stream is down" in card(Shown(of_kind("table", "Down now, and since when"), [[], [], []], WINDOW), {})


def test_a_table_joins_the_answers_of_its_queries() -> None:
    """Rows of several queries become one row per stream, and a missing figure keeps its explanation."""
    labels = {"provider": "zego", "stream": "a"}
    other = {"provider": "zego", "stream": "b"}
    states = [Series("", {**one, "account": "main"}, [(100, 2)]) for one in (labels, other)]
    seen = [Series("", labels, [(100, 0)])]
    drawn = card(Shown(of_kind("table", "Down now, and since when"), [states, seen, []], WINDOW), {})
    assert drawn.count("<tr>") == 3
    assert "1970-01-01 00:00:00" in drawn
    assert drawn.count("not in this range") == 1


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "percentunit", "50 %"),
        (0.123, "s", "123 ms"),
        (3700, "dtdurations", "1 h 1 min"),
        (2, "reqps", "2/s"),
        (0.25, "cpm", "0.25/min"),
        (3 * 2**20, "bytes", "3.0 MiB"),
        (12, "short", "12"),
        (float("nan"), "short", "–"),
    ],
)
def test_values_are_written_in_their_units(value: float, unit: str, text: str) -> None:
    """A picture says seconds as seconds and shares as per cent."""
    assert said(value, unit) == text


def test_durations_have_two_parts() -> None:
    """A duration is as exact as a reader needs."""
    assert [duration(value) for value in (0, 59, 86400 * 3 + 3600 * 2 + 59)] == ["0 s", "59 s", "3 d 2 h"]


def test_windows_follow_grafana() -> None:
    """The rate interval holds at least four scrapes, and the step is never finer than a scrape."""
    window, spans = windows(3600, 15, 10_000)
    assert (window.start, window.end, window.step) == (6400, 10_000, 15)
    assert spans == {"__range": "3600000ms", "__interval": "15000ms", "__rate_interval": "60000ms"}
