"""Reloads of a real process while it is scraped: none fails, none shows some of each configuration."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from exporter.providers import all_providers
from exporter.simulator import World
from exporter.simulator import serving as simulated
from testbed.processes import Server, exporter
from testbed.web import exchange, request, status
from tests.scenarios.stage import KEYS, address_of

LABELS = re.compile(r'^(stream_\w+)\{(?:[^}]*,)?stream="([^"]+)"', re.MULTILINE)
INFO = re.compile(r'^stream_info\{[^}]*,(team|tribe)="(\w+)"\}', re.MULTILINE)
SIZES = re.compile(r"^stream_streams\{[^}]*\} (\S+)$", re.MULTILINE)
COUNTERS = re.compile(r"^(stream_(?:provider_responses|probe_errors)_total\{[^}]*\}) (\S+)$", re.MULTILINE)
ALWAYS = ("stream_info", "stream_state", "stream_probe_success", "stream_state_changes_total", "stream_expected")
COUNT = 15  # streams of each configuration at each cloud; ten of them stand in both
SCRAPES, RELOADS = 300, 30


def names(turn: int) -> list[str]:
    """Return the streams of one of the two configurations."""
    return [f"s{number:02d}" for number in range(turn * 5, turn * 5 + COUNT)]


def document(endpoint: str, turn: int) -> dict[str, Any]:
    """Return one of two configurations, which differ in streams, labels and timeouts."""
    label = {"team": "blue"} if turn else {"tribe": "red"}
    accounts = [
        {"name": name, "provider": name, "endpoint": endpoint, "timeout": f"{2 + turn}s", "plan": "single",
         "quota": dict.fromkeys(all_providers()[name].apis(), 100_000), **keys}
        for name, keys in KEYS.items()
    ]  # fmt: skip
    streams = [
        {"name": one, "account": name, "labels": label, **address_of(name, one)} for name in KEYS for one in names(turn)
    ]
    return {"scrape": {"reuse": "50ms"}, "accounts": accounts, "streams": streams}


def world() -> World:
    """Return all streams of both configurations, live."""
    made = World()
    for name, keys in KEYS.items():
        made.add_account(name, name, quota=dict.fromkeys(all_providers()[name].apis(), 100_000.0), **keys)
        for one in sorted({*names(0), *names(1)}):
            made.add_stream(one, name, **address_of(name, one))
    return made


def shape(text: str) -> tuple[Any, ...]:
    """Return by what the two configurations can be told apart, from each family by itself.

    Families that only known streams have may lack some (they have just come), but show none that is not watched.
    """
    streams: dict[str, set[str]] = {}
    for family, stream in LABELS.findall(text):
        streams.setdefault(family, set()).add(stream)
    always = tuple(tuple(sorted(streams.get(family, ()))) for family in ALWAYS)
    strangers = set().union(*streams.values()) - set(always[0])
    return always, strangers, set(INFO.findall(text)), set(SIZES.findall(text))


class Scraper:
    """Scrapes again and again, and remembers what it saw."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.shapes: list[tuple[Any, ...]] = []
        self.failed = self.fell = 0
        self._counted: dict[str, float] = {}

    async def run(self, scrapes: int) -> None:
        """Scrape so many times."""
        for _ in range(scrapes):
            answer = await exchange(self.server, request("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 10"))
            text = answer.decode()
            self.failed += status(answer) != 200
            self.shapes.append(shape(text))
            counted = {name: float(value) for name, value in COUNTERS.findall(text)}
            self.fell += sum(counted.get(name, 0.0) < before for name, before in self._counted.items())
            self._counted = counted
            await asyncio.sleep(0.01)


def replace(server: Server, text: dict[str, Any]) -> None:
    """Change the file as an editor does, at once."""
    fresh = Path(f"{server.config}.new")
    fresh.write_text(json.dumps(text), encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(server.config)


async def reload(server: Server, text: dict[str, Any], how: str) -> None:
    """Put a configuration into force by a signal, a request, or the file alone; wait until it is."""
    replace(server, text)
    if how == "signal":
        server.signal(signal.SIGHUP)
    elif how == "request":
        assert status(await exchange(server, request("/-/reload", method="POST"))) == 200
    (label,) = text["streams"][0]["labels"]
    end = time.monotonic() + 60
    while label.encode() not in await exchange(server, request("/config")):
        assert time.monotonic() < end, "the configuration was not taken"
        await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
def test_scrapes_during_reloads_see_one_configuration_or_the_other() -> None:
    """Three hundred scrapes during thirty alternating reloads: none fails, none is mixed, no counter falls."""

    async def main(endpoint: str) -> tuple[Scraper, int, list[Any], bytes]:
        with exporter(document(endpoint, 0), "--web.enable-lifecycle") as server:
            pure = [shape((await exchange(server, request())).decode())]
            await reload(server, document(endpoint, 1), "request")
            pure.append(shape((await exchange(server, request())).decode()))
            scraper, done = Scraper(server), 0
            scraping = asyncio.create_task(scraper.run(SCRAPES))
            for turn in range(RELOADS):
                await reload(
                    server,
                    document(endpoint, turn % 2),
                    ("signal", "request", "file")[turn % 3 if turn < 6 else turn % 2],
                )
                done += 1
            await scraping
            last = await exchange(server, request())
        return scraper, done, pure, last

    with simulated(world()) as cloud:
        scraper, done, pure, last = asyncio.run(main(cloud.url))
    mixed = [one for one in scraper.shapes if one not in pure]
    seen = {pure.index(one) for one in scraper.shapes if one in pure}
    assert (done, len(scraper.shapes), scraper.failed, len(mixed), scraper.fell) == (RELOADS, SCRAPES, 0, 0, 0)
    assert pure[0] != pure[1]
    assert seen == {0, 1}
    # ZEGO refuses a Sequence that does not grow; nothing was refused, so it survived every reload.
    assert b"stream_probe_errors_total{" not in last
