"""What a running exporter shows of schedules: metrics, JSON and discovery, at any time, whatever the clock does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from exporter import config, providers
from exporter.credentials.keyring import Keyring
from exporter.model import Reply, Request
from exporter.rounds.shared import Clock
from exporter.serving import views
from exporter.serving.pages import Page, PageCache
from exporter.serving.service import Service
from tests.virtual import Network, run, tencent_state

CONFIGURATION = """\
accounts: [{name: main, provider: tencent, secret_id: an-id, secret_key: a-secret, plan: single}]
scrape: {reuse: 1h, max_age: 24h}
streams:
  - {name: office, account: main, domain: d.example, expected: office, labels: {team: x}}
  - {name: always, account: main, domain: d.example}
  - {name: never, account: main, domain: d.example, expected: never}
time_intervals:
  - {name: office, time_intervals: [{times: [{start_time: "09:00", end_time: "17:00"}], location: Europe/Berlin}]}
maintenance:
  - {start: "2026-11-26T10:00:10Z", end: "2026-11-26T10:00:20Z", match: {team: x}, comment: new encoders}
"""
NINE = datetime(2026, 11, 26, 8, tzinfo=UTC).timestamp()  # in Berlin
FIVE = NINE + 8 * 3600


@dataclass(slots=True)
class Walls:
    """A clock on the wall that somebody may set; otherwise it goes as the loop's does."""

    zero: float = field(default_factory=lambda: NINE - asyncio.get_running_loop().time())

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.zero + asyncio.get_running_loop().time()

    def set(self, unix: float) -> None:
        """Set the clock."""
        self.zero = unix - asyncio.get_running_loop().time()


async def live(_provider: str, _request: Request) -> Reply:
    """Say that a stream is live."""
    return tencent_state("active")


def loaded(text: str = CONFIGURATION) -> config.Config:
    """Return the configuration."""
    return config.load(Path("config.yml"), providers.all_providers(), {}, lambda _path: text.encode())


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Service, Walls]]:
    """Yield the running parts, with every stream asked once, and the clock on the wall."""
    walls = Walls()
    clock = Clock(walls, asyncio.get_running_loop().time, lambda: "0" * 32)
    connect = Network(live).connect
    async with Service(loaded(), providers.all_providers(), clock, Keyring({}), connect=connect) as service:
        await service.refresh(clock.mono() + 9)
        yield service, walls


async def scraped(service: Service, openmetrics: bool = False) -> dict[str, float]:
    """Return what /metrics says of each stream."""
    text = (await service.document(openmetrics=openmetrics, compressed=False)).decode()
    return expected(text)


def expected(text: str) -> dict[str, float]:
    """Return `stream_expected` of each stream in a document."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {sample.labels["stream"]: sample.value for sample in families["stream_expected"].samples}


class Pages:
    """The pages as the server keeps them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.cache = PageCache(service.clock.mono, lambda: service.config)

    async def get(self, page: Callable[[Service], Page]) -> Any:
        """Return a page's JSON."""
        return json.loads((await self.cache.get(page(self.service))).plain)

    async def streams(self) -> dict[str, Any]:
        """Return the JSON of each stream."""
        return {one["stream"]: one for one in await self.get(views.streams)}

    async def targets(self) -> dict[str, str]:
        """Return whether discovery calls each stream expected."""
        found = await self.get(lambda service: views.targets(service, ""))
        return {one["labels"]["__meta_stream_name"]: one["labels"]["__meta_stream_expected"] for one in found}


def test_every_stream_has_its_verdict_at_every_time() -> None:
    """The metric is there for each stream and turns to the second; a document made before is shown no longer."""

    async def main() -> None:
        async with serving() as (service, walls):
            assert await scraped(service) == {"office": 1, "always": 1, "never": 0}
            for at, office in ((NINE - 0.1, 0), (NINE, 1), (FIVE - 0.1, 1), (FIVE, 0), (FIVE + 1, 0)):
                walls.set(at)
                assert await scraped(service) == {"office": office, "always": 1, "never": 0}
                assert await scraped(service, openmetrics=True) == {"office": office, "always": 1, "never": 0}

    run(main())


def test_maintenance_turns_to_the_second() -> None:
    """A window begins and ends within a minute, and a scrape that shares its answers shows it all the same."""

    async def main() -> list[float]:
        async with serving() as (service, walls):
            walls.set(datetime(2026, 11, 26, 10, 0, 5, tzinfo=UTC).timestamp())
            shown = []
            for _ in range(20):
                shown.append((await scraped(service))["office"])
                await asyncio.sleep(1)
            return shown

    assert run(main()) == [1] * 5 + [0] * 10 + [1] * 5


def test_a_probe_has_the_verdict_too() -> None:
    """What `/probe` shows of a stream says whether it is expected, and so does a probe of an account."""

    async def main() -> None:
        async with serving() as (service, walls):
            walls.set(FIVE)
            prober, record = service.prober.accounts["main"], service.board.get(("tencent", "office"))
            whole = {"office": 0, "always": 1, "never": 0}
            for one, shown in ((record, {"office": 0}), (None, whole)):
                parts = views.part(service, prober, one, None, openmetrics=False)
                assert expected(b"".join(parts).decode()) == shown

    run(main())


def test_json_tells_until_when_and_why() -> None:
    """A stream's object has the verdict, when it ends, and the maintenance under way."""

    async def main() -> None:
        async with serving() as (service, walls):
            pages = Pages(service)
            keys = ("expected", "expected_changes_at", "maintenance")

            async def told(name: str) -> list[Any]:
                one = (await pages.streams())[name]
                return [one[key] for key in keys]

            assert await told("office") == [True, "2026-11-26T10:00:10.000Z", None]
            assert await told("always") == [True, None, None]
            assert await told("never") == [False, None, None]
            walls.set(datetime(2026, 11, 26, 10, 0, 10, tzinfo=UTC).timestamp())
            window = {"start": "2026-11-26T10:00:10.000Z", "end": "2026-11-26T10:00:20.000Z", "comment": "new encoders"}
            assert await told("office") == [False, "2026-11-26T10:00:20.000Z", window]
            await asyncio.sleep(10)
            assert await told("office") == [True, "2026-11-26T16:00:00.000Z", None]
            walls.set(FIVE)
            assert await told("office") == [False, "2026-11-27T08:00:00.000Z", None]

    run(main())


def test_discovery_follows_the_schedule() -> None:
    """`/sd` says true or false, as Prometheus's own discoveries do, and is made anew when that changes."""

    async def main() -> None:
        async with serving() as (service, walls):
            pages = Pages(service)
            assert await pages.targets() == {"office": "true", "always": "true", "never": "false"}
            walls.set(FIVE)
            assert await pages.targets() == {"office": "false", "always": "true", "never": "false"}

    run(main())


def test_a_clock_that_leaps_is_believed_at_once() -> None:
    """Set back by a day or ahead by years, all shows the verdict of the new time; what is foreseen, within a minute."""

    async def main() -> None:
        async with serving() as (service, walls):
            pages = Pages(service)
            for at, office in ((FIVE, 0), (FIVE - 60, 1), (FIVE + 3e8, 0), (NINE - 86_400, 1), (NINE - 1, 0)):
                walls.set(at)
                assert (await scraped(service))["office"] == office
                assert (await pages.targets())["office"] == str(bool(office)).lower()
                assert (await pages.streams())["office"]["expected"] is bool(office)
            walls.set(NINE - 86_401)
            await asyncio.sleep(60)
            assert (await pages.streams())["office"]["expected_changes_at"] == "2026-11-25T16:00:00.000Z"

    run(main())


def test_another_schedule_takes_nothing_away() -> None:
    """A reload that changes what is expected keeps the answers, and is shown at once."""

    async def main() -> None:
        async with serving() as (service, _):
            before = [record.answer for record in service.board]
            assert None not in before
            service.configure(loaded(CONFIGURATION.replace("expected: office,", "expected: never,")))
            assert [record.answer for record in service.board] == before
            assert await scraped(service) == {"office": 0, "always": 1, "never": 0}
            service.configure(loaded(CONFIGURATION + "expected: never\n"))
            assert await scraped(service) == {"office": 1, "always": 0, "never": 0}

    run(main())
