"""Answers that cost much to read, from a real server to four accounts at once, 32 calls in flight each."""

from __future__ import annotations

import pytest

from benchmarks.expensive import alone

KINDS = ("objects, 16 MiB in gzip", "objects, 1 MiB", "lists within lists", "pages with rows of nobody")


@pytest.mark.parametrize("kind", KINDS)
def test_they_cost_little_memory_and_hold_nobody_up(kind: str) -> None:
    """Memory grows by 64 MiB at most, and another account's streams are all asked in time.

    How long the event loop is held is measured by `python -m benchmarks.expensive`. The bound here is a wide one, as
    other processes share the machine.
    """
    found = alone(kind)
    assert found.calls >= 4
    assert found.grown <= 64
    assert found.lost == 0
    assert found.late <= 0.5
    assert found.held <= 0.25
