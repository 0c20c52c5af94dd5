"""The configuration as typed values, and as YAML that is safe to show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import Field

from exporter.addresses import USUAL_PLAYBACK, PlaybackAddress, PlaybackSettings
from exporter.config.problems import Problem
from exporter.config.secret_values import SUFFIXES
from exporter.config.shards import WHOLE, Shard
from exporter.config.store import StoreSettings
from exporter.fields import Secret, SecretSource, Shape, duration, format_duration, is_duration
from exporter.model import Account, Stream
from exporter.routes import UNSET, Http
from exporter.schedule import Expectations

# Characters that JSON lets stand and YAML does not, or takes for the end of a line.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class ScrapeShape(Shape):
    """When streams are probed, and how long their answers count."""

    timeout: duration(0.05, 120) = Field(  # type: ignore[valid-type]
        10.0, description="budget of a round where Prometheus sends no X-Prometheus-Scrape-Timeout-Seconds"
    )
    reuse: duration(0, 3600) = Field(  # type: ignore[valid-type]
        5.0, description="answers younger than this serve the next scrape too, so an HA pair costs one round"
    )
    max_age: duration(1, 86400) = Field(  # type: ignore[valid-type]
        120.0, description="a stream whose turn has not come keeps its last answer this long, then it is unknown"
    )


@dataclass(frozen=True, slots=True)
class Scrape:
    """When streams are probed, and how long their answers count; all in seconds."""

    timeout: float = 10.0
    reuse: float = 5.0
    max_age: float = 120.0


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without errors.

    Attributes:
        scrape: When streams are probed.
        accounts: Instances of their provider's account type, in the order of the file.
        streams: Instances of their provider's stream type, the short form written out, in the order of the files.
        label_names: Every key of the streams' labels, sorted.
        expectations: When each stream should be live.
        schedules: `expected`, `time_intervals` and `maintenance` as they are written.
        warnings: What is allowed and likely not meant.
        files: Every file that was read, secrets' files too, for watching.
        patterns: The patterns of `stream_files`, from the file system's root or the working directory, for watching.
        http: How the providers of accounts are reached that have no `http` of their own.
        store: What is shared with other exporters; None where nothing is.
        playback: How the addresses of streams are checked that viewers use.
        plain_addresses: The files that hold secrets of such addresses themselves: where the first is, and how many.
        shard: Which of the streams are watched; read for all shards, the configuration holds those of all.
        accounts_by_name: The accounts again.
    """

    scrape: Scrape = Scrape()
    accounts: tuple[Account, ...] = ()
    streams: tuple[Stream, ...] = ()
    label_names: tuple[str, ...] = ()
    expectations: Expectations = field(default_factory=Expectations, compare=False)
    schedules: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()
    patterns: tuple[str, ...] = ()
    http: Http = UNSET
    store: StoreSettings | None = None
    playback: PlaybackSettings = USUAL_PLAYBACK
    plain_addresses: tuple[tuple[Path, str, int], ...] = ()
    shard: Shard = WHOLE
    accounts_by_name: Mapping[str, Account] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = MappingProxyType({account.name: account for account in self.accounts})
        object.__setattr__(self, "accounts_by_name", by_name)

    @property
    def quota_parts(self) -> int:
        """Into how many equal parts the quota of each account is divided: shards that share a store share it, too."""
        return 1 if self.store is not None else self.shard.count

    def provider_of(self, stream: Stream) -> str:
        """Return the name of the provider of a stream's account."""
        return self.accounts_by_name[stream.account].provider


def redacted_slices(config: Config) -> Iterator[str]:
    """Yield the configuration with its defaults, account by account and stream by stream.

    Files and variables of secrets stand there by name, plain ones as `<secret>`.
    """
    yield _dumped(
        {"scrape": {name: format_duration(getattr(config.scrape, name)) for name in ScrapeShape.model_fields}}
    )
    if config.store is not None:
        yield _dumped({"store": dict(config.store.shown)})
    if config.http.shown:
        yield _dumped({"http": dict(config.http.shown)})
    if config.playback != USUAL_PLAYBACK or any(stream.playback for stream in config.streams):
        yield _dumped({"playback": _settings(config.playback)})
    if config.shard.count > 1:
        yield _dumped({"shard": {"index": config.shard.index, "count": config.shard.count}})
    yield "accounts:\n" if config.accounts else "accounts: []\n"
    for account in config.accounts:
        yield _dumped([_account(account, config.http)])
    yield "streams:\n" if config.streams else "streams: []\n"
    yield from map(_stream, config.streams)
    yield _dumped({"expected": "always", **config.schedules})


def _dumped(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _account(account: Account, http: Http) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in type(account).model_fields:
        value = getattr(account, name)
        if isinstance(value, Http):
            shown |= {} if value == http else {name: dict(value.shown)}
        elif isinstance(value, SecretSource):
            shown[name + SUFFIXES[value.kind]] = "<secret>" if isinstance(value.value, Secret) else value.value
        elif value is not None:
            timed = is_duration(type(account).model_fields[name].metadata)
            shown[name] = format_duration(value) if timed else value
    return shown


def _stream(stream: Stream) -> str:
    """Return a stream as one line: JSON is YAML, and ten times as fast to write."""
    shown = stream.model_dump(exclude_unset=True, exclude={"playback"})
    if stream.playback:
        shown["playback"] = [_address(address) for address in stream.playback]
    text = json.dumps(shown, ensure_ascii=False)
    return "- " + _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _address(address: PlaybackAddress) -> dict[str, Any]:
    """Return an address of viewers without its query; one from a file or a variable is shown by where it is."""
    query = "?<secret>" if "?" in address.url.reveal() else ""
    url = {} if {"url_file", "url_env"} & address.written.keys() else {"url": address.shown + query}
    return {"name": address.name, **url, **address.written}


def _settings(playback: PlaybackSettings) -> dict[str, Any]:
    times = {name: format_duration(getattr(playback, name)) for name in ("interval", "timeout")}
    return {**times, "concurrency": playback.concurrency, "rate": playback.rate}
