"""Runs `stream-exporter serve` as a process of its own, and looks at it from outside."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADDRESSES = re.compile(r'addresses="?(http[^" ]*)')
START_SECONDS = 60.0


@dataclass(slots=True)
class Serving:
    """A running exporter."""

    process: subprocess.Popen[bytes]
    home: Path
    url: str

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.url.removeprefix("http://").rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.home / "config.yml"

    def log(self) -> str:
        """Return what it has said so far."""
        return (self.home / "stderr").read_text(encoding="utf-8", errors="replace")

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


def written(home: Path, document: Any) -> Path:
    """Write a configuration that only its owner may read."""
    path = home / "config.yml"
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@contextmanager
def serving(
    document: Any,
    *flags: str,
    listen: str = "127.0.0.1:0",
    files: int | None = None,
    home: Path | None = None,
    environ: dict[str, str] | None = None,
) -> Iterator[Serving]:
    """Run the exporter on a free port; it is killed at the end of the block if it still runs.

    Args:
        document: The configuration.
        flags: More flags of `serve`.
        listen: Where.
        files: Most descriptors that it may have open.
        home: Directory for its configuration and its log; a temporary one by default.
        environ: More environment variables.
    """
    with tempfile.TemporaryDirectory() as temporary:
        where = home or Path(temporary)
        child = start(written(where, document), *flags, listen=listen, files=files, environ=environ)
        try:
            yield Serving(child, where, _address(child, where / "stderr"))
        finally:
            child.kill()
            child.wait()


def start(
    config: Path, *flags: str, listen: str = "127.0.0.1:0", files: int | None = None,
    environ: dict[str, str] | None = None, stderr: Any = None,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start the exporter; its log goes to `stderr` beside the configuration."""
    command = [sys.executable, "-m", "exporter", "serve", "--config.file", str(config), "--web.listen-address", listen]

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with open(config.parent / "stderr", "wb") as said:
        return subprocess.Popen(
            [*command, *flags],
            stdout=subprocess.DEVNULL,
            stderr=said if stderr is None else stderr,
            env={**os.environ, **(environ or {})},
            preexec_fn=limit,
        )


def _address(child: subprocess.Popen[bytes], said: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError):
            found = ADDRESSES.search(said.read_text(encoding="utf-8", errors="replace"))
            if found is not None:
                return found[1]
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the exporter did not start: {said.read_text(errors='replace')[-2000:]}")


def tencent(endpoint: str, streams: int, *, reuse: str = "0s", timeout: str = "10s", **fields: Any) -> dict[str, Any]:
    """Return a configuration of one Tencent account that asks for each stream singly, without a quota to speak of."""
    account = {
        "name": "main",
        "provider": "tencent",
        "secret_id": "an-id",
        "secret_key": "made-up-secret",
        "endpoint": endpoint,
        "timeout": timeout,
        "concurrency": 64,
        "plan": "single",
        "quota": {"DescribeLiveStreamState": 1_000_000},
        **fields,
    }
    named = [f"stream-{number:05d}" for number in range(streams)]
    return {
        "scrape": {"reuse": reuse, "timeout": "30s", "max_age": "1h"},
        "accounts": [account],
        "streams": [{"names": named, "account": "main", "domain": "push.example"}],
    }
