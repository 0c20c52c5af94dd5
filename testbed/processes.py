"""Real processes on loopback, each on a port that the system gives it, and what can be seen of them from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANY_PORT = "127.0.0.1:0"
PATIENCE = 60.0
SIMULATOR_SAYS = re.compile(r" endpoint=(http://\S+)")
EXPORTER_SAYS = re.compile(r"\baddresses=\"?(http[^\s\"]+)")
MODULE_SAYS = re.compile(r"^(http://\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens.

    Attributes:
        url: Where it listens, without a slash at the end.
        folder: Where its files are.
    """

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.url.partition("//")[2]

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def config(self) -> Path:
        """The exporter's configuration."""
        return self.folder / "config.yml"

    def log(self) -> str:
        """Return what it has written so far."""
        return _said(self.folder)

    def rss(self) -> int:
        """Return its resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def descriptors(self) -> int:
        """Return how many files it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self, seconds: float = 40.0) -> int:
        """Send SIGTERM and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Let it die at once, as in an accident."""
        self.process.kill()
        self.process.wait()


def until(done: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Look again and again until something holds.

    Raises:
        AssertionError: It does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


async def eventually(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look again and again until something is true in this process; raises `TimeoutError` after so many seconds."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110, there is nobody who could tell
            await asyncio.sleep(0.005)


def free_port() -> int:
    """Return a port of loopback that nobody listens on, for a process that cannot be asked which one it was given."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _said(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8", errors="replace")


def start(
    command: Sequence[str | Path],
    folder: Path,
    *,
    files: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command with its log, all that it writes, in a folder.

    Args:
        command: What to run.
        folder: Where its log goes.
        files: Most descriptors that it may have open.
        environ: More environment variables.
    """

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            env={**os.environ, **(environ or {})},
            preexec_fn=limit,
        )


@contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    says: re.Pattern[str],
    *,
    files: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a command while the block runs; yields it once its log names its address, as `says` finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    process = start(command, folder, files=files, environ=environ)

    def named() -> re.Match[str] | None:
        assert process.poll() is None, f"{process.args!r} has ended: {_said(folder)[-2000:]}"
        return says.search(_said(folder))

    try:
        until(named, f"{process.args!r} listens")
        found = named()
        assert found is not None
        yield Server(found[1] if found[1].startswith("http") else f"http://{found[1]}", process, folder)
    finally:
        process.kill()
        process.wait()


def _python(module: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-u", "-m", module, *map(str, arguments)]


@contextmanager
def module(name: str, *arguments: str) -> Iterator[str]:
    """Run a module that prints its address and serves; yields the address."""
    with tempfile.TemporaryDirectory() as folder, running(_python(name, *arguments), Path(folder), MODULE_SAYS) as one:
        yield one.url


def simulator(world: Path, folder: Path, listen: str = ANY_PORT) -> AbstractContextManager[Server]:
    """Run `stream-exporter simulate` with a world file."""
    return running(_python("exporter", "simulate", "--listen", listen, "--world", world), folder, SIMULATOR_SAYS)


def written(folder: Path, document: Any) -> Path:
    """Write a configuration, text or a document, that only its owner may read."""
    path = folder / "config.yml"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    path.chmod(0o600)
    return path


def serve(config: Path, *flags: str, listen: str = ANY_PORT) -> list[str]:
    """Return the command line of `stream-exporter serve`."""
    return _python("exporter", "serve", "--config.file", config, "--web.listen-address", listen, *flags)


@contextmanager
def exporter(
    document: Any,
    *flags: str,
    listen: str = ANY_PORT,
    folder: Path | None = None,
    files: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run `stream-exporter serve`.

    Args:
        document: The configuration.
        flags: More flags of `serve`.
        listen: Where.
        folder: For its configuration and its log; a temporary one by default.
        files: Most descriptors that it may have open.
        environ: More environment variables.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        command = serve(written(place, document), *flags, listen=listen)
        with running(command, place, EXPORTER_SAYS, files=files, environ=environ) as one:
            yield one
