"""What replicas need of the store that they share."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from exporter.replicas.journal import Times

Argument = str | bytes | int


class StoreError(Exception):
    """The store does not answer, or refuses."""


class Store(Protocol):
    """The shared store.

    Attributes:
        up: Whether it answers.
        member: The name of this replica.
    """

    up: bool
    member: str

    @property
    def times(self) -> Times:
        """The store's time."""
        ...

    def command(self, *args: Argument) -> Awaitable[Any]:
        """Run a command; raises `StoreError`."""
        ...

    def run(self, script: str, keys: Sequence[str], args: Sequence[Argument]) -> Awaitable[Any]:
        """Run a script; raises `StoreError`."""
        ...

    def read(self, streams: Mapping[str, str], most: int, block_ms: int) -> Awaitable[list[tuple[str, str, bytes]]]:
        """Return key, id and data of entries after these ids, at most so many of each stream; raises `StoreError`.

        Where there are none, wait for them for so many milliseconds; not at all if that is 0.
        """
        ...
