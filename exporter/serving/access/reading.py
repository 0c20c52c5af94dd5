"""Reads the file of `--web.config.file`, and rereads it when it has changed."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from exporter import files
from exporter.config.document import Document, Format, read_document
from exporter.config.positions import problems_at, unprintable
from exporter.config.problems import Place, path_of
from exporter.config.scalars import resolved
from exporter.serving.access.settings import HEADERS, HttpServer, RateLimit, TlsServer, WebConfig
from exporter.spelling import did_you_mean

LARGEST = 1 << 20
# A temporary shortage of resources says nothing about the file.
_SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT)


class WebConfigError(Exception):
    """The file cannot be used. `errors` holds lines like `file:line:column: path: message`, none with a secret."""

    def __init__(self, *errors: str) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


_SECTIONS: dict[str, Any] = {name: info.annotation for name, info in WebConfig.model_fields.items()}
_KEYS = frozenset(
    {*_SECTIONS, *HEADERS, "<user>", *(key for each in (TlsServer, HttpServer, RateLimit) for key in each.model_fields)}
)


def _explained(error: Any) -> tuple[Any, str]:
    """Return the parser's message, unless it quotes the file: the line may hold a secret."""
    words = getattr(error, "problem", None) or "is not valid YAML"
    return getattr(error, "problem_mark", None), "is not valid YAML" if re.search(r"['\"\\#]", words) else words


def _path(place: Place, _bare: bool = False) -> str:
    """Format a place for messages. User names are hidden: someone may have swapped name and hash."""
    if len(place) > 1 and place[0] == "basic_auth_users":
        place = (place[0], "<user>")
    return path_of(place, words=_KEYS, strict=True) if place else ""


def _scalar(text: str) -> Any:
    """Read a plain scalar as null, boolean or decimal integer, and everything else as text."""
    value = resolved(text)
    plain = isinstance(value, int) and re.fullmatch(r"[-+]?(0|[1-9]\d{0,8})", text, re.ASCII)
    return value if value is None or isinstance(value, bool) or plain else text


_FORMAT = Format(
    path=_path,
    messages={
        "encoding": "is not UTF-8 text",
        "empty": "",
        "depth": "is nested too deeply",
        "alias": "YAML aliases are not read here",
        "anchor": "",
        "tag": "",
        "twice": "is written twice",
        "nested key": "is not a plain key",
        "template": "is not a plain key",
        "second": "expected a single document in the stream, but found another document",
    },
    explain=_explained,
    parser=yaml.SafeLoader,
    scalar=_scalar,
    text_keys=True,
    largest=LARGEST,
)

_WORDS = {
    "bool_type": "is neither true nor false",
    "dict_type": "is not a mapping",
    "greater_than_equal": "is negative",
    "int_type": "is not a whole number in plain digits",
    "list_type": "is not a list",
    "literal_error": "is not one of TLS10, TLS11, TLS12, TLS13",
    "model_type": "is not a mapping",
    "string_type": "is not a text; put it in quotes",
}


def _problem(error: Any) -> tuple[Place, str]:
    """Return the place and message of a pydantic error, without quoting the value."""
    place = error["loc"]
    if error["type"] == "extra_forbidden":
        section = _SECTIONS[place[0]] if len(place) > 1 else WebConfig
        return place, "is not a known key" + did_you_mean(place[-1], section.model_fields, quote="")
    if error["type"] == "value_error":
        return place, str(error["ctx"]["error"])
    return place, _WORDS.get(error["type"], "is not valid")


def _parsed(path: Path, content: bytes) -> tuple[WebConfig, Document]:
    document = read_document(str(path), content, _FORMAT)
    problems = document.problems or problems_at(document, unprintable(document).items())
    if not problems:
        value = {} if document.value is None else document.value
        try:
            return WebConfig.model_validate(value, context={"directory": path.parent}), document
        except ValidationError as error:
            problems = problems_at(document, map(_problem, error.errors(include_input=False)))
    raise WebConfigError(*map(str, problems))


class ConfigFile:
    """The current file. Its bytes are compared on each read, so that a coarse timestamp cannot hide a change."""

    def __init__(self, path: Path, changed: Callable[[WebConfig | WebConfigError], None]) -> None:
        self._path = path
        self._changed = changed
        self._seen: bytes | str | None = None
        self._now: WebConfig | WebConfigError = WebConfig()
        self._document = Document(str(path))

    def read(self) -> WebConfig:
        """Return the settings in the file; parse it only when it has changed.

        Raises:
            WebConfigError: It is invalid at present.
        """
        seen: bytes | str
        try:
            # Requests wait for this; while the disk hangs, the last known settings apply.
            first = self._seen is None
            seen = files.read(self._path, LARGEST + 1, files.SECONDS if first else files.LOOK_SECONDS)
        except OSError as error:
            seen = f"{self._path}:1:1: {files.problem(error)}"
            if error.errno in _SHORTAGE and self._seen is not None:
                seen = self._seen
        if seen != self._seen:
            self._seen = seen
            self._now = self._read_again(seen)
            self._changed(self._now)
        if isinstance(self._now, WebConfigError):
            raise WebConfigError(*self._now.errors)
        return self._now

    def _read_again(self, seen: bytes | str) -> WebConfig | WebConfigError:
        if isinstance(seen, str):
            return WebConfigError(seen)
        try:
            config, self._document = _parsed(self._path, seen)
        except WebConfigError as error:
            return error
        return config

    def error(self, place: Place, message: str) -> WebConfigError:
        """Return an error at a place of the last valid file."""
        return WebConfigError(*map(str, problems_at(self._document, [(place, message)])))
