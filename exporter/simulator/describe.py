"""The lines that `simulate` prints: what a client needs to use the simulated clouds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from exporter.simulator.playback.site import LIVE_FLV, PREFIX
from exporter.simulator.providers import fakes
from exporter.simulator.types import FieldValue
from exporter.simulator.world import World


def describe(world: World, url: str) -> Iterator[str]:
    """Yield a logfmt line for each account and each stream; the credentials are made up."""
    for account in world.accounts.values():
        order = fakes()[account.provider].account_fields
        given = [(name, account.fields[name]) for name in order if name in account.fields]
        yield _line([("account", account.name), ("provider", account.provider), *given, ("endpoint", url)])
    now = world.clock()
    for key, stream in world.streams.items():
        names = [name for name in fakes()[stream.account.provider].stream_fields if name in stream.address]
        address = [(name, stream.address[name]) for name in names]
        state = stream.script.state(now).value
        viewers = ("playback", " ".join(playback_addresses(key, url)))
        yield _line([("stream", key), ("state", state), ("account", stream.account.name), *address, viewers])


def playback_addresses(key: str, url: str, files: Iterable[str] = ("index.m3u8", LIVE_FLV)) -> list[str]:
    """Return the addresses of a stream's files for viewers."""
    provider, _, name = key.partition("/")
    return [f"{url}{PREFIX}{provider}/{quote(name, safe='')}/{file}" for file in files]


def _line(pairs: Iterable[tuple[str, FieldValue]]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in pairs)


def _value(value: FieldValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = text.isprintable() and not any(sign in text for sign in ' "=\\')
    return text if plain and text else json.dumps(text, ensure_ascii=not text.isprintable())
