"""Who is compared: this project's exporter, whole but for its sockets, and two simple ones on the same providers."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Protocol

from benchmarks.clouds import account, address, lists_only
from benchmarks.faults.clouds import COMING_AND_GOING, Clouds
from exporter import config, providers
from exporter.credentials.keyring import Keyring
from exporter.model import Moment, State
from exporter.providers.interface import Malformed, NoEnvelope, ProviderError, TransportError
from exporter.rounds.shared import Clock, Sequence
from exporter.serving.service import Service
from testbed.apis import single

BUDGET = 9.5
CALL_SECONDS = 3.0
REUSE = 5.0
MAX_AGE = 120.0

Shown = dict[str, int]


class Exporter(Protocol):
    """What the campaign scrapes."""

    async def scrape(self) -> Shown:
        """Return what `stream_active` shows, by `provider/name`."""
        ...


def written(whole: bool, each: int) -> bytes:
    """Return a configuration of all streams, or of all but those that come and go, with other timeouts."""
    clouds = providers.all_providers()
    accounts = [
        {"name": name, "provider": name, "timeout": "3s" if whole else "2500ms", **account(name)} for name in clouds
    ]
    streams = [
        {"name": (stream := f"{name}-{number:02d}"), "account": name, **address(name, stream, number)}
        for name in clouds
        for number in range(0 if whole else COMING_AND_GOING, each)
    ]
    scrape = {"reuse": f"{REUSE:g}s", "max_age": f"{MAX_AGE:g}s"}
    return json.dumps({"scrape": scrape, "accounts": accounts, "streams": streams}).encode()


def loaded(whole: bool, each: int) -> config.Config:
    """Read one of the two configurations."""
    text = written(whole, each)
    return config.load(Path("campaign.yml"), providers.all_providers(), {}, lambda _path: text)


class Offline(Service):
    """The running parts on the campaign's network instead of sockets."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        chance = Random("nonces")
        loop = asyncio.get_running_loop()
        clock = Clock(clouds.our_time, loop.time, lambda: f"{chance.getrandbits(128):032x}")
        super().__init__(
            loaded(True, clouds.each), providers.all_providers(), clock, Keyring({}), connect=clouds.connect
        )


class Ours:
    """This project's exporter: from the refresh of a scrape to the text that Prometheus reads."""

    def __init__(self, clouds: Clouds) -> None:
        self.service = Offline(clouds)
        self._turns = itertools.cycle((loaded(False, clouds.each), loaded(True, clouds.each)))

    def reload(self) -> None:
        """Take the other configuration."""
        self.service.configure(next(self._turns))

    async def scrape(self) -> Shown:
        """Scrape as `/metrics` does."""
        await self.service.refresh(self.service.clock.mono() + BUDGET)
        text = await self.service.document(openmetrics=False, compressed=False)
        return dict(_active(text.decode()))

    def kept(self) -> dict[tuple[str, str], float]:
        """Return the calls per second that may be made, by account and action."""
        accounts = self.service.prober.accounts.values()
        return {(view.account.name, action): pace.limit for view in accounts for action, pace in view.paces.items()}


_SAMPLE = re.compile(r'^stream_active\{provider="(\w+)",stream="([^"]+)"\} ([01])(?:\.0)?$', re.MULTILINE)


def _active(text: str) -> Iterator[tuple[str, int]]:
    samples = text.count("\nstream_active{")
    found = [(f"{provider}/{name}", int(value)) for provider, name, value in _SAMPLE.findall(text)]
    assert len(found) == samples, "a sample of stream_active is not written as expected"
    yield from found


class Simple:
    """What one writes first: ask for every stream, 32 at a time and cloud; an error shows a fixed or the last value."""

    def __init__(self, clouds: Clouds, keep_last: bool) -> None:
        self._clouds = clouds
        self._keep_last = keep_last
        self._shown: Shown = {}
        self._sequence = Sequence()
        self._chance = Random("nonces")
        self._config = loaded(True, clouds.each)
        self._keys = Keyring({})

    async def scrape(self) -> Shown:
        """Ask for everything, however long it takes."""
        by_account: dict[str, list[Any]] = {}
        for stream in self._config.streams:
            if lists_only(stream.account):  # it makes single calls
                continue
            by_account.setdefault(stream.account, []).append(stream)
        work = ((name, iter(streams)) for name, streams in by_account.items())
        await asyncio.gather(*(self._worker(name, streams) for name, streams in work for _ in range(32)))
        return dict(self._shown)

    async def _worker(self, name: str, streams: Iterable[Any]) -> None:
        for stream in streams:
            key = f"{name}/{stream.name}"
            try:
                self._shown[key] = int(await self._ask(name, stream) is State.ACTIVE)
            except (TransportError, ProviderError, NoEnvelope, Malformed):
                if not self._keep_last:
                    self._shown[key] = 0

    async def _ask(self, name: str, stream: Any) -> State:
        provider, account = providers.all_providers()[name], self._config.accounts_by_name[name]
        credentials = await self._keys(provider, account)
        now = self._clouds.our_time()
        moment = Moment(now, f"{self._chance.getrandbits(128):032x}", self._sequence.next(now))
        call = single(provider).ask(account, stream)
        request = provider.sign(account, credentials, call, moment)
        reply = await self._clouds.send(name, request, CALL_SECONDS, provider.main.largest)
        answer = single(provider).read(account, stream, call, reply)
        return answer.state
