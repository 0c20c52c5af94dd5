"""A network made of functions, for tests in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from exporter.fields import Secret
from exporter.model import Account, Credentials, Reason, Reply, Request, Stream
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider, TransportError
from exporter.rounds.account import AccountProber
from exporter.rounds.prober import Prober
from exporter.rounds.shared import Clock, Shared
from exporter.state.board import Board
from exporter.state.counters import Counters
from exporter.state.record import Record
from testbed.network import Plain
from testbed.virtual import VirtualLoop as VirtualLoop
from testbed.virtual import run as run

EPOCH = 1_800_000_000.0


@dataclass(slots=True)
class Sent:
    """One call as the network saw it."""

    at: float
    provider: str
    request: Request


Behaviour = Callable[[str, Request], Awaitable[Reply]]


@dataclass(slots=True)
class Network:
    """Answers calls by a behaviour, and remembers them; `timeout` is kept as the transport keeps it."""

    behaviour: Behaviour
    latency: float = 0.02
    calls: list[Sent] = field(default_factory=list)
    asked_for_new: list[bool] = field(default_factory=list)

    async def connect(self, provider: str, _account: Account, _gap: float, new: bool) -> Plain:
        """Do what a transport does that always has a kept connection, and makes a new one where it must."""
        self.asked_for_new.append(new)
        return Plain(partial(self._send, provider), reused=not new)

    async def _send(self, provider: str, request: Request, timeout: float, _largest: int) -> Reply:  # noqa: ASYNC109
        self.calls.append(Sent(asyncio.get_running_loop().time(), provider, request))
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(self.latency)
                return await self.behaviour(provider, request)
        except TimeoutError:
            raise TransportError(Reason.TIMEOUT, "no complete answer in time") from None

    def busiest_second(self) -> int:
        """Return the most calls in any window of one second, its end left out."""
        times = [call.at for call in self.calls]
        return max((sum(start <= time < start + 1.0 for time in times) for start in times), default=0)

    def per_stream(self) -> Counter[str]:
        """Return the calls per Tencent stream name."""
        return Counter(params(call.request).get("StreamName", "") for call in self.calls)


def params(request: Request) -> dict[str, Any]:
    """Return the business parameters of a Tencent request."""
    found: dict[str, Any] = json.loads(request.body or b"{}")
    return found


def tencent_state(state: str) -> Reply:
    """Return what Tencent answers for a stream."""
    return reply({"Response": {"StreamState": state, "RequestId": "r-1"}})


def tencent_error(code: str) -> Reply:
    """Return what Tencent answers with an error code; the status is 200 all the same."""
    return reply({"Response": {"Error": {"Code": code, "Message": "m"}, "RequestId": "r-1"}})


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return a JSON reply."""
    return Reply(status, {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode())


async def always(answer: Reply) -> Reply:
    """Return a reply, as a behaviour's last step."""
    return answer


def account(provider: str = "tencent", name: str = "main", **fields: Any) -> Account:
    """Return an account of a provider; its streams are asked singly, and for no figures, unless `fields` says so."""
    given = {"plan": "single", "figures": False, **fields}
    made: Account = all_providers()[provider].account(name=name, provider=provider, **given)
    return made


def streams(count: int, account_name: str = "main", prefix: str = "s", **fields: Any) -> list[Stream]:
    """Return Tencent streams."""
    kind = all_providers()["tencent"].stream
    return [kind(name=f"{prefix}{i:05d}", account=account_name, domain="push.example", **fields) for i in range(count)]


async def credentials(_provider: AnyProvider, _account: Account) -> Credentials:
    """Return made-up credentials."""
    return Credentials("id", Secret("made-up-secret"))


def prober(
    network: Network,
    accounts: Iterable[Account],
    watched: Iterable[Stream],
    max_age: float = 120.0,
    keys: Callable[[AnyProvider, Account], Awaitable[Credentials]] = credentials,
    clouds: Mapping[str, AnyProvider] = all_providers(),
) -> Prober:
    """Return a prober on a network, by the running loop's time; `keys` returns what calls are signed with."""
    loop = asyncio.get_running_loop()
    clock = Clock(lambda: EPOCH + loop.time(), loop.time, lambda: "0" * 32)
    made = Prober(Shared(Board(max_age), Counters(), clock, network.connect, keys))
    made.configure([(clouds[one.provider], one) for one in accounts], watched, max_age)
    return made


def account_prober(made: Prober, name: str = "main") -> AccountProber:
    """Return an account's prober."""
    return made.accounts[name]


def record_of(made: Prober, name: str) -> Record:
    """Return the record of a Tencent stream."""
    record = made.shared.board.get(("tencent", name))
    assert record is not None
    return record


async def scrape(made: Prober, budget: float = 9.5, reuse: float = 0.0) -> float:
    """Scrape once; return how long it took."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.001)  # no two scrapes at the very same instant
    started = loop.time()
    await made.refresh(started + budget, started - reuse)
    return loop.time() - started
