"""What a way to keys is made of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.files import may_be_file
from exporter.model import Credentials, Reply, Request

AUTO = "auto"
"""In place of a role's name: whichever role the metadata server says is attached."""

Step = Path | Request
"""What a recipe wants next: a file's bytes, or a server's reply."""


@dataclass(frozen=True, slots=True)
class Around:
    """What can be seen of the machine without a network.

    Attributes:
        environ: The environment variables.
        is_file: Whether there is a file of this name.
    """

    environ: Mapping[str, str] = field(repr=False)
    is_file: Callable[[Path], bool] = field(default=may_be_file, repr=False)

    def get(self, variable: str) -> str:
        """Return an environment variable, empty where it is not set."""
        return self.environ.get(variable, "")

    def first_file(self, *names: str) -> Path | None:
        """Return the first of the files that is there; `~` is the home directory."""
        home = self.get("HOME")
        paths = (Path(home + name[1:] if name.startswith("~") else name) for name in names)
        usable = (path for path in paths if path.is_absolute())
        return next((path for path in usable if self.is_file(path)), None)


@dataclass(frozen=True, slots=True)
class Grant:
    """Keys that were come by.

    Attributes:
        credentials: What calls are signed with.
        expires: Unix seconds from which on they are worthless; None where they have no end of their own.
    """

    credentials: Credentials = field(repr=False)
    expires: float | None = None


Recipe = Generator[Step, Any, Grant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to an account's keys.

    Attributes:
        title: What it is called, in the vendor's words.
        hint: How to ask for it.
        advice: What to do where it fails.
        applies: Whether there is evidence that it is meant.
        obtain: How keys are come by, at a time in Unix seconds; raises `CredentialsError`, `Malformed`, `NoEnvelope`.
        early: Seconds before they expire at which new keys are fetched.
    """

    title: str
    hint: str
    advice: str
    applies: Callable[[Around], bool]
    obtain: Callable[[Around, float], Recipe]
    early: float = 300.0


def read(path: Path) -> Generator[Step, Any, bytes]:
    """Want a file."""
    data: bytes = yield path
    return data


def ask(request: Request) -> Generator[Step, Any, Reply]:
    """Want a server's reply."""
    reply: Reply = yield request
    return reply
