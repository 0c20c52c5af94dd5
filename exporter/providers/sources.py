"""Credential sources: pure functions that yield what they want to read; `exporter.credentials` reads it for them.

A cloud's sources are in its folder's `credentials.py`.
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
    """What a source can see of the machine without a network.

    Attributes:
        environ: The environment variables.
        is_file: Whether there is a file of this name.
    """

    environ: Mapping[str, str] = field(repr=False)
    is_file: Callable[[Path], bool] = field(repr=False)

    def get(self, variable: str) -> str:
        """Return an environment variable, empty where it is not set."""
        return self.environ.get(variable, "")

    def profile(self, variable: str, *names: str) -> Path | None:
        """Return the file that a variable names, or else the first file that exists; `~` is the home directory."""
        if named := self.get(variable):
            return Path(named)
        paths = (Path(name.replace("~", self.get("HOME"), 1)) for name in names)
        return next((path for path in paths if path.is_absolute() and self.is_file(path)), None)


@dataclass(frozen=True, slots=True)
class Lease:
    """Keys, and how long they are valid.

    Attributes:
        credentials: What calls are signed with.
        expires: Unix seconds from which they are invalid; infinity if they do not expire.
    """

    credentials: Credentials = field(repr=False)
    expires: float = inf


Steps = Generator[Path | Request, Any, Lease]
"""Yields a file and is sent its bytes, yields a request and is sent its `Reply`, and returns a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a cloud's keys may come from.

    Attributes:
        title: Its name in the vendor's words.
        hint: How to choose it, for messages.
        advice: What to do if it fails, for messages.
        evidence: Return something true if the machine shows that this source is meant.
        obtain: Fetch keys at a time in Unix seconds; raises `CredentialsError`, `Malformed`, `NoEnvelope`.
        early: Seconds before the expiry at which new keys are fetched.
    """

    title: str
    hint: str
    advice: str
    evidence: Callable[[Machine], object]
    obtain: Callable[[Machine, float], Steps]
    early: float = 300.0
