"""What a live stream's figures show, and what a live stream lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.model import Answer, Figures, State, Stream
from exporter.state.playback import Checks, down_at

SETTLING_SECONDS: Final = 10.0
"""How long a push that has just begun may bring nothing, before that counts as a stall."""

SAME_START: Final = 2.0
"""Seconds by which the start of a push may differ when it is reckoned anew."""


@dataclass(slots=True)
class Flow:
    """What is known of the figures of one stream; times in monotonic seconds.

    Attributes:
        figures: The last ones.
        until: When they no longer count.
        moved: When the bytes received were first as many as they are.
        measured: When they were measured.
    """

    figures: Figures
    until: float
    moved: float
    measured: float

    @classmethod
    def after(cls, before: Flow | None, figures: Figures, at: float, until: float, live: float) -> Flow | None:
        """Return what is known after further figures, or None if they tell of an earlier push.

        Args:
            before: What was known.
            figures: The further ones.
            at: When they were measured.
            until: When they no longer count.
            live: Since when the stream has been live; minus infinity where nobody saw it begin.
        """
        if at < live:
            return None
        moved = at
        if figures.received is not None:
            if before is not None and before.figures.received == figures.received:
                moved = before.moved
                stalled = True if at - moved >= figures.patience else before.figures.stalled
            else:
                stalled = False if before is not None and before.figures.received is not None else None
            figures = figures._replace(stalled=stalled)
        if figures.stalled and at < live + SETTLING_SECONDS:
            figures = figures._replace(stalled=None)
        return cls(figures, until, moved, at)


def start_of(before: Answer | None, started: float) -> float:
    """Return when a push began, in Unix seconds: the start known before, unless the one reckoned anew is another."""
    known = before.started if before is not None else None
    return known if known is not None and abs(known - started) < SAME_START else started


def together(figures: Figures | None, more: Figures | None) -> Figures | None:
    """Return figures with what others tell beside them."""
    if figures is None or more is None:
        return figures or more
    told = {name: value for name, value in figures._asdict().items() if value not in (None, ())}
    return more._replace(**told)


def lacking(
    stream: Stream, state: State, answer: Answer | None, figures: Figures | None, playback: Checks = ()
) -> tuple[str, ...]:
    """Return what a live stream lacks of what it should have; empty if nothing, and for a stream that is not live.

    The words are `inputs` (fewer than expected), the name of each expected media type that is not published, `stalled`
    (nothing arrives), and `playback` (viewers get nothing at one of its addresses). What nobody knows is not lacking.
    """
    if state is not State.ACTIVE or answer is None:
        return ()
    wanted, published = stream.expected_inputs, dict(answer.media)
    fewer = wanted is not None and answer.inputs is not None and len(answer.inputs) < wanted
    silent = [kind for kind in stream.expected_media if published.get(kind) is False]
    stalled = figures is not None and figures.stalled is True
    unplayable = playback and down_at(playback)
    return (*(["inputs"] if fewer else []), *silent, *(["stalled"] if stalled else []),
            *(["playback"] if unplayable else []))  # fmt: skip
