"""How hard to try: a short run by default, at least 100,000 answers per cloud with HYPOTHESIS_PROFILE=nightly."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("short", max_examples=150, deadline=None, suppress_health_check=CHECKS)
settings.register_profile(
    "nightly",
    parent=settings.get_profile("short"),
    max_examples=100_000,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    database=None,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lift the time limit of a nightly run."""
    for item in items:
        if NIGHTLY and "tests/hostile" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(0))
