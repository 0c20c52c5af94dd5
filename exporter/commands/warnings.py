"""What a configuration may say and yet is worth a warning: shared credentials, clear text, readable secrets."""

from __future__ import annotations

import contextlib
import ipaddress
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from exporter import config, files
from exporter.addresses import USUAL_PLAYBACK, PlaybackAddress
from exporter.config import Config
from exporter.config.secret_values import secret_fields
from exporter.credentials.fields import configured
from exporter.fields import Secret, SecretSource, format_duration, number
from exporter.model import Account, Stream
from exporter.providers.interface import AnyProvider
from exporter.routes import Http
from exporter.state.hops import GROUP

READABLE = 0o044
"""The mode bits by which a file's group, or everybody, may read it."""

MOST_SHARED: Final = 20
"""Addresses of several streams that are told of one by one."""


def warnings(
    loaded: Config, path: Path, providers: Mapping[str, AnyProvider], environ: Mapping[str, str]
) -> Iterator[str]:
    """Yield the warnings about a configuration that is valid; none holds a secret."""
    yield from readable_secrets(loaded, path)
    yield from _clear_text(loaded)
    yield from _shared_quotas(loaded, providers, environ)
    yield from _shared_addresses(loaded)
    yield from _apis_of_clouds(loaded)
    if loaded.playback != USUAL_PLAYBACK and not any(stream.playback for stream in loaded.streams):
        yield "playback says how addresses are checked, but no stream has any: list them under playback of the stream"
    if loaded.scrape.reuse >= loaded.scrape.max_age:
        yield (
            f"scrape.reuse ({format_duration(loaded.scrape.reuse)}) is not below scrape.max_age "
            f"({format_duration(loaded.scrape.max_age)}): streams will be unknown between two rounds"
        )


def readable_secrets(loaded: Config, path: Path, counts: Callable[[Path], bool] = lambda _file: True) -> Iterator[str]:
    """Yield a warning for each file of the configuration that holds secrets and that others than its owner may read.

    `counts` says which files are looked at.
    """
    owners = [account.name for account in loaded.accounts if _holds_secret(account, loaded.http)]
    owners += ["http.proxy_url"] if loaded.http.in_plain else []
    owners += ["store.url"] if loaded.store is not None and loaded.store.in_plain else []
    held = {path: owners} if owners else {}
    for file, where, count in loaded.plain_addresses:
        more = ["another address" if count == 2 else f"{number(count - 1)} more addresses"] if count > 1 else []
        held[file] = [*held.get(file, ()), where, *more]
    ways = {file: "; an address as url_file or url_env" for file, _, _ in loaded.plain_addresses}
    for file in filter(counts, held):
        try:
            status = files.look(file, files.SECONDS)
        except TimeoutError:
            continue
        mode = status.st_mode & 0o777 if status is not None else 0  # none if it has gone since it was read
        if mode & READABLE:
            yield (
                f"{file} holds the secrets of {_listed(held[file])} and may be read by others (mode {mode:04o}): "
                f"chmod 600, or give them as FIELD_file or FIELD_env{ways.get(file, '')}"
            )


def _holds_secret(account: Account, http: Http) -> bool:
    if account.http != http and account.http.in_plain:
        return True
    sources = (getattr(account, field) for field in secret_fields(type(account)))
    return any(isinstance(source, SecretSource) and isinstance(source.value, Secret) for source in sources)


def _clear_text(loaded: Config) -> Iterator[str]:
    for account in loaded.accounts:
        parts = urlsplit(account.endpoint)
        if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
            yield (
                f"account {account.name}: the endpoint {account.endpoint} is not encrypted: key ids, stream names and "
                "answers travel in the clear, and anyone on the way may forge an answer: use https://"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shared_quotas(loaded: Config, providers: Mapping[str, AnyProvider], environ: Mapping[str, str]) -> Iterator[str]:
    """Find accounts that the provider counts as one."""
    same: dict[tuple[str, str], list[Account]] = {}
    for account in loaded.accounts:
        # A secret that has gone since the configuration was read is reported at the next check.
        with contextlib.suppress(config.CredentialsMissing):
            provider = providers[account.provider]
            identity = provider.identity(account, configured(account, provider, environ))
            same.setdefault((account.provider, identity), []).append(account)
    for (name, _), accounts in same.items():
        if len(accounts) > 1:
            why = f"sign with the same {name} credentials" if providers[name].counted_by is None else "are one account"
            yield (
                f"accounts {_listed([account.name for account in accounts])} {why} and share one quota at {name}; by "
                f"their own settings they may use {_used_together(providers[name], accounts):.0%} together, but the "
                "exporter keeps all of them to the smallest of their limits, so a round takes longer than shown "
                "above; make them one account"
            )


def _used_together(provider: AnyProvider, accounts: list[Account]) -> float:
    """Return the share of a documented limit that accounts may use together, of whichever API it is most."""
    return max(
        sum(provider.allowed_rates(account)[action] / api.limit(account) for account in accounts)
        for action, api in provider.apis().items()
    )


def _shared_addresses(loaded: Config) -> Iterator[str]:
    """Find addresses that several streams have, unless they have one label `group`.

    One that an entry gives to all its names is told of with its place, while the entry is read.
    """
    counts = Counter(_same(address) for stream in loaded.streams for address in stream.playback)
    shared: dict[Hashable, list[tuple[Stream, PlaybackAddress]]] = {
        key: [] for key, count in counts.items() if count > 1
    }
    for stream in loaded.streams if shared else ():
        for address in stream.playback:
            if (those := shared.get(_same(address))) is not None:
                those.append((stream, address))
    told = [text for those in shared.values() if (text := _shared_by(those, loaded))]
    yield from told[:MOST_SHARED]
    if len(told) > MOST_SHARED:
        yield f"{number(len(told) - MOST_SHARED)} more playback addresses are those of several streams"


def _shared_by(those: list[tuple[Stream, PlaybackAddress]], loaded: Config) -> str:
    """Say which streams have one address; nothing where that is meant, or told of with its place."""
    names = dict.fromkeys(f"{loaded.provider_of(stream)}/{stream.name}" for stream, _ in those)
    groups = {stream.labels.get(GROUP, "") for stream, _ in those}
    entries = {id(address) for _, address in those}
    if len(names) == 1 or len(entries) == 1 or (len(groups) == 1 and "" not in groups):
        return ""
    return (
        f"streams {_listed(list(names))} have one playback address, {those[0][1].shown}: give each its own or, if "
        f"viewers take them for one stream, all the same label {GROUP}"
    )


def _same(address: PlaybackAddress) -> Hashable:
    """Return what two addresses have in common if they are the same."""
    return address.url, address.variant, address.signed, address.key


def _apis_of_clouds(loaded: Config) -> Iterator[str]:
    """Find addresses at the API of a cloud; a server of one's own may well serve both at one address."""
    apis = {urlsplit(account.endpoint).hostname: account.name for account in loaded.accounts if _is_clouds(account)}
    found: dict[str, list[str]] = defaultdict(list)
    for stream in loaded.streams:
        for host in dict.fromkeys(urlsplit(address.origins[0]).hostname or "" for address in stream.playback):
            if host in apis:
                found[host].append(f"{loaded.provider_of(stream)}/{stream.name}")
    for host, names in found.items():
        yield (
            f"{host} is the API of account {apis[host]}, which no viewer uses: replace the playback address of "
            f"{'stream' if len(names) == 1 else 'streams'} {_listed(names)}"
        )


def _is_clouds(account: Account) -> bool:
    """Whether an account's endpoint is a cloud's own: one of the domain of its default."""
    default = type(account).model_fields["endpoint"].default
    if not isinstance(default, str) or not default.startswith("https://"):
        return False
    domain = ".".join(default.split(".")[-2:])
    return (urlsplit(account.endpoint).hostname or "").endswith(f".{domain}")


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
