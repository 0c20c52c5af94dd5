"""The latest changes: which are listed, how they are told together, and that they stay few."""

from __future__ import annotations

import pytest

from exporter.model import Answer, Fault, Reason, State
from exporter.schedule import NEVER, Expectations
from exporter.state.board import Board
from exporter.state.changes import MOST_CHANGES, MOST_NAMES, RecentChange
from exporter.state.playback import PlaybackCheck
from exporter.state.record import Record
from tests.core.test_board import EPOCH, at, board, record, stream
from tests.playback.watching import Watching, address
from tests.playback.watching import stream as viewed_stream

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


CDN = (address("cdn-a"), address("cdn-b", "https://other.example/b.flv"))


def viewed(*names: str) -> Watching:
    """Return a board whose streams have two addresses each, which play."""
    made = Watching().watch(*(("tencent", viewed_stream("tencent", name, playback=CDN)) for name in names))
    for name in names:
        for cdn in ("cdn-a", "cdn-b"):
            made.check(f"tencent/{name}", 0, up=True, name=cdn)
    return made


def test_changes_of_an_address_are_listed_like_those_of_a_stream() -> None:
    """The first look is none, a time of doubt hides none, and each has the address and what the check found."""
    made = viewed("a")
    for mono, up in ((10, None), (20, False), (30, None), (40, False), (50, True)):
        made.check("tencent/a", mono, up=up, name="cdn-b")
    assert listed(made.board) == [
        (50, False, True, "up is True", ("a",), 1),
        (40, None, False, "up is False", ("a",), 1),
        (30, False, None, "up is None", ("a",), 1),
        (20, True, False, "up is False", ("a",), 1),
        (10, True, None, "up is None", ("a",), 1),
    ]
    assert {(one.provider, one.account, one.playback) for one in made.board.recent} == {("tencent", "main", "cdn-b")}


def test_addresses_that_nobody_can_check_are_told_together() -> None:
    """By the reason, whatever the messages, and by the address; neither they nor streams push out one another."""
    made = viewed(*(f"s{number}" for number in range(1000)))
    down, lost = PlaybackCheck(False, "HTTP 404"), PlaybackCheck(None, "", Reason.TIMEOUT)
    made.says("tencent/s7", LIVE, 1)
    made.says("tencent/s7", DOWN, 2)
    made.says("tencent/s8", LIVE, 2)
    made.says("tencent/s8", None, 4)
    made.board.played(made.record("tencent/s7"), CDN[0], down, at(3))
    for number, one in enumerate(made.board):
        made.board.played(one, CDN[1], lost._replace(message=f"no answer to {number}"), at(60))
    for minute in range(2, 2 * MOST_CHANGES):
        for up in (True, None):
            made.check("tencent/s1", 60 * minute, up=up, name="cdn-b")
    told = listed(made.board)
    assert told[-3:] == [
        (4, LIVE, UNKNOWN, "timeout", ("s8",), 1),
        (3, True, False, "HTTP 404", ("s7",), 1),
        (2, LIVE, DOWN, "Action", ("s7",), 1),
    ]
    assert len(told) == 3 + MOST_CHANGES
    assert told[0][:4] == (60 * (2 * MOST_CHANGES - 1), True, None, "up is None")
    made = viewed(*(f"s{number}" for number in range(1000)))
    for number, one in enumerate(made.board):
        for cdn in CDN:
            made.board.played(one, cdn, lost._replace(message=f"no answer to {number}"), at(60))
    names = tuple(f"s{number}" for number in range(MOST_NAMES))
    assert listed(made.board) == [(60, True, None, "no answer to 999", names, 1000)] * 2
    assert [one.playback for one in made.board.recent] == ["cdn-b", "cdn-a"]


@pytest.mark.parametrize(("state", "expected"), [(LIVE, True), (DOWN, False), (None, False)])
def test_viewers_of_a_live_stream_miss_it_though_nobody_expects_it(state: State | None, expected: bool) -> None:
    """An address that goes down with its stream off air is no trouble, one of a stream that is live is."""
    made = Watching().watch(("tencent", viewed_stream("tencent", "a", playback=CDN)), schedules={"a": NEVER})
    made.says("tencent/a", state, 0)
    for mono, up in enumerate((True, False)):
        made.check("tencent/a", mono, up=up)
    assert [one.expected for one in made.board.recent] == [expected]


def test_changes_leave_with_their_address() -> None:
    """An address that a stream no longer has is not named by an old change either."""
    made = viewed("a", "b")
    for name in "ab":
        for cdn, up in (("cdn-a", False), ("cdn-b", None)):
            made.check(f"tencent/{name}", 10, up=up, name=cdn)
    made.watch(("tencent", viewed_stream("tencent", "a", playback=CDN[1:])))
    assert [(one.names, one.playback) for one in made.board.recent] == [(("a",), "cdn-b")]
    made.watch(("tencent", viewed_stream("tencent", "a")))
    assert listed(made.board) == []


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
