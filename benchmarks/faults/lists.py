"""What a call for a list is about, as the cloud sees it: which of the watched streams, and what it settles of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clouds import account, address
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Call, Credentials, Moment, Request
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider, Listing
from exporter.simulator.exchange import Exchange, Received
from exporter.simulator.providers import fakes
from exporter.simulator.world import World

CREDENTIALS = Credentials("made-up-id", Secret("made-up-secret"))
MOMENT = Moment(1_800_000_000.0, "0" * 32, 1)


@dataclass(slots=True)
class Scope:
    """What one list covers.

    Attributes:
        first: The parameters of the call for its first page.
        later: The parameters that only calls for later pages have.
        only_word: Whether nothing else answers for its streams.
        of_live: Whether it settles the streams that are in it, or those that are not.
        streams: The streams that it covers, by `provider/name`.
    """

    first: Mapping[str, Any]
    later: frozenset[str]
    only_word: bool
    of_live: bool
    streams: list[str] = field(default_factory=list)

    def begins(self, exchange: Exchange) -> bool:
        """Say whether a call is for the first page."""
        given = exchange.parameters
        same = all(str(given.get(name)) == str(value) for name, value in self.first.items())
        return same and self.later.isdisjoint(given)


class Lists:
    """The lists of every cloud over the streams of a campaign.

    Attributes:
        only: The action that answers for a stream where nothing but lists does, by `provider/name`.
        elsewhere: The clouds whose processes know only their own streams: while several run, nobody knows of a down.
    """

    def __init__(self, world: World, each: int) -> None:
        self._world = world
        self._scopes: dict[tuple[str, str, tuple[str, ...]], Scope] = {}
        self.only: dict[str, str] = {}
        known = all_providers().items()
        self.elsewhere = {name for name, provider in known if any(one.elsewhere for one in provider.listings)}
        for name, provider in all_providers().items():
            self._add(name, provider, each)

    def of(self, exchange: Exchange) -> Scope | None:
        """Return what a call begins to list, if it does."""
        scope = self._scopes.get((exchange.fake.name, exchange.action, exchange.address))
        return scope if scope is not None and exchange.stream is None and scope.begins(exchange) else None

    def _add(self, name: str, provider: AnyProvider, each: int) -> None:
        fields = account(name)
        secret = {*provider.credentials} & fields.keys()
        fields |= {field: SecretSource.plain(str(fields[field])) for field in secret}
        owner: Account = provider.account(name=name, provider=name, **fields)
        for number in range(each):
            stream_name = f"{name}-{number:02d}"
            stream = provider.stream(name=stream_name, account=name, **address(name, stream_name, number))
            for listing in provider.listings:
                if (scope := listing.scope(owner, stream)) is not None:
                    self._scope(provider, owner, listing, scope).streams.append(f"{name}/{stream_name}")
                    if provider.single is None:
                        self.only.setdefault(f"{name}/{stream_name}", listing.action)

    def _scope(self, provider: AnyProvider, owner: Account, listing: Listing[Any, Any], scope: str) -> Scope:
        call = listing.ask(owner, scope, 1)
        request = provider.sign(owner, CREDENTIALS, call, MOMENT)
        exchange = fakes()[provider.name].parse(self._world, received(request, 0.0))
        where = (provider.name, exchange.action, exchange.address)
        if where not in self._scopes:
            later: Call = listing.ask_next(owner, scope, "token") if listing.ask_next is not None else call
            only, settles = provider.single is None, listing.absent is None
            made = Scope(call.params, frozenset(later.params.keys() - call.params.keys()), only, settles)
            assert made.begins(exchange), (
                f"{provider.name}: the cloud reads {listing.action} otherwise than it is asked"
            )
            self._scopes[where] = made
        return self._scopes[where]


def received(request: Request, now: float) -> Received:
    """Return a request as a cloud receives it at a time in Unix seconds."""
    parts = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Received(request.method, parts.path or "/", parts.query, headers, request.body, now)
