"""How long work that is done in one go holds the event loop, against plain work on as much in the same run."""

from __future__ import annotations

import asyncio
import json
from itertools import islice, pairwise
from time import process_time

from benchmarks.config_load import best
from benchmarks.exposition import STREAMS, answer_all
from benchmarks.rounds import keys, watching
from benchmarks.table import Row
from exporter import status
from exporter.providers import all_providers
from exporter.schedule import Expectations
from exporter.serving import views
from exporter.serving.pages import Page, PageCache
from exporter.serving.service import Service, system_clock
from testbed.schedules import many

SCHEDULES = 500


async def longest(service: Service, page: Page) -> float:
    """Return the CPU seconds of a page's longest slice, the least of three renderings."""
    found = []
    for _ in range(3):
        ends = [process_time()]

        async def between(ends: list[float] = ends) -> None:
            ends.append(process_time())

        await PageCache(service.clock.mono, lambda: service.config, between).get(page)
        ends.append(process_time())
        found.append(max(after - before for before, after in pairwise(ends)))
    return min(found)


async def slices() -> tuple[dict[str, float], float]:
    """Return the CPU seconds of each page's longest slice, and of encoding a tenth of the streams as JSON."""
    async with Service(watching("http://127.0.0.1:1", STREAMS), all_providers(), system_clock(), keys) as service:
        answer_all(service, service.clock.mono())
        pages = {
            "/api/v1/streams": views.streams(service),
            "/sd": views.targets(service, ""),
            "/config": views.configuration(service),
            "/": views.status_page(service, status.Filter(limit=2000), status.Site(), ready=True),
        }
        held = {name: await longest(service, page) for name, page in pages.items()}
        return held, best(lambda: encoded(service))


def encoded(service: Service) -> str:
    """Encode a tenth of the streams as JSON in one go."""
    some = islice(service.board.rows(service.clock.now()), STREAMS // 10)
    return json.dumps([views.stream_object(row) for row in some])


def expectations() -> tuple[float, float]:
    """Return the CPU seconds of asking what is expected of all streams, at an instant as yet unknown, and of looking
    each up in a dict.
    """
    numbers = {("tencent", f"stream-{n}"): n % SCHEDULES for n in range(STREAMS)}
    made, minutes = Expectations(many(SCHEDULES), numbers), iter(range(100))

    def ask() -> list[bool]:
        of = made.at(1.8e9 + 61 * next(minutes)).of
        return [of(key).expected for key in numbers]

    return best(ask, 20), best(lambda: [numbers[key] for key in numbers], 20)


def rows() -> list[Row]:
    """Measure pages and schedules."""
    held, plain = asyncio.run(slices())
    asked, looked_up = expectations()
    told = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in held.items())
    return [
        Row(f"longest slice of a page of {STREAMS:,} streams, against a tenth of them as JSON",
            max(held.values()) / plain, "x", "<=", 1.0, f"{told}; JSON {plain * 1e3:.1f} ms"),
        Row(f"what {SCHEDULES} schedules expect of {STREAMS:,} streams, against a look-up of each",
            asked / looked_up, "x", "<=", 10.0, f"{asked * 1e3:.1f} ms, look-ups {looked_up * 1e3:.2f} ms"),
    ]  # fmt: skip
