"""The board: answers in, what stands now out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Answer, Fault, Figures, Input, Reason, State, Stream
from exporter.providers import all_providers
from exporter.schedule import ALWAYS, NEVER, Expectations, Schedule, Window
from exporter.state.board import MOST_FAILURES, Board
from exporter.state.record import Change, Instant, News, Record, Row

EPOCH = 1_800_000_000.0
LIVE = Expectations().at(EPOCH).of(("tencent", "a"))
FAULT = Fault(Reason.TIMEOUT, "timeout")


def at(mono: float) -> Instant:
    """Return a time on both clocks."""
    return Instant(EPOCH + mono, mono)


def stream(name: str = "a", **fields: object) -> Stream:
    """Return a stream of Tencent's."""
    made: Stream = all_providers()["tencent"].stream(**{"name": name, "account": "main", "domain": "d", **fields})
    return made


def board(*streams: Stream, max_age: float = 60.0) -> tuple[Board, list[Change]]:
    """Return a board that watches these streams (by default one), and the changes that it tells of."""
    made, told = Board(max_age), []
    made.watch([("tencent", one) for one in streams or (stream(),)], max_age)
    told = list[Change]()
    made.on_change.append(told.append)
    return made, told


def record(made: Board, name: str = "a") -> Record:
    """Return a stream's record."""
    known = made.get(("tencent", name))
    assert known is not None
    return known


def test_a_stream_begins_unknown_and_without_success() -> None:
    """Before the first attempt nothing is known, and nothing has failed."""
    made, told = board()
    one = record(made)
    assert (one.state(0, 60), one.succeeded, one.row(0, 60, LIVE).since) == (State.UNKNOWN, False, None)
    assert (one.action, one.answered, one.answered_mono, one.tried) == ("", 0.0, float("-inf"), float("-inf"))
    assert (one.answer, one.fault, one.fault_since, one.faulted) == (None, None, None, 0.0)
    assert (one.definite_since, one.changes) == (None, 0)
    assert told == []


def test_a_board_without_streams_is_empty() -> None:
    """A board without a configuration is empty, and nothing on it expires."""
    made = Board(45.0)
    made.outdate(at(1000))
    assert (made.max_age, len(made), list(made), made.get(("tencent", "a"))) == (45.0, 0, [], None)


@pytest.mark.parametrize("state", set(State) - {State.UNKNOWN})
def test_a_definite_answer_stands_until_max_age(state: State) -> None:
    """An answer is valid until `max_age` has passed."""
    made, _ = board()
    made.answered(record(made), Answer(state), "Action", at(100))
    one = record(made)
    assert one.state(160, 60) is state
    assert one.state(160.001, 60) is State.UNKNOWN
    assert one.succeeded
    assert (one.action, one.answered, one.tried) == ("Action", EPOCH + 100, 100)


def test_a_failure_withdraws_at_once_and_keeps_the_last_answer() -> None:
    """The state is unknown since the first failure; the time of the last answer is kept."""
    made, _ = board()
    one = record(made)
    made.answered(one, Answer(State.ACTIVE), "Action", at(100))
    made.failed(one, FAULT, at(110))
    made.failed(one, FAULT, at(120))
    assert (one.state(121, 60), one.succeeded) == (State.UNKNOWN, False)
    assert (one.answered, one.answer) == (EPOCH + 100, Answer(State.ACTIVE))
    assert (one.row(121, 60, LIVE).since, one.faulted) == (EPOCH + 110, EPOCH + 120)
    made.answered(one, Answer(State.ACTIVE), "Action", at(130))
    assert (one.state(131, 60), one.fault, one.fault_since) == (State.ACTIVE, None, None)
    assert one.row(131, 60, LIVE).since == EPOCH + 100


def test_listeners_get_each_change_once_with_its_evidence() -> None:
    """Listeners are notified of each change of the state shown, and of nothing else."""
    made, told = board()
    one = record(made)
    for seconds, state in enumerate((State.ACTIVE, State.ACTIVE, State.INACTIVE)):
        made.answered(one, Answer(state), "Action", at(seconds))
    made.failed(one, FAULT, at(3))
    made.failed(one, FAULT, at(4))
    made.answered(one, Answer(State.INACTIVE), "List", at(5))
    assert [(change.old, change.new, change.evidence) for change in told] == [
        (State.UNKNOWN, State.ACTIVE, "Action"),
        (State.ACTIVE, State.INACTIVE, "Action"),
        (State.INACTIVE, State.UNKNOWN, "timeout"),
        (State.UNKNOWN, State.INACTIVE, "List"),
    ]
    assert (told[0].provider, told[0].stream, told[0].at) == ("tencent", "a", EPOCH)
    assert one.changes == 1


def test_listeners_are_notified_once_of_an_outdated_answer() -> None:
    """Listeners are notified once that an answer has passed `max_age`."""
    made, told = board()
    made.answered(record(made), Answer(State.ACTIVE), "Action", at(0))
    made.outdate(at(60))
    assert len(told) == 1
    for seconds in (61, 62):
        made.outdate(at(seconds))
    assert [(change.new, change.evidence) for change in told[1:]] == [(State.UNKNOWN, "max_age")]


def test_only_outdated_answers_are_notified() -> None:
    """Unknown streams and recent answers neither cause a notification nor prevent one for an old answer."""
    made, told = board(*(stream(name) for name in ("unasked", "old", "young")))
    made.answered(record(made, "old"), Answer(State.ACTIVE), "Action", at(1000))
    made.answered(record(made, "young"), Answer(State.ACTIVE), "Action", at(1050))
    made.outdate(at(1055))
    assert len(told) == 2
    made.outdate(at(1070))
    assert [change.stream for change in told[2:]] == ["old"]
    made.outdate(at(1111))
    assert [change.stream for change in told[2:]] == ["old", "young"]


PUSH = Input("push.example", "live", "push", True)


def test_inputs_are_added_to_an_answer_that_a_stream_is_live() -> None:
    """A list's inputs are added to another API's answer, and change the version."""
    made, _ = board()
    one = record(made)
    made.answered(one, Answer(State.ACTIVE), "Action", at(0))
    before = made.version
    made.add_inputs(one, (PUSH,))
    assert one.answer == Answer(State.ACTIVE, inputs=(PUSH,))
    assert made.version > before
    assert (one.action, one.answered, one.shown) == ("Action", EPOCH, State.ACTIVE)


@pytest.mark.parametrize(
    ("answer", "failed", "inputs"),
    [
        (None, False, (PUSH,)),
        (Answer(State.ACTIVE), False, None),
        (Answer(State.ACTIVE), True, (PUSH,)),
        (Answer(State.ACTIVE, inputs=()), False, (PUSH,)),
        (Answer(State.INACTIVE), False, (PUSH,)),
    ],
    ids=["nothing is known", "no list told", "an attempt has failed since", "inputs are known", "not live"],
)
def test_inputs_are_added_nowhere_else(answer: Answer | None, failed: bool, inputs: tuple[Input, ...] | None) -> None:
    """A list's inputs replace no other inputs, and do not undo a failure."""
    made, _ = board()
    one = record(made)
    if answer is not None:
        made.answered(one, answer, "Action", at(0))
    if failed:
        made.failed(one, FAULT, at(1))
    before = made.version
    made.add_inputs(one, inputs)
    assert (one.answer, made.version) == (answer, before)


def test_what_a_breaker_withholds_is_unknown_but_was_not_tried() -> None:
    """A stream behind an open breaker shows its account's failure, and stays first in the queue."""
    made, told = board()
    one = record(made)
    made.answered(one, Answer(State.ACTIVE), "Action", at(0))
    made.withhold(one, FAULT, at(10))
    made.withhold(one, Fault(Reason.DNS, "dns"), at(20))
    assert (one.state(11, 60), one.fault, one.tried) == (State.UNKNOWN, FAULT, 0)
    assert (one.fault_since, one.faulted) == (EPOCH + 10, EPOCH + 10)
    assert [(change.new, change.evidence) for change in told[1:]] == [(State.UNKNOWN, "timeout")]


STEPS = st.lists(st.sampled_from([*(set(State) - {State.UNKNOWN}), None]), max_size=40)


@settings(max_examples=200)
@given(steps=STEPS)
def test_the_rules_hold_over_any_history(steps: list[State | None]) -> None:
    """State, success and number of changes follow from the answers and failures alone, whatever their order."""
    made, told = board()
    one, definite = record(made), []
    for seconds, step in enumerate(steps):
        if step is None:
            made.failed(one, FAULT, at(seconds))
        else:
            made.answered(one, Answer(step), "Action", at(seconds))
            definite.append(step)
        assert one.state(seconds, 60) is (step or State.UNKNOWN)
        assert one.succeeded is (step is not None)
    assert one.changes == sum(sooner is not later for sooner, later in pairwise(definite))
    assert all(change.old is not change.new for change in told)
    assert [change.old for change in told[1:]] == [change.new for change in told[:-1]]


Changing = Callable[[], Stream]
KEEPS: dict[str, tuple[Changing, bool]] = {
    "nothing": (stream, True),
    "a label": (lambda: stream(labels={"team": "x"}), True),
    "when it is expected": (lambda: stream(expected="never"), True),
    "its address": (lambda: stream(domain="other"), False),
    "its account": (lambda: stream(account="other"), False),
}


@pytest.mark.parametrize("what", KEEPS)
def test_a_reload_keeps_what_is_known_of_the_same_address(what: str) -> None:
    """An answer survives a change of labels, but not of the address."""
    make, kept = KEEPS[what]
    made, _ = board()
    made.answered(record(made), Answer(State.ACTIVE), "Action", at(0))
    changed = make()
    made.watch([("tencent", changed)], 60)
    assert record(made).state(1, 60) is (State.ACTIVE if kept else State.UNKNOWN)
    assert record(made).stream is changed


def test_an_answer_that_comes_after_a_reload_counts_for_the_same_address_only() -> None:
    """A late answer counts only if the stream still has the same address."""
    asked = stream()
    made, _ = board(asked)
    one = record(made)
    assert made.current("tencent", asked) is one
    assert made.current("zego", asked) is None
    made.watch([("tencent", stream(labels={"team": "x"}))], 60)
    assert made.current("tencent", asked) is one
    made.watch([("tencent", stream(app="other"))], 60)
    assert made.current("tencent", asked) is None
    made.watch([("tencent", stream("b"))], 60)
    assert made.current("tencent", asked) is None


def test_a_reload_forgets_what_is_no_longer_watched_and_keeps_the_order() -> None:
    """Removed streams are forgotten, and the rest are in the configuration's order."""
    made, _ = board(stream("a"), stream("b"))
    made.failed(record(made, "b"), FAULT, at(0))
    before = made.version
    made.watch([("tencent", stream(name)) for name in ("c", "a")], 30)
    assert [one.key[1] for one in made] == ["c", "a"]
    assert (len(made), made.max_age) == (2, 30)
    assert made.get(("tencent", "b")) is None
    assert made.failures == {}
    assert made.version > before


def test_the_same_name_at_two_clouds_is_two_streams() -> None:
    """Names are unique per cloud alone."""
    made = Board(60)
    zego = all_providers()["zego"].stream(name="a", account="z")
    made.watch([("tencent", stream("a")), ("zego", zego)], 60)
    made.answered(record(made), Answer(State.ACTIVE), "Action", at(0))
    other = made.get(("zego", "a"))
    assert other is not None
    assert other.state(1, 60) is State.UNKNOWN


def test_an_outage_of_many_streams_is_one_kind_of_failure() -> None:
    """Failures are grouped by kind with count and time, and the number of kinds is limited."""
    names = [f"s{number}" for number in range(30)]
    made, _ = board(*(stream(name) for name in names))
    for seconds, name in enumerate(names):
        made.failed(record(made, name), FAULT, at(seconds))
    (failure,) = made.failures.values()
    assert (failure.count, failure.first, failure.last, failure.stream) == (30, EPOCH, EPOCH + 29, "s29")
    assert (failure.provider, failure.account, failure.fault) == ("tencent", "main", FAULT)
    made.remember(record(made, "s0"), Fault(Reason.DNS, FAULT.code), at(40))
    assert [(one.fault.reason, one.count) for one in made.failures.values()] == [(Reason.TIMEOUT, 30), (Reason.DNS, 1)]
    assert record(made, "s0").fault is FAULT
    for number in range(MOST_FAILURES + 7):
        made.failed(record(made, "s0"), Fault(Reason.PROVIDER_ERROR, f"code-{number}"), at(100 + number))
    assert len(made.failures) == MOST_FAILURES
    assert list(made.failures.values())[-1].fault.code == f"code-{MOST_FAILURES + 6}"


def test_failures_stand_in_the_order_in_which_they_were_seen_last() -> None:
    """A kind that fails again becomes the newest, and the oldest is dropped."""
    made, _ = board()
    one = record(made)
    for number in range(MOST_FAILURES):
        made.failed(one, Fault(Reason.PROVIDER_ERROR, f"code-{number}"), at(number))
    made.failed(one, Fault(Reason.PROVIDER_ERROR, "code-0"), at(100))
    assert [failure.fault.code for failure in made.failures.values()][-2:] == [f"code-{MOST_FAILURES - 1}", "code-0"]
    made.failed(one, Fault(Reason.PROVIDER_ERROR, "another"), at(101))
    codes = {failure.fault.code: failure.count for failure in made.failures.values()}
    assert len(codes) == MOST_FAILURES
    assert "code-1" not in codes
    assert (codes["code-0"], codes["another"]) == (2, 1)


def test_every_change_of_what_is_shown_has_a_version_of_its_own() -> None:
    """Equal versions show equal samples, so that a rendered document may be reused."""
    made, _ = board()
    one, seen = record(made), [made.version]
    steps: tuple[Callable[[], None], ...] = (
        lambda: made.answered(one, Answer(State.ACTIVE), "Action", at(0)),
        lambda: made.answered(one, Answer(State.ACTIVE), "Action", at(1)),
        lambda: made.failed(one, FAULT, at(2)),
        lambda: made.answered(one, Answer(State.ACTIVE), "Action", at(3)),
        lambda: made.withhold(one, FAULT, at(4)),
        lambda: made.watch([("tencent", stream())], 60),
    )
    for step in steps:
        step()
        seen.append(made.version)
    assert sorted(set(seen)) == seen


def test_a_start_that_is_reckoned_from_a_duration_stays_the_same() -> None:
    """Where only the length of a push is told, its start does not waver with each answer, and another push moves it."""
    made, _ = board(stream())
    starts = []
    for mono, lasted in ((10.0, 5.0), (25.0, 20.4), (40.0, 33.5), (55.0, 2.0)):
        made.answered(record(made), Answer(State.ACTIVE, lasted=lasted), "a", at(mono))
        answer = record(made).answer
        assert answer is not None
        assert answer.started is not None
        starts.append(answer.started - at(0).unix)
    assert starts == [5.0, 5.0, 5.0, 53.0]


MOVING = Figures((("video", 1e6),), 25.0)


def test_a_row_shows_all_that_is_known() -> None:
    """Every field of a row is the record's own, before the first attempt, while live, after a failure and too late."""
    made, _ = board()
    one, answer = record(made), Answer(State.ACTIVE, code="ok")
    empty = Row(one.key, one.stream, State.UNKNOWN, None, False, None, 0.0, "", None, 0.0, 0, float("-inf"), LIVE)
    assert one.row(0, 60, LIVE) == empty
    made.answered(one, answer, "Action", at(10))
    live = empty._replace(state=State.ACTIVE, since=EPOCH + 10, succeeded=True, answer=answer, answered=EPOCH + 10,
                          action="Action", tried=10)  # fmt: skip
    assert one.row(70, 60, LIVE) == live
    assert one.row(70.1, 60, LIVE) == live._replace(state=State.UNKNOWN)
    made.failed(one, FAULT, at(20))
    assert one.row(21, 60, LIVE) == live._replace(
        state=State.UNKNOWN, since=EPOCH + 20, succeeded=False, fault=FAULT, faulted=EPOCH + 20, tried=20
    )


def test_rows_are_those_that_are_asked_for() -> None:
    """In the order asked for, without those that nobody watches; all of them by default."""
    made, _ = board(stream("a"), stream("b"), stream("c"), max_age=30.0)
    made.answered(record(made, "b"), Answer(State.INACTIVE), "Action", at(0))
    keys = [("tencent", name) for name in ("c", "nobody", "b")]
    assert [(row.key[1], row.state) for row in made.rows(at(30), keys)] == [
        ("c", State.UNKNOWN), ("b", State.INACTIVE),
    ]  # fmt: skip
    assert [(row.key[1], row.state) for row in made.rows(at(30.1))] == [(name, State.UNKNOWN) for name in "abc"]


def test_what_is_shown_expires_first_where_it_ends_first() -> None:
    """Answers end after `max_age` and figures when they no longer count; what is not shown ends nothing."""
    made, _ = board(stream("a"), stream("b"), max_age=60.0)
    assert made.expires() == float("inf")
    made.answered(record(made, "a"), Answer(State.ACTIVE), "Action", at(10))
    made.answered(record(made, "b"), Answer(State.ACTIVE), "Action", at(5))
    assert made.expires() == 65
    made.figured(record(made, "a"), MOVING, at(11), 40.0)
    assert made.expires() == 40
    made.figured(record(made, "a"), MOVING, at(12), 400.0)
    assert made.expires() == 65
    made.failed(record(made, "b"), FAULT, at(13))
    assert made.expires() == 70


def test_changes_between_definite_states_are_counted() -> None:
    """The first answer is none, nor is a failure; from one definite state to another, also across a failure, is one."""
    made, _ = board()
    one, counts = record(made), []
    for mono, state in enumerate([State.ACTIVE, State.INACTIVE, None, State.INACTIVE, State.ACTIVE, State.NOT_FOUND]):
        if state is None:
            made.failed(one, FAULT, at(mono))
        else:
            made.answered(one, Answer(state), "Action", at(mono))
        counts.append(one.changes)
    assert counts == [0, 1, 1, 1, 2, 3]


def test_figures_count_until_their_end() -> None:
    """At their end they still count, after it they are gone, and a new version says so once."""
    made, told = board(max_age=600.0)
    one = record(made)
    made.answered(one, Answer(State.ACTIVE), "Action", at(0))
    made.figured(one, MOVING, at(1), 40.0)
    assert [one.row(mono, 600, LIVE).figures for mono in (40.0, 40.1)] == [MOVING, None]
    before = made.version
    made.outdate(at(40))
    assert (one.listed is None, made.version) == (False, before)
    made.outdate(at(40.1))
    assert (one.listed, made.version) == (None, before + 1)
    made.outdate(at(41))
    assert (made.version, len(told)) == (before + 1, 1)


def test_figures_of_a_list_and_of_the_answer_stand_beside_each_other() -> None:
    """What both tell is taken from the list, the rest from whichever says it; without either, from the other."""
    made, _ = board(max_age=600.0)
    one, own = record(made), Figures(frames=25.0, width=640)
    made.answered(one, Answer(State.ACTIVE, figures=own), "Action", at(0))
    assert one.row(1, 600, LIVE).figures == own
    made.figured(one, Figures(frames=50.0, height=480), at(1), 40.0)
    assert one.row(2, 600, LIVE).figures == Figures(frames=50.0, width=640, height=480)
    assert one.row(41, 600, LIVE).figures == own


@pytest.mark.parametrize(
    ("answer", "failed"),
    [(None, False), (Answer(State.INACTIVE), False), (Answer(State.ACTIVE), True)],
    ids=["nothing known", "not live", "failed since"],
)
def test_only_a_live_stream_has_figures(answer: Answer | None, failed: bool) -> None:
    """A list of figures tells nothing of a stream that is not known to be live."""
    made, _ = board()
    one, news = record(made), list[tuple[str, News]]()
    if answer is not None:
        made.answered(one, answer, "Action", at(0))
    if failed:
        made.failed(one, FAULT, at(1))
    before = made.version
    made.on_news.append(lambda of, what: news.append((of.key[1], what)))
    made.figured(one, MOVING, at(2), 40.0)
    assert (one.listed, made.version, news) == (None, before, [("a", News.FIGURES)])


def test_each_attempt_is_news_of_its_kind() -> None:
    """Whoever follows a stream hears of outcomes, of calls held back, of inputs and of figures, each once."""
    made, _ = board()
    one, news = record(made), list[tuple[str, News]]()
    made.on_news.append(lambda of, what: news.append((of.key[1], what)))
    made.answered(one, Answer(State.ACTIVE), "Action", at(0))
    made.add_inputs(one, (PUSH,))
    made.figured(one, MOVING, at(1), 40.0)
    made.figured(one, None, at(2), 40.0)
    made.failed(one, FAULT, at(3))
    made.withhold(one, FAULT, at(4))
    made.answered(one, Answer(State.ACTIVE), "Action", at(5))
    made.withhold(one, FAULT, at(6))
    assert {name for name, _ in news} == {"a"}
    assert [what for _, what in news] == [
        News.OUTCOME, News.OUTCOME, News.FIGURES, News.FIGURES, News.OUTCOME, News.OUTCOME, News.WITHHELD,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "seen", "since"),
    [
        (None, [State.ACTIVE], float("-inf")),
        (None, [State.INACTIVE, State.ACTIVE], 1.0),
        (EPOCH - 30, [State.ACTIVE], -30.0),
        (EPOCH - 30, [State.INACTIVE, State.ACTIVE], 1.0),
        (EPOCH + 1.5, [State.INACTIVE, State.ACTIVE], 1.5),
    ],
)
def test_a_stream_is_live_since_it_was_seen_or_told_to_begin(
    told: float | None, seen: list[State], since: float
) -> None:
    """The later of what was seen and of what the cloud tells counts; before the first look nobody knows."""
    made, _ = board()
    for seconds, state in enumerate(seen):
        started = told if state is State.ACTIVE else None
        made.answered(record(made), Answer(state, started=started), "Action", at(seconds))
    assert record(made).live_since(at(7)) == since


def test_figures_of_a_list_are_compared_with_those_of_the_list_before() -> None:
    """Bytes that stand still are a stall; after figures that were withdrawn there is nothing to compare with."""
    made, _ = board(max_age=600.0)
    one, shown = record(made), []
    made.answered(one, Answer(State.ACTIVE), "Action", at(0))
    for mono, received in ((1.0, 7), (6.0, 9), (16.0, 9), (17.0, None), (18.0, 9)):
        made.figured(one, None if received is None else Figures(received=received), at(mono), 400.0)
        figures = one.row(mono, 600, LIVE).figures
        shown.append(figures and figures.stalled)
    assert shown == [None, False, True, None, None]


def test_a_push_that_has_just_begun_does_not_stall() -> None:
    """Zeros in the answer that says when the push began count as a stall ten seconds after that."""
    made, _ = board()
    one, zeros = record(made), Figures((("all", 0.0),), stalled=True)
    for mono, stalled in ((20.0, None), (29.9, None), (30.0, True)):
        made.answered(one, Answer(State.ACTIVE, started=EPOCH + 20, figures=zeros), "Action", at(mono))
        figures = one.row(mono, 60, LIVE).figures
        assert figures is not None
        assert figures.stalled is stalled


def test_a_recent_change_says_whether_the_stream_was_expected_then() -> None:
    """By its own schedule and at the time of the change, so that a planned end does not look like an outage."""
    made = Board(60.0)
    window = Schedule(("always",), windows=(Window(EPOCH + 20, EPOCH + 40),))
    own = {("tencent", "spare"): 1, ("tencent", "serviced"): 2}
    made.expectations = Expectations((ALWAYS, NEVER, window), own)
    made.watch([("tencent", stream(name)) for name in ("a", "spare", "serviced")], 60.0)
    for mono, state in ((10, State.ACTIVE), (15, State.INACTIVE), (30, State.ACTIVE), (45, State.INACTIVE)):
        for one in made:
            made.answered(one, Answer(state), "Action", at(mono))
    told = {name: [one.expected for one in made.recent if one.names == (name,)] for name in ("a", "spare", "serviced")}
    assert told == {"a": [True] * 3, "spare": [False] * 3, "serviced": [True, False, True]}
