"""A whole site: simulated clouds, the exporter, Prometheus and Alertmanager with what is shipped, and a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from testbed.processes import ANY_PORT, Server, exporter, simulator, until
from testbed.web import fetch

from . import scaled, servers
from .servers import Hook, Message, vector

CROWD = 60
CLOUDS = ("zego", "others")
ACCOUNTS: dict[str, dict[str, Any]] = {
    "zego-main": {"provider": "zego", "app_id": 1000000001, "server_secret": "0123456789abcdef0123456789abcdef"},
    "tencent-main": {"provider": "tencent", "secret_id": "an-id", "secret_key": "a-key"},
    "volcengine-main": {
        "provider": "volcengine",
        "access_key_id": "an-id",
        "secret_access_key": "a-key",
        "app_id": "661e0000000000000543cf00",
    },
}
PLACES: dict[str, list[dict[str, str]]] = {
    "zego-main": [{"name": f"rtc{number:02}"} for number in range(1, CROWD + 1)],
    "tencent-main": [{"name": f"arena-{number}", "domain": "5000.livepush.example"} for number in range(1, 5)],
    "volcengine-main": [{"name": f"speaker-{number}", "room_id": "board"} for number in range(1, 5)],
}
QUOTA = {"DescribeRTCStreamState": 1000.0}
# The defaults, to be scaled like the scrape interval.
SCRAPE = {"timeout": "10s", "reuse": "5s", "max_age": "2m"}
ALERTS = 'ALERTS{alertname=~"Stream.+", alertname!="StreamWatchdog"}'


def _world(accounts: list[str]) -> dict[str, Any]:
    return {
        "accounts": [{"name": name, "quota": dict(QUOTA), **ACCOUNTS[name]} for name in accounts],
        "streams": [{**place, "account": name} for name in accounts for place in PLACES[name]],
    }


def _configuration(endpoints: dict[str, str]) -> dict[str, Any]:
    accounts = [{"name": name, "endpoint": endpoints[name], **fields} for name, fields in ACCOUNTS.items()]
    for account in accounts:
        account |= {"timeout": "500ms", "quota": QUOTA} if account["provider"] == "zego" else {"timeout": "500ms"}
    streams = [{**place, "account": name} for name in ACCOUNTS for place in PLACES[name]]
    scrape = {name: scaled.duration(text) for name, text in SCRAPE.items()}
    return {"scrape": scrape, "accounts": accounts, "streams": streams}


def _written(file: Path, document: Any) -> Path:
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    file.chmod(0o600)
    return file


@dataclass(slots=True)
class Site:
    """The running parts; a cloud can be killed and brought back."""

    folder: Path
    open: ExitStack
    clouds: dict[str, Server] = field(default_factory=dict)
    exporter: Server = field(init=False)
    prometheus: Server = field(init=False)
    hook: Hook = field(init=False)

    def raise_cloud(self, name: str) -> None:
        """Start a cloud, at the address that it had before."""
        accounts = [account for account in ACCOUNTS if account.startswith("zego") == (name == "zego")]
        world = _written(self.folder / f"{name}.yml", _world(accounts))
        listen = self.clouds[name].address if name in self.clouds else ANY_PORT
        self.clouds[name] = self.open.enter_context(simulator(world, self.folder / name, listen))

    def set(self, stream: str, state: str) -> None:
        """Change the state of a stream, PROVIDER/NAME, in its cloud."""
        cloud = self.clouds["zego" if stream.startswith("zego/") else "others"]
        fetch(f"{cloud.url}/-/simulator/streams", {"stream": stream, "state": state})

    def start(self) -> None:
        """Start everything, from the clouds to the webhook."""
        for name in CLOUDS:
            self.raise_cloud(name)
        endpoints = {name: self.clouds["zego" if name.startswith("zego") else "others"].url for name in ACCOUNTS}
        flags = ("--scrape.timeout-offset", str(0.5 * scaled.SCALE))
        enter = self.open.enter_context
        self.exporter = enter(exporter(_configuration(endpoints), *flags, folder=self.folder / "exporter"))
        self.hook = enter(servers.hook())
        told = enter(servers.alertmanager(scaled.alertmanager(self.hook.url), self.folder / "alertmanager"))
        place = self.folder / "prometheus"
        place.mkdir()
        (place / "rules.yml").write_text(scaled.rules(), encoding="utf-8")
        resend = f"--rules.alert.resend-delay={scaled.duration('1m')}"
        lookback = f"--query.lookback-delta={scaled.duration('5m')}"
        config_text = scaled.prometheus(self.exporter.address, told.address)
        self.prometheus = enter(servers.prometheus(config_text, place, resend, lookback))

    def alerts(self) -> list[str]:
        """Return what the rules say now, pending or firing, one line each."""
        names = ("alertname", "alertstate", "provider", "stream")
        found = [labels for labels, _ in vector(self.prometheus.url, ALERTS)]
        return sorted(" ".join(one[name] for name in names if name in one) for one in found)

    def settle(self) -> None:
        """Wait until every stream is seen live and no alert is left; forget earlier notifications."""
        everything = sum(len(places) for places in PLACES.values())
        live = f"sum(stream_active) == {everything}"
        until(lambda: vector(self.prometheus.url, live), "all streams are seen live")
        until(lambda: not self.alerts(), "the rules are quiet")
        self.hook.messages.clear()

    def wait_for(self, message: Message, seconds: float = 60.0) -> None:
        """Wait for a notification; a failure shows what came instead, and what the rules say."""
        try:
            until(lambda: message in self.hook.messages, "", seconds)
        except AssertionError:
            raise AssertionError(f"no {message}; came: {self.hook.messages}; rules: {self.alerts()}") from None


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Run a whole site with its files in a folder."""
    with ExitStack() as stack:
        one = Site(folder, stack)
        one.start()
        yield one
