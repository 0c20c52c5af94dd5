"""Checks whose turn does not come, in virtual time: they are failures that say why, not silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from exporter.addresses import PlaybackSettings
from exporter.model import Reason
from exporter.playback.checks import IDLE_SECONDS
from exporter.playback.lateness import Late, Lateness, why_late
from exporter.playback.queue import Standing
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Change
from exporter.status.wording import of_check
from testbed.virtual import run
from tests.virtual import EPOCH

from .rig import ORIGIN, SEGMENTS, A, Page, Rig, address, moving, rig, watched

MAX_AGE, EVERY = 120.0, 15.0  # of the rig, and the usual interval


def crowd(count: int, **settings: float) -> Rig:
    """Return checks of so many addresses of one host, each of which answers after 10 s that it is not there."""
    streams = (watched(address(f"/live/{i}.m3u8?token=canary"), name=f"s{i}") for i in range(count))
    one = rig(*streams, **settings)
    one.web.pages = {f"/live/{i}.m3u8": lambda _: Page(status=404, delay=10.0) for i in range(count)}
    return one


def errors(one: Rig, name: str) -> int:
    """Return how many failures of an address are counted, all of them for reason timeout."""
    assert {key[3] for key in one.counters.playback_errors} <= {"timeout"}
    return one.counters.playback_errors["tencent", name, "main", "timeout"]


async def scraping(one: Rig, seconds: float) -> None:
    """Scrape for so long."""
    end = one.web.now + seconds
    while one.web.now < end:
        one.checks.scraped()
        await asyncio.sleep(min(30.0, end - one.web.now))


def test_a_turn_that_does_not_come_is_a_failure() -> None:
    """An address that was never checked is late once an outcome would no longer count: it says why and what to do, and
    is counted once an interval until its turn has come; an address that was checked is late as long after that check.
    """
    changes: list[Change] = []

    async def whole() -> None:
        one = crowd(40, concurrency=1)
        one.board.on_change.append(changes.append)
        async with one.checks:
            await scraping(one, MAX_AGE - 1)
            assert one.outcome("s39") is None
            assert not one.counters.playback_errors
            await scraping(one, 2)
            last = one.outcome("s39")
            assert last is not None
            assert (last.up, last.reason, last.age, last.checked) == (None, Reason.TIMEOUT, None, None)
            assert last.message == (
                f"its turn has not come for 120 s: 40 addresses of {ORIGIN} share 1 check at once, and one takes 20 s; "
                "raise playback.concurrency or playback.interval"
            )
            assert [errors(one, name) for name in ("s0", "s39")] == [0, 1]
            assert one.up("s0") is False
            await scraping(one, 20 + EVERY)
            first = one.outcome("s0")
            assert first is not None
            assert (first.up, first.reason) == (None, Reason.TIMEOUT)
            assert first.checked == pytest.approx(EPOCH + 1020)
            assert [errors(one, name) for name in ("s0", "s39")] == [1 + 1, 1 + 2]
            await scraping(one, 40 * 20.0 - 155)
            assert one.up("s39") is False
            told = errors(one, "s39")
            await scraping(one, MAX_AGE - 2)
            assert errors(one, "s39") == told

    run(whole())
    of_first = [(change.old, change.new, change.evidence[:8]) for change in changes if change.stream == "s0"]
    assert of_first[:3] == [(None, False, "it is no"), (False, None, "its turn"), (None, False, "it is no")]
    assert "canary" not in str(changes)


def test_nothing_is_late_while_nobody_scrapes() -> None:
    """Neither before the first scrape, nor long after the last, nor right after a rest."""

    async def whole() -> None:
        one = crowd(40, concurrency=1)
        async with one.checks:
            await asyncio.sleep(2 * MAX_AGE)
            await scraping(one, MAX_AGE - 1)
            assert not one.counters.playback_errors
            await asyncio.sleep(IDLE_SECONDS + 30)
            counted = one.counters.playback_errors.total()
            await asyncio.sleep(3 * IDLE_SECONDS)
            assert one.counters.playback_errors.total() == counted
            await scraping(one, MAX_AGE - 1)
            assert one.counters.playback_errors.total() == counted
            await scraping(one, 2)
            assert one.counters.playback_errors.total() > counted

    run(whole())


def test_late_is_late_by_what_is_configured_now() -> None:
    """An address of a long interval is late after two of them; one that a reload adds, so long after the reload; and a
    reload that makes outcomes count less long holds at once.
    """

    async def whole() -> None:
        busy = watched(address("/live/slow.m3u8", "slow"), name="busy")
        own = watched(address(A, interval=100.0), name="own")
        settings = PlaybackSettings(concurrency=1)
        one = rig(busy, own, concurrency=1)
        one.web.pages = {"/live/slow.m3u8": lambda _: Page(delay=1000.0)}
        async with one.checks:
            await scraping(one, 199)
            assert errors(one, "own") == 0
            await scraping(one, 2)
            assert errors(one, "own") == 1
            added = watched(address(A, interval=100.0), name="added")
            one.configure(busy, own, added, settings=settings)
            await scraping(one, 199)
            assert errors(one, "added") == 0
            await scraping(one, 2)
            assert errors(one, "added") == 1
            usual = watched(address(A), name="usual")
            one.configure(busy, usual, settings=PlaybackSettings(concurrency=1, interval=3000.0))
            await scraping(one, 130)
            assert errors(one, "usual") == 0
            one.configure(busy, usual, settings=settings)
            await scraping(one, 1)
            assert errors(one, "usual") == 1

    run(whole())


def test_who_looks_in_time_is_never_late() -> None:
    """Addresses that are checked in time are told late by nobody, whatever comes between."""

    async def whole() -> None:
        one = rig(watched(address(A)), watched(address(A, interval=300.0), name="slow"))
        one.web.pages = {**SEGMENTS, A: moving(10)}
        async with one.checks:
            for _ in range(4):
                await scraping(one, 400)
                await asyncio.sleep(IDLE_SECONDS + 400)
                one.configure(*(record.stream for record in one.board))
            assert not one.counters.playback_errors

    run(whole())


SETTINGS = PlaybackSettings(concurrency=4, rate=0.5)
HOST = "https://cdn.example"
TURN, ENDED = "its turn has not come for 1,300 s", "its check has not ended for 700 s"
CAME = "its turn came only after 1,298 s"
RAISE = "raise playback.concurrency or playback.interval"
FULL = "servers are so slow that the exporter has as many checks under way as it makes at once"


@pytest.mark.parametrize(
    ("standing", "waiting", "words"),
    [
        (Standing(None, 400, 4, 5.13, False), 1,
         f"{TURN}: 400 addresses of {HOST} share 4 checks at once, and one takes 5.1 s; {RAISE}"),
        (Standing(None, 1400, 4, 0.0, False), 0,
         f"{TURN}: 1,400 addresses of {HOST} share 4 checks at once; {RAISE}"),
        (Standing(None, 400, 4, 8.0, False), 2,
         f"{TURN}: 400 addresses of {HOST} share 0.5 requests a second; raise playback.rate or playback.interval"),
        (Standing(2.0, 400, 4, 8.0, False), 0,
         f"{CAME}: 400 addresses of {HOST} share 4 checks at once, and one takes 8.0 s; {RAISE}"),
        (Standing(700.0, 1, 1, 8.0, False), 1,
         f"{ENDED}: {HOST} gets 0.5 requests a second; raise playback.rate or playback.interval"),
        (Standing(700.0, 400, 4, 8.0, False), 0, f"{ENDED}: {HOST} is that slow"),
        (Standing(None, 400, 2, 8.0, True), 0,
         f"{TURN}: {FULL}; raise playback.interval, or divide the streams into shards"),
    ],
)  # fmt: skip
def test_the_words_name_what_is_short(standing: Standing, waiting: int, words: str) -> None:
    """Concurrency, the rate, the server's own speed, or what one exporter makes at all; with figures and advice."""
    assert why_late(1300.0, HOST, standing, waiting, SETTINGS) == words


def test_a_rate_that_is_too_low_is_named() -> None:
    """Where requests wait for their turn, the rate is what is short, though checks are under way in their number."""

    async def whole() -> set[str]:
        one = rig(*(watched(address(f"/live/{i}.m3u8"), name=f"s{i}") for i in range(80)), rate=0.2)
        async with one.checks:
            await scraping(one, 200)
            late = [one.outcome(f"s{i}") for i in range(80)]
        return {check.message for check in late if check is not None and check.reason is not None}

    found = run(whole())
    assert len(found) > 2
    assert {words.partition(": ")[2] for words in found} == {
        f"80 addresses of {ORIGIN} share 0.2 requests a second; raise playback.rate or playback.interval"
    }


@pytest.mark.parametrize("again", [15.0, None])
def test_told_again_until_nobody_wants_to_know(again: float | None) -> None:
    """What is late is told again after the seconds that were said, or no more until somebody wants to know again."""
    told: list[tuple[int, int, int]] = []

    async def whole() -> None:
        time: Callable[[], float] = asyncio.get_running_loop().time
        start = time()

        def tell(_: str, late: Late) -> float | None:
            assert late.ended is not None
            told.append((round(time() - start), round(late.seconds), round(late.ended)))
            return again

        made: Lateness[str] = Lateness(lambda _: 20.0, tell, time)
        made.keep(["a"])
        made.ended("a")
        made.ended("gone")
        made.begin()
        await asyncio.sleep(49.9)
        made.begin()
        await asyncio.sleep(25)
        await made.close()

    run(whole())
    assert told == [(20, 20, 20), *([(35, 35, 35)] if again else []), (70, 20, 70)]


def test_the_page_does_not_speak_of_a_check_that_never_was() -> None:
    """Of an address that was never checked, the page says so; of one that was, when."""
    late = PlaybackCheck(None, "its turn", Reason.TIMEOUT, checked=None)
    assert [of_check(one, 100.0) for one in (late, late._replace(checked=40.0))] == [
        "never checked",
        "checked 1 min ago",
    ]


def test_a_slow_rate_hides_nothing() -> None:
    """However long requests wait for their turn, what is not there is down: that wait is not the server's."""

    async def whole() -> None:
        one = rig(watched(address("/live/gone.m3u8")), watched(address("/live/gone.m3u8"), name="b"), rate=0.02)
        async with one.checks:
            await scraping(one, 170)
            assert [one.up("a"), one.up("b")] == [False, False]

    run(whole())
