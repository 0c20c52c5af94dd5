"""What one round leaves to the next, and to those who join it; in virtual time on a network of functions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from exporter.model import Account, Credentials, Reason, Reply, Request, State
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider, CredentialsError, TransportError
from exporter.rounds.prober import Prober
from tests.virtual import (
    EPOCH,
    Network,
    account,
    account_prober,
    credentials,
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

SINGLE, ONLINE = "DescribeLiveStreamState", "DescribeLiveStreamOnlineList"


def shown(made: Prober) -> dict[str, State]:
    """Return the state that each stream shows."""
    return {record.key[1]: record.shown for record in made.shared.board}


def online(*names: str) -> Reply:
    """Return the one page of Tencent's online list."""
    rows = [{"StreamName": name, "AppName": "live", "DomainName": "push.example"} for name in names]
    return reply({"Response": {"TotalPage": 1, "OnlineInfo": rows, "RequestId": "r"}})


# --- the breaker ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["a bad request", "a list"])
def test_any_answer_of_a_working_account_counts_against_the_breaker(word: str) -> None:
    """Bad rounds are counted in a row: one in which the account answered, whatever it said, begins the count anew."""

    async def main() -> None:
        mood = "dead"

        async def behave(_provider: str, request: Request) -> Reply:
            if mood == "dead":
                raise TransportError(Reason.CONNECTION, "refused")
            if request.headers["X-TC-Action"] == ONLINE:
                return online("s00000", "s00001")
            return tencent_error("InvalidParameter")

        plan = "list" if word == "a list" else "single"
        made = prober(Network(behave), [account(plan=plan)], streams(2))
        for turn in ("dead", "dead", "answers", "dead", "dead"):
            mood = turn
            await scrape(made)
            # The online list is asked once a minute.
            await asyncio.sleep(61)
        assert not account_prober(made).health.breaker.open
        await scrape(made)
        assert account_prober(made).health.breaker.open

    run(main())


def test_a_bad_request_closes_the_breaker() -> None:
    """An account that refuses only what it was asked is there: the same round asks for all its streams again."""

    async def main() -> None:
        dead = True

        async def behave(_provider: str, request: Request) -> Reply:
            if dead:
                raise TransportError(Reason.CONNECTION, "refused")
            first = params(request)["StreamName"] == "s00000"
            return tencent_error("InvalidParameter") if first else tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(concurrency=1)], streams(20))
        for _ in range(3):
            await scrape(made)
        assert account_prober(made).health.breaker.open
        dead = False
        before = len(network.calls)
        await scrape(made)
        assert not account_prober(made).health.breaker.open
        assert len(network.calls) - before == 20
        assert shown(made) == {f"s{number:05d}": State.ACTIVE if number else State.UNKNOWN for number in range(20)}

    run(main())


def test_scrapes_at_one_time_share_the_one_trial_of_a_dead_account() -> None:
    """While calls are held back, however many scrapes come together, one call goes out for all of them."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            raise TransportError(Reason.CONNECTION, "refused")

        network = Network(behave, latency=0.5)
        made = prober(network, [account()], streams(20))
        for _ in range(3):
            await scrape(made)
        assert account_prober(made).health.breaker.open
        before = len(network.calls)
        await asyncio.gather(*(scrape(made, budget=5.0 + number) for number in range(5)))
        assert len(network.calls) - before == 1

    run(main())


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_that_failed_is_not_asked_again_before_its_time() -> None:
    """Where a cloud wants to be asked for a list once a minute, a failed call is that minute's call."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            listed = request.headers["X-TC-Action"] == ONLINE
            return tencent_error("InternalError") if listed else tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(plan="auto")], streams(50))
        asked = []
        for _ in range(6):
            before = len(network.calls)
            await scrape(made)
            assert set(shown(made).values()) == {State.ACTIVE}
            actions = [call.request.headers["X-TC-Action"] for call in network.calls[before:]]
            asked.append(actions.count(ONLINE))
            assert actions.count(SINGLE) == 50
            await asyncio.sleep(15)
        assert asked == [1, 0, 0, 0, 1, 0]

    run(main())


# --- rounds beside others ---------------------------------------------------------------------------------------------


def test_a_round_that_cannot_begin_takes_no_answer_from_another() -> None:
    """Keys that cannot be had fail the streams that were not asked since, and no other."""

    async def main() -> None:
        waiting = [3.0]

        async def keys(provider: AnyProvider, owner: Account) -> Credentials:
            if waiting:
                await asyncio.sleep(waiting.pop())
                raise CredentialsError("no keys")
            return await credentials(provider, owner)

        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_state("active")

        made = prober(Network(behave), [account()], streams(3), keys=keys)
        loop = asyncio.get_running_loop()
        whole = loop.create_task(scrape(made))
        await asyncio.sleep(1.0)
        record = record_of(made, "s00001")
        await account_prober(made).refresh_one(record, loop.time() + 1.0, loop.time())
        assert record.shown is State.ACTIVE
        await whole
        assert shown(made) == {"s00000": State.UNKNOWN, "s00001": State.ACTIVE, "s00002": State.UNKNOWN}
        assert record.fault is None
        assert made.shared.counters.errors == {("tencent", "main", "auth", "auth"): 2}

    run(main())


def test_a_probe_asks_again_for_what_the_round_under_way_has_asked_already() -> None:
    """Who wants an answer from now on gets one, ahead of the queue, though the round has been there before."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(quota={SINGLE: 10.0})], streams(60))
        loop = asyncio.get_running_loop()
        whole = loop.create_task(scrape(made))
        await asyncio.sleep(2.0)
        record = record_of(made, "s00000")
        asked = record.tried
        wanted = loop.time()
        assert asked < wanted
        # Two want it: one is content with an answer a little older than the other wants.
        await asyncio.gather(
            account_prober(made).refresh_one(record, wanted + 1.0, wanted),
            account_prober(made).refresh_one(record, wanted + 1.0, wanted - 0.1),
        )
        assert wanted < record.tried <= wanted + 0.5
        await whole
        assert network.per_stream()["s00000"] == 2

    run(main())


@pytest.mark.parametrize(("before", "after"), [(2, 7), (7, 2)])
def test_a_reload_changes_how_many_calls_are_made_at_once(before: int, after: int) -> None:
    """`concurrency` holds from the next round on, more or less of it."""

    async def main() -> None:
        flying, most = 0, 0

        async def behave(_provider: str, _request: Request) -> Reply:
            nonlocal flying, most
            flying, most = flying + 1, max(most, flying + 1)
            await asyncio.sleep(0.5)
            flying -= 1
            return tencent_state("active")

        made = prober(Network(behave), [account(concurrency=before)], streams(30))
        for wanted in (before, after):
            made.configure([(all_providers()["tencent"], account(concurrency=wanted))], streams(30), 60)
            most = 0
            await scrape(made, budget=20.0)
            assert most == wanted

    run(main())


# --- the clock of a cloud ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [0.0, 90.0, -7.5])
def test_the_skew_of_a_clouds_clock_has_no_bias(off: float) -> None:
    """A Date header is cut to whole seconds: what it tells is right to half a second, and right on average."""

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def behave(_provider: str, _request: Request) -> Reply:
            date = formatdate(int(EPOCH + loop.time() + off), usegmt=True)
            return tencent_state("active")._replace(headers={"content-type": "application/json", "date": date})

        made = prober(Network(behave), [account()], streams(1))
        told = []
        for _ in range(100):
            await scrape(made)
            told.append(made.shared.counters.skew["tencent", "main"] - off)
            await asyncio.sleep(0.989)
        assert -0.51 < min(told) < -0.4
        assert 0.4 < max(told) < 0.51
        assert sum(told) / len(told) == pytest.approx(0.0, abs=0.05)

    run(main())


def test_a_probe_returns_when_a_list_has_answered_for_its_stream() -> None:
    """Its own call waits far behind in the queue; the list's answer is as good, and is not waited past."""

    async def behave(_provider: str, request: Request) -> Reply:
        if request.headers["X-TC-Action"] != ONLINE:
            return tencent_state("active")
        if params(request)["DomainName"] != "push.example":
            return tencent_error("InternalError")
        await asyncio.sleep(3.0)
        return online("s00000", "s00001")

    async def main() -> None:
        loop, kind = asyncio.get_running_loop(), all_providers()["tencent"].stream
        others = [kind(name=f"x{number}", account="main", domain=f"d{number}.example") for number in range(20)]
        rates = {SINGLE: 0.3, ONLINE: 100.0}
        made = prober(
            Network(behave),
            [account(plan="list", timeout="9s", quota=rates, concurrency=30)],
            [*streams(2), *others],
        )
        scraping = asyncio.create_task(scrape(made, 30.0))
        await asyncio.sleep(1.5)
        record = record_of(made, "s00000")
        began = loop.time()
        await account_prober(made).refresh_one(record, began + 20, began)
        assert record.action == ONLINE
        assert loop.time() - began < 2.0
        await scraping

    run(main())


# --- bugs -------------------------------------------------------------------------------------------------------------


def reasons(made: Prober) -> dict[str, str]:
    """Return why each stream has no answer; empty for those that have one."""
    return {record.key[1]: str(record.fault.reason) if record.fault else "" for record in made.shared.board}


@pytest.mark.parametrize("concurrency", [1, 32])
@pytest.mark.parametrize("part", ["read", "ask", "waits"])
def test_a_bug_costs_its_own_stream_the_answer_and_no_other(part: str, concurrency: int) -> None:
    """Whatever part of a provider raises something unexpected for one stream, all others are answered in that round."""

    def broken(*given: Any) -> Any:
        if part == "waits" or given[1].name == "s00003":
            raise KeyError("no such thing")
        return getattr(single, part)(*given)

    tencent = all_providers()["tencent"]
    assert tencent.single is not None
    single = tencent.single
    changes: dict[str, Any] = {part: broken}
    cloud = replace(tencent, **(changes if part == "waits" else {"single": replace(single, **changes)}))

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            throttled = part == "waits" and params(request)["StreamName"] == "s00003"
            return tencent_error("RequestLimitExceeded") if throttled else tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(concurrency=concurrency)], streams(20), clouds={"tencent": cloud})
        assert await scrape(made) < 2
        wrong = {name: reason for name, reason in reasons(made).items() if reason}
        assert wrong == {"s00003": "bug"}
        assert list(shown(made).values()).count(State.ACTIVE) == 19
        assert len(network.calls) == 20 - (part == "ask")
        assert sum(count for key, count in made.shared.counters.errors.items() if "bug" in key) == 1
        assert account_prober(made).health.up

    run(main())


def test_a_bug_in_what_follows_from_a_list_costs_that_list_alone() -> None:
    """Its streams have reason bug at once; another list's are answered, and the next round tries all again."""

    def keys(account: Any, stream: Any) -> Any:
        if stream.domain == "bad.example" and broken:
            raise ZeroDivisionError
        return backup.keys(account, stream)

    tencent = all_providers()["tencent"]
    backup = tencent.listings[-1]
    assert backup.action == ONLINE
    cloud = replace(tencent, single=None, listings=(replace(backup, keys=keys, every=lambda _account: 0.0),))
    broken = True

    async def main() -> None:
        nonlocal broken

        async def behave(_provider: str, request: Request) -> Reply:
            domain = params(request)["DomainName"]
            rows = [{"StreamName": f"{domain[0]}{n:05d}", "AppName": "live", "DomainName": domain} for n in range(3)]
            return reply({"Response": {"TotalPage": 1, "OnlineInfo": rows, "RequestId": "r"}})

        kind = tencent.stream
        watched = [
            kind(name=f"{domain[0]}{n:05d}", account="main", domain=domain)
            for domain in ("bad.example", "good.example", "fine.example") for n in range(3)
        ]  # fmt: skip
        made = prober(Network(behave), [account(concurrency=1)], watched, clouds={"tencent": cloud})
        assert await scrape(made) < 2
        assert reasons(made) == {one.name: "bug" if one.domain == "bad.example" else "" for one in watched}
        broken = False
        assert await scrape(made) < 2
        assert set(shown(made).values()) == {State.ACTIVE}

    run(main())


@pytest.mark.parametrize("plan", ["single", "list"])
def test_a_bug_outside_all_calls_fails_the_round_and_leaves_nobody_waiting(plan: str) -> None:
    """Where no call can even begin, every stream has reason bug before the deadline, and the next scrape works."""

    async def main() -> None:
        async def behave(_provider: str, request: Request) -> Reply:
            return online() if request.headers["X-TC-Action"] == ONLINE else tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(plan=plan)], streams(50))

        async def broken(*_: Any) -> Any:
            await asyncio.sleep(0.01)
            raise KeyError("no such thing")

        connect, made.shared.connect = made.shared.connect, broken
        assert await scrape(made) < 2
        assert set(reasons(made).values()) == {"bug"}
        made.shared.connect = connect
        assert await scrape(made) < 2
        assert set(shown(made).values()) == {State.ACTIVE}

    run(main())


# --- clouds that have nothing but lists -------------------------------------------------------------------------------


@pytest.mark.no_cover
def test_the_trial_of_a_cloud_that_only_lists_is_one_call() -> None:
    """While calls are held back, one page of one list is asked in a round; when it is answered, all the others are."""
    tencent = all_providers()["tencent"]
    cloud = replace(tencent, single=None, listings=(replace(tencent.listings[-1], every=lambda _account: 0.0),))

    async def main() -> None:
        dead = True

        async def behave(_provider: str, request: Request) -> Reply:
            if dead:
                raise TransportError(Reason.CONNECTION, "refused")
            domain, page = params(request)["DomainName"], params(request)["PageNum"]
            rows = [
                {"StreamName": f"{domain[0]}{page}{n:05d}", "AppName": "live", "DomainName": domain}
                for n in range(10_000)
            ]
            return reply({"Response": {"TotalPage": 2, "OnlineInfo": rows, "RequestId": "r"}})

        kind = tencent.stream
        watched = [
            kind(name=f"{domain[0]}{page}00007", account="main", domain=domain)
            for domain in ("a.example", "b.example", "c.example") for page in (1, 2)
        ]  # fmt: skip
        network = Network(behave)
        made = prober(network, [account()], watched, clouds={"tencent": cloud})
        counts, asked = [], set()
        for _ in range(6):
            before = len(network.calls)
            await scrape(made)
            counts.append(len(network.calls) - before)
            asked |= {params(call.request)["DomainName"] for call in network.calls[before:]} if counts[3:] else set()
        assert counts == [3, 3, 3, 1, 1, 1]
        assert asked == {"a.example", "b.example", "c.example"}
        assert account_prober(made).health.unprobed["breaker"] == 4
        assert set(reasons(made).values()) == {"connection"}
        dead = False
        before = len(network.calls)
        await scrape(made)
        assert len(network.calls) - before == 6
        assert set(shown(made).values()) == {State.ACTIVE}
        assert account_prober(made).health.unprobed["breaker"] == 0

    run(main())
