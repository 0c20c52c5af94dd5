"""The credential chain: an account's fields, then environment variables, then its cloud's sources in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from exporter.files import may_be_file
from exporter.providers.interface import AnyProvider
from exporter.providers.sources import Machine, Source


def choose(machine: Machine, provider: AnyProvider, given: Collection[str]) -> Source | None:
    """Return the credential source of an account whose secret fields in `given` are set.

    It is None if fields or environment variables hold keys, or if there is no source. Only the first source with
    evidence counts: if it fails, no other identity silently takes its place.
    """
    key_id, key_secret, _ = provider.credentials
    in_fields = any(field in given for field in provider.credentials if field)
    variables = (name for field in (key_id, key_secret) for name in provider.environment.get(field, ()))
    if in_fields or any(machine.get(name) for name in variables):
        return None
    return next((source for source in provider.sources if source.evidence(machine)), None)


def chooser(environ: Mapping[str, str]) -> Callable[[AnyProvider, Collection[str]], Source | None]:
    """Return `choose` for this machine."""
    return partial(choose, Machine(environ, may_be_file))
