"""A network made of functions, for what needs no socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.model import Reply, Request

Send = Callable[[Request, float, int], Awaitable[Reply]]


@dataclass(slots=True)
class Plain:
    """A connection that costs nothing: each call goes straight to a function."""

    send: Send
    reused: bool = False
    spent: float = 0.0
    sequence: int = 0

    async def quiet(self) -> bool:
        """Say that nothing has come unasked."""
        return True

    def release(self) -> None:
        """Keep nothing."""
