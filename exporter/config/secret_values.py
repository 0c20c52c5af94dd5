"""Secrets in the configuration: fetches them from a field, a file or an environment variable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import get_args

from exporter import files
from exporter.config.document import LARGEST
from exporter.fields import Secret, SecretSource
from exporter.model import Account
from exporter.providers.interface import AnyProvider
from exporter.providers.sources import Source

LARGEST_SECRET = 64 << 10
SUFFIXES = {"plain": "", "file": "_file", "env": "_env"}

Read = Callable[[Path], bytes]
Choose = Callable[[AnyProvider, Collection[str]], Source | None]
"""Takes an account's provider and its secret fields that are set; returns the source of its keys if it has one."""


_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


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
    """Read a file up to the largest size of a configuration; raises OSError or ValueError."""
    return files.read(path, LARGEST + 1)


def secret_fields(account: type[Account]) -> tuple[str, ...]:
    """Return the fields of an account type that hold secrets."""
    return _secret_fields(account)


@cache
def _secret_fields(account: type[Account]) -> tuple[str, ...]:
    return tuple(
        name
        for name, field in account.model_fields.items()
        if SecretSource in (field.annotation, *get_args(field.annotation))
    )


# What is written in place of a variable or a path may be the secret itself, so only what cannot be one is shown.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", re.ASCII)
_FOLDERS = re.compile(r"/(etc|home|mnt|opt|root|run|secrets|srv|tmp|usr|var|Users|Volumes)/")
_WORDS = r"\.{0,2}([A-Z]?[a-z]{1,15}|[0-9]{1,4})?([._-]([a-z]{1,15}|[0-9]{1,4}))*"
_PLAIN_PATH = re.compile(rf"({_WORDS}/)+{_WORDS}|[a-z]+([_-][a-z]+)*\.(txt|key|secret|pem|token|conf|env)", re.ASCII)


def shown_variable(name: str) -> str:
    """Return the name of an environment variable if it cannot be a secret, else nothing."""
    return name if _VARIABLE.fullmatch(name) else ""


def shown_path(written: str, path: Path) -> str:
    """Return the whole path of a secret's file if what is written for it cannot be a secret, else nothing."""
    whole = os.path.abspath(path)
    plain = _FOLDERS.match(written) or _PLAIN_PATH.fullmatch(written)
    return whole if plain and whole.isprintable() else ""


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
            which = (
                f"the environment variable {source.shown}, which" if source.shown else "an environment variable that"
            )
            raise CredentialsMissing(field, f"names {which} is not set")
    else:
        which = f"the file {source.shown}, which" if source.shown else "a file that"
        text = _from_file(field, Path(source.value), which, read)
    return Secret(_fit(field, text))


def _from_file(field: str, path: Path, which: str, read: Read) -> str:
    try:
        data = read(path)
    except OSError as error:
        raise CredentialsMissing(field, f"names {which} {files.problem(error)}") from None
    except ValueError:
        raise CredentialsMissing(field, "is not the name of a file") from None
    if len(data) > LARGEST_SECRET:
        raise CredentialsMissing(field, f"names {which} is larger than 64 KiB; that is no secret")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CredentialsMissing(field, f"names {which} is not UTF-8 text") from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _fit(field: str, text: str) -> str:
    """Refuse what no vendor issues and no header carries."""
    if not text:
        raise CredentialsMissing(field, "is empty")
    if _UNFIT.search(text):
        raise CredentialsMissing(field, "holds a line break or a control character, which no secret has")
    return text


def missing(provider: AnyProvider, environ: Mapping[str, str], given: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the credentials that are neither among the given fields nor in the environment, each with what to do."""
    for field in () if provider.keyless else provider.credentials[:2]:
        if field and field not in given and not variable_of(provider, field, environ):
            names = " or ".join(provider.environment.get(field, ()))
            fallback = f", or the environment variable {names}" if names else ""
            hints = ", or ".join(source.hint for source in provider.sources) if field == provider.credentials[0] else ""
            otherwise = f"; or give no key and {hints}" if hints else ""
            yield field, f"is missing: set {field}, {field}_file or {field}_env{fallback}{otherwise}"


def variable_of(provider: AnyProvider, field: str, environ: Mapping[str, str]) -> str:
    """Return the name of the first environment variable that is set for a field, or an empty text."""
    return next((name for name in provider.environment.get(field, ()) if environ.get(name)), "")
