"""How fast each host is asked, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from exporter.addresses import USUAL_PLAYBACK
from exporter.playback.rates import Rates
from testbed.virtual import run


@pytest.mark.parametrize("told", [None, 4.0])
def test_requests_to_an_origin_are_so_far_apart(told: float | None) -> None:
    """An origin gets as many requests a second as was told, the usual rate until then; no origin waits for another."""
    gap = 1 / (told or USUAL_PLAYBACK.rate)

    async def story() -> list[float]:
        rates, ask = _asking()
        if told is not None:
            rates.change(told)
        first = await asyncio.gather(*map(ask, ("a", "a", "b", "a")))
        await asyncio.sleep(100.0)
        return [*first, *(when - 100 - 2 * gap for when in await asyncio.gather(*map(ask, ("a", "a", "b"))))]

    assert run(story()) == pytest.approx([0, gap, 0, 2 * gap, 0, gap, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("before", "after", "turns"),
    [(0.01, 2.0, [0, 0.75, 1.25, 1.75, 2.25]), (1.0, 0.1, [0, 10, 20, 30, 40]), (1.0, 1.0, [0, 1, 2, 3, 4])],
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


def test_who_no_longer_waits_takes_no_turn() -> None:
    """A request that is given up leaves its place to the next one."""

    async def story() -> float:
        rates, ask = _asking()
        rates.change(1.0)
        first, second, third = (asyncio.create_task(ask("a")) for _ in range(3))
        await first
        second.cancel()
        return await third

    assert run(story()) == pytest.approx(1.0)


def _asking() -> tuple[Rates, Callable[[str], Coroutine[None, None, float]]]:
    """Return rates, and what asks for a turn and returns when that came, in seconds from now."""
    loop = asyncio.get_running_loop()
    rates, start = Rates(loop.time), loop.time()

    async def ask(origin: str) -> float:
        await rates.turn(origin)
        return loop.time() - start

    return rates, ask
