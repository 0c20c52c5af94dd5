"""Volcengine's credential source: the profile files of the vendor's SDKs, https://github.com/volcengine/volc-sdk-python."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from exporter.providers import leases
from exporter.providers.interface import CredentialsError
from exporter.providers.reading import object_in
from exporter.providers.sources import Lease, Machine, Source, Steps


def _profile(machine: Machine) -> Path | None:
    return machine.profile("", "~/.volc/credentials", "~/.volc/config")


def _from_profile(machine: Machine, _now: float) -> Steps:
    path = _profile(machine) or Path()
    data: bytes = yield path
    if path.name == "config":
        return Lease(leases.lasting_credentials(_json(data), "ak", "sk"))
    names = ("access_key_id", "secret_access_key", "session_token")
    return Lease(leases.lasting_credentials(leases.ini_section(data, "default"), *names))


def _json(data: bytes) -> dict[str, object]:
    with suppress(ValueError):
        return object_in(data)
    # Raised outside `suppress`, because the decoder's error holds the file.
    raise CredentialsError('the file is not a JSON object like {"ak": "…", "sk": "…"}')


SOURCES = (
    Source(
        title="profile file of Volcengine",
        hint="write a profile file ~/.volc/credentials",
        advice="it has a section [default] with access_key_id and secret_access_key",
        evidence=_profile,
        obtain=_from_profile,
    ),
)
