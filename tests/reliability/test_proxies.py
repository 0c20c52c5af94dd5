"""The real exporter behind a real proxy: an endpoint that only the proxy can find, known by an authority of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.config import Config, Scrape
from exporter.credentials.keyring import Keyring
from exporter.model import Stream
from exporter.providers import all_providers
from exporter.routes import Http, parse_proxy
from exporter.serving.service import Service, system_clock
from exporter.simulator import Simulator, World
from exporter.simulator import serving as simulated
from testbed.certificates import Authority
from testbed.processes import Server, exporter, until
from testbed.proxy import Proxy, in_thread, proxying
from testbed.web import Asked, fetch, served
from tests.reliability.test_secrets import Collected, hits
from tests.scenarios.stage import ADDRESS, KEYS, PLENTY, account

HOST = "live.example.test"
LIVE = "1.0"
USER, PASSWORD = "CANARY0proxy0user", "CANARY0proxy0pass"
PACKED = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRET = {"CANARY0proxy", PACKED[2:-4]}
QUOTA = dict.fromkeys(all_providers()["tencent"].apis(), PLENTY)


def cloud() -> World:
    """Return a world with one stream that is live."""
    world = World()
    world.add_account("main", "tencent", quota=QUOTA, **KEYS["tencent"])
    world.add_stream("s", "main", **ADDRESS["tencent"])
    return world


@dataclass
class Stage:
    """An endpoint, the proxy that leads to it, and the folder with their authority."""

    world: World
    proxy: Proxy
    authority: Authority
    folder: Path

    def document(self, endpoint: str = f"https://{HOST}", **http: Any) -> dict[str, Any]:
        """Return a configuration that asks the endpoint by the proxy."""
        settings = {
            "proxy_url": f"http://{USER}:{PASSWORD}@{self.proxy.address}",
            "tls_config": {"ca_file": str(self.authority.file)},
            **http,
        }
        one = {"name": "main", "provider": "tencent", "endpoint": endpoint, "plan": "single", "timeout": "1s",
               "quota": QUOTA, **KEYS["tencent"]}  # fmt: skip
        stream = {"name": "s", "account": "main", **ADDRESS["tencent"]}
        return {"scrape": {"reuse": "0s"}, "http": settings, "accounts": [one], "streams": [stream]}


@contextmanager
def staged(folder: Path, *, tls: bool = True) -> Iterator[Stage]:
    """Run an endpoint and a proxy that wants a password."""
    authority, world = Authority(folder), cloud()
    with simulated(world, authority.server(HOST) if tls else None) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        names = {f"{HOST}:443": port, f"{HOST}:80": port}
        with in_thread(Proxy(names, password=f"{USER}:{PASSWORD}")) as proxy:
            yield Stage(world, proxy, authority, folder)


def command(stage: Stage, document: Any, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a configuration."""
    path = stage.folder / "other.yml"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    line = [sys.executable, "-m", "exporter", *argv, "--config.file", str(path)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def state(server: Server) -> str:
    """Scrape, and return the stream's `stream_active`, or an empty text."""
    lines = fetch(f"{server.url}/metrics").splitlines()
    return next((line.rpartition(" ")[2] for line in lines if line.startswith("stream_active{")), "")


@pytest.mark.parametrize("tls", [True, False], ids=["CONNECT", "passed on"])
def test_serve_probe_and_check_go_by_the_proxy(tls: bool, tmp_path: Path) -> None:
    """A scrape, the command and the plan use it; the endpoint's name is found by the proxy alone."""
    with staged(tmp_path, tls=tls) as stage:
        document = stage.document(f"https://{HOST}" if tls else f"http://{HOST}")
        with exporter(document, folder=tmp_path / "exporter") as server:
            assert state(server) == LIVE
            assert 'stream_active{provider="tencent",stream="s"} 1.0' in fetch(f"{server.url}/probe?target=tencent/s")
        done = command(stage, document, "probe")
        assert done.returncode == 0, done.stdout + done.stderr
        checked = command(stage, document, "check")
        assert f"\nBy the proxy {stage.proxy.address}: main.\n" in checked.stdout
        (told,) = json.loads(command(stage, document, "check", "--output", "json").stdout)["accounts"]
        assert told["proxy"] == stage.proxy.address
        begin = f"CONNECT {HOST}:443 " if tls else f"POST http://{HOST}/ "
        assert {head.startswith(begin) for head in stage.proxy.heads} == {True}
        assert len(stage.proxy.heads) >= 2


def test_a_proxys_trouble_is_told_as_the_proxys(tmp_path: Path) -> None:
    """The metric, the page and the command say that it is the proxy and not the cloud; the stream is unknown."""
    with staged(tmp_path) as stage:
        wrong = stage.document(proxy_url=f"http://{USER}:wrong@{stage.proxy.address}")
        with exporter(wrong, folder=tmp_path / "exporter") as server:
            assert state(server) == ""
            text = fetch(f"{server.url}/metrics")
            assert 'stream_probe_success{provider="tencent",stream="s"} 0.0' in text
            assert re.search(
                r"^stream_probe_errors_total\{[^}]*reason=\"connection\"[^}]*\} [12]\.0$", text, re.MULTILINE
            )
            assert "stream_provider_responses_total{" not in text
            (row,) = json.loads(fetch(f"{server.url}/api/v1/streams"))
        why = f"the proxy {stage.proxy.address} refuses the user and the password of proxy_url (status 407)"
        assert why in row["error"]["message"]
        assert why in command(stage, wrong, "probe", "--output", "json").stdout
        assert not stage.world.log


def test_no_password_of_a_proxy_gets_out(tmp_path: Path) -> None:
    """User and password of `proxy_url` stand on no page and in no log, whatever the proxy does, at level debug."""
    with staged(tmp_path) as stage:
        document = stage.document()
        flags = ("--log.level", "debug", "--web.enable-lifecycle")
        with exporter(document, *flags, folder=tmp_path / "exporter") as server:
            collected = Collected(server)
            collected.look("well", "main")
            stage.proxy.password = "other"
            stage.world.fault("reset", account="main")
            collected.look("refused", "main")
            stage.proxy.names = {}
            collected.look("unreachable", "main")
            shown = collected.finish()
        for number, argv in enumerate((["probe"], ["probe", "--output", "json"], ["check"], ["check", "--strict"])):
            done = command(stage, document, *argv)
            shown[f"command {number}"] = done.stdout + done.stderr
        for key, value in (("proxy_url", f"ftp://{USER}:{PASSWORD}@proxy"), ("no_proxy", 1), (PASSWORD, PASSWORD)):
            broken = stage.document()
            broken["http"][key] = value
            done = command(stage, broken, "check")
            assert done.returncode == 1
            shown[f"wrong {key[:8]}"] = done.stdout + done.stderr
    assert any("stream_active{" in text for text in shown.values())
    assert "status 407" in shown["refused /api/v1/streams"]
    assert f"<secret>@{stage.proxy.address}" in shown["well /config"]
    assert hits(shown, SECRET) == []


def test_what_a_proxy_repeats_of_its_password_gets_out_nowhere(tmp_path: Path) -> None:
    """A proxy that passes requests on sees its own password, and may put it into what it answers."""

    def repeat(asked: Asked) -> tuple[Mapping[str, str], bytes]:
        said = f"{asked.path} {dict(asked.headers)} {USER} {PASSWORD}"
        error = {"Code": "AuthFailure.SignatureFailure", "Message": said}
        return {"Content-Type": "application/json"}, json.dumps(
            {"Response": {"Error": error, "RequestId": "r"}}
        ).encode()

    with staged(tmp_path, tls=False) as stage, served(repeat) as address:
        document = stage.document(f"http://{HOST}", proxy_url=f"http://{USER}:{PASSWORD}@{address}")
        with exporter(document, "--log.level", "debug", folder=tmp_path / "exporter") as server:
            collected = Collected(server)
            collected.look("repeated", "main")
            shown = collected.finish()
        shown["probe"] = command(stage, document, "probe").stdout
    assert "Proxy-Authorization" in shown["repeated /probe?account=main&debug=true"]
    assert hits(shown, SECRET) == []


# --- reloads ----------------------------------------------------------------------------------------------------------


def test_a_changed_file_of_authorities_makes_new_connections(tmp_path: Path) -> None:
    """It is read again when it changes: whom it no longer vouches for gets no call, on no kept connection either."""
    with staged(tmp_path) as stage:
        other = Authority(tmp_path, "other")
        with exporter(stage.document(), "--web.enable-lifecycle", folder=tmp_path / "exporter") as server:
            assert state(server) == LIVE
            stage.authority.file.write_bytes(other.pem)
            until(lambda: state(server) == "", "the authority has changed")
            (row,) = json.loads(fetch(f"{server.url}/api/v1/streams"))
            assert row["error"]["reason"] == "tls"
            assert "proxy_url" in row["error"]["advice"]
            stage.authority.file.write_bytes(other.pem + stage.authority.pem)
            until(lambda: state(server) == LIVE, "both are trusted")
            stage.authority.file.write_bytes(b"")
            until(lambda: "configuration refused" in server.log(), "an empty file is refused")
            assert state(server) == LIVE


# --- pace -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.6])
def test_a_slow_proxy_does_not_bunch_calls_up_at_the_cloud(seconds: float, tmp_path: Path) -> None:
    """20 calls a second stay 20 where they are counted, however long the proxy takes to open a way."""
    authority, world = Authority(tmp_path), World()
    quota = dict.fromkeys(all_providers()["alibaba"].apis(), PLENTY)
    world.add_account("alibaba", "alibaba", quota=quota, **KEYS["alibaba"])
    watched: list[Stream] = []
    for number in range(60):
        world.add_stream(f"s{number}", "alibaba", **ADDRESS["alibaba"])
        watched.append(all_providers()["alibaba"].stream(name=f"s{number}", account="alibaba", **ADDRESS["alibaba"]))

    async def main() -> None:
        async with Simulator(world, tls=authority.server(HOST)) as simulator:
            names = {f"{HOST}:443": int(simulator.url.rpartition(":")[2])}
            async with proxying(Proxy(names, delay=seconds)) as proxy:
                way = parse_proxy(f"http://{proxy.address}")
                http = Http((("https", way),), authorities=authority.pem.decode())
                one = account("alibaba", f"https://{HOST}", quota={"DescribeLiveStreamState": 20.0}, http=http)
                config = Config(Scrape(10.0, 0.0, 120.0), (one,), tuple(watched))
                async with Service(config, all_providers(), system_clock(), Keyring({})) as service:
                    await service.refresh(service.clock.mono() + 30)
                    assert all(record.succeeded for record in service.board)

    asyncio.run(main())
    assert len(world.log) == 60
    # One more is borne: the machine may hold a call or the counting up for longer than the window's margin.
    assert world.busiest() <= 21
