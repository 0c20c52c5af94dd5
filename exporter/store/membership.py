"""Whether a replica may ask the store for its calls, is silent, or calls on its own; times are monotonic seconds.

A replica that does not reach the store cannot know what the others do. So it is silent until they must have noticed
that it is missing, and until what it was granted has left every window; then it makes the calls that they leave to it.
"""

from __future__ import annotations

from typing import Final

from exporter.window import WINDOW

BEAT: Final = 1.0
"""Seconds between two heartbeats."""

LATE: Final = 0.5
"""A heartbeat that the store executes later than so many seconds after it was sent counts for nothing."""

EXPIRY: Final = 3.0
"""A member that was not heard for so many seconds is missing."""

AHEAD: Final = 1.0
"""No slot is granted further ahead than so many seconds."""

SILENCE: Final = LATE + EXPIRY + AHEAD + WINDOW
MOST_SLOW: Final = 3


class Membership:
    """What one replica is at present: `shared` while the store answers and the others may count on it."""

    __slots__ = ("_silent_until", "_slow", "shared")

    def __init__(self, now: float) -> None:
        """Begin as if it had just lost the store: the process that this one replaces may have been granted slots."""
        self.shared = False
        self._silent_until = now + SILENCE
        self._slow = 0

    def counted_on(self, now: float) -> None:
        """Note that a heartbeat goes out after which the others count on this replica."""
        self._silent_until = max(self._silent_until, now + SILENCE)

    def joined(self) -> None:
        """Note that the store answers: calls of its own have ended."""
        self.shared = True
        self._slow = 0

    def lost(self) -> None:
        """Note that the store does not answer."""
        self.shared = False

    def answered(self, precise: bool) -> bool:
        """Note how a heartbeat was answered; say whether the store answers fast enough to keep a quota by it."""
        self._slow = 0 if precise else self._slow + 1
        return self._slow < MOST_SLOW if self.shared else precise

    def alone(self, now: float) -> bool:
        """Say whether it may call on its own."""
        return not self.shared and now >= self._silent_until


def share(most: int, replicas: int) -> int:
    """Return how many calls in a window are each replica's own while it is alone: whole ones, or none."""
    return most // max(1, replicas)
