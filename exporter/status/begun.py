"""When what a stream's row shows began: the stream's state, or that viewers get nothing of it."""

from __future__ import annotations

from typing import NamedTuple

from exporter.model import State
from exporter.state.record import Row


class Begun(NamedTuple):
    """When something began.

    Attributes:
        since: In Unix seconds; None if the stream was never asked about.
        what: What happened then, where that is not the change itself: it may have begun earlier.
    """

    since: float | None
    what: str = ""


def begun(row: Row) -> Begun:
    """Return when a stream's state began."""
    if row.since is None or not row.since_first_seen:
        return Begun(row.since)
    if row.state is State.ACTIVE and row.answer is not None and row.answer.started is not None:
        return Begun(min(row.since, row.answer.started))
    return Begun(row.since, "it was added" if row.added else "start of the exporter")


def unplayed(row: Row) -> Begun | None:
    """Return since when a stream that should be live is, and viewers get nothing of it; None if they do or may."""
    if not (row.playback and row.expectation.expected and "playback" in row.degraded):
        return None
    since, first_seen = min((one.since or 0.0, one.since_first_seen) for one in row.playback if one.up is False)
    live = begun(row)
    if live.since is not None and live.since > since:
        return live
    return Begun(since, "the first check" if first_seen else "")


def last_change(row: Row) -> float:
    """Return when the latest of what a row shows began, in Unix seconds; 0 if nothing is known yet."""
    since = (unplayed(row) or row).since
    return 0.0 if since is None else since
