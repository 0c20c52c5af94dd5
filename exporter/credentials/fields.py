"""Keys from an account's fields or the cloud's environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.config import secret_values
from exporter.config.secret_values import CredentialsMissing, Read
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Credentials
from exporter.providers.interface import AnyProvider


def configured(
    account: Account, provider: AnyProvider, environ: Mapping[str, str], read: Read = secret_values.read_file
) -> Credentials:
    """Return the keys in an account's fields or environment variables; empty ones where it may have none.

    Raises:
        CredentialsMissing: A required field is not set or cannot be read.
    """
    given = {field for field in secret_values.secret_fields(type(account)) if getattr(account, field) is not None}
    for field, advice in secret_values.missing(provider, environ, given):
        raise CredentialsMissing(field, advice)

    def fetch(field: str) -> Secret:
        if field not in given and not secret_values.variable_of(provider, field, environ):
            return Secret("")
        source = getattr(account, field) or SecretSource("env", secret_values.variable_of(provider, field, environ))
        return secret_values.secret(field, source, environ, read)

    key_id, key_secret, token = provider.credentials
    # A token from the environment belongs only to keys from the environment.
    has_token = token in given or (
        given.isdisjoint((key_id, key_secret)) and secret_values.variable_of(provider, token, environ)
    )
    return Credentials(
        key_id=fetch(key_id).reveal(),
        key_secret=fetch(key_secret),
        token=fetch(token) if has_token else None,
    )
