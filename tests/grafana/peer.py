"""A real Prometheus on loopback that scrapes some addresses every second."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BINARY = shutil.which("prometheus")
CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: stream-exporter
    static_configs: [{{targets: {targets}}}]
"""


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def prometheus(targets: Sequence[str], folder: Path) -> Iterator[str]:
    """Run Prometheus against host:port addresses with its data in a folder; yields its own once it is ready."""
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(CONFIG.format(targets=json.dumps(list(targets))), encoding="utf-8")
    command = [BINARY or "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: _ready(port), 30, "Prometheus is not ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def wait_until(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Look again and again until something holds.

    Raises:
        TimeoutError: It does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.2)
