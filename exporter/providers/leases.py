"""Reads keys from files and from the replies of metadata servers. No error repeats what was read.

All functions raise `CredentialsError` if they cannot return what they should. Those that take a `Reply` also raise
`NoEnvelope` and `Malformed`.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from exporter.fields import Secret
from exporter.model import Credentials, Reply
from exporter.providers.interface import CredentialsError, NoEnvelope
from exporter.providers.reading import envelope
from exporter.providers.sources import Lease, Machine, Source, Steps

AUTO = "auto"
"""Stands for a role's name: use the role that the metadata server says is attached."""

LONGEST = 16 << 10
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# `configparser` takes quadratic time for a run of blanks within a line: one minute for 60,000 of them.
_GAP = re.compile(r"\S[^\S\n]{100}")
# The vendors' codes are capitalised words; keys and tokens are not.
_CODE = re.compile(r"[A-Z][A-Za-z]{1,40}(\.[A-Z][A-Za-z]{1,40}){0,3}", re.ASCII)


def require_key(fields: Mapping[str, Any], name: str) -> str:
    """Return a key or token, which must be printable ASCII because it goes into a header."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise CredentialsError(f"{name} is missing")
    if len(value) > LONGEST or not all("!" <= sign <= "~" for sign in value):
        raise CredentialsError(f"{name} holds signs that no key has")
    return value


def temporary_credentials(fields: Mapping[str, Any], *names: str) -> Credentials:
    """Return credentials from the fields of id, secret and token, which are all required."""
    key_id, *secrets = (require_key(fields, name) for name in names)
    return Credentials(key_id, *map(Secret, secrets))


def lasting_credentials(fields: Mapping[str, Any], *names: str) -> Credentials:
    """Return credentials from the fields of id, secret and token; the token is optional."""
    return temporary_credentials(fields, *names[:2], *(name for name in names[2:] if fields.get(name)))


def _decode(data: bytes) -> str:
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig")
    # Raised outside `suppress`, here and below, because the decoder's error holds the file.
    raise CredentialsError("the file is not UTF-8 text")


def identity_token(data: bytes) -> str:
    """Return the token of a projected service account."""
    return require_key({"the token in the file": _decode(data).strip()}, "the token in the file")


def ini_section(data: bytes, name: str) -> dict[str, str]:
    """Return a section of an INI file, without quotes and comments."""
    content = _decode(data)
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


def profile_source(
    cloud: str, variable: str, *paths: str, section: str, names: tuple[str, str, str], chosen_by: str = ""
) -> Source:
    """Return the source that is a cloud's profile file, in INI form.

    Args:
        cloud: Its name.
        variable: The environment variable that names the file.
        paths: Where the file is otherwise; the first that exists is read.
        section: The section with the keys.
        names: The fields of id, secret and token; the token is optional.
        chosen_by: The environment variable that names another section, if there is one.
    """

    def find(machine: Machine) -> Path | None:
        return machine.profile(variable, *paths)

    def obtain(machine: Machine, _now: float) -> Steps:
        data: bytes = yield find(machine) or Path()
        return Lease(lasting_credentials(ini_section(data, machine.get(chosen_by) or section), *names))

    other = f", or the one that {chosen_by} names," if chosen_by else ""
    return Source(
        title=f"profile file of {cloud}",
        hint=f"write a profile file {paths[0]}",
        advice=f"it has a section [{section}]{other} with {names[0]} and {names[1]}",
        evidence=find,
        obtain=obtain,
    )


def check_role(name: str, source: str) -> str:
    """Check that a role's name may stand in a path, and return it; `source` says where it comes from."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise CredentialsError(f"{source} is not the name of a role")
    return name


def metadata_text(reply: Reply) -> str:
    """Return a metadata server's answer as text."""
    if reply.status == 404:
        raise CredentialsError("the metadata server says that no such role is attached to the instance")
    if reply.status != 200:
        raise NoEnvelope(f"HTTP {reply.status}")
    return reply.body.decode("ascii", "replace").strip()


def attached_role(reply: Reply) -> str:
    """Return the name of the role that is attached to the instance."""
    return check_role(metadata_text(reply), "what the metadata server answers")


def metadata_keys(reply: Reply) -> dict[str, Any]:
    """Return the JSON object with the keys in a metadata server's answer."""
    metadata_text(reply)
    keys = envelope(reply)
    if keys.get("Code") != "Success":
        raise CredentialsError(f"the metadata server answers {safe_code(keys.get('Code'))}")
    return keys


def safe_code(value: Any) -> str:
    """Return an error code, or `an unknown error` if it might repeat a secret."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "an unknown error"
