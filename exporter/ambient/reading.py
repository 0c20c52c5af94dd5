"""What files and servers say, read strictly; nothing of what they hold gets into an error."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from typing import Any

from exporter.fields import Secret
from exporter.model import Credentials, Reply
from exporter.providers.interface import CredentialsError, Malformed, NoEnvelope
from exporter.providers.reading import envelope

LONGEST = 16 << 10
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# Words with capitals, as the vendors' codes are and as no key and no token is.
_CODE = re.compile(r"[A-Z][A-Za-z]{1,40}(\.[A-Z][A-Za-z]{1,40}){0,3}", re.ASCII)


def key(found: Mapping[str, Any], name: str) -> str:
    """Return a key or token by its name: printable ASCII, as headers carry it.

    Raises:
        CredentialsError: It is missing or something else.
    """
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise CredentialsError(f"{name} is missing")
    if len(value) > LONGEST or not all("!" <= sign <= "~" for sign in value):
        raise CredentialsError(f"{name} holds signs that no key has")
    return value


def pair(found: Mapping[str, Any], key_id: str, key_secret: str, token: str = "") -> Credentials:  # nosec B107
    """Return the credentials that stand under these names; `token` may be missing unless it is the server's.

    Raises:
        CredentialsError: One is missing or something else.
    """
    held = Secret(key(found, token)) if token and found.get(token) else None
    return Credentials(key(found, key_id), Secret(key(found, key_secret)), held)


def temporary(found: Mapping[str, Any], key_id: str, key_secret: str, token: str) -> Credentials:
    """Return temporary credentials, which are none without their token.

    Raises:
        CredentialsError: One is missing or something else.
    """
    return Credentials(key(found, key_id), Secret(key(found, key_secret)), Secret(key(found, token)))


def text(data: bytes) -> str:
    """Return a file's content as text.

    Raises:
        CredentialsError: It is none.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    # Raised out here, here as below: the decoder's error holds the file.
    raise CredentialsError("the file is not UTF-8 text")


def identity_token(data: bytes) -> str:
    """Return the token of a projected service account.

    Raises:
        CredentialsError: The file holds something else.
    """
    return key({"the token in the file": text(data).strip()}, "the token in the file")


def section(data: bytes, name: str) -> dict[str, str]:
    """Return a section of an INI file, its values without quotes and comments.

    Raises:
        CredentialsError: The file is none, or lacks the section.
    """
    parser = configparser.RawConfigParser(inline_comment_prefixes=("#", ";"))
    content = text(data)
    try:
        parser.read_string(content)
        whole = True
    except configparser.Error:
        whole = False
    if not whole:
        raise CredentialsError("the file is not in INI form, like [default] and below it NAME = VALUE")
    if not parser.has_section(name):
        raise CredentialsError(f"the file has no section [{name}]")
    return {option: _bare(value) for option, value in parser.items(name)}


def _bare(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def role(name: str, source: str) -> str:
    """Return a role's name, fit for a path.

    Raises:
        CredentialsError: It is something else.
    """
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise CredentialsError(f"{source} is not the name of a role")
    return name


def attached_role(reply: Reply) -> str:
    """Return the name of the role that a metadata server says is attached to the instance.

    Raises:
        CredentialsError: It names none.
    """
    succeeded(reply)
    return role(reply.body[:256].decode("ascii", "replace").strip(), "what the metadata server answers")


def succeeded(reply: Reply) -> None:
    """Refuse a metadata server's answer that is none.

    Raises:
        CredentialsError: No role of that name is attached.
        NoEnvelope: Another status than 200.
    """
    if reply.status == 404:
        raise CredentialsError("the metadata server says that no such role is attached to the instance")
    if reply.status != 200:
        raise NoEnvelope(f"HTTP {reply.status}")


def metadata(reply: Reply) -> dict[str, Any]:
    """Return the keys that a metadata server answers with.

    Raises:
        CredentialsError: No such role is attached, or another error code.
        NoEnvelope, Malformed: It is no such answer.
    """
    succeeded(reply)
    found = envelope(reply)
    if found.get("Code") != "Success":
        raise CredentialsError(f"the metadata server answers {code(found.get('Code'))}")
    return found


def code(value: Any) -> str:
    """Return an error code as it may be shown, or `an unknown error`: what is sent might come back in any field."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "an unknown error"


def moment(value: Any, name: str) -> float:
    """Return Unix seconds that a server names.

    Raises:
        Malformed: They are something else.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1 << 36:
        raise Malformed(f"{name} is no time")
    return float(value)
