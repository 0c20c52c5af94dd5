"""What viewers get at an address, as of its last check."""

from __future__ import annotations

from typing import NamedTuple

from exporter.model import Reason


class PlaybackCheck(NamedTuple):
    """The outcome of a check.

    Attributes:
        up: Whether viewers get fresh media; None while nobody knows.
        message: What was seen, in words; it holds no query and no secret.
        reason: Why the check failed; None if it did not, or it is too early to tell.
        age: Seconds since the newest media was made, when it was checked; None if unknown.
        first_byte: Seconds to the first byte of the newest media; None if unknown.
        checked: When the check ended, in Unix seconds.
        until: When its outcome no longer counts, in monotonic seconds.
    """

    up: bool | None
    message: str
    reason: Reason | None = None
    age: float | None = None
    first_byte: float | None = None
    checked: float = 0.0
    until: float = float("inf")
