"""Credential sources: pure functions that yield the files and requests they need; `exporter.credentials` fetches them.

Each cloud's sources are in its folder, or in the module that a vendor's clouds share.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from exporter.model import Credentials, Request


@dataclass(frozen=True, slots=True)
class Machine:
    """The environment variables of the machine, and whether a file exists."""

    environ: Mapping[str, str] = field(repr=False)
    is_file: Callable[[Path], bool] = field(repr=False)

    def get(self, variable: str) -> str:
        """Return an environment variable, or an empty text if it is not set."""
        return self.environ.get(variable, "")

    def profile(self, variable: str, *names: str) -> Path | None:
        """Return the file that a variable names, else the first that exists; `~` is the home directory."""
        if named := self.get(variable):
            return Path(named)
        paths = (Path(name.replace("~", self.get("HOME"), 1)) for name in names)
        return next((path for path in paths if path.is_absolute() and self.is_file(path)), None)


@dataclass(frozen=True, slots=True)
class Lease:
    """Keys that are valid until `expires`, in Unix seconds; infinity if they do not expire."""

    credentials: Credentials = field(repr=False)
    expires: float = inf


Steps = Generator[Path | Request, Any, Lease]
"""Yields a file and receives its bytes, yields a request and receives its `Reply`, and returns a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place where a cloud's keys may come from.

    Attributes:
        title: Its name in the vendor's words.
        hint: How to choose it, for messages.
        advice: What to do if it fails, for messages.
        evidence: Return something true if the machine is set up for this source.
        obtain: Fetch keys, given the time in Unix seconds; raises `CredentialsError`, `Malformed` or `NoEnvelope`.
        early: How many seconds before they expire the keys are renewed.
    """

    title: str
    hint: str
    advice: str
    evidence: Callable[[Machine], object]
    obtain: Callable[[Machine, float], Steps]
    early: float = 300.0
