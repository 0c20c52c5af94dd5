"""No secret gets out: a canary in every secret field, given in every way, over the whole matrix of faults."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import subprocess
import sys
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from exporter.commands import logs
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Call, Credentials, Reply, Request, Stream
from exporter.providers import all_providers
from exporter.rounds.prober import Prober
from exporter.scrubbing import scrub
from exporter.simulator import World
from exporter.simulator import serving as simulated
from exporter.simulator.faults import KINDS
from testbed.apis import single
from testbed.processes import Server, exporter
from testbed.web import request
from tests.reliability.echo import MODES, PUSH, WORDS, Echo, echoing
from tests.virtual import Network, account, prober, run, streams

SECRETS = {
    "zego": ("server_secret", "callback_secret"),
    "tencent": ("secret_id", "secret_key", "token", "callback_key"),
    "alibaba": ("access_key_id", "access_key_secret", "security_token", "callback_key"),
    "volcengine": ("access_key_id", "secret_access_key", "session_token"),
}
# What a call is signed with, or carries; callback keys are never sent.
SENT = {provider: [name for name in names if "callback" not in name] for provider, names in SECRETS.items()}
OTHERS: dict[str, dict[str, Any]] = {"zego": {}, "tencent": {"region": "ap-guangzhou"}, "alibaba": {},
                                     "volcengine": {"app_id": "app"}}  # fmt: skip
ADDRESS = {
    "zego": {},
    "tencent": {"domain": "push.example"},
    "alibaba": {"domain": "push.example", "app": "live", "streaming_domain": "live.example"},
    "volcengine": {"room_id": "room"},
}
WAYS = ("plain", "file", "env")
PAGES = ("/metrics", "/", "/?state=unknown", "/config", "/api/v1/streams", "/sd", "/probe?account=nobody", "/-/reload")


def canary(provider: str, way: str, name: str) -> str:
    """Return what must never be seen again."""
    return f"CANARY0{provider}0{way}0{name.replace('_', '0')}"


def fields(provider: str, way: str) -> dict[str, Any]:
    """Return an account's fields as a cloud knows them."""
    number = {"plain": 1, "file": 2, "env": 3}[way]
    own = {"app_id": number} if provider == "zego" else {}
    return {**OTHERS[provider], **own, **{name: canary(provider, way, name) for name in SECRETS[provider]}}


def document(endpoint: str, home: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a configuration with each provider in each way, and the environment that it needs; write its files."""
    accounts, watched, environ = [], [], {}
    for provider, names in SECRETS.items():
        for way in WAYS:
            given = {**OTHERS[provider], **({"app_id": WAYS.index(way) + 1} if provider == "zego" else {})}
            for name in names:
                value = canary(provider, way, name)
                if way == "plain":
                    given[name] = value
                elif way == "env":
                    variable = f"LEAK_{provider}_{name}".upper()
                    given[f"{name}_env"], environ[variable] = variable, value
                else:
                    path = home / f"{provider}-{name}"
                    path.write_text(value + "\n", encoding="utf-8")
                    path.chmod(0o600)
                    given[f"{name}_file"] = str(path)
            accounts.append({"name": f"{provider}-{way}", "provider": provider, "endpoint": endpoint,
                             "timeout": "250ms", "quota": dict.fromkeys(all_providers()[provider].apis(), 100_000),
                             **given})  # fmt: skip
            watched += [{"name": f"{way}-{number}", "account": f"{provider}-{way}", **ADDRESS[provider]}
                        for number in range(2)]  # fmt: skip
    return {"scrape": {"reuse": "0s"}, "accounts": accounts, "streams": watched}, environ


def fetch(server: Server, path: str, **headers: str) -> str:
    """Return a page with its status and headers, whatever they are."""
    asked = urllib.request.Request(server.url + path, headers=headers, method="POST" if path == "/-/reload" else "GET")
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return f"{answer.status} {answer.headers} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.headers} {error.read().decode()}"


class Collected:
    """All that an exporter showed, and where."""

    def __init__(self, server: Server) -> None:
        self.shown: dict[str, str] = {}
        self._server = server
        self._follower = socket.create_connection((server.host, server.port))
        self._follower.sendall(request("/api/v1/events", close=False))

    def look(self, when: str, *accounts: str, whole: bool = True) -> None:
        """Ask for every page, and for these accounts or one of each cloud."""
        scrape = {"X-Prometheus-Scrape-Timeout-Seconds": "5"}
        names = accounts or [f"{provider}-{WAYS[len(when) % 3]}" for provider in SECRETS]
        paths = list(PAGES) if whole else ["/metrics", "/", "/api/v1/streams"]
        paths += [f"/probe?account={name}&debug=true" for name in names]
        for path in paths:
            self.shown[f"{when} {path}"] = fetch(self._server, path, **scrape)

    def finish(self) -> dict[str, str]:
        """Add what was said in other places, and return all."""
        self._follower.setblocking(False)
        told = b""
        try:
            while part := self._follower.recv(1 << 20):
                told += part
        except BlockingIOError:
            pass
        self._follower.close()
        self.shown["events"] = told.decode()
        self.shown["arguments"] = Path(f"/proc/{self._server.process.pid}/cmdline").read_text()
        assert self._server.stop() == 0
        self.shown["log"] = self._server.log()
        return self.shown


def hits(shown: dict[str, str], wanted: set[str]) -> list[str]:
    """Return where something stands that must not, in any of the ways in which it may be written."""
    # Most lines stand in many pages; each is searched once. No form goes over the end of one.
    places = {line: place for place, text in shown.items() for line in text.split("\n")}
    everything = "\n".join(places)
    found = [form for text in wanted for form in written(text) if form in everything]
    return [f"{place}: …{line[max(0, at - 90) : at + 60]}…" for line, place in places.items()
            for form in found if (at := line.find(form)) >= 0]  # fmt: skip


def written(text: str) -> set[str]:
    """Return a text in the ways in which it may be written; of base64 that part which no neighbour changes."""
    raw = text.encode()
    packed = {base64.b64encode(b"x" * offset + raw).decode()[offset and offset + 1 :] for offset in range(3)}
    return {
        text, text.upper(), text.lower(), quote(text, safe=""), json.dumps(text)[1:-1], raw.hex(), raw.hex().upper(),
        "".join(f"\\u{byte:04x}" for byte in raw), "".join(f"\\\\u{byte:04x}" for byte in raw),
        "".join(f"%{byte:02X}" for byte in raw), "".join(f"%25{byte:02X}" for byte in raw),
        "".join(f"&#{byte};" for byte in raw), "".join(f"&amp;#{byte};" for byte in raw),
        *(each.rstrip("=")[:-1] for each in packed),
    }  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory for the configuration."""
    return tmp_path


@pytest.mark.timeout(600)
def test_no_canary_gets_out_over_the_whole_matrix_of_faults(home: Path) -> None:
    """Every kind of fault that the simulator knows, at every cloud, with every page looked at after each."""
    world = World()
    for provider in SECRETS:
        for way in WAYS:
            quota = dict.fromkeys(all_providers()[provider].apis(), 100_000.0)
            world.add_account(f"{provider}-{way}", provider, quota=quota, **fields(provider, way))
    for provider in SECRETS:
        for way in WAYS:
            for number in range(2):
                world.add_stream(f"{way}-{number}", f"{provider}-{way}", **ADDRESS[provider])
    with simulated(world) as cloud:
        config, environ = document(cloud.url, home)
        with exporter(config, "--log.level", "debug", "--web.enable-lifecycle", folder=home, environ=environ) as server:
            collected = Collected(server)
            collected.look("no fault")
            for number, kind in enumerate(KINDS):
                for name, own in world.accounts.items():
                    repeated = [canary(own.provider, name.rpartition("-")[2], field) for field in SENT[own.provider]]
                    message = " ".join(repeated[number % len(repeated) :] + repeated)
                    code = "99" if own.provider == "zego" else message
                    value = PUSH if number % 2 else message
                    world.fault(kind, account=name, code=code, message=message, seconds=0.01, value=value, size=1 << 16)
                collected.look(kind, whole=number % 10 == 0)
                world.clear()
            shown = collected.finish()
    assert any('stream_active{provider="zego",stream="plain-0"} 1' in text for text in shown.values())
    assert len(shown) > 7 * len(KINDS)
    assert hits(shown, {"CANARY0"}) == []


@pytest.mark.timeout(600)
def test_nothing_that_a_cloud_repeats_gets_out(home: Path) -> None:
    """Keys, tokens, computed signatures and push URLs that come back in messages, codes, pages and headers stay in."""
    with echoing() as echo:
        config, environ = document(echo.url, home)
        with exporter(config, "--log.level", "debug", folder=home, environ=environ) as server:
            collected = Collected(server)
            for mode in MODES:
                wordings = {"encoded": ("all",) * 12, **dict.fromkeys(("error", "listed", "code", "state"), WORDS)}
                for words in wordings.get(mode, ("all",)):
                    echo.mode, echo.words = mode, words
                    collected.look(f"{mode} {words}", whole=words == "all")
            shown = collected.finish()
        shown |= commands(echo, home, environ)
    assert echo.heads > 24 * len(MODES)
    assert echo.ids > 200
    assert any("RequestId" in text and "<secret>" in text for text in shown.values())
    assert len(echo.signatures) > 100
    assert hits(shown, {"CANARY0"}) == []
    assert hits(shown, echo.signatures) == []


def commands(echo: Echo, home: Path, environ: dict[str, str]) -> dict[str, str]:
    """Return what the commands say of the same configuration."""
    said = {}
    for mode, echo.words in (("listed", "signature"), ("error", "push"), ("encoded", "all")):
        echo.mode = mode
        for argv in (["probe"], ["probe", "--output", "json"], ["check"]):
            command = [sys.executable, "-m", "exporter", *argv, "--config.file", str(home / "config.yml")]
            done = subprocess.run(command, env={**environ, "PATH": ""}, capture_output=True, text=True, check=False)
            said[f"{mode} {argv}"] = done.stdout + done.stderr
    return said


def test_a_configuration_with_errors_shows_no_secret(home: Path) -> None:
    """Errors name the place, never the value; a refused reload neither."""
    config, environ = document("http://127.0.0.1:9", home)
    with exporter(config, "--web.enable-lifecycle", "--log.level", "debug", folder=home, environ=environ) as server:
        shown = {}
        for number, broken in enumerate(spoiled(config)):
            server.config.write_text(broken, encoding="utf-8")
            shown[f"reload {number}"] = fetch(server, "/-/reload")
        assert all(text.startswith("500") for text in shown.values())
        server.stop()
        shown["log"] = server.log()
    assert len(shown) > 30
    assert hits(shown, {"CANARY0"}) == []


def spoiled(config: dict[str, Any]) -> Iterator[str]:
    """Yield configurations in which a secret stands where it must not, one mistake each."""
    text = json.dumps(config)
    for provider, names in SECRETS.items():
        for name in names:
            value = canary(provider, "plain", name)
            for wrong in (f'["{value}"]', f'{{"{value}": 1}}', f'"{value}\\n"', f'"{value}", "{name}_env": "{value}"',
                          f'null, "{value}"', f'null, ? {value}', f'"x", {value}: 1', f'&{value} x'):  # fmt: skip
                yield text.replace(f'"{value}"', wrong, 1)
    yield text.replace('"CANARY0', '"\tCANARY0', 1)[:-2]


def test_a_crash_in_a_plug_in_shows_no_secret() -> None:
    """A bug with a secret in its text and in its traceback is logged by its kind and place alone."""
    secret = "CANARY0crash"
    said = io.StringIO()
    before = structlog.get_config()
    logs.configure("debug", "logfmt", said)

    def burst(_account: Account, _stream: Stream, _call: Call, _reply: Reply) -> Any:
        local = secret
        raise ValueError(f"could not do anything with {local}")

    async def main() -> Prober:
        async def behave(_provider: str, _request: Request) -> Reply:
            return Reply(200, {}, b"{}")

        made = prober(Network(behave), [account()], streams(2))
        kind = all_providers()["tencent"]
        made.configure([(replace(kind, single=replace(single(kind), read=burst)), account())], streams(2), 60)
        loop = asyncio.get_running_loop()
        await made.refresh(loop.time() + 9, loop.time())
        return made

    try:
        made = run(main())
    finally:
        structlog.configure(**before)
    faults = [record.fault for record in made.shared.board]
    assert "bug" in said.getvalue()
    assert "burst" in said.getvalue()
    assert "CANARY0" not in said.getvalue() + repr(faults)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["x", "a:", ":/", "&sign", "rtmp://", "token=", "\\/", "signature=&"])
def test_a_long_message_is_cleaned_in_time(text: str) -> None:
    """A quarter of a mebibyte of whatever a cloud sends is cleaned, and does not stop the exporter for minutes."""
    half = text * ((1 << 17) // len(text))
    long = f"{half} rtmp://push.example/live/s?txSecret=CANARY0 {half}"
    shown = scrub(long, (), addresses=True)
    assert len(shown) <= 4 * len(long)
    assert "CANARY0" not in shown


def test_what_holds_a_secret_does_not_print_it() -> None:
    """repr, str, format, an f-string's debugging form and a traceback of each value that holds one."""
    text = "CANARY0value"
    secret, source = Secret(text), SecretSource.plain(text)
    holders: list[object] = [
        secret, source, Credentials("id", secret, secret), account("tencent", secret_key=source),
        Request("POST", "https://host/", {"Authorization": text}, text.encode()), [secret], {"key": source},
    ]  # fmt: skip
    for holder in holders:
        shown = f"{holder} {holder!r} {holder!s} {holder=} {holder}"
        try:
            raise ValueError(holder)
        except ValueError:
            shown += traceback.format_exc()
        assert text not in shown
    with pytest.raises(TypeError):
        json.dumps(secret)
