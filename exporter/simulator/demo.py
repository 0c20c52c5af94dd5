"""The built-in world, about 40 streams on all clouds, and the exporter configuration for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import yaml

from exporter.model import State
from exporter.simulator.describe import playback_addresses
from exporter.simulator.playback.site import LIVE_FLV
from exporter.simulator.playback.tokens import sign
from exporter.simulator.providers import fakes
from exporter.simulator.types import DemoAccount, Playback, Script
from exporter.simulator.world import World

HOUR = 3600.0
STATES = {"A": State.ACTIVE, "I": State.INACTIVE, "F": State.FORBIDDEN, "N": State.NOT_FOUND}

# Two that are off air, and one that is live while nobody expects it; all others are always expected.
EXPECTED = {"studio-3": "show", "shop-4": "never", "arena-caster": "never"}

STANDS_STILL, EXPIRED = "stage-1", "class-1"
"""Streams that viewers get nothing of for two of five minutes, and of which nobody knows what they get."""

# What viewers use: the first plays whenever its stream is live, the second stands still for two of five minutes though
# its stream is live, and the token in the last has expired.
_STANDS_STILL = Script((State.ACTIVE,) * 3 + (State.INACTIVE,) * 2, every=60.0)
ADDRESSES = {
    "arena-player-1": ("hls", "master.m3u8", Playback()),
    STANDS_STILL: ("flv", LIVE_FLV, Playback(moving=_STANDS_STILL)),
    EXPIRED: ("hls", "index.m3u8", Playback(keys={"auth_key": "demo-playback-key"})),
}
_SIGNED = 1_577_836_800.0  # Unix seconds: the year 2020


def _accounts() -> Iterator[tuple[str, DemoAccount]]:
    for fake in sorted(fakes().values(), key=lambda fake: fake.demo_rank):
        for account in fake.demo:
            yield fake.name, account


def demo_world(*, clock: Callable[[], float] = time.time) -> World:
    """Return the built-in world; its states change every half minute."""
    world = World(clock=clock)
    start = clock() - HOUR
    for provider, account in _accounts():
        world.add_account(account.name, provider, quota=account.quota, **account.fields)
        for group in account.streams:
            for name, states in group.states.items():
                script = Script(tuple(STATES[letter] for letter in states), since=start)
                playback = {"playback": ADDRESSES[name][2]} if name in ADDRESSES else {}
                world.add_stream(name, account.name, state=script, **group.details, **group.address, **playback)
    return world


def demo_configuration(endpoint: str) -> str:
    """Return the exporter configuration for the demo world at an endpoint; one account has an outdated key."""
    accounts = [
        {"name": account.name, "provider": provider, "endpoint": endpoint, **account.fields, **account.configured}
        for provider, account in _accounts()
    ]
    streams = [
        {
            "name": name,
            "account": account.name,
            **group.address,
            **group.configured,
            "labels": {"team": group.team, "tier": group.tier},
            **({"expected": EXPECTED[name]} if name in EXPECTED else {}),
            **({"playback": [_address(endpoint, provider, name)]} if name in ADDRESSES else {}),
        }
        for provider, account in _accounts()
        for group in account.streams
        for name in group.states
    ]
    document = {"accounts": accounts, "streams": streams, "time_intervals": [_show()]}
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _address(endpoint: str, provider: str, stream: str) -> dict[str, str]:
    """Return an address as the configuration has it."""
    name, file, playback = ADDRESSES[stream]
    (url,) = playback_addresses(f"{provider}/{stream}", endpoint, [file])
    query = sign(playback.keys, urlsplit(url).path, _SIGNED)
    return {"url": f"{url}?{query}" if query else url, "name": name}


def _show() -> dict[str, Any]:
    """Return a time interval that is three days away whenever the demo begins."""
    day = f"{datetime.now(UTC) + timedelta(days=3):%A}".lower()
    times = [{"start_time": "09:00", "end_time": "17:00"}]
    return {"name": "show", "time_intervals": [{"weekdays": [day], "times": times}]}
