"""What figures show of one stream as they come, and what a live stream lacks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from exporter.model import Answer, Figures, Input, State, Stream
from exporter.providers import all_providers
from exporter.schedule import Expectations
from exporter.state.board import Board
from exporter.state.figures import Flow, lacking, together
from exporter.state.record import Instant, Record

LIVE = Expectations().at(0.0).of(("any", "stream"))
NEVER = float("-inf")
EPOCH = 1_800_000_000.0


def counted(*steps: tuple[float, int], live: float = NEVER) -> list[bool | None]:
    """Return whether a stream stalls after each count (seconds, bytes) of what was received."""
    flow: Flow | None = None
    shown: list[bool | None] = []
    for at, received in steps:
        flow = Flow.after(flow, Figures(received=received), at, 1e9, live)
        assert flow is not None
        shown.append(flow.figures.stalled)
    return shown


def test_bytes_that_stand_still_are_a_stall() -> None:
    """Seven seconds without a byte; one count alone says nothing, and a smaller one is another push that moves."""
    assert counted((0, 5)) == [None]
    assert counted((0, 5), (5, 9)) == [None, False]
    assert counted((0, 5), (5, 9), (10, 9), (11.9, 9), (12, 9), (30, 9)) == [None, False, False, False, True, True]
    assert counted((0, 5), (7, 5), (9, 6), (12, 1)) == [None, True, False, False]
    assert counted((0, 5), (6, 5)) == [None, None]


def test_a_stall_needs_a_push_that_has_lasted() -> None:
    """In the first ten seconds nothing stalls; figures from before the push count for nothing."""
    zeros = Figures((("all", 0.0),), stalled=True)
    for at, stalled in ((10.0, None), (19.9, None), (20.0, True)):
        flow = Flow.after(None, zeros, at, 1e9, live=10.0)
        assert flow is not None
        assert flow.figures == zeros._replace(stalled=stalled)
    assert Flow.after(None, zeros, 9.9, 1e9, live=10.0) is None
    moving = Figures(stalled=False)
    assert (flow := Flow.after(None, moving, 10.0, 1e9, live=10.0)) is not None
    assert flow.figures == moving


def test_figures_of_two_kinds_are_one_picture() -> None:
    """What one source does not say, another may; what the first says counts."""
    one = Figures((("all", 1.0),), frames=0.0, stalled=False)
    other = Figures((("video", 2.0),), frames=9.0, width=1280, height=720, stalled=True)
    assert together(one, other) == Figures((("all", 1.0),), 0.0, 1280, 720, stalled=False)
    assert together(None, other) is other
    assert together(one, None) is one
    assert together(None, None) is None


# --- what a live stream lacks -----------------------------------------------------------------------------------------

PUSH = Input("d", "live", "push", primary=True)


def stream(provider: str, **fields: Any) -> Stream:
    """Return a stream."""
    made: Stream = all_providers()[provider].stream(name="s", account="a", **fields)
    return made


PAIR = stream("tencent", domain="d", inputs=2)
CALL = stream("volcengine", room_id="r", media_expected=["video", "audio"])
SOUND = (("audio", True), ("video", False), ("screen_video", False))


@pytest.mark.parametrize(
    ("of", "answer", "figures", "lacks"),
    [
        (PAIR, Answer(State.ACTIVE, inputs=(PUSH,)), None, ("inputs",)),
        (PAIR, Answer(State.ACTIVE, inputs=()), Figures(stalled=True), ("inputs", "stalled")),
        (PAIR, Answer(State.ACTIVE, inputs=(PUSH, PUSH)), Figures(stalled=False), ()),
        (PAIR, Answer(State.ACTIVE), Figures(frames=0.0), ()),
        (CALL, Answer(State.ACTIVE, media=SOUND), None, ("video",)),
        (CALL, Answer(State.ACTIVE, media=(("audio", False), ("video", False))), None, ("video", "audio")),
        (CALL, Answer(State.ACTIVE), None, ()),
        (stream("volcengine", room_id="r"), Answer(State.ACTIVE, media=SOUND), None, ()),
    ],
)
def test_a_live_stream_lacks_what_is_expected_and_known_to_be_missing(
    of: Stream, answer: Answer, figures: Figures | None, lacks: tuple[str, ...]
) -> None:
    """Inputs, media and movement; what nobody told is not lacking."""
    assert lacking(of, State.ACTIVE, answer, figures) == lacks


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_only_a_live_stream_lacks_anything(state: State) -> None:
    """A stream that is down, banned or unknown is not merely degraded."""
    assert lacking(PAIR, state, Answer(State.ACTIVE, inputs=()), Figures(stalled=True)) == ()
    assert lacking(PAIR, State.ACTIVE, None, Figures(stalled=True)) == ()


# --- figures in the answer itself -------------------------------------------------------------------------------------


def at(mono: float) -> Instant:
    """Return a time on both clocks."""
    return Instant(EPOCH + mono, mono)


def board() -> tuple[Board, Record]:
    """Return a board of one stream."""
    made = Board(60.0)
    made.watch([("volcengine", CALL)], 60.0)
    return made, next(iter(made))


def test_an_answer_may_carry_figures_of_its_own() -> None:
    """They live as long as the answer, are compared with those before, and go with the next answer that has none."""
    made, record = board()
    for second, received, stalled in ((0, 7, None), (5, 9, False), (15, 9, True)):
        told = Figures(frames=25.0, received=received)
        made.answered(record, Answer(State.ACTIVE, figures=told), "Action", at(second))
        assert record.row(second, 60, LIVE).figures == told._replace(stalled=stalled)
    assert record.row(75, 60, LIVE).figures == told._replace(stalled=True)
    assert record.row(75.1, 60, LIVE).figures is None
    assert record.row(75, 60, LIVE).degraded == ("stalled",)
    made.answered(record, Answer(State.ACTIVE), "Action", at(80))
    assert record.row(80, 60, LIVE).figures is None


def test_figures_end_with_the_spell_that_they_are_of() -> None:
    """A stream that goes away and comes back has none until it is told anew; neither has one that failed."""
    made, record = board()
    told = Figures(frames=25.0)
    made.answered(record, Answer(State.ACTIVE, figures=told), "Action", at(0))
    made.figured(record, told, at(1), 200.0)
    made.answered(record, Answer(State.INACTIVE), "Action", at(2))
    assert record.row(2, 60, LIVE).figures is None
    made.figured(record, told, at(3), 200.0)
    made.answered(record, Answer(State.ACTIVE), "Action", at(4))
    assert record.row(4, 60, LIVE).figures is None
    made.figured(record, told, at(3.9), 200.0)
    assert record.row(4, 60, LIVE).figures is None, "measured before it was live"
    made.figured(record, told, at(4), 200.0)
    assert record.row(4, 60, LIVE).figures == told


def test_a_start_that_the_provider_tells_counts_too() -> None:
    """Figures from before the push that the provider says is under way are of an earlier one."""
    made, record = board()
    told = Figures(frames=25.0)
    made.answered(record, Answer(State.ACTIVE, started=EPOCH + 50), "Action", at(55))
    made.figured(record, told, at(49), 200.0)
    assert record.row(55, 60, LIVE).figures is None
    made.figured(record, told, at(50), 200.0)
    assert record.row(55, 60, LIVE).figures == told


def test_the_version_grows_when_figures_change_and_only_then() -> None:
    """A page that shows them is made anew, and not for the same ones."""
    made, record = board()
    made.answered(record, Answer(State.ACTIVE), "Action", at(0))
    versions = [made.version]
    for figures in (Figures(frames=1.0), Figures(frames=1.0), Figures(frames=2.0), None, None):
        made.figured(record, figures, at(1), 200.0)
        versions.append(made.version)
    assert [later - earlier for earlier, later in pairwise(versions)] == [1, 0, 1, 1, 0]


def test_a_server_that_counts_each_byte_needs_less_patience() -> None:
    """Its answers say for how long its bytes must stand still."""
    flow, shown = None, []
    for at in (0.0, 4.9, 5.0):
        flow = Flow.after(flow, Figures(received=9, patience=5.0), at, 1e9, NEVER)
        assert flow is not None
        shown.append(flow.figures.stalled)
    assert shown == [None, None, True]
