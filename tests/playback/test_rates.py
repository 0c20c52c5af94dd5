"""How fast each host is asked, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from exporter.addresses import USUAL_PLAYBACK
from exporter.playback.rates import Rates
from testbed.virtual import run


@pytest.mark.parametrize("told", [None, 4.0])
def test_requests_to_an_origin_are_so_far_apart(told: float | None) -> None:
    """An origin gets as many requests a second as was told, the usual rate until then; no origin waits for another."""
    gap = 1 / (told or USUAL_PLAYBACK.rate)

    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        rates, start = Rates(loop.time), loop.time()
        if told is not None:
            rates.change(told)

        async def ask(origin: str) -> float:
            await rates.turn(origin)
            return loop.time() - start

        first = await asyncio.gather(*(ask(origin) for origin in ("a", "a", "b", "a")))
        rates.change(1.0)
        return [*first, await ask("a")]

    assert run(story()) == pytest.approx([0, gap, 0, 2 * gap, 3 * gap])
