"""Every query of every dashboard finds data in a real Prometheus that scraped the exporter on the demo's clouds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from exporter.signing import callbacks
from exporter.simulator import World, demo_configuration, demo_world, serving
from exporter.simulator.nouns import Script
from tests.peers import servers
from tests.peers.servers import fetch, until

from .live import check_all

STEP = 2.0  # seconds that each state of the demo lasts here, instead of half a minute
KEY = "a-key-for-callbacks"
WINDOWS = {"__rate_interval": "5s", "__interval": "1s", "__range": "20s"}
# Panels that may stay empty, each with its reason; the shorter, the better.
MAY_BE_EMPTY: dict[str, str] = {}


def hurried() -> World:
    """Return the demo's world with states that change faster."""
    world = demo_world()
    for stream in world.streams.values():
        stream.script = replace(stream.script, every=STEP)
        for one in stream.inputs:
            if isinstance(one.up, Script):
                one.up = replace(one.up, every=STEP)
    return world


def configuration(clouds: str) -> str:
    """Return the demo's configuration, with callbacks for an account and a fresh answer at each scrape."""
    document = yaml.safe_load(demo_configuration(clouds))
    next(one for one in document["accounts"] if one["name"] == "tencent-main")["callback_key"] = KEY
    return yaml.safe_dump({**document, "scrape": {"reuse": "0s"}}, sort_keys=False)


@contextmanager
def told_by_callbacks(exporter: str) -> Iterator[None]:
    """Tell the exporter each second that a push of a Tencent stream ended, as the cloud would."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(1):
            now = int(time.time())
            signed = {"t": now + 600, "sign": callbacks.tencent(key=KEY, t=now + 600)}
            place = {"app": "5000.livepush.example", "appname": "live", "stream_id": "studio-1"}
            event = {"event_type": 0, "event_time": now, "sequence": str(now), "errcode": 2, "errmsg": "gone"}
            fetch(f"{exporter}/callbacks/tencent-main", {**signed, **place, **event})

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """A real Prometheus that scrapes the demo."""
    with ExitStack() as stack:
        enter = stack.enter_context
        config = tmp_path / "stream-exporter.yml"
        config.write_text(configuration(enter(serving(hurried())).url), encoding="utf-8")
        config.chmod(0o600)
        exporter = enter(servers.exporter(config, tmp_path / "exporter"))
        enter(told_by_callbacks(exporter.url))
        yield enter(servers.prometheus(servers.scraping(exporter.address), tmp_path / "prometheus")).url


def test_every_query_finds_data_of_the_demo(prometheus: str) -> None:
    """No panel is built on a series that the exporter never has: each shows something of the demo."""
    failures = ["nothing was asked yet"]

    def all_well() -> bool:
        failures[:] = [str(failure) for failure in check_all(prometheus, WINDOWS, MAY_BE_EMPTY)]
        return not failures

    try:
        until(all_well, "", 60)
    except AssertionError:
        pytest.fail("\n".join(failures))
