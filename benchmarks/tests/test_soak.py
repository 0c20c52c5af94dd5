"""A short soak; `python -m benchmarks.soak` is the long one."""

from __future__ import annotations

import asyncio
import io

import pytest
import structlog

from benchmarks.soak import soak
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
