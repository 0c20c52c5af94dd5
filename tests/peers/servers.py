"""Real processes on loopback, each on a port that the system gives it: ours, Prometheus and Alertmanager."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import yaml

from tests.deploy.tools import program

ANY_PORT = "127.0.0.1:0"
PATIENCE = 30.0
SWITCH = "dead-mans-switch"
SIMULATOR_SAYS = re.compile(r" endpoint=(http://\S+)")
EXPORTER_SAYS = re.compile(r"\baddresses=\"?(http://[^\s\"]+)")
TOOLKIT_SAYS = re.compile(r'msg="Listening on" address=(\S+)')

_open = build_opener(ProxyHandler({})).open


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens.

    Attributes:
        url: Where it listens, without a slash at the end.
        process: The process.
        log: What it has written so far, both streams.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.url.partition("//")[2]

    def said(self) -> list[str]:
        """Return the lines of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

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
        time.sleep(0.1)


def fetch(address: str, body: object = None) -> str:
    """Return the answer to a GET, or to a POST of `body` as JSON, whatever proxy the environment names."""
    data = None if body is None else json.dumps(body).encode()
    with _open(Request(address, data, {"Content-Type": "application/json"}), timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def told(server: str, path: str, **fields: str) -> Any:
    """Return the `data` of an answer of Prometheus's API."""
    return json.loads(fetch(f"{server}/api/v1/{path}?{urlencode(fields)}"))["data"]


def vector(server: str, expr: str) -> list[tuple[dict[str, str], float]]:
    """Return (labels, value) of what an expression selects now."""
    found = told(server, "query", query=expr)["result"]
    return [(one["metric"], float(one["value"][1])) for one in found]


def number(server: str, expr: str) -> float | None:
    """Return the value of an expression of at most one series, None where it has none."""
    found = vector(server, expr)
    assert len(found) <= 1, f"{expr}: {found}"
    return found[0][1] if found else None


@contextmanager
def running(command: Sequence[str | Path], folder: Path, says: re.Pattern[str]) -> Iterator[Server]:
    """Run a command while the block runs, with its log in a folder; yields it once its log names its address."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield Server(_address(process, log, says), process, log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[bytes], log: Path, says: re.Pattern[str]) -> str:
    def named() -> re.Match[str] | None:
        text = log.read_text(encoding="utf-8", errors="replace")
        assert process.poll() is None, f"{process.args!r} has ended: {text}"
        return says.search(text)

    until(named, f"{process.args!r} listens")
    found = named()
    assert found is not None
    return found[1] if found[1].startswith("http") else f"http://{found[1]}"


def _ours(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-u", "-m", "exporter", *map(str, arguments)]


def simulator(world: Path, folder: Path, listen: str = ANY_PORT) -> AbstractContextManager[Server]:
    """Run `stream-exporter simulate` with a world file."""
    return running(_ours("simulate", "--listen", listen, "--world", world), folder, SIMULATOR_SAYS)


def exporter(config: Path, folder: Path, *flags: str) -> AbstractContextManager[Server]:
    """Run `stream-exporter serve` with a configuration."""
    command = _ours("serve", "--config.file", config, "--web.listen-address", ANY_PORT, *flags)
    return running(command, folder, EXPORTER_SAYS)


@contextmanager
def prometheus(config: str, folder: Path, *flags: str) -> Iterator[Server]:
    """Run Prometheus with the text of a configuration, whose other files are in the same folder, until it answers."""
    server = program("prometheus", "apt-get install prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(config, encoding="utf-8")
    command = [server, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={ANY_PORT}", "--log.level=debug", *flags]
    with running(command, folder, TOOLKIT_SAYS) as one:
        until(lambda: any("Server is ready" in line for line in one.said()), "Prometheus is ready")
        yield one


def alertmanager(config: str, folder: Path) -> AbstractContextManager[Server]:
    """Run Alertmanager with the text of a configuration."""
    server = program("prometheus-alertmanager", "apt-get install prometheus-alertmanager")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "alertmanager.yml"
    file.write_text(config, encoding="utf-8")
    command = [server, f"--config.file={file}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address={ANY_PORT}", "--cluster.listen-address="]
    return running(command, folder, TOOLKIT_SAYS)


def scraping(*targets: str, interval: str = "1s", job: str = "stream-exporter") -> str:
    """Return the plainest configuration of Prometheus that scrapes some HOST:PORT."""
    scrape = {"job_name": job, "static_configs": [{"targets": list(targets)}]}
    timing = {"scrape_interval": interval, "scrape_timeout": interval}
    return yaml.safe_dump({"global": timing, "scrape_configs": [scrape]})


@dataclass(frozen=True, slots=True)
class Message:
    """One notification: who got it, of which alert at which provider, and which streams it says are in or out of it."""

    receiver: str
    alert: str
    provider: str
    firing: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()


@dataclass(slots=True)
class Hook:
    """A webhook receiver.

    Attributes:
        url: Where it listens.
        messages: What came, in order, but for the dead-man's switch.
        beats: When that one came, in seconds of the monotonic clock.
    """

    url: str
    messages: list[Message] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)


def _message(path: str, body: dict[str, Any]) -> Message:
    def streams(status: str) -> tuple[str, ...]:
        return tuple(sorted(one["labels"].get("stream", "") for one in body["alerts"] if one["status"] == status))

    group = body["groupLabels"]
    return Message(
        path.strip("/"), group["alertname"], group.get("provider", ""), streams("firing"), streams("resolved")
    )


@contextmanager
def hook() -> Iterator[Hook]:
    """Listen for Alertmanager's notifications."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = _message(self.path, body)
            if message.receiver == SWITCH:
                heard.beats.append(time.monotonic())
            else:
                heard.messages.append(message)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with served(Handler) as address:
        heard = Hook(f"http://{address}")
        yield heard


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve a handler in a thread on loopback; yields HOST:PORT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
