"""Every query of every dashboard finds data in a real Prometheus that scraped the exporter on the demo's clouds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from exporter.simulator import World, demo_configuration, demo_world, serving
from exporter.simulator.types import Script
from testbed.processes import exporter, until
from tests.peers.servers import vector

from .live import prometheus as watching
from .live import wait_for_data
from .queries import load, queries

STEP = 2.0  # seconds that each state of the demo lasts here, instead of half a minute
WINDOWS = {"__rate_interval": "5s", "__interval": "1s", "__range": "20s"}
# What the demo is known to have, and a panel would show as 0 if its query missed it: (dashboard, panel, query).
TRUE_OF_THE_DEMO = {
    ("fleet", "Live of expected", 2): "== 50",
    ("fleet", "Live of expected", 1): "== 47",
    ("fleet", "Off air", 0): ">= 1",
    ("fleet", "Live, not expected", 0): "== 1",
    ("fleet", "Degraded", 0): ">= 2",
    ("fleet", "Stalled", 0): "== 1",
    ("fleet", "Inputs missing", 0): ">= 1",
    ("fleet", "Changes of state", 0): ">= 10",
    ("fleet", "Alerts", 0): ">= 1",
    ("fleet", "Available, 30 days", 0): "> 0 < 1",
    ("fleet", "Known, 30 days", 0): "> 0 < 1",
    ("providers", "Accounts answering now", 1): "== 9",
    ("providers", "Breakers open", 0): ">= 1",
    ("providers", "Throttled answers now", 0): "> 0",
}


def hurried() -> World:
    """Return the demo's world with states that change faster, and what freezes at times frozen."""
    world = demo_world()
    for stream in world.streams.values():
        stream.script = replace(stream.script, every=STEP)
        for one in stream.inputs:
            if isinstance(one.up, Script):
                one.up = replace(one.up, every=STEP)
        if isinstance(stream.figures.moving, Script):
            stream.figures = replace(stream.figures, moving=False)
        if isinstance(moving := stream.playback.moving, Script):
            stream.playback = replace(stream.playback, moving=replace(moving, every=4 * STEP))
    return world


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that scrapes the demo."""
    folder: Path = tmp_path_factory.mktemp("demo")
    with ExitStack() as stack:
        enter = stack.enter_context
        clouds = enter(serving(hurried()))
        fast = {"scrape": {"reuse": "0s"}, "playback": {"interval": "5s"}}
        document = {**yaml.safe_load(demo_configuration(clouds.url)), **fast}
        one = enter(exporter(document, folder=folder / "exporter"))
        clouds.world.callbacks = f"{one.url}/callbacks"
        yield enter(watching(folder / "prometheus", one.address)).url


def test_every_query_finds_data_of_the_demo(prometheus: str) -> None:
    """No panel is built on a series that the exporter never has: each shows something of the demo."""
    wait_for_data(prometheus, WINDOWS)


@pytest.mark.parametrize("place", TRUE_OF_THE_DEMO, ids=lambda place: f"{place[0]}:{place[1]}")
def test_panels_count_what_the_demo_has(prometheus: str, place: tuple[str, str, int]) -> None:
    """A query that falls back to 0 where nothing is found does not do so where something is to be found."""
    dashboard, title, number = place
    asked = [expr for name, expr in queries(load()[dashboard], WINDOWS) if name == title]
    expr = f"({asked[number]}) {TRUE_OF_THE_DEMO[place]}"
    until(lambda: vector(prometheus, expr), expr)
