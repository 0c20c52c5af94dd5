"""Answers that nobody asked for, and connections that end while idle: no stream ever shows another's state."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from exporter.config import Config, Scrape
from exporter.credentials.keyring import Keyring
from exporter.model import State, Stream
from exporter.providers import all_providers
from exporter.serving.service import Service, system_clock
from exporter.simulator import Simulator, World
from tests.scenarios.stage import KEYS, PLENTY, account, address_of

STREAMS = 10
DOWN = (1, 4, 5, 8)

WIRE: dict[str, list[dict[str, Any]]] = {
    "408 at once": [{"kind": "stray", "seconds": 0.0}],
    "408 on idle connections": [{"kind": "stray", "seconds": 0.02}],
    "408 within a scrape, now and then": [{"kind": "stray", "seconds": 0.001, "probability": 0.3}],
    "every answer again": [{"kind": "again", "seconds": 0.0}],
    "every answer again, 100 ms late": [{"kind": "again", "seconds": 0.1}],
    "some answers again, others with garbage": [
        {"kind": "again", "seconds": 0.01, "probability": 0.5},
        {"kind": "stray", "seconds": 0.005, "probability": 0.5, "value": "\r\nzz"},
    ],
    "interim answers too many": [{"kind": "stray", "seconds": 0.0, "value": "HTTP/1.1 100 Continue\r\n\r\n"}],
    "idle connections dropped": [{"kind": "idle", "seconds": 0.03}],
}


def world_of_ten() -> tuple[World, list[Stream]]:
    """Return ten streams at each cloud, some of them down, and what the exporter watches."""
    world, watched = World(seed="stray"), []
    for provider, keys in KEYS.items():
        world.add_account(provider, provider, quota=dict.fromkeys(all_providers()[provider].apis(), PLENTY), **keys)
        for number in range(STREAMS):
            state = State.INACTIVE if number in DOWN else State.ACTIVE
            world.add_stream(f"s{number}", provider, state=state, **address_of(provider, f"s{number}"))
            watched.append(
                all_providers()[provider].stream(
                    name=f"s{number}", account=provider, **address_of(provider, f"s{number}")
                )
            )
    return world, watched


def shown(service: Service) -> dict[tuple[str, str], State]:
    """Return what each stream shows."""
    now, max_age = service.clock.mono(), service.board.max_age
    return {record.key: record.state(now, max_age) for record in service.board}


TRUTH = {
    (provider, f"s{number}"): State.INACTIVE if number in DOWN else State.ACTIVE
    for provider, number in product(KEYS, range(STREAMS))
}


@pytest.mark.parametrize(
    ("what", "concurrency"), [*((what, 8) for what in WIRE), ("408 within a scrape, now and then", 1)]
)
def test_no_stream_shows_anothers_state(what: str, concurrency: int) -> None:
    """Whatever comes unasked on a connection, each stream shows its own state, at all four clouds, scrape by scrape."""

    async def main() -> None:
        world, watched = world_of_ten()
        async with Simulator(world) as simulator:
            rates = {provider: dict.fromkeys(all_providers()[provider].apis(), 200.0) for provider in KEYS}
            accounts = tuple(
                account(provider, simulator.url, concurrency=concurrency, quota=rates[provider]) for provider in KEYS
            )
            config = Config(Scrape(10.0, 0.0, 120.0), accounts, tuple(watched))
            async with Service(config, all_providers(), system_clock(), Keyring({})) as service:
                for fault in WIRE[what]:
                    world.fault(**fault)
                for _ in range(2):
                    await service.refresh(service.clock.mono() + 10)
                    assert shown(service) == TRUTH
                    await asyncio.sleep(0.05)
                assert not any(service.counters.errors.values())

    asyncio.run(main())
