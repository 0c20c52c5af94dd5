"""A short soak; `python -m benchmarks.soak` is the long one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest
import structlog

from benchmarks.soak import Soak, soak
from exporter.commands import logs

SCRAPES = 160


@pytest.mark.timeout(180)
def test_nothing_grows_while_four_answers_in_ten_fail() -> None:
    """Memory, descriptors and tasks stay where they are, and every scrape is answered."""
    before = structlog.get_config()
    logs.configure("error", "logfmt", io.StringIO())
    try:
        found = asyncio.run(soak(SCRAPES, sample_every=6))
    finally:
        structlog.configure(**before)
    assert found.broken() == []
    assert found.scrapes == SCRAPES
    assert 0.1 < found.share_failed < 0.6


def test_what_leaks_is_told_from_what_is_made_once() -> None:
    """Sixteen KiB more at each scrape are growth; three MiB that come at once, even twice, are not."""

    def grown(resident: Callable[[int], int]) -> float:
        return Soak(SCRAPES, {number: (79 << 20) + resident(number) for number in range(66, SCRAPES, 6)}).growth

    assert grown(lambda number: number << 14) == pytest.approx(90 / 64)
    for steps in ((80, 92), (80, 126), (114, 150), (112, 114)):
        assert grown(lambda number, steps=steps: sum(number > one for one in steps) * (3 << 20)) <= 0  # type: ignore[misc]
