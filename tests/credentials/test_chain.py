"""The chain: a source that gives keys without any field is told, keys that nothing gives are missing."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter import config
from exporter.commands.common import read_configuration
from exporter.commands.serve import Loader
from exporter.commands.terminal import Terminal
from exporter.config.secret_values import missing
from exporter.credentials.chain import chooser
from exporter.credentials.keyring import Keyring
from exporter.fields import Secret
from exporter.model import Credentials, Reply, Request
from exporter.providers import all_providers
from exporter.providers.sources import Lease, Machine, Source, Steps
from exporter.routes import Route

ROLE = {"TENCENTCLOUD_CAM_ROLE_NAME": "reader"}
STREAM = "streams:\n  - {name: a, account: main, domain: push.example.com, app: live, stream: a}\n"
WARNING = "gives no key: its keys come from the CAM role of the CVM instance"


def written(directory: Path, **fields: str) -> Path:
    """Return a configuration of one Tencent account with these fields, and a stream."""
    path = directory / "c.yml"
    lines = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    path.write_text(f"accounts:\n  - name: main\n    provider: tencent\n{lines}{STREAM}")
    return path


def by_load(path: Path) -> list[str]:
    """Return the warnings of a configuration that is read with a chooser."""
    loaded = config.load(path, all_providers(), ROLE, choose=chooser(ROLE))
    return [f"{one.path}: {one.message}" for one in loaded.warnings]


def by_command(path: Path) -> list[str]:
    """Return the warnings that every command tells."""
    terminal = Terminal(io.StringIO(), io.StringIO(), ROLE)
    read_configuration(path, terminal)
    assert isinstance(terminal.stderr, io.StringIO)
    return [line.partition(": ")[2].replace(" warning:", "") for line in terminal.stderr.getvalue().splitlines()]


def by_server(path: Path) -> list[str]:
    """Return the warnings that the server logs."""
    return [f"{one.path}: {one.message}" for one in Loader(path, all_providers(), ROLE)().warnings]


@pytest.mark.parametrize("warnings", [by_load, by_command, by_server])
def test_the_chosen_source_is_named(warnings: Callable[[Path], list[str]], tmp_path: Path) -> None:
    """The configuration's warnings name the credential source that is used."""
    assert warnings(written(tmp_path)) == [f"accounts[0].provider: {WARNING}"]
    assert warnings(written(tmp_path, secret_id="id-of-key", secret_key="a-secret-key")) == []


def test_a_key_alone_is_not_completed_by_a_source(tmp_path: Path) -> None:
    """If an account has one of two keys, the other is reported missing; no source replaces it."""
    with pytest.raises(config.ConfigErrors, match="secret_key: is missing: set secret_key"):
        config.load(written(tmp_path, secret_id="id-of-key"), all_providers(), ROLE, choose=chooser(ROLE))


def test_without_a_chooser(tmp_path: Path) -> None:
    """Without a chooser, keys must come from fields or environment variables."""
    with pytest.raises(config.ConfigErrors, match="secret_id: is missing: set secret_id"):
        config.load(written(tmp_path), all_providers(), ROLE)


def test_a_new_cloud_brings_its_sources() -> None:
    """The chain uses the provider's own sources, so a cloud with a new source needs no change elsewhere."""

    def obtain(machine: Machine, now: float) -> Steps:
        key: bytes = yield Path(machine.get("TOY_KEY_FILE"))
        reply: Reply = yield Request("GET", "http://toy.example/token", {"X-Toy": key.decode()})
        return Lease(Credentials("id", Secret(key.decode()), Secret(reply.body.decode())), now + 3600)

    toy = Source(
        title="toy box",
        hint="buy a toy",
        advice="",
        evidence=lambda machine: machine.get("TOY_KEY_FILE"),
        obtain=obtain,
    )
    kind = replace(all_providers()["tencent"], name="toy", environment={}, sources=(toy,))

    async def send(request: Request, _timeout: float, _largest: int, _route: Route) -> Reply:
        return Reply(200, {}, f"{request.url} {request.headers['X-Toy']}".encode())

    ring = Keyring({"TOY_KEY_FILE": "/toy"}, lambda _path: b"wood", send=send)
    keys = asyncio.run(ring(kind, kind.account(name="main", provider="toy")))
    assert keys == Credentials("id", Secret("wood"), Secret("http://toy.example/token wood"))
    (first, advice), _ = missing(kind, {}, ())
    assert (first, advice.partition("; ")[2]) == ("secret_id", "or give no key and buy a toy")
