"""One round together: of all replicas one asks, and each of them shows what it learned."""

from __future__ import annotations

import asyncio

from exporter.model import Reason, Reply, Request, State
from tests.replicas.hub import Hub
from tests.replicas.rig import replicas
from tests.virtual import Network, account, params, record_of, reply, run, scrape, streams, tencent_error, tencent_state


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


def test_a_round_under_way_elsewhere_is_joined() -> None:
    """A scrape that begins while another replica's round is under way is answered by it, and by no calls of its own."""

    async def main() -> None:
        network = Network(mixed)
        quota = {"DescribeLiveStreamState": 100}
        async with replicas(network, streams(500), count=2, quota=quota) as (one, two):
            leading = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(2)
            await scrape(two.prober)
            await leading
            assert len(network.calls) == 500
            assert two.states() == one.states()

    run(main())


def test_a_call_for_one_stream_serves_all() -> None:
    """Questions for one stream that come to several replicas at once are one call."""

    async def main() -> None:
        network = Network(mixed)
        async with replicas(network, streams(5), count=3) as three:
            now, asked = asyncio.get_running_loop().time(), []
            for one in three:
                record = record_of(one.prober, "s00002")
                asked.append(one.prober.accounts["main"].refresh_one(record, now + 5, now))
            await asyncio.gather(*asked)
            assert len(network.calls) == 1
            assert [one.states()["s00002"] for one in three] == [State.ACTIVE] * 3

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
                assert mine.answer is not None
                # No page shows the id of a call that another replica made.
                assert mine.answer._replace(request_id="") == told.answer
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


def test_what_another_learned_is_learned_of_the_account() -> None:
    """Failures that open the breaker of the replica that asks open it everywhere, and so do answers that close it."""

    async def main() -> None:
        down = True

        async def behave(_provider: str, _request: Request) -> Reply:
            return reply({}, 502) if down else tencent_state("active")

        async with replicas(Network(behave), streams(20)) as (one, two):
            for _ in range(3):
                await scrape(one.prober)
                await asyncio.sleep(1)
            health = [each.prober.accounts["main"].health for each in (one, two)]
            assert [each.breaker.open for each in health] == [True, True]
            assert [each.up for each in health] == [False, False]
            assert {each.fault.reason for each in health if each.fault} == {Reason.HTTP}
            await scrape(two.prober)
            assert set(one.states().values()) == set(two.states().values()) == {State.UNKNOWN}
            down = False
            await scrape(two.prober)
            await asyncio.sleep(1)
            assert [each.breaker.open for each in health] == [False, False]
            assert [each.up for each in health] == [True, True]
            assert set(one.states().values()) == {State.ACTIVE}

    run(main())


def test_a_replica_that_starts_knows_what_the_others_know() -> None:
    """A new replica shows answers that are young enough before it has made a call, and does not repeat them."""

    async def main() -> None:
        network, hub = Network(mixed), Hub()
        async with replicas(network, streams(30), count=1, hub=hub) as (one,):
            await scrape(one.prober)
            await asyncio.sleep(3)
            async with replicas(network, streams(30), count=1, hub=hub, kind="late") as (late,):
                await asyncio.sleep(1.5)
                assert late.states() == one.states()
                await scrape(late.prober, reuse=5.0)
                assert len(network.calls) == 30

    run(main())


def test_streams_of_one_replica_alone_are_asked_for() -> None:
    """While a reload has reached one replica only, its new stream is asked for, and one with a new address is too."""

    async def main() -> None:
        network = Network(mixed)
        before = streams(4)
        async with replicas(network, before) as (one, two):
            moved = before[1].model_copy(update={"domain": "other.example"})
            after = [before[0], moved, *before[2:], *streams(1, prefix="n")]
            two.configure([account()], after)
            await scrape(one.prober)
            await asyncio.sleep(1)
            assert two.states()["s00001"] is State.UNKNOWN
            await scrape(two.prober, reuse=5.0)
            asked = [params(call.request) for call in network.calls[4:]]
            assert sorted((one["DomainName"], one["StreamName"]) for one in asked) == [
                ("other.example", "s00001"),
                ("push.example", "n00000"),
            ]

    run(main())


def test_listings_are_shared() -> None:
    """What one replica has listed, another does not list again before its time, and knows how many rows there were."""

    async def main() -> None:
        watched = streams(50)

        async def behave(_provider: str, request: Request) -> Reply:
            if request.headers["X-TC-Action"] != "DescribeLiveStreamOnlineList":
                return tencent_state("inactive")
            rows = [
                {"StreamName": one.name, "DomainName": "push.example", "AppName": "live", "PublishTimeList": []}
                for one in watched[:48]
            ]
            return reply({"Response": {"OnlineInfo": rows, "TotalNum": 48, "TotalPage": 1, "PageNum": 1,
                                       "PageSize": 10000, "RequestId": "r"}})  # fmt: skip

        network = Network(behave)
        async with replicas(network, watched, plan="list") as (one, two):
            await scrape(one.prober)
            await asyncio.sleep(1)
            states = [each.prober.accounts["main"] for each in (one, two)]
            assert states[0].listed_rows() == states[1].listed_rows() != {}
            await scrape(two.prober)
            lists = [call for call in network.calls if "OnlineList" in call.request.headers["X-TC-Action"]]
            assert len(lists) == 1

    run(main())
