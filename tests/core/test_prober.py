"""The round: semantics, deadline, quota, sharing, fairness and isolation, in virtual time on a network of functions."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.fields import Secret, SecretSource
from exporter.model import Account, Credentials, Reason, Reply, Request, State
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider, TransportError
from exporter.rounds.prober import Prober
from exporter.state.record import Change
from testbed.network import Plain
from tests.providers.studio import PROVIDER as STUDIO
from tests.providers.studio import StudioAccount, StudioStream
from tests.virtual import (
    Behaviour,
    Network,
    account,
    account_prober,
    always,
    params,
    prober,
    record_of,
    reply,
    run,
    scrape,
    streams,
    tencent_error,
    tencent_state,
)


def answering(state: str) -> Behaviour:
    """Return a provider that says the same of every stream."""

    async def behave(_provider: str, _request: Request) -> Reply:
        return tencent_state(state)

    return behave


def states(made: Prober) -> Counter[State]:
    """Return how many streams show each state now."""
    now, board = asyncio.get_running_loop().time(), made.shared.board
    return Counter(record.state(now, board.max_age) for record in board)


def test_a_definite_answer_sets_the_state() -> None:
    """A provider's word on a stream is what the stream shows."""

    async def main() -> None:
        made = prober(Network(answering("forbid")), [account()], streams(3))
        await scrape(made)
        assert states(made) == {State.FORBIDDEN: 3}
        assert account_prober(made).health.up is True

    run(main())


def test_a_failed_attempt_withdraws_the_state_and_never_says_down() -> None:
    """Not knowing is neither up nor down, and the last success stays to be seen."""

    async def main() -> None:
        answers = [tencent_state("active"), tencent_error("InternalError")]

        async def behave(_provider: str, _request: Request) -> Reply:
            return answers.pop(0)

        made = prober(Network(behave), [account()], streams(1))
        await scrape(made)
        (record,) = made.shared.board
        answered = record.answered
        await asyncio.sleep(15)
        await scrape(made)
        assert states(made) == {State.UNKNOWN: 1}
        assert not record.succeeded
        assert record.answered == answered
        assert made.shared.counters.errors == {("tencent", "main", "InternalError", "provider_error"): 1}

    run(main())


def test_state_changes_are_counted_between_definite_states_only() -> None:
    """A gap of knowledge is not a flap."""

    async def main() -> None:
        script = ["active", "error", "active", "inactive", "error", "inactive", "active"]

        async def behave(_provider: str, _request: Request) -> Reply:
            word = script.pop(0)
            return tencent_error("InternalError") if word == "error" else tencent_state(word)

        made = prober(Network(behave), [account()], streams(1))
        seen: list[Change] = []
        made.shared.board.on_change.append(seen.append)
        for _ in range(7):
            await scrape(made)
        (record,) = made.shared.board
        assert record.changes == 2
        assert [str(change.new) for change in seen] == [
            "active", "unknown", "active", "inactive", "unknown", "inactive", "active",
        ]  # fmt: skip

    run(main())


def test_the_quota_holds_in_every_second_and_is_used() -> None:
    """Never more calls than kept in any one second, yet nearly all of them while there is demand."""

    async def main() -> None:
        network = Network(answering("active"))
        made = prober(network, [account(quota={"DescribeLiveStreamState": 50.0})], streams(300))
        took = await scrape(made, budget=60)
        assert len(network.calls) == 300
        assert network.busiest_second() <= 50
        assert took <= 1.05 * 300 / 50

    run(main())


def test_a_stall_of_the_loop_is_not_made_good_by_a_burst() -> None:
    """Slots that went by while the process slept are lost, not bunched."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        network = Network(answering("active"))
        made = prober(network, [account(quota={"DescribeLiveStreamState": 50.0})], streams(300))
        loop.call_later(1.0, lambda: loop.hold(0.7))  # type: ignore[attr-defined]
        await scrape(made, budget=60)
        assert network.busiest_second() <= 50

    run(main())


def test_the_answer_comes_at_the_deadline_whatever_hangs() -> None:
    """A provider that never answers costs the scrape its deadline and no more."""

    async def main() -> None:
        async def hang(_provider: str, _request: Request) -> Reply:
            await asyncio.sleep(1e6)
            raise AssertionError

        made = prober(Network(hang), [account(timeout="60s")], streams(500))
        took = await scrape(made, budget=4.5)
        assert 4.5 <= took < 4.51
        assert account_prober(made).health.up is False
        assert account_prober(made).health.unprobed["deadline"] == 500

    run(main())


def test_calls_in_flight_at_the_deadline_serve_the_next_scrape() -> None:
    """A slow answer is not asked for again: it arrives in the background and counts."""

    async def main() -> None:
        network = Network(answering("active"), latency=6.0)
        made = prober(network, [account(timeout="10s")], streams(5))
        await scrape(made, budget=4.0)
        assert states(made) == {State.UNKNOWN: 5}
        took = await scrape(made, budget=4.0, reuse=5.0)
        assert states(made) == {State.ACTIVE: 5}
        assert took < 2.5
        assert len(network.calls) == 5

    run(main())


def test_scrapes_that_overlap_cost_one_round() -> None:
    """Twenty scrapes at once ask each stream once."""

    async def main() -> None:
        network = Network(answering("active"), latency=0.3)
        made = prober(network, [account()], streams(100))
        await asyncio.gather(*(scrape(made) for _ in range(20)))
        assert len(network.calls) == 100

    run(main())


def test_scrapes_that_join_a_cut_round_share_what_follows() -> None:
    """Where a joined round ends by its own deadline, all who still have time share one more round."""

    async def main() -> None:
        network = Network(answering("active"))
        made = prober(network, [account(quota={"DescribeLiveStreamState": 10.0})], streams(60))
        loop = asyncio.get_running_loop()
        first = loop.create_task(scrape(made, budget=2.0))
        await asyncio.sleep(0.5)
        await asyncio.gather(first, *(scrape(made, budget=9.0) for _ in range(5)))
        assert len(network.calls) == 60
        assert states(made) == {State.ACTIVE: 60}

    run(main())


def test_young_answers_serve_the_second_of_a_pair() -> None:
    """An HA pair of Prometheus a few seconds apart costs one round."""

    async def main() -> None:
        network = Network(answering("active"))
        made = prober(network, [account()], streams(10))
        for _ in range(4):
            await scrape(made, reuse=5.0)
            await asyncio.sleep(3)
            await scrape(made, reuse=5.0)
            await asyncio.sleep(12)
        assert len(network.calls) == 40

    run(main())


def test_streams_wait_their_turn_the_longest_waiting_first() -> None:
    """When demand exceeds the quota, no stream waits longer than 1.3 times the ideal rotation."""

    async def main() -> None:
        network = Network(answering("active"))
        made = prober(network, [account(quota={"DescribeLiveStreamState": 10.0})], streams(500), max_age=3600)
        loop = asyncio.get_running_loop()
        for _ in range(40):
            started = loop.time()
            await scrape(made, budget=9.5)
            assert account_prober(made).health.unprobed["quota"] >= 400
            await asyncio.sleep(15 - (loop.time() - started))
        seen: dict[str, list[float]] = {}
        for call in network.calls:
            seen.setdefault(params(call.request)["StreamName"], []).append(call.at)
        per_round = len(network.calls) / 40
        ideal = 500 / per_round * 15
        waits = [b - a for times in seen.values() for a, b in pairwise(times)]
        assert len(seen) == 500
        assert max(waits) <= 1.3 * ideal

    run(main())


def test_an_answer_outlives_its_turn_until_max_age() -> None:
    """A stream whose turn has not come keeps its answer, but not for ever."""

    async def main() -> None:
        made = prober(Network(answering("active")), [account()], streams(1), max_age=30)
        await scrape(made)
        await asyncio.sleep(29)
        assert states(made) == {State.ACTIVE: 1}
        await asyncio.sleep(2)
        assert states(made) == {State.UNKNOWN: 1}

    run(main())


def test_a_dead_provider_costs_the_others_nothing() -> None:
    """Every answer of the healthy account is fresh though the account before it is dead."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            if "dead" in request.url:
                raise TransportError(Reason.CONNECTION, "refused")
            return tencent_state("active")

        dead = account(name="dead", endpoint="http://dead.example")
        watched = [*streams(200, "dead", "d"), *streams(200, "main", "m")]
        made = prober(Network(behave), [dead, account()], watched)
        for _ in range(3):
            await scrape(made)
            assert states(made) == {State.ACTIVE: 200, State.UNKNOWN: 200}
            await asyncio.sleep(10)
        assert account_prober(made, "dead").health.up is False
        assert account_prober(made).health.up is True

    run(main())


def test_the_breaker_tries_once_a_scrape_and_recovers_at_once() -> None:
    """A dead account falls to a trial per scrape after three bad rounds; the scrape that finds it back asks all."""

    async def main() -> None:
        dead = True

        async def behave(_provider: str, _request: Request) -> Reply:
            if dead:
                raise TransportError(Reason.CONNECTION, "refused")
            return tencent_state("active")

        network = Network(behave)
        made = prober(network, [account()], streams(100))
        counts = []
        for _ in range(6):
            before = len(network.calls)
            await scrape(made)
            counts.append(len(network.calls) - before)
            await asyncio.sleep(15)
        assert counts == [100, 100, 100, 1, 1, 1]
        assert account_prober(made).health.breaker.open
        assert account_prober(made).health.unprobed["breaker"] == 99
        dead = False
        await scrape(made)
        assert states(made) == {State.ACTIVE: 100}
        assert not account_prober(made).health.breaker.open

    run(main())


def test_an_account_that_only_errs_is_asked_for_a_tenth_of_its_streams() -> None:
    """After three bad rounds an outage costs at most a tenth of the calls, whatever the provider answers in it."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_error("InternalError")

        network = Network(behave)
        made = prober(network, [account()], streams(60))
        counts = []
        for _ in range(5):
            before = len(network.calls)
            await scrape(made)
            counts.append(len(network.calls) - before)
        assert counts == [60, 60, 60, 6, 6]

    run(main())


def test_an_open_breaker_withdraws_what_it_does_not_ask() -> None:
    """While an account is known to answer nothing, none of its streams shows an old answer."""

    async def main() -> None:
        dead = False

        async def behave(_provider: str, _request: Request) -> Reply:
            if dead:
                await asyncio.sleep(1e6)
            return tencent_state("active")

        made = prober(Network(behave), [account(timeout="2s", concurrency=5)], streams(100), max_age=3600)
        await scrape(made, budget=30)
        dead = True
        for _ in range(4):
            await scrape(made, budget=5)
            await asyncio.sleep(10)
        assert account_prober(made).health.breaker.open
        assert states(made) == {State.UNKNOWN: 100}

    run(main())


def test_streams_that_are_asked_wrongly_do_not_open_the_breaker() -> None:
    """A typo in every stream of an account is no outage: each stream goes on being asked."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_error("InvalidParameter")

        network = Network(behave)
        made = prober(network, [account()], streams(5))
        for _ in range(6):
            await scrape(made)
        assert len(network.calls) == 30

    run(main())


def test_throttling_is_not_retried_and_halves_the_rate() -> None:
    """A throttled call is one call, and halves the rate, which is back 15 seconds later."""

    async def main() -> None:
        throttled = True

        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_error("RequestLimitExceeded") if throttled else tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(quota={"DescribeLiveStreamState": 40.0})], streams(1))
        await scrape(made)
        assert len(network.calls) == 1
        assert account_prober(made).allowed_rates()["DescribeLiveStreamState"] == 20.0
        throttled = False
        await asyncio.sleep(9)
        assert account_prober(made).allowed_rates()["DescribeLiveStreamState"] == 20.0
        await asyncio.sleep(6)
        assert account_prober(made).allowed_rates()["DescribeLiveStreamState"] == 40.0

    run(main())


def test_a_retry_hint_is_honoured() -> None:
    """A provider that says how long to wait is not asked before."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            if len(network.calls) == 1:
                body = {"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": ""}, "RequestId": "r"}}
                return reply(body, headers={"retry-after": "3"})
            return tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(concurrency=1)], streams(2))
        await scrape(made)
        assert network.calls[1].at - network.calls[0].at >= 3.0

    run(main())


def test_a_connection_that_broke_early_is_tried_once_more_signed_anew() -> None:
    """One retry, on a new connection, with another Sequence and within the quota; a second break is a failure."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            raise TransportError(Reason.CONNECTION, "broke", broke_early=True)

        network = Network(behave)
        zego = account("zego", app_id=1, quota={"DescribeRTCStreamState": 2.0})
        made = prober(network, [zego], [])
        made.configure(
            [(all_providers()["zego"], zego)], [all_providers()["zego"].stream(name="a", account="main")], 60
        )
        await scrape(made)
        queries = [parse_qs(urlsplit(call.request.url).query) for call in network.calls]
        assert len(queries) == 2
        assert int(queries[1]["Sequence"][0]) > int(queries[0]["Sequence"][0])
        assert network.asked_for_new == [False, True]
        assert network.calls[1].at - network.calls[0].at >= 0.5
        assert made.shared.counters.errors == {("zego", "main", "connection", "connection"): 1}

    run(main())


def test_kept_connections_that_have_ended_say_nothing_of_the_account() -> None:
    """Balancers drop idle connections: each call goes out again on a new one, and no scrape shows anything of it."""

    async def main() -> None:
        stale = True

        async def behave(_provider: str, _request: Request) -> Reply:
            if stale and not network.asked_for_new[-1]:
                raise TransportError(Reason.CONNECTION, "broke", broke_early=True)
            return tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(concurrency=1)], streams(3))
        for _ in range(4):
            await scrape(made)
            assert states(made) == {State.ACTIVE: 3}
        assert not made.shared.counters.errors
        assert account_prober(made).health.up is True

    run(main())


def test_a_kept_connection_that_ended_opens_no_breaker_even_if_no_call_is_left() -> None:
    """Three probes that met a dropped connection, with no quota for another try, do not darken the account."""

    async def main() -> None:
        stale = True

        async def behave(_provider: str, _request: Request) -> Reply:
            if stale:
                raise TransportError(Reason.CONNECTION, "broke", broke_early=True)
            return tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(quota={"DescribeLiveStreamState": 0.1})], streams(1))
        (record,) = made.shared.board
        loop = asyncio.get_running_loop()
        for _ in range(4):
            await account_prober(made).refresh_one(record, loop.time() + 2, loop.time())
            await asyncio.sleep(15)
        assert len(network.calls) == 4
        assert not account_prober(made).health.breaker.open
        assert states(made) == {State.UNKNOWN: 1}
        stale = False
        await account_prober(made).refresh_one(record, loop.time() + 2, loop.time())
        assert states(made) == {State.ACTIVE: 1}

    run(main())


def test_an_endpoint_that_drops_new_connections_darkens_the_account() -> None:
    """A new connection that breaks is the endpoint's doing: that is a failure, even if no call is left."""

    class Fresh(Network):
        async def connect(self, provider: str, account: Account, gap: float, new: bool) -> Plain:
            """Return a connection that is new, and used from its call on, as a transport's are."""
            made = await super().connect(provider, account, gap, new)
            made.reused, send = False, made.send

            async def used(request: Request, timeout: float, largest: int) -> Reply:  # noqa: ASYNC109
                made.reused = True
                return await send(request, timeout, largest)

            made.send = used
            return made

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            raise TransportError(Reason.CONNECTION, "broke", broke_early=True)

        made = prober(Fresh(behave), [account(quota={"DescribeLiveStreamState": 0.1})], streams(1))
        await scrape(made, budget=2)
        assert account_prober(made).health.up is False

    run(main())


def test_a_bug_in_a_plug_in_costs_its_own_streams_only() -> None:
    """An exception of our own is reason bug for that stream, and the round goes on."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            if params(request)["StreamName"] == "s00001":
                raise ZeroDivisionError
            return tencent_state("active")

        made = prober(Network(behave), [account()], streams(3))
        await scrape(made)
        assert states(made) == {State.ACTIVE: 2, State.UNKNOWN: 1}
        assert made.shared.counters.errors == {("tencent", "main", "bug", "bug"): 1}

    run(main())


@pytest.mark.parametrize("budget", [0.05, 0.2])
def test_one_stream_is_asked_ahead_of_a_full_queue(budget: float) -> None:
    """A probe of one stream does not wait for the round behind which it stands."""

    async def main() -> None:
        network = Network(answering("active"), latency=0.001)
        made = prober(network, [account(quota={"DescribeLiveStreamState": 50.0})], streams(1000))
        whole = asyncio.get_running_loop().create_task(scrape(made, budget=60))
        await asyncio.sleep(1)
        last = record_of(made, "s00999")
        now = asyncio.get_running_loop().time()
        await account_prober(made).refresh_one(last, now + budget, now)
        assert last.succeeded
        await whole
        assert network.per_stream()["s00999"] == 1

    run(main())


@pytest.mark.no_cover
def test_a_list_answers_for_all_and_the_missing_are_confirmed() -> None:
    """Twenty thousand streams with one in a hundred down cost one list and the confirmations."""

    async def main() -> None:
        watched = streams(20_000)
        down = {f"s{i:05d}" for i in range(0, 20_000, 100)}

        async def behave(_provider: str, request: Request) -> Reply:
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state("forbid" if params(request)["StreamName"] in down else "active")
            rows = [
                {
                    "StreamName": s.name,
                    "BackupList": [{"DomainName": "push.example", "AppName": "live", "MasterFlag": 1}],
                }
                for s in watched
                if s.name not in down
            ]
            return await always(reply({"Response": {"StreamInfoList": rows, "RequestId": "r"}}))

        network = Network(behave)
        made = prober(network, [account(region="ap-guangzhou", plan="auto")], watched)
        await scrape(made)
        assert states(made) == {State.ACTIVE: 19_800, State.FORBIDDEN: 200}
        assert len(network.calls) == 1 + 200

    run(main())


def online(names: Iterable[str], page: int = 1, size: int = 10_000) -> Reply:
    """Return a page of Tencent's online list."""
    every = list(names)
    rows = [{"StreamName": name, "AppName": "live", "DomainName": "push.example"} for name in every]
    body = {"TotalPage": -(-len(every) // size), "OnlineInfo": rows[(page - 1) * size : page * size], "RequestId": "r"}
    return reply({"Response": body})


@pytest.mark.no_cover
def test_a_large_list_is_asked_once_a_minute_in_large_pages() -> None:
    """Twenty thousand streams cost two pages; within the minute the list is not asked again, and nobody is unknown."""

    async def main() -> None:
        watched = streams(20_000)
        down = {f"s{i:05d}" for i in range(0, 20_000, 100)}

        async def behave(_provider: str, request: Request) -> Reply:
            found = params(request)
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state("inactive" if found["StreamName"] in down else "active")
            assert found["PageSize"] == 10_000
            return online((stream.name for stream in watched if stream.name not in down), found["PageNum"])

        network = Network(behave)
        made = prober(network, [account(plan="auto")], watched)
        asked = []
        for _ in range(6):
            before = len(network.calls)
            started = asyncio.get_running_loop().time()
            await scrape(made, budget=2.0)
            assert states(made) == {State.ACTIVE: 19_800, State.INACTIVE: 200}
            new = network.calls[before:]
            asked.append(sum(call.request.headers["X-TC-Action"] == "DescribeLiveStreamOnlineList" for call in new))
            await asyncio.sleep(started + 15.1 - asyncio.get_running_loop().time())
            if before == 0:
                assert len(new) == 2 + 200
        assert asked == [2, 0, 0, 0, 2, 0]

    run(main())


def test_a_list_that_may_be_a_minute_old_makes_no_ended_stream_live() -> None:
    """Who was found not live is live again when the cloud says so of it singly, whatever an old list still holds."""

    async def main() -> None:
        truth = {"s00000": "active"}

        async def behave(_provider: str, request: Request) -> Reply:
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state(truth.get(params(request)["StreamName"], "active"))
            return online(f"s{i:05d}" for i in range(50))

        network = Network(behave)
        made = prober(network, [account(plan="auto")], streams(50))
        record = record_of(made, "s00000")
        shown = []
        for turn in range(7):
            truth["s00000"] = "inactive" if 2 <= turn < 6 else "active"
            await scrape(made)
            shown.append((record.shown, record.action))
            await asyncio.sleep(15)
        single, listed = "DescribeLiveStreamState", "DescribeLiveStreamOnlineList"
        live, ended = State.ACTIVE, State.INACTIVE
        assert shown == [(live, listed), (live, single), *[(ended, single)] * 4, (live, single)]
        lists = [call for call in network.calls if call.request.headers["X-TC-Action"] == listed]
        assert len(lists) == 2

    run(main())


def inputs_of(made: Prober, name: str) -> int | None:
    """Return how many inputs are shown for a stream, or None for unknown."""
    record = record_of(made, name)
    return None if record.answer is None or record.answer.inputs is None else len(record.answer.inputs)


def backups(*names: str) -> Reply:
    """Return Tencent's backup list, with one input for each name."""
    push = {"DomainName": "push.example", "AppName": "live", "MasterFlag": 1}
    return reply({"Response": {"StreamInfoList": [{"StreamName": name, "BackupList": [push]} for name in names]}})


@pytest.mark.parametrize("listed", [True, False])
def test_inputs_are_told_whichever_answer_comes_first(listed: bool) -> None:
    """A probe that overtakes the list of inputs gets its inputs from it, or 0 where the list was whole without it."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state("active")
            await asyncio.sleep(1.0)
            return backups("s00000" if listed else "s00001")

        watched = [*streams(1, inputs=2), *[one for one in streams(3) if one.name != "s00000"]]
        network = Network(behave)
        made = prober(network, [account(region="ap-guangzhou", plan="auto", timeout="3s")], watched)
        whole = asyncio.get_running_loop().create_task(scrape(made))
        await asyncio.sleep(0.1)
        first = record_of(made, "s00000")
        now = asyncio.get_running_loop().time()
        await account_prober(made).refresh_one(first, now + 3, now)
        await whole
        assert states(made) == {State.ACTIVE: 3}
        assert inputs_of(made, "s00000") == int(listed)

    run(main())


def test_a_probe_that_jumps_the_queue_knows_what_the_list_told() -> None:
    """A stream that waits for a single call after a whole list without it has 0 inputs, also when asked first."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            single = request.headers["X-TC-Action"] == "DescribeLiveStreamState"
            return tencent_state("active") if single else backups()

        quota = {"DescribeLiveStreamState": 5.0}
        owner = account(region="ap-guangzhou", plan="auto", quota=quota)
        made = prober(Network(behave), [owner], streams(20, inputs=2))
        whole = asyncio.get_running_loop().create_task(scrape(made))
        await asyncio.sleep(0.5)
        last = record_of(made, "s00019")
        now = asyncio.get_running_loop().time()
        await account_prober(made).refresh_one(last, now + 1, now)
        assert (last.shown, inputs_of(made, "s00019")) == (State.ACTIVE, 0)
        await whole
        assert inputs_of(made, "s00019") == 0

    run(main())


@pytest.mark.parametrize("listed", [True, False])
def test_inputs_are_told_in_the_round_in_which_an_account_comes_back(listed: bool) -> None:
    """The stream that is asked on trial after an outage shows its inputs with all others."""

    async def main() -> None:
        broken = True

        async def behave(_provider: str, request: Request) -> Reply:
            if broken:
                return tencent_error("InternalError")
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state("active")
            return backups(*("s00000", "s00001") if listed else ())

        made = prober(Network(behave), [account(region="ap-guangzhou", plan="auto")], streams(2, inputs=1))
        for _ in range(3):
            await scrape(made)
        assert account_prober(made).health.breaker.open
        broken = False
        await scrape(made)
        assert states(made) == {State.ACTIVE: 2}
        assert [inputs_of(made, one.name) for one in account_prober(made).streams] == [int(listed)] * 2

    run(main())


def test_a_list_that_fails_falls_back_to_single_calls() -> None:
    """A broken list costs one call, and every stream is still asked within the same deadline."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            if request.headers["X-TC-Action"] == "DescribeLiveStreamState":
                return tencent_state("active")
            return tencent_error("InternalError")

        network = Network(behave)
        made = prober(network, [account(region="ap-guangzhou", plan="auto")], streams(50))
        await scrape(made)
        assert states(made) == {State.ACTIVE: 50}
        assert len(network.calls) == 51

    run(main())


def test_a_list_without_quota_before_the_deadline_ends_the_round_all_the_same() -> None:
    """A listing that may not be called does not leave workers waiting for it."""

    async def main() -> None:
        quota = {"DescribeBackupStreamList": 0.01, "DescribeLiveStreamState": 0.01}
        made = prober(Network(answering("active")), [account(region="r", plan="list", quota=quota)], streams(5))
        for _ in range(3):
            took = await scrape(made, budget=3.0)
            assert took <= 3.01
        await asyncio.sleep(30)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("round")]

    run(main())


def test_a_reload_keeps_quota_breaker_answers_and_counters() -> None:
    """Taking a new configuration forgets only what is no longer in it."""

    async def main() -> None:
        throttles = False

        async def behave(_provider: str, request: Request) -> Reply:
            nonlocal throttles
            if "dead" in request.url:
                raise TransportError(Reason.CONNECTION, "refused")
            if throttles:
                throttles = False
                return tencent_error("RequestLimitExceeded")
            return tencent_state("active")

        async def keys(_provider: AnyProvider, owner: Account) -> Credentials:
            return Credentials(owner.name, Secret("made-up-secret"))

        def accounts(*names: str, timeout: str) -> list[Account]:
            quota, hosts = {"DescribeLiveStreamState": 4.0}, {name: f"http://{name}.example" for name in names}
            return [
                account(name=name, endpoint=host, quota=quota, timeout=timeout, concurrency=1)
                for name, host in hosts.items()
            ]

        watched = [*streams(3), *streams(9, "dead", "d"), *streams(9, "gone-dead", "g")]
        network = Network(behave)
        made = prober(network, accounts("main", "dead", "gone-dead", timeout="10s"), watched, keys=keys)
        for number in range(4):
            throttles = number == 2
            await scrape(made)
        rate, spent = account_prober(made).allowed_rates(), len(network.calls)
        assert rate["DescribeLiveStreamState"] < 4.0
        assert account_prober(made, "dead").health.breaker.open
        made.configure(
            [(all_providers()["tencent"], one) for one in accounts("main", "dead", timeout="1s")],
            [*streams(2), *streams(9, "dead", "d")],
            60,
        )
        # Answers and counters.
        assert states(made) == {State.ACTIVE: 2, State.UNKNOWN: 9}
        assert {record.changes for record in made.shared.board} == {0}
        counters = made.shared.counters
        assert counters.responses["tencent", "main", "DescribeLiveStreamState", "ok"] == 11
        assert counters.errors == {
            ("tencent", "main", "RequestLimitExceeded", "throttled"): 1,
            ("tencent", "dead", "connection", "connection"): 28,
        }
        # What throttling taught, what was spent of the quota, and the breaker.
        assert account_prober(made).allowed_rates() == rate
        assert account_prober(made, "dead").health.breaker.open
        await scrape(made)
        hosts = [urlsplit(call.request.url).hostname for call in network.calls]
        assert Counter(hosts[spent:]) == {"main.example": 2, "dead.example": 1}
        times = [call.at for call, host in zip(network.calls, hosts, strict=True) if host == "main.example"]
        assert all(later - sooner >= 0.25 for sooner, later in pairwise(times))

    run(main())


def test_a_reload_in_the_middle_of_a_round_costs_it_nothing() -> None:
    """Streams whose address stays are asked and answered though the configuration was read again meanwhile."""

    async def main() -> None:
        network = Network(answering("active"), latency=0.1)
        made = prober(network, [account(concurrency=5)], streams(50))
        scraping = asyncio.get_running_loop().create_task(scrape(made))
        for _ in range(4):
            await asyncio.sleep(0.15)
            made.configure([(all_providers()["tencent"], account(concurrency=5))], streams(50), 60)
        await scraping
        assert states(made) == {State.ACTIVE: 50}
        assert len(network.calls) == 50

    run(main())


def test_hanging_calls_of_an_earlier_round_do_not_hold_up_the_next() -> None:
    """A call that hangs longer than a scrape keeps only its own stream waiting."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            if params(request)["StreamName"] == "s00000":
                await asyncio.sleep(50)
            return tencent_state("active")

        made = prober(Network(behave), [account(timeout="60s", concurrency=4)], streams(20))
        for _ in range(3):
            await scrape(made, budget=3)
            assert states(made)[State.ACTIVE] == 19
            await asyncio.sleep(10)
        assert all(
            record.tried > asyncio.get_running_loop().time() - 14 for record in made.shared.board if record.answer
        )

    run(main())


def test_one_stream_without_quota_before_the_deadline_is_given_up_at_once() -> None:
    """A probe that cannot have its turn in time does not spin until the deadline."""

    async def main() -> None:
        network = Network(answering("active"))
        made = prober(network, [account(quota={"DescribeLiveStreamState": 0.05})], streams(2))
        first, second = made.shared.board
        loop = asyncio.get_running_loop()
        await account_prober(made).refresh_one(first, loop.time() + 5, loop.time())
        before = loop.time()
        await account_prober(made).refresh_one(second, loop.time() + 5, loop.time())
        assert len(network.calls) == 1
        assert loop.time() - before < 0.01

    run(main())


def listed(request: Request, live: list[str]) -> Reply:
    """Answer as a server that lists what is live, two streams a page."""
    asked = parse_qs(urlsplit(request.url).query)
    after = int(asked.get("after", ["0"])[0])
    rows = "".join(f'<stream name="{name}"/>' for name in live[after : after + 2])
    more = f' next="{after + 2}"' if len(live) > after + 2 else ""
    return Reply(200, {}, f'<streams room="main"{more}>{rows}</streams>'.encode())


def test_a_server_without_an_api_for_single_streams_is_asked_by_its_list_alone() -> None:
    """Scrapes, probes and the trial behind an open breaker use the list; where it fails, its streams are unknown."""

    async def main() -> None:
        status = 200
        watched = [StudioStream(name=f"s{number}", account="main") for number in range(6)]
        live = [stream.name for stream in watched[:5]]

        async def behave(_provider: str, request: Request) -> Reply:
            assert request.headers == {"Authorization": f"Basic {b64encode(b'watcher:made-up-secret').decode()}"}
            return listed(request, live) if status == 200 else Reply(status, {}, b"")

        network = Network(behave)
        made = prober(network, [], [])
        owner = StudioAccount(name="main", provider="zego", password=SecretSource.plain("secret"))
        # Under the name of a cloud whose codes are known.
        made.configure([(replace(STUDIO, name="zego"), owner)], watched, 120.0)
        await scrape(made)
        assert states(made) == {State.ACTIVE: 5, State.INACTIVE: 1}
        assert len(network.calls) == 3
        record = made.shared.board.get(("zego", "s4"))
        assert record is not None
        await asyncio.sleep(1)
        now = asyncio.get_running_loop().time()
        await account_prober(made).refresh_one(record, now + 5, now)
        assert record.tried > now
        status = 503
        for _ in range(3):
            await scrape(made)
        assert states(made) == {State.UNKNOWN: 6}
        assert account_prober(made).health.breaker.open
        assert record.fault is not None
        assert (record.fault.code, record.fault.reason) == ("other", Reason.PROVIDER_ERROR)
        assert record.fault.message == "503"
        status, asked = 200, len(network.calls)
        live.remove("s4")
        await scrape(made)
        assert states(made) == {State.ACTIVE: 4, State.INACTIVE: 2}
        assert not account_prober(made).health.breaker.open
        assert len(network.calls) == asked + 2

    run(main())
