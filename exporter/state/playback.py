"""What viewers get at an address, as of its last check, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from exporter.model import Reason
from exporter.state.course import Course


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


class AddressRow(NamedTuple):
    """What an address shows at one moment.

    Attributes:
        name: The label `playback`.
        check: The outcome of its last check; None if none counts.
        since: Since when it is up or down, over times in which nobody knew, or since when nobody knows: when checks
            began to fail, or the last one before none counted. In Unix seconds; None before the first check.
        since_first_seen: Whether `since` is when the exporter first looked: it may have begun earlier.
    """

    name: str
    check: PlaybackCheck | None = None
    since: float | None = None
    since_first_seen: bool = False

    @property
    def up(self) -> bool | None:
        """Whether viewers get fresh media; None while nobody knows."""
        return None if self.check is None else self.check.up


Checks = tuple[AddressRow, ...]
"""What all addresses of a stream show, as configured."""


@dataclass(slots=True, eq=False)
class AddressRecord(Course[bool | None]):
    """What is known of an address since its first check.

    Attributes:
        check: The outcome of the last check; None if none counts.
        unknown_since: Since when nobody knows whether it is up, in Unix seconds; None while somebody does.
    """

    shown: bool | None = field(default=None, kw_only=True)
    check: PlaybackCheck | None = None
    unknown_since: float | None = None

    def take(self, check: PlaybackCheck | None, now: float) -> bool | None:
        """Take the outcome of a check at a time in Unix seconds, or None if that of the last one counts no longer.

        Returns:
            What is to be shown from now on.
        """
        up, last = check and check.up, self.check
        if up is not None:
            self.unknown_since = None
        elif self.unknown_since is None:
            self.unknown_since = last.checked if check is None and last is not None else now
        self.check = check
        return up

    def row(self, name: str, mono: float) -> AddressRow:
        """Return what it shows at a time in monotonic seconds."""
        check = self.check if self.check is not None and mono <= self.check.until else None
        if check is not None and check.up is not None:
            return AddressRow(name, check, self.definite_since, not self.changes)
        since = self.unknown_since
        if since is None and self.check is not None:
            since = self.check.checked
        return AddressRow(name, check, since, self.settled is None)


WORDS: Final[Mapping[bool | None, str]] = {True: "up", False: "down", None: "unknown"}
"""The word for what viewers get."""

UNCHECKED: Final[Mapping[str, AddressRecord]] = MappingProxyType({})
"""What is known of the addresses of a stream before the first check: most streams have none, and share this."""


def down_at(checks: Checks) -> list[str]:
    """Return the names of the addresses at which viewers definitely get nothing."""
    return [one.name for one in checks if one.up is False]


def viewers_get(checks: Checks) -> bool | None:
    """Return whether viewers get fresh media at all of a stream's addresses.

    False if they definitely get nothing at one of them; else None while nobody knows of one.
    """
    told = {one.up for one in checks}
    return False if False in told else None if None in told else True
