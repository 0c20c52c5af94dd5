"""What is down and looks as if nobody could tell, and what a reload must not put off."""

from __future__ import annotations

import asyncio

import pytest

from exporter.addresses import PlaybackSettings
from exporter.playback.hls import Media
from exporter.playback.motion import Motion
from testbed.virtual import run
from tests.playback.rig import SEGMENTS, A, Answer, Page, Rig, address, each_second, media, moving, rig, story, watched


def told(pages: dict[str, Answer], seconds: float, **settings: float) -> list[bool | None]:
    """Return what was told each second, without what was told again."""
    seen: list[bool | None] = []

    async def watch(one: Rig) -> None:
        seen.extend(await each_second(one, seconds, Rig.up))

    story(pages, watch, **settings)
    return seen


def test_a_stream_seen_from_its_very_begin_is_down_once_it_stands() -> None:
    """Its list is empty first, and has no numbers until rows leave: these names were not new each time."""

    def begins(now: float) -> Page:
        return Page("#EXTM3U\n#EXT-X-TARGETDURATION:2\n" if now < 1 else media(1 + int(min(now, 60) / 2)))

    assert told({A: begins}, 120) == [None, True, False]


def test_a_stream_that_began_anew_is_down_once_it_stands() -> None:
    """The numbers of an encoder that began anew are gone for a moment; they were there before, and are again."""

    def anew(now: float) -> Page:
        return Page(media(50 + int(now / 2), rows=10) if now < 20 else media(9 + int((min(now, 80) - 20) / 6), rows=10))

    assert told({A: anew}, 160, interval=5.0) == [None, True, False]


def test_what_stands_still_from_the_first_look_on_stays_down() -> None:
    """The look after it was found down is no reason for doubt, however long nobody looked."""
    assert told({A: lambda _: Page(media(10))}, 120) == [None, False]


def test_what_was_down_plays_again_only_once_it_goes_on() -> None:
    """Rows that an encoder, begun anew, or another cache had before tell nothing yet."""

    def anew(now: float) -> Page:
        return Page(media(10 + int((min(now, 30) if now < 60 else now - 60) / 2)))

    assert told({A: anew}, 100, interval=5.0) == [None, True, False, None, True]
    assert told({A: lambda now: Page(media(25 - (now > 70) if now > 30 else 10 + int(now / 2)))}, 120) == [
        None, True, False, None, False,
    ]  # fmt: skip


def test_rows_that_keep_their_names_have_them_however_far_apart_looks_are() -> None:
    """After an encoder began anew, all names are new at once; that some stay tells at any later look."""
    motion, seen = Motion(), []
    for now, names in ((0.0, "abc"), (2.0, "bcd"), (4.0, "efg"), (64.0, "ghi"), (124.0, "ghi"), (184.0, "ghi")):
        rows = (2, 0, 0, 2.0, None, names[-1])
        seen.append((motion.look(Media(2.0, rows, (), None, False, frozenset(names)), now), motion.renamed))
    assert [up for up, _ in seen[:2]] == [None, True]
    assert seen[2:] == [(True, True), (True, False), (True, False), (False, False)]


@pytest.mark.parametrize("named", [True, False])
def test_a_variant_that_stands_is_down_whatever_the_order(named: bool) -> None:
    """Some masters name their variants in another order each time, others by names that are new each time."""
    asked = [0]

    def master(_: float) -> Page:
        asked[0] += 1
        order = (("x", "y"), ("y", "x"), ("y", "x"))[asked[0] % 3] if named else (f"x{asked[0]}", f"y{asked[0]}")
        return Page("#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{one}.m3u8\n" for one in order))

    variants = {"x": moving(), "y": moving(until=40)}
    pages = {f"/live/{one}{number}.m3u8": page for one, page in variants.items() for number in ["", *range(100)]}
    assert told({A: master, **pages}, 200) == [None, True, False]


def test_a_shorter_interval_holds_at_once() -> None:
    """Addresses whose time would come within the hour are checked at once, not told late, and then as often as any."""

    async def whole() -> None:
        stream = watched(address(A))
        one = rig(stream, interval=3600.0)
        one.web.pages = {**SEGMENTS, A: moving()}
        async with one.checks:
            one.checks.scraped()
            await asyncio.sleep(200)
            before, seen = one.web.count(A), set[bool | None]()
            one.configure(stream, settings=PlaybackSettings(interval=15.0))
            for _ in range(100):
                await asyncio.sleep(0.01)
                seen.add(one.up())
            assert (one.web.count(A) - before, seen, one.counters.playback_errors) == (1, {True}, {})
            await asyncio.sleep(60)
            assert 4 <= one.web.count(A) - before <= 6

    run(whole())
