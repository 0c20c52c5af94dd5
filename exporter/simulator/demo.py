"""The built-in world, about 40 streams at all clouds, and the exporter's configuration that fits it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import yaml

from exporter.model import State
from exporter.simulator.providers import fakes
from exporter.simulator.types import DemoAccount, Script
from exporter.simulator.world import World

HOUR = 3600.0
STATES = {"A": State.ACTIVE, "I": State.INACTIVE, "F": State.FORBIDDEN, "N": State.NOT_FOUND}


def _accounts() -> Iterator[tuple[str, DemoAccount]]:
    for fake in sorted(fakes().values(), key=lambda fake: fake.demo_rank):
        for account in fake.demo:
            yield fake.name, account


def demo_world(*, clock: Callable[[], float] = time.time) -> World:
    """Make the built-in world; its states change each half minute by the clock alone."""
    world = World(clock=clock)
    began = clock() - HOUR
    for provider, account in _accounts():
        world.add_account(account.name, provider, quota=account.quota, **account.fields)
        for alike in account.streams:
            for name, letters in alike.states.items():
                script = Script(tuple(STATES[letter] for letter in letters), since=began)
                world.add_stream(name, account.name, state=script, **alike.details, **alike.address)
    return world


def demo_configuration(endpoint: str) -> str:
    """Return the exporter's configuration for the demo world; one account has a key that is no longer right.

    Args:
        endpoint: Where the simulator listens, such as `http://127.0.0.1:10181`.
    """
    accounts = [
        {"name": account.name, "provider": provider, "endpoint": endpoint, **account.fields, **account.configured}
        for provider, account in _accounts()
    ]
    streams = [
        {
            "name": name,
            "account": account.name,
            **alike.address,
            **alike.configured,
            "labels": {"team": alike.team, "tier": alike.tier},
        }
        for _, account in _accounts()
        for alike in account.streams
        for name in alike.states
    ]
    return yaml.safe_dump({"accounts": accounts, "streams": streams}, sort_keys=False, width=120)
