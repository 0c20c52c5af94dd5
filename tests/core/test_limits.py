"""One quota for what a cloud counts as one: whatever accounts are called, across reloads, new keys and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config import Config, Scrape
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Credentials, Reply, Request, Stream
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider
from exporter.rounds.follow_ups import FollowUps
from exporter.rounds.limits import Limits
from exporter.rounds.pace import Pace, Part
from exporter.rounds.prober import Prober
from exporter.rounds.shared import Clock
from exporter.rounds.turns import Turns
from exporter.serving.service import Service
from exporter.window import WINDOW
from tests.core.test_quota import busiest, calls
from tests.virtual import (
    EPOCH,
    Network,
    account,
    account_prober,
    credentials,
    prober,
    reply,
    run,
    scrape,
    streams,
    tencent_error,
    tencent_state,
)

ACTION = "DescribeLiveStreamState"


async def active(provider: str, _request: Request) -> Reply:
    """Say that a stream is live, as Tencent and ZEGO do."""
    return tencent_state("active") if provider == "tencent" else reply({"Code": 0, "Message": "ok", "RequestId": "1"})


class Keys:
    """Which key each account signs with."""

    def __init__(self, made: Prober, **ids: str) -> None:
        self.ids = ids
        made.shared.credentials = self

    async def __call__(self, _provider: AnyProvider, one: Account) -> Credentials:
        """Return an account's credentials."""
        await asyncio.sleep(0.001)
        return Credentials(self.ids[one.name], Secret("made-up-secret"))


def reload(made: Prober, accounts: Iterable[Account], watched: Iterable[Stream]) -> None:
    """Put another configuration into force."""
    made.configure([(all_providers()[one.provider], one) for one in accounts], watched, 120.0)


def limited(name: str, rate: float, **fields: Any) -> Account:
    """Return a Tencent account that keeps a rate."""
    return account(name=name, quota={ACTION: rate}, **fields)


def test_accounts_of_one_key_share_one_quota() -> None:
    """Three accounts with the same key make no more calls together than one, at the smallest of their limits."""

    async def main() -> None:
        network = Network(active)
        names = ("a", "b", "c")
        accounts = [limited(name, rate) for name, rate in zip(names, (20, 10, 30), strict=True)]
        made = prober(network, accounts, [one for name in names for one in streams(60, name, name)])
        Keys(made, a="key", b="key", c="key")
        await scrape(made, 9.5)
        assert network.busiest_second() <= 10
        assert len(network.calls) >= 0.9 * 10 * 9.5
        asked = [
            sum(record.tried > 0 for record in made.shared.board if record.stream.account == name) for name in names
        ]
        assert min(asked) >= 20, "all of them get their part"

    run(main())


def test_accounts_of_other_keys_do_not_share() -> None:
    """Two keys are two quotas."""

    async def main() -> None:
        network = Network(active)
        made = prober(network, [limited("a", 10), limited("b", 10)], [*streams(50, "a", "a"), *streams(50, "b", "b")])
        Keys(made, a="one", b="other")
        await scrape(made, 9.5)
        assert len(network.calls) == 100

    run(main())


def test_zego_counts_by_app_id() -> None:
    """Accounts with the same AppID share one quota; ZEGO has no key ids."""

    async def main() -> None:
        network = Network(active)
        kind = all_providers()["zego"].stream
        accounts = [
            account("zego", name, app_id=number, quota={"DescribeRTCStreamState": 10.0})
            for name, number in (("a", 1), ("b", 1), ("c", 2))
        ]
        made = prober(network, accounts, [kind(name=f"{n}{i}", account=n) for n in "abc" for i in range(60)])
        await scrape(made, 5)
        asked = {name: sum(r.tried > 0 for r in made.shared.board if r.stream.account == name) for name in "abc"}
        assert asked["a"] + asked["b"] <= 10 * 5
        assert asked["c"] >= 0.9 * 10 * 5

    run(main())


@pytest.mark.parametrize("rate", [0.5, 3.0])
def test_renaming_an_account_refills_nothing(rate: float) -> None:
    """Twelve new names in two tenths of a second let out what one name would have."""

    async def main() -> None:
        network = Network(active)
        made = prober(network, [], [])
        Keys(made, **{f"n{number}": "key" for number in range(12)})
        for number in range(12):
            name = f"n{number}"
            reload(made, [limited(name, rate)], streams(5, name))
            await scrape(made, 0.05)
            await asyncio.sleep(0.01)
        assert len(network.calls) <= 1
        await asyncio.sleep(1 / rate * WINDOW)
        await scrape(made, 0.05)
        assert len(network.calls) == 2, "the quota is not lost either"

    run(main())


def test_callbacks_of_a_renamed_account_get_no_new_share() -> None:
    """What callbacks may use beside a scrape is not refilled by a new name."""

    async def main() -> None:
        network = Network(active)
        made = prober(network, [], [])
        follow_ups = FollowUps(Turns(made))
        Keys(made, **{f"n{number}": "key" for number in range(12)})
        for number in range(12):
            reload(made, [limited(f"n{number}", 2)], streams(5, f"n{number}"))
            follow_ups.keep()
            for record in made.shared.board:
                follow_ups.give(record, live=True)
            await asyncio.sleep(0.02)
        assert len(network.calls) <= 1
        await follow_ups.close()

    run(main())


def test_names_that_swap_their_clouds_refill_nothing() -> None:
    """An account that is ZEGO's now and Tencent's then, and back again, finds each cloud's quota as it was."""

    async def main() -> None:
        network = Network(active)
        made = prober(network, [], [])
        Keys(made, a="key", b="key")
        kind = all_providers()["zego"].stream
        for turn in range(10):
            one, two = ("a", "b") if turn % 2 else ("b", "a")
            zego = account("zego", two, app_id=7, quota={"DescribeRTCStreamState": 2.0})
            reload(
                made, [limited(one, 2), zego], [*streams(5, one), *(kind(name=f"z{i}", account=two) for i in range(5))]
            )
            await scrape(made, 0.05)
        assert {
            provider: sum(call.provider == provider for call in network.calls) for provider in ("tencent", "zego")
        } == {
            "tencent": 1,
            "zego": 1,
        }

    run(main())


def test_a_new_key_takes_use_and_throttling_along() -> None:
    """A rotated key is the same account still: neither its last calls nor a refusal are forgotten."""

    async def main() -> None:
        throttled = True

        async def behave(_provider: str, _request: Request) -> Reply:
            return tencent_error("RequestLimitExceeded") if throttled else tencent_state("active")

        network = Network(behave)
        made = prober(network, [limited("a", 2)], streams(3, "a"))
        keys = Keys(made, a="old")
        await scrape(made, 0.1)
        throttled = False
        for number in range(10):
            keys.ids["a"] = f"new{number}"
            await scrape(made, 0.05)
        assert len(network.calls) == 1
        assert account_prober(made, "a").allowed_rates()[ACTION] == 1.0

    run(main())


def test_accounts_that_come_to_sign_with_one_key_share_from_then_on() -> None:
    """A key that two accounts come to have has one pace, with the calls of both in it; a key apart has its own."""

    async def main() -> None:
        network = Network(active)
        made = prober(network, [limited("a", 10), limited("b", 10)], [*streams(80, "a", "a"), *streams(80, "b", "b")])
        keys = Keys(made, a="one", b="other")
        await scrape(made, 2)
        assert account_prober(made, "a").paces[ACTION] is not account_prober(made, "b").paces[ACTION]
        keys.ids["b"] = "one"
        first = len(network.calls)
        await scrape(made, 4)
        assert account_prober(made, "a").paces[ACTION] is account_prober(made, "b").paces[ACTION]
        times = [call.at for call in network.calls[first:]]
        assert busiest(times) <= 10
        keys.ids["b"] = "third"
        await scrape(made, 2)
        assert account_prober(made, "a").paces[ACTION] is not account_prober(made, "b").paces[ACTION]

    run(main())


def test_temporary_keys_of_the_machine_are_one_identity() -> None:
    """Each account gets other keys of the same role, every hour new ones: they share the role's quota."""
    tencent = all_providers()["tencent"]
    role = [tencent.identity(account(), Credentials(f"id{n}", Secret("s"), Secret("t"))) for n in range(2)]
    own = account(secret_id=SecretSource.plain("id0"))
    assert role[0] == role[1]
    assert tencent.identity(own, Credentials("id0", Secret("s"), Secret("t"))) == "id0"
    assert tencent.identity(account(), Credentials("id1", Secret("s"))) == "id1"


def test_paces_are_kept_while_they_matter_and_no_longer() -> None:
    """A removed account's pace lives on until its calls and its throttling are over; then it is forgotten."""
    limits, owner = Limits(), ("tencent", "a")
    limits.configure(owner, {ACTION: 10.0})
    pace = limits.identify(owner, "key", 0.0)[ACTION]
    pace.take(0.0)
    pace.throttled(0.1)
    limits.keep([], 5.0)
    limits.configure(owner, {ACTION: 10.0})
    assert limits.identify(owner, "key", 5.0)[ACTION] is pace
    limits.keep([], 30.0)
    limits.configure(owner, {ACTION: 10.0})
    assert limits.identify(owner, "key", 30.0)[ACTION] is not pace


def test_the_smallest_limit_holds_for_as_long_as_its_account_is_there() -> None:
    """Who shares a quota keeps the smallest limit of all; when that account goes, the next smallest."""
    limits, owners = Limits(), [("tencent", "a"), ("tencent", "b")]
    for owner, limit in zip(owners, (10.0, 4.0), strict=True):
        limits.configure(owner, {ACTION: limit})
        limits.identify(owner, "key", 0.0)
    pace = limits.identify(owners[0], "key", 0.0)[ACTION]
    assert pace.limit == 4.0
    limits.configure(owners[1], {ACTION: 20.0})
    assert pace.limit == 10.0
    limits.configure(owners[1], {ACTION: 2.0})
    limits.keep(owners[:1], 0.0)
    assert pace.limit == 10.0
    assert limits.identify(owners[1], "key", 0.0) == {}, "an account that is gone claims nothing"


def test_accounts_of_other_keys_keep_their_own_limits() -> None:
    """The smallest limit is that of those who share a key, and not of a provider's other accounts."""
    limits = Limits()
    for name, limit in (("b", 4.0), ("a", 10.0)):
        limits.configure(("tencent", name), {ACTION: limit})
        limits.identify(("tencent", name), name, 0.0)
    limits.configure(("zego", "c"), {ACTION: 20.0})
    limits.identify(("zego", "c"), "a", 0.0)
    paces = [limits.identify(owner, key, 0.0)[ACTION] for owner, key in ((("tencent", "a"), "a"), (("zego", "c"), "a"))]
    assert [pace.limit for pace in paces] == [10.0, 20.0]


def test_what_was_throttled_before_its_key_was_known_stays_so() -> None:
    """A pace that becomes a key's brings along its throttling, and the second that another process may have used."""
    limits, owner = Limits(100.0), ("tencent", "a")
    pace = limits.configure(owner, {ACTION: 10.0})[ACTION]
    assert pace.wait(100.0) > 0
    pace.throttled(100.0)
    shared = limits.identify(owner, "key", 100.5)[ACTION]
    assert shared is not pace
    assert (shared.rate(100.5), shared.wait(100.5)) == (5.0, pace.wait(100.5))


class Other(Pace):
    """A pace of another kind."""


def test_paces_that_are_made_otherwise_take_over_what_was_used() -> None:
    """Paces of known keys are made anew, with their limits and their throttling, and so back again; others stay."""
    limits, known, unknown = Limits(), ("tencent", "a"), ("tencent", "b")
    limits.configure(known, {ACTION: 10.0})
    limits.identify(known, "key", 0.0)[ACTION].throttled(0.0)
    before, made = limits.configure(unknown, {ACTION: 4.0})[ACTION], []

    def make(provider: str, identity: str, action: str, limit: float) -> Pace:
        made.append((provider, identity, action, limit))
        return Other(limit)

    limits.use(make, 0.5)
    pace = limits.configure(known, {ACTION: 10.0})[ACTION]
    assert (type(pace), pace.limit, pace.rate(0.5)) == (Other, 10.0, 5.0)
    assert limits.configure(unknown, {ACTION: 4.0})[ACTION] is before
    assert type(limits.identify(unknown, "new", 0.5)[ACTION]) is Other
    assert made == [("tencent", "key", ACTION, 10.0), ("tencent", "new", ACTION, 4.0)]
    limits.use(None, 0.6)
    pace = limits.identify(known, "key", 0.6)[ACTION]
    assert (type(pace), pace.rate(0.6)) == (Pace, 5.0)


def test_parts_of_small_quotas_take_turns_by_unix_time() -> None:
    """Whenever the clocks are compared anew, paces that are there and new ones keep to the turns of their part."""
    limits, names = Limits(), list[str]()
    limits.share(Part(1, 4), 3.0)
    for ahead in (3.0, 7.25):
        if names:
            limits.align(ahead)
        names.append(str(ahead))
        for name in names:
            pace = limits.configure(("tencent", name), {ACTION: 1.0})[ACTION]
            gap = WINDOW / pace.limit
            assert pace.limit == 0.25
            assert (ahead + pace.wait(0.0)) % gap == pytest.approx(gap / 4)


@settings(max_examples=60, deadline=None)
@given(rate=st.integers(1, 300), down=st.floats(0, 3), seed=st.integers(), late=st.sampled_from([0.0, 0.001, 0.02]))
def test_no_second_across_a_restart_holds_more_than_the_rate(rate: int, down: float, seed: int, late: float) -> None:
    """The calls of a process that ended and of the one that follows at once make no second of more than the rate."""
    chance = Random(seed)
    old = calls(Pace(rate), 3 * rate, chance, late)
    start = old[-1] + down
    new = calls(Pace(rate, start), 3 * rate, chance, late, start)
    # One more than the rate may be in a second where wake-ups were late: the old process's last calls caught up.
    assert busiest(old + new) <= rate + (late > 0)
    assert new[0] <= start + WINDOW + late


def test_a_low_rate_waits_one_second_after_the_start() -> None:
    """Only the second at the start is taken to be full: a rate of one call a minute does not wait for a minute."""
    made = calls(Pace(1 / 60, 100.0), 2, Random(1), 0.0, 100.0)
    assert made[0] == pytest.approx(100.0 + WINDOW)
    assert made[1] >= made[0] + 60


class Process(Service):
    """An exporter's running parts, as each process has its own, on a network of functions and the loop's time."""

    def __init__(self, network: Network, rate: float, count: int) -> None:
        loop = asyncio.get_running_loop()
        made = Config(Scrape(reuse=0.0), accounts=(limited("main", rate),), streams=tuple(streams(count)))
        ticking = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
        super().__init__(made, all_providers(), ticking, credentials, connect=network.connect)


@pytest.mark.parametrize("rate", [1.0, 20.0, 150.0])
def test_a_restart_refills_nothing(rate: float) -> None:
    """Processes that follow one another at once make no second of more calls than one of them may."""

    async def main() -> None:
        loop, network = asyncio.get_running_loop(), Network(active)
        for _ in range(4):
            async with Process(network, rate, 400) as made:
                await made.refresh(loop.time() + 1.5)
        assert network.busiest_second() <= rate
        assert len(network.calls) >= 0.6 * rate * 6

    run(main())
