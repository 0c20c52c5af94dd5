"""The latest changes: which are listed, how they are told together, and that they stay few."""

from __future__ import annotations

import pytest

from exporter.model import Answer, Fault, Reason, State
from exporter.schedule import Expectations
from exporter.state.board import Board
from exporter.state.changes import MOST_CHANGES, MOST_NAMES, RecentChange
from exporter.state.record import Record
from tests.core.test_board import EPOCH, at, board, record, stream

LIVE, DOWN, UNKNOWN = State.ACTIVE, State.INACTIVE, State.UNKNOWN
TIMEOUT = Fault(Reason.TIMEOUT, "timeout")
ALWAYS = Expectations().at(EPOCH).of(("tencent", "a"))


def say(made: Board, one: Record, state: State, mono: float) -> None:
    """Let the provider say a state."""
    made.answered(one, Answer(state), "Action", at(mono))


def listed(made: Board) -> list[tuple[object, ...]]:
    """Return when, from what, to what, why, who and how often, the latest first."""
    return [(one.at - EPOCH, one.old, one.new, one.evidence, one.names, one.times) for one in made.recent]


def test_nothing_has_changed_at_the_start() -> None:
    """What a stream is at the first look is no change, whether the look succeeds or fails first."""
    made, _ = board(stream("a"), stream("b"))
    say(made, record(made, "a"), LIVE, 1)
    say(made, record(made, "a"), LIVE, 2)
    made.failed(record(made, "b"), TIMEOUT, at(2))
    say(made, record(made, "b"), DOWN, 3)
    assert listed(made) == []


def test_a_change_is_listed_with_its_evidence_the_latest_first() -> None:
    """Who, when, from what to what, and by which API."""
    made, _ = board()
    for mono, state in enumerate((LIVE, DOWN, LIVE)):
        say(made, record(made), state, mono)
    assert listed(made) == [(2, DOWN, LIVE, "Action", ("a",), 1), (1, LIVE, DOWN, "Action", ("a",), 1)]
    assert [(one.provider, one.account) for one in made.recent] == [("tencent", "main")] * 2


def test_a_time_of_doubt_hides_no_change() -> None:
    """Live, then unknown, then down: from live to down; back to live after a doubt is no change of the stream."""
    made, _ = board()
    say(made, record(made), LIVE, 0)
    made.failed(record(made), TIMEOUT, at(10))
    say(made, record(made), DOWN, 20)
    made.failed(record(made), TIMEOUT, at(100))
    say(made, record(made), DOWN, 110)
    assert listed(made) == [
        (110, UNKNOWN, DOWN, "Action", ("a",), 1),
        (100, DOWN, UNKNOWN, "timeout", ("a",), 1),
        (20, LIVE, DOWN, "Action", ("a",), 1),
        (10, LIVE, UNKNOWN, "timeout", ("a",), 1),
    ]


def test_an_answer_that_grows_too_old_is_listed() -> None:
    """Becoming unknown by age is told as `max_age`."""
    made, _ = board()
    say(made, record(made), LIVE, 0)
    made.outdate(at(61))
    assert listed(made) == [(61, LIVE, UNKNOWN, "max_age", ("a",), 1)]


def test_an_outage_is_one_entry_and_pushes_out_no_change() -> None:
    """A thousand streams that become unknown in a minute are told together, and what went down before stays."""
    made, _ = board(*(stream(f"s{number}") for number in range(1000)))
    for one in made:
        say(made, one, LIVE, 0)
    say(made, record(made, "s7"), DOWN, 5)
    for minute in range(1, 2 * MOST_CHANGES + 1):
        for one in made:
            made.failed(one, TIMEOUT, at(60 * minute))
            say(made, one, DOWN if one.key[1] == "s7" else LIVE, 60 * minute + 1)
    told = listed(made)
    assert len(told) == 1 + MOST_CHANGES
    assert told[-1] == (5, LIVE, DOWN, "Action", ("s7",), 1)
    lost = next(one for one in told if one[1:3] == (LIVE, UNKNOWN))
    assert lost[4:] == (tuple(f"s{number}" for number in range(MOST_NAMES)), 999)


def test_only_the_latest_are_kept() -> None:
    """However often streams change, memory stays bounded."""
    made, _ = board()
    for mono in range(3 * MOST_CHANGES):
        say(made, record(made), (LIVE, DOWN)[mono % 2], mono)
    assert [one[0] for one in listed(made)] == list(range(3 * MOST_CHANGES - 1, 2 * MOST_CHANGES - 1, -1))


@pytest.mark.parametrize("doubt", [False, True])
def test_changes_leave_with_their_stream(doubt: bool) -> None:
    """A stream that is no longer watched is not named by an old change either."""
    made, _ = board(stream("a"), stream("b"))
    for name in "ab":
        say(made, record(made, name), LIVE, 0)
        if doubt:
            made.failed(record(made, name), TIMEOUT, at(1))
        else:
            say(made, record(made, name), DOWN, 1)
    made.watch([("tencent", stream("b"))], 60)
    assert {name for one in made.recent for name in one.names} == {"b"}
    made.watch([], 60)
    assert list(made.recent) == []


def test_a_listed_change_does_not_change() -> None:
    """A page that goes out slice by slice tells of one moment."""
    one = RecentChange(0, "p", "a", LIVE, UNKNOWN, "timeout", ("s",))
    with pytest.raises(AttributeError):
        one.times = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("states", "first_seen"),
    [((), True), ((LIVE,), True), ((LIVE, LIVE), True), ((None,), True), ((None, LIVE), True),
     ((LIVE, DOWN), False), ((LIVE, None), False), ((LIVE, None, DOWN), False), ((LIVE, None, LIVE), True)],
)  # fmt: skip
def test_a_state_that_was_there_at_the_first_look_may_be_older(
    states: tuple[State | None, ...], first_seen: bool
) -> None:
    """Until a change was seen, nobody knows when the state began; None stands for a failure."""
    made, _ = board()
    for mono, state in enumerate(states):
        if state is None:
            made.failed(record(made), TIMEOUT, at(mono))
        else:
            say(made, record(made), state, mono)
    assert record(made).row(10, 60, ALWAYS).since_first_seen is first_seen


def test_a_stream_that_a_reload_adds_is_told_from_one_of_the_start() -> None:
    """What was known of it before the reload is not known since the start."""
    made, _ = board(stream("a"))
    made.watch([("tencent", stream("a")), ("tencent", stream("b"))], 60)
    assert [row.added for row in made.rows(at(0))] == [False, True]
