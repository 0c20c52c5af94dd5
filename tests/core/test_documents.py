"""The document of a scrape: how long it is good for, and that it is ready by the deadline; in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter import config, providers
from exporter.credentials.keyring import Keyring
from exporter.model import Reply, Request
from exporter.rounds.shared import Clock
from exporter.serving.service import Service
from tests.virtual import EPOCH, Network, run, tencent_state

ACCOUNT = {"name": "main", "provider": "tencent", "secret_id": "an-id", "secret_key": "a-secret", "plan": "single"}
SLOW = 0.005  # seconds that a slow machine takes from one look at its clock to the next


async def live(_provider: str, _request: Request) -> Reply:
    """Say that a stream is live."""
    return tencent_state("active")


async def silent(_provider: str, _request: Request) -> Reply:
    """Never answer."""
    await asyncio.sleep(1e6)
    raise AssertionError


class Slowly:
    """The loop's time, which on a slow machine goes on by so many seconds with each look at it."""

    def __init__(self, loop: Any) -> None:
        self.step = 0.0
        self._loop = loop

    def __call__(self) -> float:
        """Return the time in seconds."""
        self._loop.hold(self.step)
        return float(self._loop.time())


@asynccontextmanager
async def serving(
    behave: Callable[[str, Request], Awaitable[Reply]], streams: int, quota: float = 100_000, **scrape: str
) -> AsyncIterator[Service]:
    """Yield the running parts on a provider that is a function, with a quota of so many calls a second."""
    loop = asyncio.get_running_loop()
    watched = [{"name": f"s{number}", "account": "main", "domain": "d.example"} for number in range(streams)]
    accounts = [{**ACCOUNT, "quota": {"DescribeLiveStreamState": quota}}]
    text = json.dumps({"scrape": scrape, "accounts": accounts, "streams": watched}).encode()
    loaded = config.load(Path("config.yml"), providers.all_providers(), {}, lambda _path: text)
    clock = Clock(lambda: EPOCH + loop.time(), Slowly(loop), lambda: "0" * 32)
    connect = Network(behave).connect
    async with Service(loaded, providers.all_providers(), clock, Keyring({}), connect=connect) as service:
        yield service


async def refreshed(service: Service, budget: float = 9.5) -> float:
    """Ask all streams; return how many seconds that took."""
    began = service.clock.mono()
    await service.refresh(began + budget)
    return service.clock.mono() - began


async def active(service: Service) -> int:
    """Return how many streams the document of now shows as active."""
    text = (await service.document(openmetrics=False, compressed=False)).decode()
    return sum(line.startswith("stream_active{") and line.endswith(" 1.0") for line in text.splitlines())


async def rendered(service: Service) -> float:
    """Make the document on a slow machine; return how many seconds that took."""
    clock: Any = service.clock.mono
    began, clock.step = clock(), SLOW
    await service.document(openmetrics=False, compressed=False)
    clock.step = 0.0
    return float(clock() - began)


@pytest.mark.parametrize("reuse", ["0s", "5s"])
def test_a_document_is_not_shown_when_an_answer_in_it_has_grown_too_old(reuse: str) -> None:
    """What is too old by now is gone from the document, though nothing has happened since it was made."""

    async def main() -> None:
        async with serving(live, 3, max_age="30s", reuse=reuse) as service:
            await refreshed(service)
            await asyncio.sleep(28)
            assert await active(service) == 3
            await asyncio.sleep(1.5)
            assert await active(service) == 3
            await asyncio.sleep(1)
            assert await active(service) == 0

    run(main())


@pytest.mark.parametrize(("reuse", "same"), [("0s", 0.0), ("5s", 4.9)])
def test_a_document_is_shared_for_as_long_as_answers_are(reuse: str, same: float) -> None:
    """Those who come within `scrape.reuse` get the same bytes, and who comes later gets what is made for them."""

    async def main() -> None:
        async with serving(live, 3, max_age="600s", reuse=reuse) as service:
            await refreshed(service)
            first = await service.document(openmetrics=False, compressed=False)
            await asyncio.sleep(same)
            assert await service.document(openmetrics=False, compressed=False) is first
            await asyncio.sleep(0.2)
            assert await service.document(openmetrics=False, compressed=False) is not first

    run(main())


def test_a_round_that_asks_nothing_shows_in_the_next_document() -> None:
    """Figures of an account's last round are never older than that round, though no stream has changed."""

    async def main() -> list[str]:
        async with serving(live, 3, reuse="5s", quota=0.02) as service:
            shown = []
            for _ in range(2):
                await refreshed(service)
                text = (await service.document(openmetrics=False, compressed=False)).decode()
                shown += [line for line in text.splitlines() if line.startswith("stream_round_duration_seconds{")]
            return shown

    asked, nothing_asked = run(main())
    assert float(asked.split()[-1]) > 0.01 > float(nothing_asked.split()[-1])


def test_making_the_document_is_part_of_the_deadline() -> None:
    """A scrape on a slow machine stops asking in time to have its document ready by the deadline."""

    async def main() -> None:
        async with serving(silent, 4000, reuse="0s") as service:
            assert await refreshed(service, 2.0) == pytest.approx(2.0, abs=0.001)
            took = await rendered(service)
            assert took > 0.1
            asked = await refreshed(service, 2.0)
            assert asked == pytest.approx(2.0 - took, abs=6 * SLOW)
            assert asked + await rendered(service) <= 2.0 + 6 * SLOW

    run(main())


def test_a_slow_document_leaves_half_of_the_time_for_asking() -> None:
    """Where making the document takes all of the time there is, streams are still asked for."""

    async def main() -> None:
        async with serving(silent, 4000, reuse="0s") as service:
            took = await rendered(service)
            assert await refreshed(service, took) == pytest.approx(took / 2, abs=0.001)

    run(main())
