"""Reads keys from files and from the replies of metadata servers; no error repeats anything of them.

Functions raise `CredentialsError` if they do not find what they should return, and those that take a `Reply` also raise
`NoEnvelope` and `Malformed`.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from exporter.fields import Secret
from exporter.model import Credentials, Reply
from exporter.providers.interface import CredentialsError, NoEnvelope
from exporter.providers.reading import envelope

AUTO = "auto"
"""Given instead of a role's name: use the role that the metadata server says is attached."""

LONGEST = 16 << 10
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# `configparser` takes quadratic time for a run of blanks within a line: a minute for 60,000.
_GAP = re.compile(r"\S[^\S\n]{100}")
# Capitalised words, which the vendors' codes are, and keys and tokens are not.
_CODE = re.compile(r"[A-Z][A-Za-z]{1,40}(\.[A-Z][A-Za-z]{1,40}){0,3}", re.ASCII)


def key(found: Mapping[str, Any], name: str) -> str:
    """Return a key or token by its name: printable ASCII, as headers carry it."""
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise CredentialsError(f"{name} is missing")
    if len(value) > LONGEST or not all("!" <= sign <= "~" for sign in value):
        raise CredentialsError(f"{name} holds signs that no key has")
    return value


def temporary(found: Mapping[str, Any], *names: str) -> Credentials:
    """Return the credentials under these names: id, secret and token, which are all required."""
    key_id, *secrets = (key(found, name) for name in names)
    return Credentials(key_id, *map(Secret, secrets))


def lasting(found: Mapping[str, Any], *names: str) -> Credentials:
    """Return the credentials under these names: id, secret, and the token if there is one."""
    return temporary(found, *names[:2], *(name for name in names[2:] if found.get(name)))


def text(data: bytes) -> str:
    """Return a file's content as text."""
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig")
    # Raised outside of `suppress`, here as below, because the decoder's error holds the file.
    raise CredentialsError("the file is not UTF-8 text")


def identity_token(data: bytes) -> str:
    """Return the token of a projected service account."""
    return key({"the token in the file": text(data).strip()}, "the token in the file")


def section(data: bytes, name: str) -> dict[str, str]:
    """Return a section of an INI file, with values freed of quotes and comments."""
    content = text(data)
    no_ini = CredentialsError("the file is not in INI form, like [default] and below it NAME = VALUE")
    if _GAP.search(content):
        raise no_ini
    with suppress(configparser.Error):
        parser = configparser.RawConfigParser(inline_comment_prefixes=("#", ";"))
        parser.read_string(content)
        if not parser.has_section(name):
            raise CredentialsError(f"the file has no section [{name}]")
        return {option: _unquoted(value) for option, value in parser.items(name)}
    raise no_ini


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def role(name: str, source: str) -> str:
    """Return a role's name after checking that it fits into a path; `source` says where it comes from."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise CredentialsError(f"{source} is not the name of a role")
    return name


def plain(reply: Reply) -> str:
    """Return a metadata server's plain answer."""
    if reply.status == 404:
        raise CredentialsError("the metadata server says that no such role is attached to the instance")
    if reply.status != 200:
        raise NoEnvelope(f"HTTP {reply.status}")
    return reply.body.decode("ascii", "replace").strip()


def attached_role(reply: Reply) -> str:
    """Return the name of the role that a metadata server says is attached to the instance."""
    return role(plain(reply), "what the metadata server answers")


def metadata(reply: Reply) -> dict[str, Any]:
    """Return the JSON object with keys that a metadata server answers with."""
    plain(reply)
    found = envelope(reply)
    if found.get("Code") != "Success":
        raise CredentialsError(f"the metadata server answers {code(found.get('Code'))}")
    return found


def code(value: Any) -> str:
    """Return an error code, or `an unknown error` if it might repeat a secret that was sent."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "an unknown error"
