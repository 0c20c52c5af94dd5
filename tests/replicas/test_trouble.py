"""What goes wrong between replicas: scrapes that are given up, entries that are lost, clocks that are set, networks."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
import structlog

from exporter.model import Reason, Reply, Request, State
from exporter.providers.interface import TransportError
from exporter.replicas.store import ServerJournals
from exporter.rounds.state import AccountState
from exporter.store.errors import StoreError
from tests.replicas.hub import Hub
from tests.replicas.rig import Replica, replicas
from tests.virtual import Network, account, params, record_of, run, scrape, streams, tencent_state

LIVE = {"s00000"}


async def live(_provider: str, request: Request) -> Reply:
    """Say that the streams in `LIVE` are live."""
    return tencent_state("active" if params(request)["StreamName"] in LIVE else "inactive")


async def everything_live(_provider: str, _request: Request) -> Reply:
    """Say that each stream is live."""
    return tencent_state("active")


async def give_up(one: Replica, command: str, asking: asyncio.Task[object]) -> None:
    """Cancel a task, as a client does that leaves, once the hub has executed a command that it waits for."""
    await one.store.stopped.wait()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    one.store.stop_at = ""


def test_a_scrape_that_is_given_up_keeps_nobody_from_leading() -> None:
    """A client that leaves between its scrape's first command and its first call holds up no other replica."""

    async def main() -> None:
        network = Network(everything_live)
        async with replicas(network, streams(10)) as (one, two):
            one.store.stop_at = "SET"
            await give_up(one, "SET", asyncio.create_task(scrape(one.prober)))
            assert await scrape(two.prober) < 1.0
            assert len(network.calls) == 10

    run(main())


def test_a_scrape_that_is_given_up_while_it_reads_keeps_nobody_from_leading() -> None:
    """So it is when the client leaves while the journal is read, after the lead was won."""

    async def main() -> None:
        network = Network(everything_live)
        async with replicas(network, streams(10)) as (one, two):
            asking = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(0.0025)  # the lead is won, the journal is being read
            assert any(":lead" in key for key in one.store.hub.values)
            asking.cancel()
            await asyncio.sleep(5)
            assert len(network.calls) == 0
            assert await scrape(two.prober) < 1.0
            assert len(network.calls) == 10

    run(main())


def test_a_question_that_is_given_up_keeps_nobody_from_asking() -> None:
    """A client that leaves while a stream is claimed for its question holds up no other replica."""

    async def main() -> None:
        network = Network(everything_live)
        async with replicas(network, streams(2)) as (one, two):
            one.store.stop_at, now = "SET", asyncio.get_running_loop().time()
            first, second = (each.prober.accounts["main"] for each in (one, two))
            asking = asyncio.create_task(first.refresh_one(record_of(one.prober, "s00001"), now + 5, now))
            await give_up(one, "SET", asking)
            await second.refresh_one(record_of(two.prober, "s00001"), now + 1, now)
            assert two.states()["s00001"] is State.ACTIVE

    run(main())


def test_what_is_told_again_from_the_beginning_is_heard() -> None:
    """A replica that drops an account at one reload and takes it back at the next is heard by the others at once."""

    async def main() -> None:
        LIVE.clear()
        network, watched = Network(live), streams(3)
        async with replicas(network, watched) as (one, two):
            for _ in range(3):
                await scrape(one.prober)
                await asyncio.sleep(0.5)
            one.configure([account(name="other")], streams(1, "other"))
            one.configure([account()], watched)
            LIVE.add("s00001")
            await scrape(one.prober)
            await asyncio.sleep(0.5)
            assert two.states() == one.states()
            assert two.states()["s00001"] is State.ACTIVE

    run(main())


def test_a_clock_that_was_set_back_makes_no_round_of_the_future() -> None:
    """When the store's clock is set back while entries are on their way, the next scrape asks all the same."""

    async def main() -> None:
        LIVE.clear()
        network = Network(live)
        async with replicas(network, streams(3)) as (one, two):
            one.store.wrong = 100.0
            await scrape(one.prober)
            await asyncio.sleep(1)
            assert two.states() == one.states()
            one.store.wrong = 0.0
            LIVE.add("s00001")
            await asyncio.sleep(2)
            await scrape(two.prober)
            assert len(network.calls) == 6
            assert two.states()["s00001"] is State.ACTIVE

    run(main())


@pytest.mark.parametrize("lost", ["told to nobody", "not kept by the store"])
def test_a_round_of_which_a_part_was_lost_is_not_taken_for_whole(lost: str) -> None:
    """Where answers of a round reached no other replica, its end does not make their scrapes believe they know all."""

    async def main() -> None:
        LIVE.clear()
        network, hub = Network(live, latency=0.005), Hub()
        quota = {"DescribeLiveStreamState": 100}
        async with replicas(network, streams(300), hub=hub, quota=quota) as (one, two):
            await scrape(one.prober)
            await asyncio.sleep(5)
            LIVE.update(f"s{number:05d}" for number in range(300))
            leading = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(1)
            if lost == "told to nobody":
                one.store.up = False
            following = asyncio.create_task(scrape(two.prober))
            hub.forgets = lost == "not kept by the store"
            await asyncio.sleep(1)
            one.store.up, hub.forgets = True, False
            await asyncio.gather(leading, following)
            assert set(two.states().values()) == {State.ACTIVE}
            assert len(network.calls) <= 900

    run(main())


def test_a_machine_that_reaches_nothing_withdraws_nothing_elsewhere() -> None:
    """Failures of one machine's network are its own: the other asks, and shows what it is answered."""

    async def main() -> None:
        broken = True

        async def behave(_provider: str, _request: Request) -> Reply:
            if broken:
                raise TransportError(Reason.CONNECTION, "the network is unreachable")
            return tencent_state("active")

        async with replicas(Network(everything_live), streams(5)) as (one, two):
            await scrape(one.prober)
            await asyncio.sleep(10)
            here, there = (each.prober.shared for each in (one, two))
            here.connect = Network(behave).connect
            for _ in range(4):
                await scrape(one.prober)
                await asyncio.sleep(0.5)
                assert set(two.states().values()) == {State.ACTIVE}
            assert set(one.states().values()) == {State.UNKNOWN}
            assert not two.prober.accounts["main"].health.breaker.open
            assert await scrape(two.prober) < 1.0
            await asyncio.sleep(0.5)
            # What the other learned is known here, too.
            assert set(one.states().values()) == set(two.states().values()) == {State.ACTIVE}
            assert there.board.failures == {}

    run(main())


def test_sixty_four_scrapes_wait_together() -> None:
    """Scrapes that wait for another replica's round ask the store little, and end with it."""

    async def main() -> None:
        network, hub = Network(everything_live), Hub()
        quota = {"DescribeLiveStreamState": 100}
        async with replicas(network, streams(500), hub=hub, quota=quota) as (one, two):
            leading = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(1)
            waiting = [asyncio.create_task(scrape(two.prober)) for _ in range(64)]
            commands = two.store.commands
            await asyncio.sleep(3)
            assert two.store.commands - commands <= 100
            await leading
            ended = asyncio.get_running_loop().time()
            await asyncio.gather(*waiting)
            assert asyncio.get_running_loop().time() - ended < 0.5
            assert len(network.calls) == 500

    run(main())


def test_who_leaves_tells_the_last_and_lets_others_lead() -> None:
    """A replica that is stopped while it leads tells what it learned, and keeps nobody waiting."""

    async def main() -> None:
        network = Network(everything_live)
        quota = {"DescribeLiveStreamState": 100}
        async with replicas(network, streams(300), quota=quota) as (one, two):
            leading = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(1)
            before = asyncio.get_running_loop().time()
            known = {name for name, state in one.states().items() if state is State.ACTIVE}
            await one.rounds.close()
            assert asyncio.get_running_loop().time() - before < 0.1
            assert not any(two.store.hub.value(key) for key in two.store.hub.values)
            await asyncio.sleep(0.05)
            assert known <= {name for name, state in two.states().items() if state is State.ACTIVE}
            assert len(known) > 50
            await leading

    run(main())


def test_an_account_that_was_moved_to_another_place_is_another() -> None:
    """While a reload that names another endpoint has reached one replica only, neither believes the other."""

    async def main() -> None:
        network = Network(everything_live)
        async with replicas(network, streams(3)) as (one, two):
            two.configure([account(endpoint="https://elsewhere.example")], streams(3))
            await scrape(one.prober)
            await asyncio.sleep(1)
            assert set(two.states().values()) == {State.UNKNOWN}
            await scrape(two.prober, reuse=5.0)
            assert len(network.calls) == 6

    run(main())


class Liar:
    """A store that answers everything with the same."""

    up, member = True, "m"

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def command(self, *_words: object, **_fields: object) -> object:
        """Answer."""
        return self._answer


@pytest.mark.parametrize(
    "answer",
    [
        1, b"x", [1], [[b"other", [[b"1-0", [b"e", b""]]]]], [[b"k", [[b"now", [b"e", b""]]]]],
        [[b"k", [[b"1-", [b"e", b""]]]]], [[b"k", [[b"1-0", []]]]], [[b"k", [[b"-1-0", [b"e", b""]]]]],
    ],
)  # fmt: skip
def test_a_store_that_answers_nonsense_is_not_read(answer: object) -> None:
    """Journals that nobody asked for and ids that are none are an error of the store, and no bug of ours."""
    with pytest.raises(StoreError):
        asyncio.run(ServerJournals(Liar(answer)).read({"k": "0-0"}, 20, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize("known", [{}, {"id": "", "secret": ""}])
def test_exporters_without_a_secret_in_common_believe_nobody(known: dict[str, str]) -> None:
    """Where anybody could sign an entry, answers are not shared: each replica asks for itself, and says why once."""

    async def secrets(_state: object) -> dict[str, str]:
        return known

    async def main() -> None:
        network, hub = Network(everything_live), Hub()
        async with replicas(network, streams(3), hub=hub, secrets=secrets) as (one, two):
            for _ in range(2):
                await scrape(one.prober)
                await scrape(two.prober)
            assert len(network.calls) == 12
            assert hub.streams == {}

    with structlog.testing.capture_logs() as logged:
        run(main())
    assert [line["event"] for line in logged if "account" in line] == ["answers are not shared"] * 2


def test_keys_that_are_long_in_coming_hold_up_neither_scrapes_nor_other_accounts() -> None:
    """While one account's keys do not come, a scrape ends in time, and what is told of other accounts is heard."""

    async def secrets(state: AccountState) -> dict[str, str]:
        if state.account.name == "slow":
            await asyncio.sleep(60)
        return {"secret": "made-up-secret"}

    async def main() -> None:
        network, accounts = Network(everything_live), [account(), account(name="slow")]
        watched = [*streams(3), *streams(1, "slow", prefix="t")]
        async with replicas(network, watched, secrets=secrets) as (one, two):
            for each in (one, two):
                each.configure(accounts, watched)
            assert await scrape(one.prober, budget=3.0) <= 3.1
            await asyncio.sleep(1)
            assert [two.states()[name] for name in ("s00000", "s00001", "s00002")] == [State.ACTIVE] * 3
            assert await scrape(two.prober, budget=3.0, reuse=20.0) <= 3.1

    run(main())


def test_a_journal_that_begins_again_is_read_from_its_beginning() -> None:
    """When the store's entries have smaller ids than before, and no connection broke, they are heard soon."""

    async def main() -> None:
        LIVE.clear()
        network, hub = Network(live), Hub()
        async with replicas(network, streams(3), hub=hub) as (one, two):
            for each in (one, two, one, two):
                await scrape(each.prober)
                await asyncio.sleep(0.5)
            hub.streams.clear()
            hub.added = 0
            await scrape(two.prober)
            LIVE.add("s00002")
            await scrape(one.prober)
            await asyncio.sleep(1)
            assert two.states()["s00002"] is State.ACTIVE

    run(main())


def test_many_accounts_keep_their_leads() -> None:
    """Rounds of 200 accounts that go on for seconds keep their leads on a store that takes 15 ms for each command."""

    async def main() -> None:
        hub, names = Hub(latency=0.015), [f"a{number}" for number in range(200)]
        watched = [one for name in names for one in streams(1, name, prefix=name)]
        async with replicas(Network(everything_live, latency=6.0), [], count=1, hub=hub) as (one,):
            one.configure([account(name=name, timeout="20s") for name in names], watched)
            asking = asyncio.create_task(scrape(one.prober))
            await asyncio.sleep(5)
            assert sum(hub.value(key) is not None for key in hub.values if key.endswith(":lead")) == 200
            await asking

    run(main())
