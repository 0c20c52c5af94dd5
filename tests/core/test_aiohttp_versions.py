"""The inside of aiohttp is touched, so what is built on it runs on the oldest version allowed as on the one locked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
OLDEST = Path(sys.prefix) / "aiohttp-oldest"


def allowed() -> Requirement:
    """Return what pyproject.toml says of aiohttp."""
    found = re.search(r'"(aiohttp[^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found is not None
    return Requirement(found[1])


def bounds() -> tuple[Version, Version]:
    """Return the oldest version allowed, and the first that is not."""
    by_operator = {one.operator: Version(one.version) for one in allowed().specifier}
    return by_operator[">="], by_operator["<"]


def test_no_minor_version_is_allowed_that_nobody_has_tried() -> None:
    """The range ends before the next minor version, whose inside may differ; the locked one lies in it."""
    oldest, end = bounds()
    assert end.release[:2] == (oldest.major, oldest.minor + 1)
    assert Version(aiohttp.__version__) in allowed().specifier


@pytest.mark.skipif(not OLDEST.is_dir(), reason=f"{OLDEST} is missing: make test installs it")
def test_the_wire_holds_on_the_oldest_aiohttp_allowed() -> None:
    """Stray bytes, floods and hostile proxies are met alike on the lower end of the range."""
    environ = {**os.environ, "PYTHONPATH": str(OLDEST)}
    version = [sys.executable, "-c", "import aiohttp; print(aiohttp.__version__)"]
    told = subprocess.run(version, env=environ, capture_output=True, text=True, check=True, cwd="/")
    assert Version(told.stdout.strip()) == bounds()[0]
    tests = ["tests/core/test_wire.py", "tests/core/test_proxy.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout[-4000:]
