"""A stream's standing: its state in the light of what is expected of it, and whether it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from exporter.model import State
from exporter.state.course import Shown
from exporter.state.record import Row


class Standing(StrEnum):
    """What the page calls a stream, the worst first; the values of `State` and two more."""

    INACTIVE = "inactive"
    UNKNOWN = "unknown"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    DEGRADED = "degraded"
    ACTIVE = "active"
    OFF_AIR = "off_air"


RANK: Final = {standing: rank for rank, standing in enumerate(Standing)}

_PLAIN: Final[Mapping[Shown, Standing]] = {
    **{state: Standing(str(state)) for state in State},
    True: Standing.ACTIVE,
    False: Standing.INACTIVE,
    None: Standing.UNKNOWN,
}


def standing_in(shown: Shown, *, expected: bool) -> Standing:
    """Return the standing of a stream that is whole, or of an address.

    While the stream is not expected, they are live, unknown, or off air.
    """
    standing = _PLAIN[shown]
    return standing if expected or standing in (Standing.ACTIVE, Standing.UNKNOWN) else Standing.OFF_AIR


def standing_of(row: Row) -> Standing:
    """Return a stream's standing."""
    expected = row.expectation.expected
    if expected and row.state is State.ACTIVE and row.degraded:
        return Standing.DEGRADED
    return standing_in(row.state, expected=expected)


def urgency(row: Row, standing: Standing) -> tuple[int, bool]:
    """Return a sort key: the worst first. A stream that is not expected is less urgent, but odd if it is live."""
    return RANK[standing], row.expectation.expected is (standing is Standing.ACTIVE)
