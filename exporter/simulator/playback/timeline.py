"""Which media of a stream exist at a time: a function of the clock and of what the world says of the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.model import State
from exporter.simulator.types import Script, Stream

LINGER: Final = 30.0
"""Seconds for which an ended push keeps its playlists."""
PARTS: Final = 4
"""Parts of a segment; all begin at multiples of their duration since 1970."""


@dataclass(frozen=True, slots=True)
class Push:
    """What viewers can see of a push; times in Unix seconds.

    Attributes:
        began: When it began.
        edge: When the newest media was made.
        target: Seconds of a segment.
        live: Whether it goes on.
    """

    began: float
    edge: float
    target: int
    live: bool

    @property
    def first(self) -> int:
        """The number of its first segment; that is there at once."""
        return int(self.began // self.target) - 1

    @property
    def last(self) -> int:
        """The number of its newest whole segment."""
        return int(self.edge // self.target) - 1

    @property
    def last_part(self) -> int:
        """The number of its newest whole part; part 0 is the first of segment 0."""
        return int(self.edge * PARTS // self.target) - 1


def push_at(stream: Stream, now: float) -> Push | None:
    """Return the push that viewers see at a time in Unix seconds; None if there is none."""
    state = stream.script.state(now)
    if state is State.ACTIVE:
        began = stream.script.started(now)
        return Push(began, _edge(stream, began, now), stream.playback.target, True)
    ended = _ended(stream, now) if state is State.INACTIVE else None
    if ended is None or not 0 <= now - ended[1] < LINGER:
        return None
    return Push(ended[0], _edge(stream, *ended), stream.playback.target, False)


def _ended(stream: Stream, now: float) -> tuple[float, float] | None:
    """Return when the last push began and ended."""
    script = stream.script
    if len(set(script.states)) == 1:
        return stream.pushed
    ended = script.started(now)
    before = ended - script.every / 2
    return (script.started(before), ended) if script.state(before) is State.ACTIVE else None


def _edge(stream: Stream, began: float, until: float) -> float:
    """Return when the newest media of a push was made, if it was pushed until then."""
    edge = until
    for name, moving in (("figures", stream.figures.moving), ("playback", stream.playback.moving)):
        if isinstance(moving, Script) and moving.state(until) is not State.ACTIVE:
            edge = min(edge, moving.started(until))
        elif moving is False:
            edge = min(edge, stream.still.get(name, began))
    return max(edge, began)
