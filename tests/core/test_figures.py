"""Figures of live streams: asked last, once where that is due, at the expense of no state, and gone when in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.model import Account, Figures, Reply, Request, State, Stream
from exporter.providers import all_providers
from exporter.rounds.account import AccountProber
from exporter.rounds.plan import label_of
from exporter.rounds.prober import Prober
from exporter.schedule import Expectations
from tests.virtual import Network, account, account_prober, prober, record_of, reply, run, scrape, streams
from tests.virtual import params as parameters

LIVE = Expectations().at(0.0).of(("any", "stream"))
STATE, PUSHES = "DescribeLiveStreamState", "DescribeLiveStreamPushInfoList"
RATES = "DescribeLiveDomainFrameRateAndBitRateData"
MOVES = Figures((("video", 2e6), ("audio", 1e5)), 25.0, stalled=False)
FROZEN = Figures((("video", 0.0), ("audio", 0.0)), 0.0, stalled=True)
ROW = {"VideoSpeed": 2_000_000, "AudioSpeed": 100_000, "VideoFps": 25}
STILL = dict.fromkeys(ROW, 0)

Pushes = Callable[[dict[str, Any]], Awaitable[Reply]]


def pushes(*names: str, pages: int = 1, **values: Any) -> Reply:
    """Return a list of pushes under one domain and app."""
    address = {"PushDomain": "push.example", "AppName": "live"}
    rows = [{**address, "StreamName": name, **ROW, **values} for name in names]
    return reply({"Response": {"TotalPage": pages, "DataInfoList": rows, "RequestId": "r"}})


def refused(code: str) -> Reply:
    """Return an error of Tencent's."""
    return reply({"Response": {"Error": {"Code": code, "Message": "m"}, "RequestId": "r"}})


class Cloud:
    """A cloud that tells states by name, and figures as the test says."""

    def __init__(self, told: Pushes | Reply) -> None:
        self.told = told
        self.words: dict[str, str] = {}
        self.network = Network(self.behave)

    async def behave(self, _provider: str, request: Request) -> Reply:
        """Answer."""
        if request.headers["X-TC-Action"] == PUSHES:
            return self.told if isinstance(self.told, Reply) else await self.told(parameters(request))
        name = parameters(request)["StreamName"]
        return reply({"Response": {"StreamState": self.words.get(name, "active"), "RequestId": "r"}})

    def asked(self, action: str = PUSHES) -> list[dict[str, Any]]:
        """Return the parameters of the calls of an action."""
        return [
            parameters(call.request) for call in self.network.calls if call.request.headers["X-TC-Action"] == action
        ]


def watching(cloud: Cloud, watched: list[Stream], max_age: float = 120.0, **fields: Any) -> Prober:
    """Return a prober of one account that asks for figures."""
    return prober(cloud.network, [account(figures=True, **fields)], watched, max_age)


def figures_of(made: Prober, name: str = "s00000") -> Figures | None:
    """Return what a stream's figures show now."""
    return record_of(made, name).row(asyncio.get_running_loop().time(), made.shared.board.max_age, LIVE).figures


# --- what is asked, and when ------------------------------------------------------------------------------------------


def test_one_call_a_minute_tells_the_figures_of_all_live_streams() -> None:
    """They are asked for after the last state, once for a domain and app, and again when a minute is over."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000", "s00001", "foreign"))
        made = watching(cloud, streams(3))
        await scrape(made)
        assert [call.request.headers["X-TC-Action"] for call in cloud.network.calls] == [*[STATE] * 3, PUSHES]
        assert cloud.asked() == [{"PushDomain": "push.example", "AppName": "live", "PageNum": 1, "PageSize": 4000}]
        assert [figures_of(made, f"s0000{n}") for n in range(3)] == [MOVES, MOVES, None]
        for _ in range(3):
            await asyncio.sleep(15)
            await scrape(made)
        assert len(cloud.asked()) == 1
        assert figures_of(made) == MOVES
        await asyncio.sleep(15)
        await scrape(made)
        assert len(cloud.asked()) == 2

    run(main())


def test_each_domain_and_app_is_listed_on_its_own() -> None:
    """One call for each, and a scrape that has no time for all of them leaves the rest to the next."""

    async def main() -> None:
        cloud = Cloud(pushes())
        made = watching(cloud, [*streams(2), *streams(2, prefix="t", app="radio")])
        await scrape(made)
        assert sorted(one["AppName"] for one in cloud.asked()) == ["live", "radio"]

    run(main())


def test_only_live_streams_cost_a_call() -> None:
    """Where nobody is live there is nothing to ask."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        cloud.words = {"s00000": "inactive", "s00001": "forbid"}
        made = watching(cloud, streams(2))
        await scrape(made)
        assert cloud.asked() == []

    run(main())


def test_an_account_may_leave_figures_out() -> None:
    """With `figures: false` no such call is made."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = prober(cloud.network, [account(figures=False)], streams(1))
        await scrape(made)
        assert cloud.asked() == []
        assert figures_of(made) is None

    run(main())


def test_a_question_about_one_stream_asks_for_no_figures() -> None:
    """Callbacks and probes of one stream cost one call."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(2))
        loop = asyncio.get_running_loop()
        await account_prober(made).refresh_one(record_of(made, "s00000"), loop.time() + 5, loop.time())
        assert (len(cloud.asked(STATE)), cloud.asked()) == (1, [])

    run(main())


def test_the_pace_of_the_action_holds() -> None:
    """Calls for figures keep the quota of their own action, in every second."""

    async def main() -> None:
        cloud = Cloud(pushes())
        watched = [stream for number in range(12) for stream in streams(1, prefix=f"{number}-", app=f"a{number}")]
        made = watching(cloud, watched, quota={PUSHES: 4.0})
        await scrape(made)
        await asyncio.sleep(10)
        times = [call.at for call in cloud.network.calls if call.request.headers["X-TC-Action"] == PUSHES]
        assert len(times) == 12
        assert max(sum(start <= time < start + 1 for time in times) for start in times) <= 4

    run(main())


def test_overlapping_scrapes_ask_once() -> None:
    """Whoever joins a round shares its figures."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(2), endpoint="https://live.intl.tencentcloudapi.com")
        await asyncio.gather(scrape(made), scrape(made), scrape(made))
        assert len(cloud.asked()) == 1
        assert cloud.asked()[0]["PageSize"] == 1000
        await scrape(made)
        assert len(cloud.asked()) == 2

    run(main())


# --- the states come first --------------------------------------------------------------------------------------------


def test_a_failed_call_withdraws_figures_and_nothing_else() -> None:
    """The states stay, the account is up, the breaker is shut; the failure is counted under its code."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1))
        await scrape(made)
        assert figures_of(made) == MOVES
        cloud.told = refused("AuthFailure.UnauthorizedOperation")
        for _ in range(6):
            await asyncio.sleep(61)
            await scrape(made)
            record, one = record_of(made, "s00000"), account_prober(made)
            health = one.health
            assert (record.shown, record.succeeded, health.up, health.breaker.open) == (State.ACTIVE, True, True, False)
            assert figures_of(made) is None
        key = ("tencent", "main", "AuthFailure.UnauthorizedOperation", "auth")
        assert made.shared.counters.errors == {key: 6}
        assert made.shared.counters.responses["tencent", "main", PUSHES, "AuthFailure.UnauthorizedOperation"] == 6
        assert len(one.listed_rows()) == 0
        cloud.told = pushes("s00000")
        await asyncio.sleep(61)
        await scrape(made)
        assert figures_of(made) == MOVES

    run(main())


def test_a_key_that_may_not_ask_for_figures_is_not_called_refused() -> None:
    """Only what the states meet says that the credentials are wrong."""

    async def main() -> None:
        cloud, told = Cloud(refused("AuthFailure.SecretIdNotFound")), []
        made = watching(cloud, streams(1))
        made.shared.mark_refused = lambda *names: told.append(names)
        await scrape(made)
        assert told == []

    run(main())


def test_figures_that_hang_delay_no_scrape_for_long() -> None:
    """The first scrape waits half a second, the next ones not at all, and no state is missing."""

    async def hang(_: dict[str, Any]) -> Reply:
        await asyncio.sleep(1e6)
        raise AssertionError

    async def main() -> None:
        cloud = Cloud(hang)
        made = watching(cloud, streams(1), timeout="3s")
        assert 0.5 <= await scrape(made) < 0.6
        for _ in range(6):
            await asyncio.sleep(15)
            assert await scrape(made) < 0.1
            assert record_of(made, "s00000").succeeded
        assert made.shared.counters.errors == {("tencent", "main", "timeout", "timeout"): 2}
        cloud.told = pushes("s00000")
        for _ in range(9):
            await asyncio.sleep(15)
            await scrape(made)
        assert figures_of(made) == MOVES

    run(main())


def test_figures_never_hold_the_slots_of_states() -> None:
    """While a call for figures hangs, an account that has one call in flight asks for states all the same."""

    async def hang(_: dict[str, Any]) -> Reply:
        await asyncio.sleep(1e6)
        raise AssertionError

    async def main() -> None:
        cloud = Cloud(hang)
        made = watching(cloud, streams(3), concurrency=1, timeout="60s")
        await scrape(made)
        assert await scrape(made) < 0.2
        assert len(cloud.asked(STATE)) == 6
        assert len(cloud.asked()) == 1

    run(main())


def test_a_round_that_uses_up_its_time_has_figures_too() -> None:
    """Where the quota never reaches all streams in a scrape, figures come after its deadline, for the next one."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(40), quota={STATE: 2.0})
        assert 4.5 < await scrape(made, budget=5.0) <= 5.0
        await asyncio.sleep(1)
        assert len(cloud.asked()) == 1
        await scrape(made, budget=5.0)
        assert figures_of(made) == MOVES

    run(main())


def test_a_broken_answer_is_malformed_and_costs_figures_alone() -> None:
    """An answer without its number of pages withdraws what was told before."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1))
        await scrape(made)
        cloud.told = reply({"Response": {"DataInfoList": [], "RequestId": "r"}})
        await asyncio.sleep(61)
        await scrape(made)
        assert made.shared.counters.errors == {("tencent", "main", "malformed", "malformed"): 1}
        assert (figures_of(made), record_of(made, "s00000").shown) == (None, State.ACTIVE)

    run(main())


# --- what they show ---------------------------------------------------------------------------------------------------


def test_nothing_arriving_is_a_stall_of_a_live_stream_only() -> None:
    """No bits and no frames: stalled; as soon as the stream is not live, or nobody knows, there are no figures."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000", **STILL))
        made = watching(cloud, streams(1))
        await scrape(made)
        assert figures_of(made) == FROZEN
        row = record_of(made, "s00000").row(asyncio.get_running_loop().time(), 120, LIVE)
        assert row.degraded == ("stalled",)
        for word in ("inactive", "what?"):
            cloud.words["s00000"] = word
            await scrape(made)
            assert figures_of(made) is None
        cloud.words["s00000"] = "active"
        await scrape(made)
        assert figures_of(made) is None, "what was told before it went away is about an earlier push"

    run(main())


def test_a_push_that_has_just_begun_is_not_stalled() -> None:
    """Zeros of a stream that was seen to begin within the last ten seconds are no stall; later ones are."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000", **STILL))
        cloud.words["s00000"] = "inactive"
        made = watching(cloud, streams(1), endpoint="https://live.intl.tencentcloudapi.com")
        await scrape(made)
        cloud.words["s00000"] = "active"
        await scrape(made)
        assert figures_of(made) == FROZEN._replace(stalled=None)
        await asyncio.sleep(10)
        await scrape(made)
        assert figures_of(made) == FROZEN

    run(main())


def test_a_live_stream_that_the_list_lacks_has_no_figures() -> None:
    """Its absence says nothing, least of all that it stalls."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1))
        await scrape(made)
        cloud.told = pushes("other")
        await asyncio.sleep(61)
        await scrape(made)
        assert (figures_of(made), made.shared.counters.errors) == (None, {})

    run(main())


def test_figures_of_another_stream_do_not_count() -> None:
    """Domain, app and name have to be the stream's own; the domain in any case."""

    async def main() -> None:
        cloud = Cloud(pushes())
        made = watching(cloud, streams(1), endpoint="https://live.intl.tencentcloudapi.com")
        cases: list[tuple[dict[str, Any], bool]] = [
            ({"PushDomain": "Push.Example"}, True),
            ({"PushDomain": "other.example"}, False),
            ({"AppName": "LIVE"}, False),
            ({"StreamName": "S00000"}, False),
        ]
        for address, counts in cases:
            cloud.told = pushes("s00000", **address)
            await scrape(made)
            assert (figures_of(made) is not None) is counts, address

    run(main())


def test_figures_are_shown_for_as_long_as_they_count() -> None:
    """Where no turn comes they stay for twice the minute between two lists, or max_age, and no longer."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1), max_age=1000.0)
        await scrape(made)
        loop, board = asyncio.get_running_loop(), made.shared.board
        record = record_of(made, "s00000")
        assert record.listed is not None
        assert record.listed.until == pytest.approx(loop.time() + 1000, abs=0.1)
        board.max_age = 30.0
        await asyncio.sleep(61)
        await scrape(made)
        assert record.listed.until == pytest.approx(loop.time() + 120, abs=0.1)
        until, version = record.listed.until, board.version
        assert figures_of(made) == MOVES
        board.max_age = 1000.0
        await asyncio.sleep(until - loop.time() + 0.01)
        assert figures_of(made) is None
        assert board.expires() <= loop.time()
        board._next_outdated = 0.0
        board.outdate(made.shared.clock.now())
        assert board.version == version + 1
        assert record.row(0, 1000, LIVE).figures is None

    run(main())


def test_alibabas_figures_are_of_five_minutes_ago() -> None:
    """They never say that a stream stalls, and do not count for a push that has begun since."""
    live = {"StreamState": "online", "RequestId": "r"}
    infos = [{"VideoFrameRate": 0, "BitRate": 0, "StreamUrl": "rtmp://push.example/live/a"}]
    rates = {"FrameRateAndBitRateInfos": {"FrameRateAndBitRateInfo": infos}, "RequestId": "r"}
    words = {"state": live}

    async def behave(_provider: str, request: Request) -> Reply:
        return reply(rates if request.headers["x-acs-action"] == RATES else words["state"])

    async def main() -> None:
        kind = all_providers()["alibaba"].stream
        watched = [kind(name="a", account="main", domain="push.example", app="live")]
        made = prober(Network(behave), [account("alibaba", figures=True)], watched)
        record = next(iter(made.shared.board))

        def shown() -> Figures | None:
            return record.row(asyncio.get_running_loop().time(), 120, LIVE).figures

        await scrape(made)
        assert shown() == Figures((("all", 0.0),), 0.0)
        words["state"] = {"StreamState": "offline", "RequestId": "r"}
        await scrape(made)
        words["state"] = live
        for minute in range(7):
            await scrape(made)
            assert (shown() is not None) is (minute >= 5), minute
            await asyncio.sleep(61)
        assert account_prober(made).listed_rows() == {}

    run(main())


# --- many streams -----------------------------------------------------------------------------------------------------


@pytest.mark.no_cover
def test_many_streams_are_read_page_by_page_off_the_loop() -> None:
    """Ten thousand live streams come in three pages, each learned beside the event loop."""
    names = [f"s{number:05d}" for number in range(10_000)]
    aside = 0

    async def page(asked: dict[str, Any]) -> Reply:
        start = (asked["PageNum"] - 1) * asked["PageSize"]
        return pushes(*names[start : start + asked["PageSize"]], pages=3)

    async def main() -> None:
        cloud = Cloud(page)
        made = watching(cloud, streams(10_000), quota={STATE: 1e6}, concurrency=1024)

        async def counted(work: Callable[[], Any]) -> Any:
            nonlocal aside
            aside += 1
            return work()

        made.shared.aside = counted
        await scrape(made)
        before = aside
        await asyncio.sleep(1)
        assert [one["PageNum"] for one in cloud.asked()] == [1, 2, 3]
        assert all(figures_of(made, name) == MOVES for name in names)
        assert account_prober(made).listed_rows() == {"push.example/live": 10_000}
        assert before >= 4

    run(main())


def test_pages_that_loop_or_never_end_cost_no_more_than_streams() -> None:
    """A page without news ends the list; of more pages than streams, no more are asked."""

    async def main() -> None:
        for names in (("s00000",), ()):
            made = watching(cloud := Cloud(pushes(*names, pages=10**9)), streams(2))
            await scrape(made)
            assert len(cloud.asked()) == 1
            assert account_prober(made).listed_rows() == {}

    run(main())


# --- how many are live ------------------------------------------------------------------------------------------------


def online(*names: str, pages: int = 1) -> Reply:
    """Return a page of the list of streams online."""
    rows = [{"DomainName": "push.example", "AppName": "live", "StreamName": name} for name in names]
    return reply({"Response": {"TotalPage": pages, "OnlineInfo": rows, "RequestId": "r"}})


def test_the_rows_of_the_last_whole_list_are_counted() -> None:
    """Streams that nobody watches count too; a list that was not read to its end, or failed, tells nothing."""
    told = {"now": online("s00000", "s00001", "foreign", "foreign")}

    async def behave(_provider: str, request: Request) -> Reply:
        if request.headers["X-TC-Action"] == "DescribeLiveStreamOnlineList":
            return told["now"]
        return reply({"Response": {"StreamState": "active", "RequestId": "r"}})

    async def main() -> None:
        made = prober(Network(behave), [account(plan="list")], streams(2))
        one: AccountProber = account_prober(made)
        await scrape(made)
        assert one.listed_rows() == {"push.example": 3}
        told["now"] = online(*map(str, range(10_000)), "s00000", "s00001", pages=2)
        await asyncio.sleep(61)
        await scrape(made)
        assert one.listed_rows() == {"push.example": 3}, "the last one that was whole"
        told["now"] = refused("InternalError")
        await asyncio.sleep(61)
        await scrape(made)
        assert one.listed_rows() == {}
        told["now"] = online("s00000")
        await asyncio.sleep(61)
        await scrape(made)
        assert one.listed_rows() == {"push.example": 1}
        await asyncio.sleep(601)
        assert one.listed_rows() == {}, "too long ago"

    run(main())


def test_a_scope_of_several_parts_is_one_line() -> None:
    """A room is named with its application, a stream's app with its domain."""
    assert label_of("app-id\nroom") == "app-id/room"
    assert label_of("push.example") == "push.example"


def test_a_reload_forgets_the_rows_and_asks_for_figures_at_once() -> None:
    """What is listed now may be another domain."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1))
        await scrape(made)
        one = account_prober(made)
        assert one.listed_rows() == {"push.example/live": 1}
        owner: Account = account(figures=True)
        made.configure([(all_providers()["tencent"], owner)], streams(1, app="radio"), 120)
        assert one.listed_rows() == {}
        await scrape(made)
        assert [call["AppName"] for call in cloud.asked()] == ["live", "radio"]

    run(main())


def test_no_figures_are_asked_while_the_breaker_is_open() -> None:
    """An account that answers nothing is left alone."""

    async def main() -> None:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1), endpoint="https://live.intl.tencentcloudapi.com")
        await scrape(made)
        one = account_prober(made)
        for _ in range(3):
            one.health.breaker.failed()
        assert one.health.breaker.open
        behave, calls = cloud.network.behaviour, len(cloud.asked())

        async def broken(provider: str, request: Request) -> Reply:
            found = await behave(provider, request)
            return found if request.headers["X-TC-Action"] == PUSHES else replace_body(found)

        def replace_body(found: Reply) -> Reply:
            return found._replace(body=b"{}")

        cloud.network = replace(cloud.network)
        made.shared.connect = Network(broken, calls=cloud.network.calls).connect
        await scrape(made)
        assert len(cloud.asked()) == calls

    run(main())


def test_that_figures_fail_is_logged_when_it_begins_and_when_it_ends() -> None:
    """Once each, with what to do; not once a minute, and not because there was nothing to ask."""

    async def main() -> list[str]:
        cloud = Cloud(refused("AuthFailure.UnauthorizedOperation"))
        made = watching(cloud, streams(1))
        with capture_logs() as logs:
            for told, word in (
                (None, "active"), (None, "active"), (None, "inactive"), (pushes("s00000"), "active"), (None, "active"),
            ):  # fmt: skip
                cloud.told, cloud.words["s00000"] = told or cloud.told, word
                await scrape(made)
                await asyncio.sleep(61)
        assert all(entry["advice"] for entry in logs if entry["log_level"] == "warning")
        return [f"{entry['log_level']}: {entry['event']}" for entry in logs]

    assert run(main()) == ["warning: figures are missing", "info: figures come again"]


def test_a_fault_of_our_own_costs_figures_alone() -> None:
    """It is logged by kind and place, and states are asked as ever."""

    async def main() -> list[str]:
        cloud = Cloud(pushes("s00000"))
        made = watching(cloud, streams(1))
        state = account_prober(made)
        state.provider = replace(state.provider, figures=(replace(state.provider.figures[0], keys=None),))  # type: ignore[arg-type]
        with capture_logs() as logs:
            await scrape(made)
            await scrape(made)
        assert record_of(made, "s00000").succeeded
        assert len(cloud.asked(STATE)) == 2
        return [f"{entry['event']}: {entry['kind']}" for entry in logs]

    assert run(main()) == ["bug: TypeError"]
