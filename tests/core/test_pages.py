"""PageCache that are made once for all who ask at one state, in slices."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import yaml

from exporter import status
from exporter.config import redacted_slices
from exporter.model import Answer, State
from exporter.serving import views
from exporter.serving.pages import MOST_CACHED, Page, PageCache
from tests.core.test_web import Staged, live
from tests.cost import Calls


class World:
    """Something that a page tells of, and the page: three parts, each with the state at which it was made."""

    def __init__(self) -> None:
        self.now = 0.0
        self.state = 0
        self.config = object()
        self.begun = self.parts = 0
        self.pages = PageCache(lambda: self.now, lambda: self.config, self._between)
        self.between: Callable[[], None] | None = None

    async def _between(self) -> None:
        if self.between is not None:
            self.between()
        await asyncio.sleep(0)

    def page(self, key: str = "page", seconds: float = 10.0, size: int = 1) -> Page:
        """Return how the page is made."""

        def parts() -> Iterator[str]:
            self.begun += 1
            for _ in range(3):
                self.parts += 1
                # Longer than a slice, so that each part is one.
                self.now += 0.004
                yield str(self.state) * size

        return Page(key, parts, lambda: self.state, lambda: self.now + seconds)

    async def begins(self) -> None:
        """Wait until a page has its first part."""
        while not self.parts:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    async def get(self, key: str = "page") -> bytes:
        """Return the page as text."""
        return (await self.pages.get(self.page(key))).plain


def run(story: Callable[[World], Awaitable[None]]) -> World:
    """Tell a story in a world."""
    world = World()

    async def main() -> None:
        await story(world)

    asyncio.run(main())
    return world


def test_all_who_ask_at_one_state_share_one_page() -> None:
    """Twenty readers at once, and twenty later, cost one making; plain and packed are the same page."""

    async def story(world: World) -> None:
        made = await asyncio.gather(*(world.pages.get(world.page()) for _ in range(20)))
        made += await asyncio.gather(*(world.pages.get(world.page()) for _ in range(20)))
        assert len({id(one) for one in made}) == 1
        assert (made[0].plain, gzip.decompress(made[0].packed)) == (b"000", b"000")

    assert run(story).begun == 1


def test_a_reader_never_gets_a_page_begun_before_what_it_knows() -> None:
    """Who asks after a change, while a page is made, waits for the next; all who do so share that one."""

    async def story(world: World) -> None:
        first = asyncio.create_task(world.get())
        await world.begins()
        world.state = 1
        later = await asyncio.gather(*(world.get() for _ in range(20)))
        assert set(later) == {b"111"}
        assert (await first)[:1] == b"0"

    assert run(story).begun == 2


def test_a_page_too_old_is_made_again() -> None:
    """Time makes a page old though its state is the same."""

    async def story(world: World) -> None:
        await world.get()
        world.now = 10.0
        await world.get()

    assert run(story).begun == 2


def test_one_page_is_made_at_a_time() -> None:
    """However many different pages are asked for, their parts never mingle."""
    order: list[str] = []

    async def main() -> None:
        pages = PageCache(lambda: 0.0, lambda: None)

        def page(name: str) -> Page:
            def parts() -> Iterator[str]:
                for _ in range(3):
                    order.append(name)
                    yield name

            return Page(name, parts)

        await asyncio.gather(*(pages.get(page(name)) for name in "abc"))

    asyncio.run(main())
    assert order == list("aaabbbccc")


def test_a_reader_that_leaves_takes_nothing_from_the_others() -> None:
    """Of two readers one is cancelled in the middle; the other gets the whole page, made once."""

    async def story(world: World) -> None:
        leaving, staying = asyncio.create_task(world.get()), asyncio.create_task(world.get())
        await world.begins()
        leaving.cancel()
        assert await staying == b"000"
        assert leaving.cancelled()

    assert run(story).begun == 1


def test_a_page_for_which_nobody_waits_any_more_is_given_up() -> None:
    """When all readers have gone it is not made to the end, nor begun if its turn had not come."""

    async def story(world: World) -> None:
        readers = [asyncio.create_task(world.get()), asyncio.create_task(world.get("other"))]
        await world.begins()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for _ in range(10):
            await asyncio.sleep(0)
        assert (world.begun, world.parts < 3) == (1, True)
        assert await world.get() == b"000"

    assert run(story).begun == 2


def test_a_page_is_of_one_configuration() -> None:
    """One that is swapped in the middle makes it begin anew."""

    async def story(world: World) -> None:
        def swap() -> None:
            if world.parts == 2:
                world.config, world.state = object(), 7

        world.between = swap
        assert await world.get() == b"777"

    assert run(story).begun == 2


def test_a_fault_while_a_page_is_made_reaches_all_and_does_not_stay() -> None:
    """Every reader is told, and the next one tries again."""

    async def story(world: World) -> None:
        def broken() -> Iterator[str]:
            yield str(1 // world.state)

        page = Page("page", broken)
        found = await asyncio.gather(*(world.pages.get(page) for _ in range(2)), return_exceptions=True)
        assert [type(one) for one in found] == [ZeroDivisionError] * 2
        assert await world.get() == b"000"

    run(story)


def test_pages_kept_for_later_are_bounded() -> None:
    """Many large pages, each asked for once, are not all kept."""

    async def story(world: World) -> None:
        for number in range(12):
            await world.pages.get(world.page(str(number), size=MOST_CACHED // 12))
        kept = sum(len(one.task.result() or b"") for one in world.pages._started.values() if one.task is not None)
        assert 0 < kept <= MOST_CACHED + MOST_CACHED // 2

    run(story)


@pytest.mark.parametrize("name", ["streams", "targets", "configuration", "status", "nothing found", "exposition"])
def test_no_slice_of_ten_thousand_streams_is_long(name: str) -> None:
    """The event loop is held for a few calls of each stream at most, and for little text; the page is whole."""

    async def main() -> tuple[list[int], list[int], bytes]:
        slices: list[int] = [0]
        parts: list[int] = []
        counted = Calls()

        async def between() -> None:
            slices.append(counted.count)

        def measured() -> Iterator[str | bytes]:
            for part in page.parts():
                parts.append(len(part))
                yield part

        async with Staged(live, streams=10_000) as service:
            for record in service.board:
                service.board.answered(record, Answer(State.ACTIVE), "DescribeLiveStreamState", service.clock.now())
            (prober,) = service.prober.present()
            page = {
                "streams": views.streams(service),
                "targets": views.targets(service, ""),
                "configuration": views.configuration(service),
                "status": views.status_page(service, status.Filter(limit=2000), status.Site(), ready=True),
                "nothing found": views.status_page(service, status.Filter(text="?"), status.Site(), ready=True),
                "exposition": views.exposition(service, prober, None, openmetrics=False),
            }[name]
            list(page.parts())  # which fills what is kept from one page to the next
            # By this clock a call takes a microsecond.
            cache = PageCache(lambda: counted.count / 1e6, lambda: service.config, between)
            with counted:
                made = await cache.get(replace(page, parts=measured))
            if name == "configuration":
                assert made.plain.decode() == "".join(redacted_slices(service.config))
            return [after - before for before, after in pairwise([*slices, counted.count])], parts, made.plain

    slices, parts, plain = asyncio.run(main())
    print(f"longest slice of {name}: {max(slices):,} calls, largest part: {max(parts):,} bytes")
    # An exposition reads all streams at one moment, and joins what it knows of a thousand at a time.
    most_calls, most_bytes = (100_000, 400_000) if name == "exposition" else (25_000, 1500)
    assert max(slices) <= most_calls
    assert max(parts) <= most_bytes
    if name in ("streams", "targets"):
        assert len(json.loads(plain)) == 10_000
    elif name == "configuration":
        assert len(yaml.load(plain, yaml.CSafeLoader)["streams"]) == 10_000
    else:
        assert plain.rstrip().endswith(b"</html>") or plain.count(b"\nstream_state{") == 50_000
