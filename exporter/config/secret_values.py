"""Secrets of accounts: where they come from, and how they are fetched from there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import get_args

from exporter import ambient, files
from exporter.config.document import LARGEST
from exporter.fields import Secret, SecretSource
from exporter.model import Account, Credentials
from exporter.providers.interface import AnyProvider

LARGEST_SECRET = 64 << 10
SUFFIXES = {"plain": "", "file": "_file", "env": "_env"}

Read = Callable[[Path], bytes]


class CredentialsMissing(Exception):  # noqa: N818 - a finding, named in the field's own words
    """A secret that is needed cannot be had.

    Attributes:
        field: The account's field.
        advice: What is wrong and what to do, without any value.
    """

    def __init__(self, field: str, advice: str) -> None:
        super().__init__(f"{field}: {advice}")
        self.field = field
        self.advice = advice


def read_file(path: Path) -> bytes:
    """Read a file as far as anything of ours may be long; raises OSError or ValueError."""
    return files.read(path, LARGEST + 1)


def secret_fields(account: type[Account]) -> tuple[str, ...]:
    """Return the fields of an account type that hold secrets."""
    return tuple(
        name
        for name, field in account.model_fields.items()
        if SecretSource in (field.annotation, *get_args(field.annotation))
    )


def secret(field: str, source: SecretSource, environ: Mapping[str, str], read: Read = read_file) -> Secret:
    """Fetch a secret from where the configuration says it is; one newline at the end of a file does not count.

    Raises:
        CredentialsMissing: It is not there, is empty, or cannot be a secret.
    """
    if isinstance(source.value, Secret):
        text = source.value.reveal()
    elif source.kind == "env":
        text = environ.get(source.value, "")
        if source.value not in environ:
            raise CredentialsMissing(field, "names an environment variable that is not set")
    else:
        text = _from_file(field, Path(source.value), read)
    return Secret(_fit(field, text))


def _from_file(field: str, path: Path, read: Read) -> str:
    try:
        data = read(path)
    except OSError as error:
        raise CredentialsMissing(field, f"names a file that {files.problem(error)}") from None
    except ValueError:
        raise CredentialsMissing(field, "is not the name of a file") from None
    if len(data) > LARGEST_SECRET:
        raise CredentialsMissing(field, "names a file larger than 64 KiB, which is no secret")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CredentialsMissing(field, "names a file that is not UTF-8 text") from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _fit(field: str, text: str) -> str:
    """Refuse what no vendor issues and no header carries."""
    if not text:
        raise CredentialsMissing(field, "is empty")
    if any(sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise CredentialsMissing(field, "holds a line break or a control character, which no secret has")
    return text


def credentials(
    account: Account, provider: AnyProvider, environ: Mapping[str, str], read: Read = read_file
) -> Credentials:
    """Return what the account's calls are signed with, from its own fields or the vendor's environment variables.

    Raises:
        CredentialsMissing: A field that is needed is given nowhere, or cannot be fetched.
    """
    given = [field for field in secret_fields(type(account)) if getattr(account, field) is not None]
    for field, advice in missing(provider, environ, given):
        raise CredentialsMissing(field, advice)
    key_id, key_secret, token = provider.credentials
    found = {
        field: _found(account, provider, field, environ, read)
        for field in (key_id, key_secret, _token(account, provider, token, environ))
        if field
    }
    return Credentials(
        key_id=found[key_id].reveal() if key_id else "", key_secret=found[key_secret], token=found.get(token)
    )


def missing(provider: AnyProvider, environ: Mapping[str, str], given: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the credentials that are neither among the given fields nor in the environment, each with what to do."""
    for field in provider.credentials[:2]:
        if field and field not in given and not _variable(provider, field, environ):
            names = " or ".join(provider.environment.get(field, ()))
            fallback = f", or the environment variable {names}" if names else ""
            ways = ambient.hints(provider.name) if field == provider.credentials[0] else ""
            otherwise = f"; or give no key and {ways}" if ways else ""
            yield field, f"is missing: set {field}, {field}_file or {field}_env{fallback}{otherwise}"


def _token(account: Account, provider: AnyProvider, field: str, environ: Mapping[str, str]) -> str:
    """Return the token's field where there is one; that of the environment goes with the keys of the environment."""
    if not field or getattr(account, field) is not None:
        return field
    own_keys = any(getattr(account, key) is not None for key in provider.credentials[:2] if key)
    return field if not own_keys and _variable(provider, field, environ) else ""


def _variable(provider: AnyProvider, field: str, environ: Mapping[str, str]) -> str:
    return next((name for name in provider.environment.get(field, ()) if environ.get(name)), "")


def _found(account: Account, provider: AnyProvider, field: str, environ: Mapping[str, str], read: Read) -> Secret:
    source = getattr(account, field) or SecretSource("env", _variable(provider, field, environ))
    return secret(field, source, environ, read)
