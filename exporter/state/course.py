"""What a stream, or one of its addresses, has shown since it is watched. Nothing here reads a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.model import State

Shown = State | bool | None
"""What is shown: of a stream its state, of an address whether viewers get fresh media, None while nobody knows."""

S = TypeVar("S", bound=Shown)


def definite(shown: Shown) -> bool:
    """Return whether this is more than that nobody knows."""
    return shown is not None and shown is not State.UNKNOWN


@dataclass(slots=True, eq=False, kw_only=True)
class Course(Generic[S]):
    """What one of them shows, and has shown.

    Attributes:
        shown: What was shown last.
        settled: The last that was definite; None before the first.
        definite_since: When that was first so, in Unix seconds. Times in which nobody knew do not end it.
        changes: How often something else became definite.
    """

    shown: S
    settled: S | None = None
    definite_since: float | None = None
    changes: int = 0

    def turn(self, new: S, now: float) -> None:
        """Show something else from now on, in Unix seconds."""
        self.shown = new
        if definite(new) and new is not self.settled:
            self.changes += self.settled is not None
            self.settled, self.definite_since = new, now
