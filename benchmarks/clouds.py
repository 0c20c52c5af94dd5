"""Every cloud with made-up keys and addresses: by its recorded exchanges, its fake and itself, never by its name."""

from __future__ import annotations

from functools import cache
from typing import Any

from exporter.model import Account, State, Stream
from exporter.providers import all_providers
from exporter.providers import codes as catalogue
from exporter.providers.interface import AnyProvider
from exporter.simulator.providers import fakes
from exporter.simulator.types import FieldValue
from testbed.recorded import document as recorded
from testbed.recorded import make

PER_PLACE = 10
"""Streams in one room or domain, where a cloud lists by such."""

Fields = dict[str, Any]


def watched(name: str) -> tuple[AnyProvider, Account, Stream]:
    """Return a provider with the account and the stream of its recorded exchanges."""
    provider = all_providers()[name]
    return provider, *make(provider, recorded(name), {"stream": {"name": "one"}})


@cache
def keys(name: str) -> dict[str, FieldValue]:
    """Return the fields of an account as its cloud knows them: recorded, by default, or made up where required."""
    provider, fake, given = all_providers()[name], fakes()[name], recorded(name).get("account", {})
    found: dict[str, FieldValue] = {}
    for number, (field, kind) in enumerate(fake.account_fields.items()):
        default = provider.account.model_fields[field].default
        if field in given or isinstance(default, kind):
            found[field] = given.get(field, default)
        elif number < 2:
            found[field] = f"made-up-{name}-{field}"
    return found


def account(name: str) -> Fields:
    """Return the fields of an account as the configuration has them."""
    return {**recorded(name).get("account", {}), **keys(name)}


def address(name: str, stream: str, number: int) -> Fields:
    """Return the address of a stream. They stand in several places, and take turns at being listed by each list."""
    made = _addresses(name, stream)
    given, place = made[number % len(made)], number // PER_PLACE
    return {
        field: f"{place}-{value}" if place and field in _places(name, number % len(made)) else value
        for field, value in given.items()
    }


def down(name: str) -> tuple[State, ...]:
    """Return the ways in which a cloud says that a stream is not live: by its codes, or by absence from a list."""
    told = {State(entry.state) for entry in catalogue.load(name).entries() if entry.state is not None}
    told |= {listing.absent.state for listing in all_providers()[name].listings if listing.absent is not None}
    return tuple(sorted(told - {State.ACTIVE}))


def lists_only(name: str) -> bool:
    """Say whether lists are all that a cloud answers with."""
    return all_providers()[name].single is None


def _addresses(name: str, stream: str) -> list[Fields]:
    """Return the recorded address with a name of its own, and those that lists need which do not cover it."""
    provider, fake, given = all_providers()[name], fakes()[name], recorded(name)["stream"]
    base: Fields = {}
    for field, default in fake.stream_fields.items():
        if "{name}" not in (default or ""):
            base |= {field: given[field]} if field in given else {}
        elif provider.stream.model_fields[field].is_required():
            base[field] = (default or "").format_map({"name": stream, **keys(name)})
    made = [base]
    for override in _overrides(name):
        # What tells streams apart cannot be the same for all of them.
        own = {field: f"{value}-{stream}" if field in fake.address else value for field, value in override.items()}
        unset = {field for field, value in override.items() if value is None}
        made.append({field: value for field, value in {**base, **own}.items() if field not in unset})
    return made


@cache
def _overrides(name: str) -> list[Fields]:
    """Return what a recorded stream has where a list is asked that does not cover the stream itself."""
    provider, account, plain = watched(name)
    other = {listing.action for listing in provider.listings if listing.scope(account, plain) is None}
    found = {one["action"]: one["stream"] for one in recorded(name)["exchanges"] if one.keys() >= {"action", "stream"}}
    return [override for action, override in found.items() if action in other]


@cache
def _places(name: str, turn: int) -> frozenset[str]:
    """Return the fields of an address that choose what a list covers, such as a room or domain."""
    provider, account, _ = watched(name)
    given = _addresses(name, "one")[turn]

    def scopes(fields: Fields) -> list[str | None]:
        stream = provider.stream(name="one", account="main", **fields)
        return [listing.scope(account, stream) for listing in provider.listings]

    texts = [field for field, value in given.items() if isinstance(value, str)]
    return frozenset(field for field in texts if scopes({**given, field: f"1-{given[field]}"}) != scopes(given))
