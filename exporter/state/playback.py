"""What viewers get at an address, as of its last check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from exporter.model import Reason


class PlaybackCheck(NamedTuple):
    """The outcome of a check.

    Attributes:
        up: Whether viewers get fresh media; None while nobody knows.
        message: What was seen, in words; it holds no query and no secret.
        reason: Why the check failed; None if it did not, or it is too early to tell.
        age: Seconds since the newest media was made, when it was checked; None if unknown.
        first_byte: Seconds to the first byte of the newest media; None if unknown.
        checked: When the check ended, in Unix seconds; of one that is late, when the one before it did, None if none.
        until: When its outcome no longer counts, in monotonic seconds.
    """

    up: bool | None
    message: str
    reason: Reason | None = None
    age: float | None = None
    first_byte: float | None = None
    checked: float | None = 0.0
    until: float = float("inf")


Checks = tuple[tuple[str, PlaybackCheck | None], ...]
"""For each address by its name, the outcome of its last check; None if none counts."""

WORDS: Final[Mapping[bool | None, str]] = {True: "up", False: "down", None: "unknown"}
"""The word for what viewers get."""

UNCHECKED: Final[Mapping[str, PlaybackCheck]] = MappingProxyType({})
"""What is known of the addresses of a stream before the first check: most streams have none, and share this."""


@dataclass(frozen=True, slots=True)
class PlaybackChange:
    """A change of what viewers get at an address: fresh media, nothing, or nobody knows."""

    at: float  # Unix seconds
    provider: str
    stream: str
    playback: str
    old: bool | None
    new: bool | None
    evidence: str  # the check's message, or `max_age`


def down_at(checks: Checks) -> list[str]:
    """Return the names of the addresses at which viewers definitely get nothing."""
    return [name for name, check in checks if check is not None and check.up is False]


def viewers_get(checks: Checks) -> bool | None:
    """Return whether viewers get fresh media at all of a stream's addresses.

    False if they definitely get nothing at one of them; else None while nobody knows of one.
    """
    told = {None if check is None else check.up for _, check in checks}
    return False if False in told else None if None in told else True
