"""What an accepted callback costs and brings: one stream at once, within the quota, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from exporter.model import Reply, Request, State
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
        return record_of(self.made, f"s{number:05d}")

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


def test_a_confirmed_callback_causes_one_call_at_once() -> None:
    """If the API confirms the callback, there is one call."""

    async def main() -> None:
        made = desk(saying(lambda: "inactive"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert made.asked() == [0.0]
        assert made.record().answer is not None

    run(main())


def test_an_unconfirmed_callback_is_followed_up() -> None:
    """A callback that the API does not confirm is followed up after 1, 2, 4 and 8 seconds."""

    async def main() -> None:
        made = desk(saying(lambda: "active"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert made.asked() == pytest.approx([0, 1, 3, 7, 15], abs=0.2)

    run(main())


def test_confirmation_ends_the_asking() -> None:
    """An API that lags by two seconds is queried until it confirms."""

    async def main() -> None:
        start = asyncio.get_running_loop().time()
        made = desk(saying(lambda: "inactive" if asyncio.get_running_loop().time() > start + 2 else "active"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert made.asked() == pytest.approx([0, 1, 3], abs=0.2)

    run(main())


def test_a_newer_event_replaces_an_older_one() -> None:
    """A beginning replaces an end that is not confirmed yet."""

    async def main() -> None:
        made = desk(saying(lambda: "active"))
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(1.5)
        made.follow_ups.give(made.record(), live=True)
        await asyncio.sleep(60)
        assert made.asked() == pytest.approx([0, 1, 1.5], abs=0.2)

    run(main())


def test_callbacks_about_one_stream_are_coalesced() -> None:
    """A stream is queried once a second in the long run, however many callbacks arrive."""

    async def main() -> None:
        made = desk(saying(lambda: "active"))
        for _ in range(2000):
            made.follow_ups.give(made.record(), live=True)
            await asyncio.sleep(0.005)
        assert len(made.asked()) <= 13

    run(main())


def test_follow_ups_keep_the_quota() -> None:
    """Callbacks about a thousand streams are followed up at the allowed rate, each stream once."""

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
    """Endless callbacks about watched streams slow a round down by half at most."""

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


def test_a_follow_up_goes_ahead_of_a_round() -> None:
    """A follow-up does not wait for a round with twenty seconds to go."""

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


def test_a_hanging_call_delays_no_follow_up() -> None:
    """A round that waits for one dead call does not delay a follow-up."""

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
    """Five failed follow-ups of one stream open no breaker and do not mark the account as down."""

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
        assert account_prober(made.made).health.up
        assert not account_prober(made.made).health.breaker.open

    run(main())


def test_an_open_breaker_stops_follow_ups() -> None:
    """While the breaker is open, callbacks cause no calls."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_error("InternalError")

        made = desk(behave, count=2)
        loop = asyncio.get_running_loop()
        for _ in range(4):
            await made.made.refresh(loop.time() + 9, loop.time())
        assert account_prober(made.made).health.breaker.open
        before = len(made.network.calls)
        made.follow_ups.give(made.record(), live=False)
        await asyncio.sleep(60)
        assert len(made.network.calls) == before

    run(main())


def test_no_quota_left_is_no_busy_loop() -> None:
    """With one call in twenty seconds, the follow-up waits for its turn without a busy loop."""

    async def main() -> None:
        made = desk(saying(lambda: "inactive"), count=3, rate=0.05)
        for number in range(3):
            made.follow_ups.give(made.record(number), live=False)
        await asyncio.sleep(100)
        assert [len(made.asked(number)) for number in range(3)] == [1, 1, 1]

    run(main())


def test_a_stream_taken_away_is_asked_for_no_more() -> None:
    """A reload ends the follow-ups of a removed stream, including one in flight."""

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
    """Pushes that begin and end between two scrapes are counted as changes."""

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
