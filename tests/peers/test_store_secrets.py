"""What exporters leave in a real store: nothing secret, in no key and no value, packed or not."""

from __future__ import annotations

import asyncio
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from exporter.config import Config, Scrape
from exporter.config.store import StoreAddress, StoreSettings
from exporter.fields import Secret
from exporter.model import Account, Credentials, Reply, Request
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider
from exporter.replicas.entries import SIGNATURE
from exporter.serving.service import Service, system_clock
from exporter.store.client import Store
from testbed.network import Plain
from testbed.processes import eventually
from testbed.stores import executable, store
from tests.virtual import account, params, reply, streams, tencent_state

REDIS = executable("redis")
PASSWORD, KEY, IDENTITY, CALLBACK = (f"canary-{word}-4711" for word in ("password", "key", "id", "callback"))
READ = {b"string": ("GET",), b"stream": ("XRANGE", "-", "+"), b"hash": ("HGETALL",), b"zset": ("ZRANGE", 0, -1)}


async def keys(_provider: AnyProvider, _account: Account) -> Credentials:
    """Return keys that are easy to find."""
    return Credentials(IDENTITY, Secret(KEY))


async def connect(_provider: str, _account: Account, _gap: float, _new: bool) -> Plain:
    """Reach a cloud that repeats what it was sent, and more, in its errors."""
    return Plain(answer)


async def answer(request: Request, _timeout: float, _largest: int) -> Reply:
    """Fail for one stream, with a message that holds the account's secrets."""
    if params(request)["StreamName"] == "s00001":
        told = f"{KEY} of {IDENTITY} signed {request.headers['Authorization']}"
        return reply({"Response": {"Error": {"Code": "InternalError", "Message": told}, "RequestId": KEY}})
    return tencent_state("active")


async def dump(one: Store) -> bytes:
    """Return all that the store holds."""
    found: list[bytes] = []

    def add(value: Any) -> None:
        if isinstance(value, list):
            for part in value:
                add(part)
        elif isinstance(value, bytes):
            found.append(value)
            if value[SIGNATURE : SIGNATURE + 1] == b"x":
                found.append(zlib.decompress(value[SIGNATURE:]))

    for key in await one.command("KEYS", "*"):
        command, *rest = READ[await one.command("TYPE", key)]
        add([key, await one.command(command, key, *rest)])
        assert await one.command("PTTL", key) > 0, key
    return b"\n".join(found)


@pytest.mark.skipif(REDIS is None, reason="needs redis-server: apt-get install redis-server")
def test_nothing_secret_is_in_the_store(tmp_path: Path) -> None:
    """Neither keys, nor a cloud's message that repeats them, nor a callback, nor the password is there or in the log;
    and everything ends by itself.
    """
    assert REDIS is not None

    async def main(port: int) -> bytes:
        shared = StoreSettings(StoreAddress("127.0.0.1", port, password=Secret(PASSWORD)), 1)
        config = Config(Scrape(10.0, 0.0, 120.0), (account(),), tuple(streams(3)), store=shared)
        async with Service(config, all_providers(), system_clock(), keys, connect=connect) as service:
            one = service.stores.present
            assert one is not None
            await eventually(lambda: one.up)
            await service.refresh(time.monotonic() + 5)
            await service.refresh_one(next(iter(service.board)), time.monotonic() + 5)
            event: Any = SimpleNamespace(identity=(CALLBACK,), sent=1.0)
            replicas = service.prober.shared.replicas
            assert await replicas.first(("tencent", "main"), event)
            assert not await replicas.first(("tencent", "main"), event)
            assert any(record.fault is not None for record in service.board)
            await asyncio.sleep(0.5)
            return await dump(one)

    with (
        store(REDIS, tmp_path, "--requirepass", PASSWORD) as server,
        structlog.testing.capture_logs() as logged,
    ):
        held = asyncio.run(main(server.port))
    assert b"s00002" in held
    assert b"InternalError" in held
    told = held.decode("latin-1") + repr(logged)
    assert [secret for secret in (PASSWORD, KEY, IDENTITY, CALLBACK) if secret in told] == []
