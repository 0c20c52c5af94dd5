"""One simulator and one exporter for all scenarios of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .stage import Stage, staged


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Keep both open over a file's tests."""
    with staged() as opened:
        yield opened
