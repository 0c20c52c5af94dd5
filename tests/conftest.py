"""What all tests share."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest
import structlog

from exporter.commands import logs

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("whatever the time", deadline=None)
hypothesis.settings.load_profile("whatever the time")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """In CI a skipped test is a failed one: what was left out was not proven."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Return what is logged, from debug on."""
    before, text = structlog.get_config(), io.StringIO()
    logs.configure("debug", "logfmt", text)
    yield text
    structlog.configure(**before)
