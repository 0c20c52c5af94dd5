"""Secrets of a mapping: finds where each is, of its three keys, and fetches it once to report what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exporter.config import secret_values
from exporter.config.findings import Findings
from exporter.config.problems import Place
from exporter.config.secret_values import SUFFIXES, CredentialsMissing, Read
from exporter.config.warnings import blemishes, readable_by_all, variable
from exporter.config.wording import wrong_type
from exporter.fields import Secret, SecretSource
from exporter.providers.reading import printable


class Sources:
    """Finds and fetches secrets.

    Args:
        findings: Takes what is wrong.
        directory: Where relative names of files start.
        environ: The environment variables.
        read: Returns a file's bytes, or raises OSError or ValueError.
    """

    def __init__(self, findings: Findings, directory: Path, environ: Mapping[str, str], read: Read) -> None:
        self._findings = findings
        self._directory = directory
        self._environ = environ
        self._read = read

    def of(self, raw: Mapping[str, Any], fields: Iterable[str], place: Place) -> dict[str, Any]:
        """Return a mapping with each secret's keys replaced by one `SecretSource`; None where it is wrong."""
        prepared = dict(raw)
        for field in fields:
            options = {f"{field}{suffix}": kind for kind, suffix in SUFFIXES.items()}
            given = [key for key in raw if key in options]
            for key in given:
                prepared.pop(key)
            if given:
                prepared[field] = self._source(raw[given[0]], options[given[0]], (*place, given[0]))
            for key in given[1:]:
                self._findings.wrong(
                    (*place, key), f"stands beside {given[0]}; give one of {', '.join(options)}", at_key=True
                )
        return prepared

    def _source(self, value: Any, kind: str, place: Place) -> SecretSource | None:
        if not isinstance(value, str):
            self._findings.wrong(place, wrong_type(value, "text"))
        elif not value:
            self._findings.wrong(place, "is empty; text is expected")
        elif kind == "plain":
            return SecretSource.plain(value)
        elif kind == "file":
            path = self._directory / value
            return SecretSource("file", str(path), secret_values.shown_path(value, path))
        else:
            return SecretSource("env", value, secret_values.shown_variable(value))
        return None

    def fetched(self, field: str, source: SecretSource, place: Place) -> Secret | None:
        """Return the secret of a field of the mapping at `place`, or None after reporting why it cannot be had."""
        return self.fetched_at(field, source, (*place, field + SUFFIXES[source.kind]))

    def fetched_at(self, field: str, source: SecretSource, here: Place) -> Secret | None:
        """Do the same for one that stands in a place of its own."""
        try:
            found = secret_values.secret(field, source, self._environ, self._read)
        except CredentialsMissing as error:
            self._findings.wrong(here, error.advice + self._where(field, source))
            return None
        said = {"plain": "", "file": "the file's content ", "env": "the environment variable's value "}[source.kind]
        for blemish in blemishes(found.reveal(), field):
            self._findings.warn(here, said + blemish)
        if source.kind == "file" and isinstance(source.value, str) and readable_by_all(Path(source.value)):
            self._findings.warn(here, "names a file that everybody on this machine may read: chmod 600, or 640")
        return found

    def _where(self, field: str, source: SecretSource) -> str:
        """Say what else helps to find a secret that cannot be had."""
        written = source.value if isinstance(source.value, str) else ""
        if hint := variable(written, field if source.kind == "env" else ""):
            return f"; it {hint}"
        if source.kind == "file" and not source.shown:
            return f"; relative names start at {printable(os.path.abspath(self._directory))}"
        return ""
