"""Keys from an account's own fields, or from the cloud's environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.config.secret_values import (
    CredentialsMissing,
    Read,
    missing,
    read_file,
    secret,
    secret_fields,
    variable_of,
)
from exporter.model import Account, Credentials, Secret, SecretSource
from exporter.providers.interface import AnyProvider


def configured(
    account: Account, provider: AnyProvider, environ: Mapping[str, str], read: Read = read_file
) -> Credentials:
    """Return what the fields or environment variables hold.

    Raises:
        CredentialsMissing: A field that is needed is given nowhere, or cannot be fetched.
    """
    given = {field for field in secret_fields(type(account)) if getattr(account, field) is not None}
    for field, advice in missing(provider, environ, given):
        raise CredentialsMissing(field, advice)

    def fetch(field: str) -> Secret:
        source = getattr(account, field) or SecretSource("env", variable_of(provider, field, environ))
        return secret(field, source, environ, read)

    key_id, key_secret, token = provider.credentials
    # A token of the environment goes with keys of the environment only.
    has_token = token in given or (given.isdisjoint((key_id, key_secret)) and variable_of(provider, token, environ))
    return Credentials(
        key_id=fetch(key_id).reveal() if key_id else "",
        key_secret=fetch(key_secret),
        token=fetch(token) if has_token else None,
    )
