"""Volcengine: the two profile files that the vendor's SDKs read."""

from __future__ import annotations

from pathlib import Path

from exporter.ambient import reading
from exporter.ambient.nouns import Around, Grant, Recipe, Way, read
from exporter.providers.interface import CredentialsError
from exporter.providers.reading import object_in


def _profile(around: Around) -> Path | None:
    return around.first_file("~/.volc/credentials", "~/.volc/config")


def _from_profile(around: Around, _now: float) -> Recipe:
    path = _profile(around) or Path()
    data = yield from read(path)
    if path.name == "config":
        return Grant(reading.pair(_json(data), "ak", "sk"))
    found = reading.section(data, "default")
    return Grant(reading.pair(found, "access_key_id", "secret_access_key", "session_token"))


def _json(data: bytes) -> dict[str, object]:
    try:
        return object_in(data)
    except ValueError:
        pass
    # Raised out here: the decoder's error holds the file.
    raise CredentialsError('the file is not a JSON object like {"ak": "…", "sk": "…"}')


WAYS = (
    Way(
        title="profile file of Volcengine",
        hint="write a profile file ~/.volc/credentials",
        advice="it has a section [default] with access_key_id and secret_access_key",
        applies=lambda around: _profile(around) is not None,
        obtain=_from_profile,
    ),
)
