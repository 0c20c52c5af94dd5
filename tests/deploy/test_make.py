"""`make demo` and `make test` make their environment whole, whatever interrupted them before."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .tools import ROOT, program

# Stands in for a Python with a slow pip. It writes each step to the file `steps`, and at number $STOP_AT waits to be
# killed. What it leaves half done it never mends: so it was with pip after an interrupted upgrade of itself.
PYTHON = r"""#!/bin/sh
set -e
step() {
  echo "$1" >> steps
  if [ "$(wc -l < steps)" -eq "${STOP_AT:-0}" ]; then : > reached; sleep 60; fi
}
if [ "$1" = -c ]; then exit 0; fi
if [ "$2" = venv ]; then
  step venv; mkdir -p "$3"; ! [ -e "$3/bin" ] || exit 3
  step venv; mkdir "$3/bin"
  step venv; cp "$0" "$3/bin/pip"; exit
fi
bin=$(dirname "$0")
case "$*" in
  *pip*25*) step upgrade; : > "$bin/half"; step upgrade; rm "$bin/half" ;;
  *) ! [ -e "$bin/half" ] || { echo ImportError >&2; exit 1; }
     step install; ! [ -e "$bin/stream-exporter" ] || exit 0
     printf '#!/bin/sh\ntest -e "%s/module" && echo alive\n' "$bin" > "$bin/stream-exporter"
     chmod +x "$bin/stream-exporter"; step install; : > "$bin/module"; step install ;;
esac
"""
STEPS = 8
"""How many steps the stand-in takes from nothing."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the Makefile and all that it looks at."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "tests/core/aiohttp-oldest.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def make(project: Path, target: str, stop_at: int = 0) -> subprocess.Popen[str]:
    """Start `make TARGET` in a group of its own, with the stand-in."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.Popen(
        [program("make", "apt-get install make"), target, "PYTHON=./python"],
        cwd=project,
        env={**environment, "STOP_AT": str(stop_at)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code and what was said."""
    said, _ = child.communicate(timeout=30)
    return child.returncode, said


def interrupted(project: Path, target: str, step: int, number: signal.Signals) -> None:
    """Run `make TARGET` up to a step, and kill it there with all that it started."""
    child = make(project, target, step)
    end = time.monotonic() + 30
    while not (project / "reached").exists():
        assert child.poll() is None, f"there is no step {step}: {child.stdout and child.stdout.read()}"
        assert time.monotonic() < end
        time.sleep(0.005)
    while child.poll() is None:
        # A shell that is about to start a program may miss a SIGINT; a person would press Ctrl-C again, too.
        os.killpg(child.pid, number)
        time.sleep(0.005)
    assert ended(child)[0] != 0
    (project / "reached").unlink()
    (project / "steps").unlink()


def steps(project: Path) -> int:
    """Return how many steps were taken."""
    return len((project / "steps").read_text().splitlines())


def test_uninterrupted(project: Path) -> None:
    """The environment is made once; the second time nothing is left to do."""
    assert ended(make(project, "demo")) == (0, "installing stream-exporter into .venv ...\nalive\n")
    assert steps(project) == STEPS
    assert ended(make(project, "demo")) == (0, "alive\n")
    assert steps(project) == STEPS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_interrupted_demo(project: Path, step: int, number: signal.Signals) -> None:
    """Killed at any step, the first `make demo` leaves nothing that keeps the second from working."""
    interrupted(project, "demo", step, number)
    assert ended(make(project, "demo")) == (0, "installing stream-exporter into .venv ...\nalive\n")
    assert steps(project) == STEPS


@pytest.mark.parametrize("step", range(1, 4))
def test_interrupted_update(project: Path, step: int) -> None:
    """Killed while it follows a change of pyproject.toml, an environment that was whole is made anew."""
    assert ended(make(project, "demo"))[0] == 0
    (project / "steps").unlink()
    (project / ".venv/bin/stream-exporter").unlink()
    os.utime(project / ".venv/.runtime", (1, 1))
    interrupted(project, "demo", step, signal.SIGKILL)
    assert ended(make(project, "demo")) == (0, "installing stream-exporter into .venv ...\nalive\n")
    assert steps(project) == STEPS


def test_interrupted_checks(project: Path) -> None:
    """An environment that `make test` could not finish is none for `make demo` either."""
    interrupted(project, "floors", 7, signal.SIGKILL)
    assert ended(make(project, "demo")) == (0, "installing stream-exporter into .venv ...\nalive\n")
    assert steps(project) == STEPS


def test_two_at_a_time(project: Path) -> None:
    """A second `make` waits for one that installs, and takes nothing away from it."""
    program("flock", "apt-get install util-linux")
    slow = make(project, "demo", 5)
    while not (project / "reached").exists():
        assert slow.poll() is None
        time.sleep(0.005)
    second = make(project, "demo")
    waits = re.compile(rf"-> FLOCK .*:{(project / 'Makefile').stat().st_ino} ")
    while not waits.search(Path("/proc/locks").read_text()):
        assert second.poll() is None
        time.sleep(0.005)
    assert steps(project) == 5
    os.killpg(slow.pid, signal.SIGKILL)
    assert ended(slow)[0] != 0
    assert ended(second) == (0, "waiting for another make\ninstalling stream-exporter into .venv ...\nalive\n")
