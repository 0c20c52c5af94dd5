"""What is allowed in a configuration and yet worth a warning: shared credentials, clear text, readable secrets."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from exporter import config, files
from exporter.capacity import kept_rates
from exporter.config import Config
from exporter.config.secret_values import secret_fields
from exporter.fields import Secret, SecretSource, format_duration
from exporter.model import Account
from exporter.providers.interface import AnyProvider

READABLE = 0o044
"""The mode bits by which a file's group, or everybody, may read it."""


def cautions(
    found: Config, path: Path, providers: Mapping[str, AnyProvider], environ: Mapping[str, str]
) -> Iterator[str]:
    """Yield the warnings about a configuration that is otherwise right; none holds a secret."""
    yield from readable(found, path)
    yield from _in_the_clear(found)
    yield from _shared(found, providers, environ)
    if found.scrape.reuse >= found.scrape.max_age:
        yield (
            f"scrape.reuse ({format_duration(found.scrape.reuse)}) is not below scrape.max_age "
            f"({format_duration(found.scrape.max_age)}): streams will be unknown between two rounds"
        )


def readable(found: Config, path: Path) -> Iterator[str]:
    """Yield a warning if the configuration holds secrets and others than its owner may read it."""
    plain = [account.name for account in found.accounts if any(_plain(account))]
    try:
        seen = files.look(path, files.SECONDS)
    except TimeoutError:
        return
    mode = seen.st_mode & 0o777 if seen is not None else 0  # none where it has gone since it was read
    if plain and mode & READABLE:
        yield (
            f"{path} holds the secrets of {_listed(plain)} and may be read by others (mode {mode:04o}): "
            f"chmod 600, or give them as FIELD_file or FIELD_env"
        )


def _plain(account: Account) -> Iterator[bool]:
    for field in secret_fields(type(account)):
        source = getattr(account, field)
        yield isinstance(source, SecretSource) and isinstance(source.value, Secret)


def _in_the_clear(found: Config) -> Iterator[str]:
    for account in found.accounts:
        parts = urlsplit(account.endpoint)
        if parts.scheme == "http" and not _loopback(parts.hostname or ""):
            yield (
                f"account {account.name}: the endpoint {account.endpoint} is not encrypted: key ids, stream names and "
                "answers travel in the clear, and anyone on the way may forge an answer: use https://"
            )


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shared(found: Config, providers: Mapping[str, AnyProvider], environ: Mapping[str, str]) -> Iterator[str]:
    """Find accounts that the provider counts as one: they share one quota."""
    owners: dict[tuple[str, str], list[Account]] = {}
    for account in found.accounts:
        # A secret that has gone since the configuration was read is reported at the next check.
        with contextlib.suppress(config.CredentialsMissing):
            provider = providers[account.provider]
            identity = provider.identity(account, config.credentials(account, provider, environ))
            owners.setdefault((account.provider, identity), []).append(account)
    for (name, _), accounts in owners.items():
        if len(accounts) > 1:
            same = f"sign with the same {name} credentials" if providers[name].counted_by is None else "are one account"
            yield (
                f"accounts {_listed([account.name for account in accounts])} {same} and share one quota at {name}; by "
                f"their own settings they may use {_together(providers[name], accounts):.0%} together, but the "
                "exporter keeps all of them to the smallest of their limits, so a round takes longer than shown "
                "above; make them one account"
            )


def _together(provider: AnyProvider, accounts: list[Account]) -> float:
    """Return the share of a documented limit that accounts may use together, of whichever API it is most."""
    return max(
        sum(kept_rates(provider, account)[action] / api.limit(account) for account in accounts)
        for action, api in provider.apis().items()
    )


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
