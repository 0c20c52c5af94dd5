"""The chain: an account's fields, then the environment variables, then its cloud's sources in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from exporter.files import may_be_file
from exporter.providers.interface import AnyProvider
from exporter.providers.sources import Machine, Source


def choose(machine: Machine, provider: AnyProvider, given: Collection[str]) -> Source | None:
    """Return the source of an account's keys.

    Only the first source with evidence counts: if it fails, no other identity takes its place silently.

    Args:
        machine: The machine that the exporter runs on.
        provider: The account's cloud.
        given: The account's secret fields that are set.

    Returns:
        None if the account's fields or environment variables are to be used, or there is nothing.
    """
    key_id, key_secret, _ = provider.credentials
    in_fields = any(field in given for field in provider.credentials if field)
    variables = (name for field in (key_id, key_secret) for name in provider.environment.get(field, ()))
    if in_fields or any(machine.get(name) for name in variables):
        return None
    return next((source for source in provider.sources if source.evidence(machine)), None)


def chooser(environ: Mapping[str, str]) -> Callable[[AnyProvider, Collection[str]], Source | None]:
    """Return `choose` for this machine, for one reading of the configuration."""
    return partial(choose, Machine(environ, may_be_file))
