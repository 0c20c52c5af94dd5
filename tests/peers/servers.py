"""Real Prometheus and Alertmanager on loopback, what they are asked, and a webhook for what they tell."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from testbed.processes import ANY_PORT, Server, running, until
from testbed.web import Asked, fetch, served
from tests.deploy.tools import program, release

SWITCH = "dead-mans-switch"
TOOLKIT_SAYS = re.compile(r'msg="Listening on" (?:component=web )?address=(\S+)')


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
def prometheus(config: str, folder: Path, *flags: str, major: int | None = None) -> Iterator[Server]:
    """Run Prometheus, the first in PATH unless a major version is given; yields it once it is ready.

    Args:
        config: The text of its configuration, whose other files are in the same folder.
        folder: For its files.
        flags: More flags.
        major: 2 or 3.
    """
    server = release("prometheus", major) if major else program("prometheus", "apt-get install prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(config, encoding="utf-8")
    command = [server, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    # By default it takes up to five seconds to see what it is to scrape.
    command += [f"--web.listen-address={ANY_PORT}", "--log.level=debug", "--scrape.discovery-reload-interval=100ms"]
    with running([*command, *flags], folder, TOOLKIT_SAYS) as one:
        until(lambda: "Server is ready" in one.log(), "Prometheus is ready")
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

    def receive(asked: Asked) -> tuple[dict[str, str], bytes]:
        message = _message(asked.path, json.loads(asked.body))
        if message.receiver == SWITCH:
            heard.beats.append(time.monotonic())
        else:
            heard.messages.append(message)
        return {}, b""

    with served(receive) as address:
        heard = Hook(f"http://{address}")
        yield heard
