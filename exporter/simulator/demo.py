"""The built-in world, about 40 streams on all clouds, and the exporter configuration for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from exporter.model import State
from exporter.simulator.providers import fakes
from exporter.simulator.types import DemoAccount, Script
from exporter.simulator.world import World

HOUR = 3600.0
STATES = {"A": State.ACTIVE, "I": State.INACTIVE, "F": State.FORBIDDEN, "N": State.NOT_FOUND}

# Two that are off air, and one that is live while nobody expects it; all others are always expected.
EXPECTED = {"studio-3": "show", "shop-4": "never", "arena-caster": "never"}


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
                world.add_stream(name, account.name, state=script, **group.details, **group.address)
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
        }
        for _, account in _accounts()
        for group in account.streams
        for name in group.states
    ]
    document = {"accounts": accounts, "streams": streams, "time_intervals": [_show()]}
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _show() -> dict[str, Any]:
    """Return a time interval that is three days away whenever the demo begins."""
    day = f"{datetime.now(UTC) + timedelta(days=3):%A}".lower()
    times = [{"start_time": "09:00", "end_time": "17:00"}]
    return {"name": "show", "time_intervals": [{"weekdays": [day], "times": times}]}
