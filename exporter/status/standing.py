"""A stream's standing: its state in the light of what is expected of it, and whether it is whole."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from exporter.model import State
from exporter.state.board import Row


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

_PLAIN: Final = {state: Standing(str(state)) for state in State}


def standing_of(row: Row) -> Standing:
    """Return a stream's standing. While it is not expected, it is live, unknown, or off air."""
    if row.state is State.ACTIVE:
        return Standing.DEGRADED if row.expectation.expected and row.degraded else Standing.ACTIVE
    if row.expectation.expected or row.state is State.UNKNOWN:
        return _PLAIN[row.state]
    return Standing.OFF_AIR


def urgency(row: Row, standing: Standing) -> tuple[int, bool]:
    """Return a sort key: the worst first. A stream that is not expected is less urgent, but odd if it is live."""
    return RANK[standing], row.expectation.expected is (standing is Standing.ACTIVE)
