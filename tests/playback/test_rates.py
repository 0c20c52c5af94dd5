"""How fast each host is asked, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine

import pytest

from exporter.addresses import USUAL_PLAYBACK
from exporter.playback.rates import AT_ONCE, Rates
from exporter.window import WINDOW
from testbed.virtual import VirtualLoop, run


@pytest.mark.parametrize("told", [None, 4.0])
def test_requests_to_an_origin_are_so_far_apart(told: float | None) -> None:
    """An origin gets as many requests a second as was told, the usual rate until then; no origin waits for another.

    Where many may go, those that come nearly at once go at once.
    """
    rate = told or USUAL_PLAYBACK.rate
    early = int(AT_ONCE * rate / WINDOW)

    async def story() -> list[float]:
        rates, ask = _asking()
        if told is not None:
            rates.change(told)
        found = await asyncio.gather(*map(ask, "ab" * (early + 3)))
        await asyncio.sleep(100.0)
        start = await ask("a")
        return [*found, *(when - start for when in await asyncio.gather(ask("a"), ask("b")))]

    found, at_once = run(story()), [0.0] * (early + 1)
    for one in (found[:-2:2], found[1:-2:2]):
        assert one[: early + 1] == pytest.approx(at_once, abs=1e-6)
        assert one[early + 1] == pytest.approx((early + 1) * WINDOW / rate, abs=1e-6)
    assert found[-2:] == pytest.approx([0.0 if early else WINDOW / rate, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("before", "after", "turns"),
    [
        (0.01, 2.0, [0, 0.75, 1.27, 1.79, 2.31]),
        (1.0, 0.1, [0, 10.4, 20.8, 31.2, 41.6]),
        (1.0, 1.0, [0, 1.04, 2.08, 3.12, 4.16]),
    ],
)
def test_a_reload_holds_for_those_that_wait(before: float, after: float, turns: list[float]) -> None:
    """Who waits for a turn has it by the new rate, be it higher or lower, and who comes later goes behind them."""

    async def story() -> list[float]:
        rates, ask = _asking()
        rates.change(before)
        asked = [asyncio.create_task(ask("a")) for _ in range(4)]
        await asyncio.sleep(0.75)
        assert rates.waiting("a") == 3
        rates.change(after)
        found = await asyncio.gather(*asked, ask("a"))
        assert (rates.waiting("a"), rates.waiting("b")) == (0, 0)
        return found

    assert run(story()) == pytest.approx(turns, abs=1e-6)


def test_a_lower_rate_counts_from_the_last_request() -> None:
    """Nobody waited when it was lowered, and by the rate before the next turn had come: by the new one it has not."""

    async def story() -> float:
        rates, ask = _asking()
        rates.change(10.0)
        await ask("a")
        await asyncio.sleep(1.0)
        rates.change(0.1)
        return await ask("a")

    assert run(story()) == pytest.approx(10 * WINDOW)


def test_who_no_longer_waits_takes_no_turn() -> None:
    """A request that is given up leaves its place to the next one."""

    async def story() -> float:
        rates, ask = _asking()
        rates.change(1.0)
        first, second, third = (asyncio.create_task(ask("a")) for _ in range(3))
        await first
        second.cancel()
        return await third

    assert run(story()) == pytest.approx(WINDOW)


@pytest.mark.parametrize("rate", [0.5, 3.0, 10.0, 250.0])
def test_no_second_holds_more_than_the_rate(rate: float) -> None:
    """Not even where the event loop is held up, and every other request is 15 ms longer on its way."""

    async def story() -> list[float]:
        loop, chance = asyncio.get_running_loop(), random.Random(1)
        assert isinstance(loop, VirtualLoop)
        rates, turns = Rates(loop.time), list[float]()
        rates.change(rate)

        async def ask(delay: float) -> None:
            await rates.turn("a")
            turns.append(loop.time() + delay)

        asked = [asyncio.create_task(ask(0.015 * (number % 2))) for number in range(int(max(6, 8 * rate)))]
        while not all(one.done() for one in asked):
            await asyncio.sleep(chance.random())
            loop.hold(0.3 * chance.random())
        return sorted(turns)

    turns, most, seconds = run(story()), max(1, int(rate)), max(1.0, 1 / rate)
    assert all(later - first > seconds for first, later in zip(turns, turns[most:], strict=False))


def _asking() -> tuple[Rates, Callable[[str], Coroutine[None, None, float]]]:
    """Return rates, and what asks for a turn and returns when that came, in seconds from now."""
    loop = asyncio.get_running_loop()
    rates, start = Rates(loop.time), loop.time()

    async def ask(origin: str) -> float:
        await rates.turn(origin)
        return loop.time() - start

    return rates, ask
