"""How a pace finds what a throttling cloud lets through, and comes back: simulated clouds, in a time of our own."""

from __future__ import annotations

import asyncio
import heapq
import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Reply, Request
from exporter.rounds.pace import Pace
from tests.core.test_quota import busiest
from tests.virtual import Network, account, account_prober, prober, reply, run, streams, tencent_error, tencent_state

Cloud = Callable[[float], bool]  # whether a call at a time is let through
FOREVER = float("inf")


def fixed_windows(rate: float, offset: float = 0.3) -> Cloud:
    """Return a cloud that counts calls by whole seconds of its own clock."""
    second, count = -1, 0

    def allows(now: float) -> bool:
        nonlocal second, count
        if math.floor(now + offset) != second:
            second, count = math.floor(now + offset), 0
        count += 1
        return count <= rate

    return allows


def sliding_window(rate: float, *, refused_count: bool = False) -> Cloud:
    """Return a cloud that counts the calls of the last second, with or without those it refused."""
    seen: deque[float] = deque()

    def allows(now: float) -> bool:
        while seen and seen[0] <= now - 1.0:
            seen.popleft()
        good = len(seen) < rate
        if good or refused_count:
            seen.append(now)
        return good

    return allows


def token_bucket(rate: float, burst: float) -> Cloud:
    """Return a cloud that fills a bucket evenly."""
    tokens, last = burst, 0.0

    def allows(now: float) -> bool:
        nonlocal tokens, last
        tokens, last = min(burst, tokens + (now - last) * rate), now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return allows


def by_turns(*parts: tuple[float, Cloud]) -> Cloud:
    """Return a cloud that behaves in one way until a time, and then in another."""
    return lambda now: next(cloud for until, cloud in parts if now < until)(now)


def open_(_now: float) -> bool:
    """Let everything through."""
    return True


def shut(_now: float) -> bool:
    """Refuse everything."""
    return False


KINDS: dict[str, Callable[[float], Cloud]] = {
    "fixed windows": fixed_windows,
    "other fixed windows": lambda rate: fixed_windows(rate, 0.81),
    "sliding window": sliding_window,
    "sliding window that counts refusals": lambda rate: sliding_window(rate, refused_count=True),
    "token bucket": lambda rate: token_bucket(rate, rate),
}


@dataclass(order=True)
class Refusal:
    """A refusal on its way back."""

    arrives: float
    sent: float = field(compare=False)


def demand(
    pace: Pace, cloud: Cloud, until: float, latency: float = 0.1, hint: float | None = None
) -> list[tuple[float, bool]]:
    """Call as often as a pace allows; return when calls were sent and whether they were let through."""
    chance, made, back = Random(1), list[tuple[float, bool]](), list[Refusal]()
    now, queued = 0.0, False
    while now < until:
        wait = pace.wait(now)
        if back and back[0].arrives <= now + wait:
            refusal = heapq.heappop(back)
            now = max(now, refusal.arrives)
            pace.throttled(now, hint, refusal.sent)
        elif wait > 0:
            now, queued = now + wait, True
        else:
            pace.take(now, queued)
            good = cloud(now + latency / 2 + chance.uniform(0, 0.02))
            made.append((now, good))
            if not good:
                heapq.heappush(back, Refusal(now + latency + chance.uniform(0, 0.02), now))
            queued = False
    return made


def recovery(rate: float, made: list[tuple[float, bool]], end: float) -> float:
    """Return how long after the end of throttling a second had 90 % of the rate."""
    times = [time for time, _ in made]
    full = (time for time in times if time >= end and _in_second(times, time) >= 0.9 * rate)
    return next(full, FOREVER) - end


def _in_second(times: list[float], end: float) -> int:
    return bisect_left(times, end + 1e-9) - bisect_left(times, end - 1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "share"), [(15, 5), (20, 5), (30, 5), (150, 5), (150, 10)])
@pytest.mark.parametrize("latency", [0.02, 0.1, 0.2])
def test_what_a_cloud_lets_through_is_used_and_few_calls_are_refused(
    rate: int, share: int, kind: str, latency: float
) -> None:
    """While a cloud lets through a fifth or a tenth of the rate, 80 % of that is used and 10 % of calls are refused."""
    allowed = rate / share
    made = demand(Pace(rate), KINDS[kind](allowed), 120, latency)
    good = sum(through for _, through in made)
    assert good >= 0.8 * allowed * 120
    assert len(made) - good <= 0.1 * len(made)
    assert busiest([time for time, _ in made]) <= rate


@pytest.mark.parametrize("rate", [5, 15, 20, 30, 150])
@pytest.mark.parametrize("before", ["shut", "a fifth"])
def test_the_rate_is_back_within_fifteen_seconds(rate: int, before: str) -> None:
    """Whenever throttling ends, after whatever it was, 15 seconds later a second has 90 % of the rate."""
    for end in (3.0, 21.7, 60.0, 64.3, 66.1):
        throttling = shut if before == "shut" else fixed_windows(rate / 5)
        made = demand(Pace(rate), by_turns((end, throttling), (FOREVER, open_)), end + 20)
        assert recovery(rate, made, end) <= 15.0
        assert busiest([time for time, _ in made]) <= rate


def test_a_cloud_that_refuses_everything_is_asked_little() -> None:
    """In a minute of refusals few calls are made, and one gets through soon after it."""
    made = demand(Pace(150), by_turns((60.0, shut), (FOREVER, open_)), 80)
    assert sum(5 <= time < 60 for time, _ in made) <= 55 * 150 / 16
    assert next(time for time, good in made if good) <= 62.0


@settings(max_examples=25, deadline=None)
@given(
    rate=st.integers(1, 60),
    spells=st.lists(st.tuples(st.floats(0.2, 12), st.floats(0, 1.5)), max_size=8),
    latency=st.floats(0.005, 2.5),
    hint=st.none() | st.floats(0, 20),
)
def test_no_cloud_makes_a_pace_exceed_its_limit_or_stop(
    rate: int, spells: list[tuple[float, float]], latency: float, hint: float | None
) -> None:
    """However a cloud flaps and whatever it asks for, no second exceeds the limit, and the rate comes back."""
    end, parts = 0.0, list[tuple[float, Cloud]]()
    for seconds, share in spells:
        end += seconds
        parts.append((end, sliding_window(share * rate)))
    made = demand(Pace(rate), by_turns(*parts, (FOREVER, open_)), end + 50, latency, hint)
    assert busiest([time for time, _ in made]) <= rate
    late = [time for time, _ in made if time >= end + 15 + latency + (hint or 0)]
    assert len(late) >= 0.9 * 0.96 * rate * (end + 50 - late[0]) - 1


def test_rounds_with_pauses_begin_where_the_cloud_throttled_last() -> None:
    """Sixty calls every 15 seconds at a cloud that lets a fifth through: what was learnt outlives the pause."""
    pace, allows, now = Pace(150), fixed_windows(30), 0.0
    refused = []
    for number in range(10):
        now, queued, back, failed = 15.0 * number, False, list[Refusal](), 0
        for _ in range(60):
            while (wait := pace.wait(now)) > 0 or (back and back[0].arrives <= now):
                if back and back[0].arrives <= now + wait:
                    refusal = heapq.heappop(back)
                    now = max(now, refusal.arrives)
                    pace.throttled(now, None, refusal.sent)
                else:
                    now, queued = now + wait, True
            pace.take(now, queued)
            if not allows(now):
                failed += 1
                heapq.heappush(back, Refusal(now + 0.1, now))
        for refusal in back:
            pace.throttled(refusal.arrives, None, refusal.sent)
        refused.append(failed)
    assert sum(refused[1:]) <= 0.1 * 60 * 9


def test_scrapes_at_a_throttling_cloud_use_what_it_lets_through_and_recover() -> None:
    """Scrapes without a pause get 80 % of what the cloud allows; 15 seconds after its end they are at full speed."""

    async def main() -> None:
        loop, good, refused = asyncio.get_running_loop(), list[float](), list[float]()
        allows = sliding_window(30)

        async def behave(_provider: str, _request: Request) -> Reply:
            if loop.time() < 1120 and not allows(loop.time()):
                refused.append(loop.time())
                return tencent_error("RequestLimitExceeded")
            good.append(loop.time())
            return tencent_state("active")

        network = Network(behave)
        made = prober(network, [account(quota={"DescribeLiveStreamState": 150.0})], streams(1500))
        while loop.time() < 1150:
            await asyncio.sleep(0.001)
            await made.refresh(loop.time() + 9.5, loop.time())
        throttled = [time for time in good if time < 1120]
        assert len(throttled) >= 0.8 * 30 * 120
        assert len(refused) <= 0.1 * (len(throttled) + len(refused))
        assert busiest([time for time in good if time < 1136]) >= 0.9 * 150
        assert network.busiest_second() <= 150

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        tencent_error("RequestLimitExceeded"),
        reply({"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "m"}, "RequestId": "r"}}, 400),
        reply({"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "m"}, "RequestId": "r"}}, 503),
        Reply(429, {"content-type": "text/html"}, b"<html>slow down</html>"),
    ],
)
def test_throttling_is_heard_under_every_status(answer: Reply) -> None:
    """The cloud's word for it counts under 200, 400 and 503, and a gateway's 429 without any word."""

    async def main() -> None:
        async def behave(_provider: str, _request: Request) -> Reply:
            return answer

        made = prober(Network(behave), [account(quota={"DescribeLiveStreamState": 40.0})], streams(1))
        now = asyncio.get_running_loop().time()
        await made.refresh(now + 5, now)
        assert account_prober(made).allowed_rates()["DescribeLiveStreamState"] == 20.0

    run(main())


def test_an_absurd_hint_does_not_stop_an_account_for_long() -> None:
    """A cloud that asks for thirty years of silence is asked again after a minute."""

    async def main() -> None:
        loop, start = asyncio.get_running_loop(), asyncio.get_running_loop().time()

        async def behave(_provider: str, _request: Request) -> Reply:
            if loop.time() > start + 2:
                return tencent_state("active")
            return tencent_error("RequestLimitExceeded")._replace(headers={"retry-after": "1000000000"})

        network = Network(behave)
        made = prober(network, [account()], streams(1))
        while len(network.calls) < 2 and loop.time() < start + 200:
            await asyncio.sleep(1)
            await made.refresh(loop.time() + 5, loop.time())
        assert 55 <= network.calls[1].at - network.calls[0].at <= 70

    run(main())
