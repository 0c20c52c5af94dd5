"""What an accepted callback costs and brings: one stream at once, within the quota, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from exporter.model import Reply, Request, State
from exporter.rounds import Prober
from exporter.rounds.follow_ups import FollowUps
from exporter.rounds.turns import Turns
from exporter.state.board import Record
from tests.virtual import (
    Network,
    account,
    account_prober,
    params,
    prober,
    run,
    streams,
    tencent_error,
    tencent_state,
)  # fmt: skip

ACTION = "DescribeLiveStreamState"


@dataclass
class Desk:
    """A prober on a network, and follow-ups of what callbacks tell of its streams."""

    made: Prober
    network: Network
    follow_ups: FollowUps

    def record(self, number: int = 0) -> Record:
        """Return a stream's record."""
        record = self.made.shared.board.get(("tencent", f"s{number:05d}"))
        assert record is not None
        return record

    def asked(self, number: int = 0) -> list[float]:
        """Return when a stream was asked for, in seconds since the start."""
        return [
            round(c.at - 1000, 2) for c in self.network.calls if params(c.request)["StreamName"] == f"s{number:05d}"
        ]


def desk(behave: Callable[[str, Request], Awaitable[Reply]], count: int = 1, rate: float = 100.0) -> Desk:
    """Return a desk for some streams."""
    network = Network(behave)
    made = prober(network, [account(quota={ACTION: rate})], streams(count))
    return Desk(made, network, FollowUps(Turns(made)))


def saying(state: Callable[[], str]) -> Callable[[str, Request], Awaitable[Reply]]:
    """Return a network that answers for every stream alike."""

    async def behave(_provider: str, _request: Request) -> Reply:
        return tencent_state(state())

    return behave


def test_a_hint_is_asked_for_at_once_and_once() -> None:
    """Where the API confirms what the callback said, one call is all."""

    async def main() -> None:
        made = desk(saying(lambda: "inactive"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert made.asked() == [0.0]
        assert made.record().answer is not None

    run(main())


def test_what_the_api_does_not_confirm_is_asked_again() -> None:
    """1, 2, 4 and 8 seconds later, and then no more."""

    async def main() -> None:
        made = desk(saying(lambda: "active"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert made.asked() == pytest.approx([0, 1, 3, 7, 15], abs=0.2)

    run(main())


def test_confirmation_ends_the_asking() -> None:
    """An API that lags by two seconds is asked until it says so."""

    async def main() -> None:
        start = asyncio.get_running_loop().time()
        made = desk(saying(lambda: "inactive" if asyncio.get_running_loop().time() > start + 2 else "active"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert made.asked() == pytest.approx([0, 1, 3], abs=0.2)

    run(main())


def test_newer_news_outdate_older() -> None:
    """A beginning that comes while an end is still doubted is what is to be confirmed."""

    async def main() -> None:
        made = desk(saying(lambda: "active"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(1.5)
        made.follow_ups.give(made.record(), live=True)
        await asyncio.sleep(60)
        assert made.asked() == pytest.approx([0, 1, 1.5], abs=0.2)

    run(main())


def test_callbacks_about_one_stream_are_coalesced() -> None:
    """However many callbacks come, a stream is asked for once a second in the long run."""

    async def main() -> None:
        made = desk(saying(lambda: "active"))
        for _ in range(2000):
            made.follow_ups.give(made.record(), live=True)
            await asyncio.sleep(0.005)
        assert len(made.asked()) <= 13

    run(main())


def test_follow_ups_keep_the_quota() -> None:
    """Callbacks about a thousand streams at once are asked at the kept rate, and each stream once."""

    async def main() -> None:
        made = desk(saying(lambda: "inactive"), count=1000, rate=50)
        for number in range(1000):
            made.follow_ups.give(made.record(number), live=False)
        await asyncio.sleep(60)
        assert made.network.busiest_second() <= 50
        assert set(made.network.per_stream().values()) == {1}
        assert len(made.network.calls) == 1000

    run(main())


def test_a_scrape_keeps_half_of_the_quota() -> None:
    """Endless hints about watched streams slow a round down by half at most, and never keep it from ending."""

    async def main() -> None:
        made = desk(saying(lambda: "active"), count=200, rate=50)
        loop = asyncio.get_running_loop()

        async def pester() -> None:
            while True:
                for number in range(100):
                    made.follow_ups.give(made.record(number), live=False)
                await asyncio.sleep(0.05)

        pestering = loop.create_task(pester())
        await asyncio.sleep(10)
        started = loop.time()
        await made.made.refresh(started + 30, started)
        took = loop.time() - started
        pestering.cancel()
        assert all(made.record(number).tried >= started for number in range(200))
        assert took <= 2 * 200 / (50 * 0.96) + 0.5
        assert made.network.busiest_second() <= 50
        await made.follow_ups.close()

    run(main())


def test_a_hint_goes_ahead_of_a_round() -> None:
    """A round with twenty seconds to go does not hold a hint up."""

    async def main() -> None:
        made = desk(saying(lambda: "active"), count=1000, rate=50)
        loop = asyncio.get_running_loop()
        scrape = loop.create_task(made.made.refresh(loop.time() + 60, loop.time()))
        await asyncio.sleep(1)
        made.follow_ups.give(made.record(999), live=True)
        await asyncio.sleep(0.2)
        assert made.asked(999) == pytest.approx([1.0], abs=0.1)
        await scrape
        assert len(made.asked(999)) == 1

    run(main())


def test_a_hanging_neighbour_holds_no_hint_up() -> None:
    """A round that only waits for one dead call does not make a hint wait with it."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            if params(request)["StreamName"] == "s00000":
                await asyncio.sleep(30)
            return tencent_state("inactive")

        made = desk(behave, count=3)
        loop = asyncio.get_running_loop()
        scrape = loop.create_task(made.made.refresh(loop.time() + 9, loop.time()))
        await asyncio.sleep(1)
        made.follow_ups.give(made.record(2), live=False)
        await asyncio.sleep(0.1)
        assert made.asked(2)[1:] == [1.0]
        await scrape

    run(main())


def test_a_stream_that_fails_costs_its_account_nothing() -> None:
    """Five attempts at a dead stream open no breaker and say nothing of the account."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            dead = params(request)["StreamName"] == "s00000"
            return tencent_error("InternalError") if dead else tencent_state("active")

        made = desk(behave, count=5)
        loop = asyncio.get_running_loop()
        await made.made.refresh(loop.time() + 9, loop.time())
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert len(made.asked()) == 6
        assert account_prober(made.made).up
        assert not account_prober(made.made).held_back

    run(main())


def test_an_open_breaker_holds_hints_back() -> None:
    """While an account answers nothing, callbacks make no calls."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_error("InternalError")

        made = desk(behave, count=2)
        loop = asyncio.get_running_loop()
        for _ in range(4):
            await made.made.refresh(loop.time() + 9, loop.time())
        assert account_prober(made.made).held_back
        before = len(made.network.calls)
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert len(made.network.calls) == before

    run(main())


def test_no_quota_left_is_no_busy_loop() -> None:
    """An account with one call in twenty seconds: the hint waits its turn, asks once, and time goes on."""

    async def main() -> None:
        made = desk(saying(lambda: "inactive"), count=3, rate=0.05)
        for number in range(3):
            made.follow_ups.give(made.record(number), live=False)
        await asyncio.sleep(100)
        assert [len(made.asked(number)) for number in range(3)] == [1, 1, 1]

    run(main())


def test_a_stream_taken_away_is_asked_for_no_more() -> None:
    """A reload ends what was followed, and a hint that is on its way ends too."""

    async def main() -> None:
        made = desk(saying(lambda: "active"), count=2)
        gone = made.record(1)
        made.follow_ups.give(gone, live=False)
        await asyncio.sleep(0.5)
        made.made.configure([(account_prober(made.made).provider, account(quota={ACTION: 100.0}))], streams(1), 60)
        made.follow_ups.keep()
        made.follow_ups.give(gone, live=False)
        await asyncio.sleep(60)
        assert len(made.asked(1)) == 1

    run(main())


def test_flaps_are_counted() -> None:
    """What begins and ends between two scrapes changes the count of changes."""

    async def main() -> None:
        state = "active"
        made = desk(saying(lambda: state))
        loop = asyncio.get_running_loop()
        await made.made.refresh(loop.time() + 9, loop.time())
        for state in ("inactive", "active", "inactive", "active"):
            made.follow_ups.give(made.record(), live=state == "active")
            await asyncio.sleep(2)
        assert made.record().changes == 4
        answer = made.record().answer
        assert answer is not None
        assert answer.state is State.ACTIVE

    run(main())
