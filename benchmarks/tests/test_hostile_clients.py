"""Clients that mean harm, against the real server: the scenarios of `python -m benchmarks.hostile`, all at once."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.finding import Finding
from benchmarks.hostile import SCENARIOS, everything


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    """Run all scenarios once."""
    return asyncio.run(everything())


@pytest.mark.timeout(120)
def test_no_hostile_client_breaks_a_promise(findings: list[Finding]) -> None:
    """Drippers, non-readers, crowds, few descriptors and odd requests cost nothing but what was promised."""
    assert len(findings) >= len(SCENARIOS)
    assert [f"{one.promise}: {one.figure}" for one in findings if not one.kept] == []
