"""Programs and libraries that judge the files of deploy/: missing, a test skips and says so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def missing(what: str, remedy: str) -> None:
    """Skip the test; where CI is set, tests/conftest.py makes a failure of it."""
    pytest.skip(f"NOT CHECKED: {what} is not installed ({remedy})")


def program(name: str, remedy: str) -> str:
    """Return the path of a program, of the environment that runs the tests first."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        missing(name, remedy)
    return str(found)


@cache
def release(name: str, major: int) -> str:
    """Return the path of `prometheus` or `promtool` of a major version, from `make prometheus` or the first in PATH."""
    for folder in (str(ROOT / ".peers"), *os.environ.get("PATH", "").split(os.pathsep)):
        found = shutil.which(name, path=folder)
        if found and f", version {major}." in run(found, "--version").stdout:
            return found
    missing(f"Prometheus {major} ({name})", "make prometheus" if major == 3 else "apt-get install prometheus")
    raise AssertionError


def library(name: str, remedy: str) -> Any:
    """Return a module that only these tests need."""
    try:
        return import_module(name)
    except ImportError:
        missing(name, remedy)


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, at most 110 s, and keep what it says."""
    # Programs in Go spend a sixth of their time on memory that they could well have back at the end, and on two cores
    # another fifth on each other.
    environ = {**os.environ, "GOGC": "1000", "GOMAXPROCS": "1"}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=110, check=False)


def accepts(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return what a judging program says; its refusal fails the test with its words."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def tracked(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files of a folder with one of these endings, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())
