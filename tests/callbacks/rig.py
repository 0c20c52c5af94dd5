"""The exporter and the simulated clouds on loopback, the clouds calling back."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from exporter.config import Config, Scrape
from exporter.config.secret_values import secret_fields
from exporter.credentials.keyring import Keyring
from exporter.fields import Secret, SecretSource
from exporter.model import Account
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider
from exporter.serving.app import App
from exporter.serving.service import Service, system_clock
from exporter.simulator import Simulator, World
from testbed.processes import PATIENCE, eventually

from .deliveries import DOMAIN, SECRET

KEYS: dict[str, dict[str, Any]] = {
    "zego": {"app_id": 77, "server_secret": "server-secret", "callback_secret": SECRET},
    "tencent": {"secret_id": "id", "secret_key": "secret", "callback_key": SECRET},
    "alibaba": {"access_key_id": "id", "access_key_secret": "secret", "callback_key": SECRET},
    "livekit": {"api_key": "id", "api_secret": SECRET},
    "huawei": {
        "access_key": "id", "secret_key": "secret", "project_id": "p", "region": "cn-north-4", "callback_key": SECRET,
    },
}  # fmt: skip
ADDRESS: dict[str, dict[str, Any]] = {
    "zego": {},
    "tencent": {"domain": DOMAIN},
    "alibaba": {"domain": DOMAIN, "app": "live"},
    "livekit": {"room": "stage"},
    "huawei": {"domain": DOMAIN, "app": "live"},
}
CLOUDS = tuple(KEYS)


def callback_secret(provider: AnyProvider, account: Account) -> Secret | None:
    """Return the secret that stands in the configuration itself."""
    source = getattr(account, provider.callbacks.key_field) if provider.callbacks else None
    return source.value if source is not None else None


def configuration(endpoint: str, names: Mapping[str, list[str]], rate: float | None = None) -> Config:
    """Watch streams by provider and name; every account is named as its provider and may make `rate` calls a second."""
    accounts, streams = [], []
    for provider, watched in names.items():
        kind = all_providers()[provider]
        given = {
            name: SecretSource.plain(value) if name in secret_fields(kind.account) else value
            for name, value in KEYS[provider].items()
        }
        quota = {kind.main.action: rate} if rate else {}
        accounts.append(
            kind.account(name=provider, provider=provider, endpoint=endpoint, plan="single", quota=quota, **given)
        )
        streams += [kind.stream(name=name, account=provider, **ADDRESS[provider]) for name in watched]
    return Config(Scrape(reuse=0.0), tuple(accounts), tuple(streams))


def world(names: Mapping[str, list[str]]) -> World:
    """Return the clouds' side of it."""
    made = World()
    for provider, watched in names.items():
        made.add_account(provider, provider, **KEYS[provider])
        for name in watched:
            made.add_stream(name, provider, **ADDRESS[provider])
    return made


@dataclass
class Rig:
    """Both sides, and a client of the exporter."""

    world: World
    service: Service
    app: App
    url: str
    session: aiohttp.ClientSession

    async def states(self) -> dict[str, str]:
        """Return what `/api/v1/streams` says, by provider/stream."""
        async with self.session.get(f"{self.url}/api/v1/streams") as reply:
            return {f"{row['provider']}/{row['stream']}": row["state"] for row in await reply.json()}

    async def shows(self, key: str, state: str, seconds: float = PATIENCE) -> float:
        """Ask until a stream shows a state; return after how many seconds it did."""
        started = time.monotonic()
        async with asyncio.timeout(seconds):
            while (await self.states())[key] != state:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return time.monotonic() - started

    async def scrape(self) -> str:
        """Return the metrics."""
        async with self.session.get(f"{self.url}/metrics") as reply:
            assert reply.status == 200
            return await reply.text()

    async def callbacks(self) -> set[str]:
        """Return the samples of `stream_callbacks_total` above 0, each as `provider event outcome count`."""
        found = set()
        for line in (await self.scrape()).splitlines():
            if line.startswith("stream_callbacks_total{") and not line.endswith(" 0.0"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                assert labels["account"] == labels["provider"]
                found.add(" ".join([labels["provider"], labels["event"], labels["outcome"], line.rpartition(" ")[2]]))
        return found

    async def counted(self, **wanted: int) -> None:
        """Wait until so many callbacks were counted under each outcome."""
        await eventually(lambda: all(self.outcomes().get(name, 0) >= count for name, count in wanted.items()))

    def outcomes(self) -> dict[str, int]:
        """Return how many callbacks were counted under each outcome."""
        totals: dict[str, int] = {}
        for key, count in self.service.counters.callbacks.items():
            if count:
                totals[key[3]] = totals.get(key[3], 0) + count
        return totals


@asynccontextmanager
async def opened(
    names: Mapping[str, list[str]], rate: float | None = None, the_world: World | None = None, **simulator: Any
) -> AsyncIterator[Rig]:
    """Open an exporter that has scraped once, and clouds that call it back."""
    clouds = world(names) if the_world is None else the_world
    async with Simulator(clouds, **simulator) as served:
        config = configuration(served.url, names, rate)
        async with Service(config, all_providers(), system_clock(), Keyring({}), callback_secret) as service:
            app = App(service, reload=_no_reload)
            runner = web.AppRunner(app.application(), access_log=None, shutdown_timeout=PATIENCE / 2)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                clouds.callbacks = f"{url}/callbacks"
                async with aiohttp.ClientSession() as session:
                    rig = Rig(clouds, service, app, url, session)
                    await rig.scrape()
                    yield rig
            finally:
                clouds.callbacks = ""
                await runner.cleanup()


async def _no_reload() -> list[str]:
    return []
