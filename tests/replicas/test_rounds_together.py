"""One round together: of all replicas one asks, and each of them shows what it learned."""

from __future__ import annotations

import asyncio

from exporter.model import Reply, Request, State
from tests.replicas.hub import Hub
from tests.replicas.rig import replicas
from tests.virtual import Network, params, record_of, run, scrape, streams, tencent_error, tencent_state


async def mixed(_provider: str, request: Request) -> Reply:
    """Say that streams with an even number are live, others are not, and that s00007 cannot be told."""
    name = params(request)["StreamName"]
    if name == "s00007":
        return tencent_error("InternalError")
    return tencent_state("active" if int(name[1:]) % 2 == 0 else "inactive")


def test_scrapes_at_once_cost_one_round() -> None:
    """Three replicas that are scraped at the same time make one call per stream, and show the same."""

    async def main() -> None:
        network = Network(mixed)
        async with replicas(network, streams(40), count=3) as three:
            took = await asyncio.gather(*(scrape(one.prober) for one in three))
            assert len(network.calls) == 40
            assert max(took) < 9.0
            first, *others = (one.states() for one in three)
            assert all(other == first for other in others)
            assert first["s00000"] is State.ACTIVE
            assert first["s00001"] is State.INACTIVE
            assert first["s00007"] is State.UNKNOWN

    run(main())


def test_a_round_of_another_serves_within_reuse() -> None:
    """A scrape that follows another replica's within `reuse` makes no call; a later one asks again."""

    async def main() -> None:
        network = Network(mixed)
        async with replicas(network, streams(10)) as (one, two):
            await scrape(one.prober, reuse=5.0)
            await asyncio.sleep(0.1)
            assert two.states() == one.states()
            await asyncio.sleep(2)
            await scrape(two.prober, reuse=5.0)
            assert len(network.calls) == 10
            await asyncio.sleep(4)
            await scrape(two.prober, reuse=5.0)
            assert len(network.calls) == 20

    run(main())


def test_times_of_answers_are_the_same_everywhere() -> None:
    """An answer is as old on the replica that was told of it as on the one that asked."""

    async def main() -> None:
        async with replicas(Network(mixed), streams(3)) as (one, two):
            await scrape(one.prober)
            await asyncio.sleep(3)
            for name in ("s00000", "s00002"):
                mine, told = record_of(one.prober, name), record_of(two.prober, name)
                assert abs(mine.answered - told.answered) < 0.005
                assert abs(mine.answered_mono - told.answered_mono) < 0.005
                assert mine.answer == told.answer
                assert mine.action == told.action

    run(main())


def test_a_leader_that_dies_is_replaced() -> None:
    """When the replica that leads stops without a word, another one leads within the scrape's deadline."""

    async def main() -> None:
        network = Network(mixed, latency=0.5)
        async with replicas(network, streams(600, prefix="s"), quota={"DescribeLiveStreamState": 100}) as (one, two):
            leading = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(1)
            waiting = asyncio.create_task(scrape(two.prober))
            await asyncio.sleep(1)
            one.store.up = False
            for task in asyncio.all_tasks():
                if task.get_name().startswith("round"):
                    task.cancel()
            leading.cancel()
            before = len(network.calls)
            await waiting
            assert len(network.calls) > before
            told = [state for state in two.states().values() if state is not State.UNKNOWN]
            assert len(told) > 500

    run(main())


def test_without_its_store_each_asks_on_its_own() -> None:
    """When the store is away, a scrape is answered as if there were no others, and not late."""

    async def main() -> None:
        network = Network(mixed)
        async with replicas(network, streams(10)) as two:
            for one in two:
                one.store.up = False
            took = await asyncio.gather(*(scrape(one.prober) for one in two))
            assert len(network.calls) == 20
            assert max(took) < 2.0

    run(main())


def test_what_the_store_makes_up_makes_no_state() -> None:
    """Entries that are altered, signed with another key, repeated or no entries at all change nothing."""

    async def main() -> None:
        network, hub = Network(mixed), Hub()
        async with replicas(network, streams(4), hub=hub) as (one, two):
            await scrape(one.prober)
            await asyncio.sleep(1)
            await scrape(two.prober, reuse=5.0)
            (told,) = hub.streams.values()
            before = two.states()
            record = record_of(two.prober, "s00000")
            tried, changes = record.tried, record.changes
            whole = told[0][1]
            for data in (b"", b"x", whole[:-1], whole[:20] + b"\0" + whole[21:], b"\0" * 16 + whole[16:], whole):
                hub.added += 1
                told.append((f"{hub.added}-0", data))
            hub.grown.set()
            await asyncio.sleep(1)
            assert two.states() == before
            assert (record.tried, record.changes) == (tried, changes)

    run(main())
