"""What all tests share."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import is_hypothesis_test, settings

from exporter.commands import logs

# An example that takes long on a busy machine is no failure; what must be quick has a test that says how quick.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """In CI a skipped test is a failed one: it proved nothing. What CI says it is WITHOUT may be skipped."""
    report = yield
    without = filter(None, os.environ.get("WITHOUT", "").split(";"))
    excused = hasattr(report, "wasxfail") or any(name in str(report.longrepr) for name in without)
    if report.skipped and os.environ.get("CI") and not excused:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count no branch that only drawn examples reach: they cost twice as much when watched, and others may be drawn."""
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.no_cover)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes that are no text by their number: what gzip packs has the time in it, and two workers would differ."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return f"{len(val)} bytes"
    return None


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Return what is logged, from debug on."""
    before, text = structlog.get_config(), io.StringIO()
    logs.configure("debug", "logfmt", text)
    yield text
    structlog.configure(**before)
