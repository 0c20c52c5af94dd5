"""Probes of single streams: what they get, and what they leave to a scrape and to each other, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from exporter.model import Reply, Request
from exporter.rounds.follow_ups import FollowUps
from exporter.rounds.prober import Prober
from exporter.rounds.turns import Turns
from exporter.state.record import Record
from tests.virtual import (
    Network,
    account,
    account_prober,
    params,
    prober,
    record_of,
    run,
    streams,
    tencent_error,
    tencent_state,
)

ACTION = "DescribeLiveStreamState"


async def active(_provider: str, _request: Request) -> Reply:
    """Say that a stream is live."""
    return tencent_state("active")


class Desk:
    """A prober on a network, and turns for what asks out of turn."""

    def __init__(self, count: int, rate: float, behave: Callable[[str, Request], Awaitable[Reply]] = active) -> None:
        self.network = Network(behave)
        self.made: Prober = prober(self.network, [account(quota={ACTION: rate})], streams(count))
        self.turns = Turns(self.made)
        self.loop = asyncio.get_running_loop()

    def record(self, number: int = 0) -> Record:
        """Return a stream's record."""
        return record_of(self.made, f"s{number:05d}")

    def asked(self, number: int = 0) -> list[float]:
        """Return when a stream was asked for, in seconds of the loop."""
        return [c.at for c in self.network.calls if params(c.request)["StreamName"] == f"s{number:05d}"]

    async def probe(self, number: int = 0, budget: float = 9.5) -> None:
        """Ask for a stream whatever is known of it, as `/probe` with `debug=true` does."""
        await asyncio.sleep(0.001)  # no two probes at the very same instant
        now = self.loop.time()
        await self.turns.ask(self.record(number), now + budget, now)

    async def loop_over(self, *numbers: int) -> None:
        """Probe streams one after the other, again and again."""
        while True:
            for number in numbers:
                await self.probe(number)


async def scraped(desk: Desk, budget: float = 9.5) -> int:
    """Scrape once; return how many streams were asked."""
    await asyncio.sleep(0.001)
    started = desk.loop.time()
    await desk.made.refresh(started + budget, started)
    return sum(record.tried >= started for record in desk.made.shared.board)


def test_a_loop_of_probes_of_one_stream_leaves_the_others_their_quota() -> None:
    """Ten clients that probe one stream endlessly cost one call a second, and a scrape asks for all sixty streams."""

    async def main() -> None:
        desk = Desk(60, 8.0)
        pests = [desk.loop.create_task(desk.loop_over(0)) for _ in range(10)]
        await asyncio.sleep(5)
        assert await scraped(desk) == 60
        for pest in pests:
            pest.cancel()
        assert min(later - sooner for sooner, later in pairwise(desk.asked())) >= 1.0

    run(main())


def test_loops_over_many_streams_leave_a_scrape_half_of_the_quota() -> None:
    """Clients that probe other streams each slow a round down by half at most."""

    async def main() -> None:
        desk = Desk(200, 50.0)
        pests = [desk.loop.create_task(desk.loop_over(*range(start, 100, 10))) for start in range(10)]
        await asyncio.sleep(3)
        started = desk.loop.time()
        assert await scraped(desk, 30) == 200
        assert desk.loop.time() - started <= 2 * 200 / (50 * 0.96) + 0.5
        assert desk.network.busiest_second() <= 50
        for pest in pests:
            pest.cancel()

    run(main())


def test_callbacks_and_probes_share_one_half() -> None:
    """What callbacks and probes ask for together leaves a scrape half of the quota, too."""

    async def main() -> None:
        desk = Desk(200, 50.0)
        follow_ups = FollowUps(desk.turns)

        async def pester() -> None:
            while True:
                for number in range(100):
                    follow_ups.give(desk.record(number), live=False)
                await asyncio.sleep(0.05)

        pests = [desk.loop.create_task(pester())]
        pests += [desk.loop.create_task(desk.loop_over(*range(100 + start, 200, 10))) for start in range(10)]
        await asyncio.sleep(3)
        started = desk.loop.time()
        assert await scraped(desk, 30) == 200
        assert desk.loop.time() - started <= 2 * 200 / (50 * 0.96) + 0.5
        for pest in pests:
            pest.cancel()
        await follow_ups.close()
        await desk.turns.close()

    run(main())


def test_probes_of_each_stream_use_the_whole_quota_while_no_scrape_is_under_way() -> None:
    """Prometheus may probe each stream by itself: 300 at once take hardly longer than one round."""

    async def main() -> None:
        desk = Desk(300, 50.0)
        started = desk.loop.time()
        await asyncio.gather(*(desk.probe(number) for number in range(300)))
        assert desk.loop.time() - started <= 1.1 * 300 / (50 * 0.96)
        assert set(desk.network.per_stream().values()) == {1}
        assert desk.network.busiest_second() <= 50

    run(main())


def test_strangers_who_wait_for_a_stream_wait_for_one_call() -> None:
    """A thousand clients at once cost one call, and hold up the probe of another stream by no more."""

    async def main() -> None:
        desk = Desk(2, 5.0)
        waiting = [desk.loop.create_task(desk.probe(0)) for _ in range(1000)]
        await asyncio.sleep(0)
        started = desk.loop.time()
        await desk.probe(1)
        assert desk.loop.time() - started <= 0.5
        await asyncio.gather(*waiting)
        assert len(desk.asked(0)) == 1

    run(main())


def test_a_probe_soon_after_another_waits_for_the_second_or_is_told_the_last_answer() -> None:
    """One that has the time gets a new answer a second after the last; one that has not costs no call."""

    async def main() -> None:
        desk = Desk(1, 50.0)
        await desk.probe()
        first = desk.record().tried
        await desk.probe(budget=0.5)
        assert desk.record().tried == first
        await desk.probe()
        assert desk.record().tried == pytest.approx(first + 1.0 + 0.02, abs=0.03)
        assert len(desk.asked()) == 2

    run(main())


def test_a_probe_whose_turn_comes_too_late_returns_by_its_deadline() -> None:
    """Behind a long queue a client is answered in time, with what is known."""

    async def main() -> None:
        desk = Desk(30, 2.0)
        queue = [desk.loop.create_task(desk.probe(number, 20)) for number in range(29)]
        await asyncio.sleep(0.01)
        started = desk.loop.time()
        await desk.probe(29, 2.0)
        assert desk.loop.time() - started <= 2.01
        assert desk.asked(29) == []
        await asyncio.gather(*queue)

    run(main())


def test_probes_of_a_whole_account_come_once_a_second() -> None:
    """Clients that ask for an account again and again share one round a second."""

    async def main() -> None:
        desk = Desk(10, 100.0)

        async def pester() -> None:
            while True:
                await desk.turns.ask_all(account_prober(desk.made), desk.loop.time() + 9)
                await asyncio.sleep(0)

        pests = [desk.loop.create_task(pester()) for _ in range(20)]
        await asyncio.sleep(10.5)
        for pest in pests:
            pest.cancel()
        assert 10 <= len(desk.asked()) <= 11

    run(main())


def test_probes_of_a_broken_stream_open_no_breaker() -> None:
    """However often one stream fails, it says no more of its account than once; two in turn say so."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            broken = params(request)["StreamName"] in ("s00000", "s00001")
            return tencent_error("InternalError") if broken else tencent_state("active")

        desk = Desk(60, 20.0, behave)
        for _ in range(10):
            await desk.probe(0)
        assert not account_prober(desk.made).health.breaker.open
        for number in (1, 0, 1):
            await desk.probe(number)
        assert account_prober(desk.made).health.breaker.open

    run(main())


def test_a_stream_taken_away_is_not_asked_for() -> None:
    """A reload while a probe waits ends it without a call."""

    async def main() -> None:
        desk = Desk(2, 0.5)
        await desk.probe(1)
        gone = desk.loop.create_task(desk.probe(0))
        await asyncio.sleep(0.5)
        desk.made.configure([(account_prober(desk.made).provider, account(quota={ACTION: 0.5}))], streams(2)[1:], 60)
        desk.turns.keep()
        await gone
        assert desk.asked(0) == []

    run(main())
