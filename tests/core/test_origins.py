"""Lists of a server with several processes, each of which knows only its own streams: what absence proves there."""

from __future__ import annotations

import pytest

from exporter.model import Answer, State
from exporter.providers.interface import Page
from exporter.rounds.origins import FEWEST, Origins
from exporter.rounds.plan import Outlook, plan
from tests.core.test_planner import GONE, LIVE, account, list_only, names, outlook, streams

SCOPE = ("List", "room")


def origins(*answers: tuple[float, str]) -> Origins:
    """Return what these answers (seconds, process) taught."""
    made = Origins()
    for at, origin in answers:
        made.note(origin, at)
    return made


@pytest.mark.parametrize(
    ("answers", "few", "alone"),
    [
        ([(0.0, "a")], True, False),
        ([(0.0, "a"), (1.0, "a"), (2.0, "a")], True, False),
        ([(0.0, "a"), (1.0, "a"), (2.0, "a"), (60.0, "a")], False, True),
        ([(0.0, "a"), (1.0, "a"), (2.0, "a"), (60.1, "a")], True, False),
        ([(0.0, "a"), (1.0, "b")], False, False),
        ([(0.0, "a"), *((at, "b") for at in (10.0, 20.0, 40.0, 60.0))], False, False),
        ([(0.0, "a"), *((at, "b") for at in (10.0, 20.0, 40.0, 60.1))], False, True),
    ],
)
def test_one_process_is_alone_after_a_minute_of_its_answers(
    answers: list[tuple[float, str]], few: bool, alone: bool
) -> None:
    """Four answers of one process, and none of another in the last minute, no less."""
    found = origins(*answers)
    assert (found.few, found.alone) == (few, alone)


def test_processes_that_take_turns_are_several_for_ten_minutes() -> None:
    """After a reload the old process never answers again: who does, runs beside the other."""
    turns = [(0.0, "a"), (1.0, "b"), (2.0, "a")]
    quiet = [(2.0 + 15 * number, "a") for number in range(1, 41)]
    assert not origins(*turns, *quiet[:-1]).alone
    assert origins(*turns, *quiet).alone
    third = origins(*turns, *((at, "c") for at, _ in quiet[:-1]))
    assert (third.few, third.alone) == (False, False)


def planned(pages: list[Page], seen: Outlook) -> tuple[int, dict[str, Answer], list[str], list[str]]:
    """Plan for s0, s1, s2; return how many calls were made, and who was settled, elsewhere and lost."""
    steps = plan(list_only(absent=GONE, elsewhere="somewhere"), account(), streams(3), seen)
    settled: dict[str, Answer] = {}
    step, calls = next(steps), 0
    while step.ask:
        (query,) = step.ask
        page = pages[calls]
        seen.origins[SCOPE].note(page.origin, 1000.0 + calls)
        calls += 1
        step = steps.send((query, page))
        settled |= {stream.name: answer for stream, answer in step.settled}
    return calls, settled, names(step.elsewhere), names(step.lost)


def test_absence_takes_more_answers_of_the_same_process() -> None:
    """The first answer settles who is in it; the rest is asked again until there are enough answers, and no more."""
    page = Page({"s0": LIVE}, origin="a")
    assert planned([page] * 9, outlook()) == (FEWEST, {"s0": LIVE, "s1": GONE, "s2": GONE}, [], [])


def test_nothing_is_asked_again_that_is_settled_or_known() -> None:
    """Who stands in the first answer needs no other; where the last minute has enough answers, one more is enough."""
    page = Page(dict.fromkeys(["s0", "s1", "s2"], LIVE), origin="a")
    assert planned([page], outlook())[0] == 1
    known = outlook()
    for number in range(FEWEST):
        known.origins[SCOPE].note("a", 990.0 + number)
    assert planned([Page({}, origin="a")], known) == (1, dict.fromkeys(["s0", "s1", "s2"], GONE), [], [])


def test_what_another_process_may_have_is_not_down() -> None:
    """Two processes answer: each settles what it has, and nobody says what neither showed."""
    pages = [Page({"s0": LIVE}, origin="a"), Page({"s1": LIVE}, origin="b")]
    assert planned(pages, outlook()) == (2, {"s0": LIVE, "s1": LIVE}, ["s2"], [])


def test_no_other_process_can_say_that_a_live_stream_is_down() -> None:
    """The one that showed it live may keep it after a reload and answers no more; it alone can say that it ended."""
    gone, after = Page({}, origin="b"), outlook(homes={"s0": "a", "s1": "b"})
    assert planned([gone] * FEWEST, after) == (FEWEST, {"s1": GONE, "s2": GONE}, ["s0"], [])


def test_a_page_says_what_absence_proves_of_each_key() -> None:
    """Absence may prove one thing of one stream, another of the next, and nothing of a third."""
    told = {"s0": GONE, "s1": Answer(State.NOT_FOUND)}
    page = Page({}, origin="a", absent=lambda key: told.get(str(key)))
    assert planned([page] * FEWEST, outlook()) == (FEWEST, told, [], ["s2"])


def test_a_list_that_is_not_whole_is_not_asked_again() -> None:
    """More answers of that kind would settle nothing."""
    assert planned([Page({"s0": LIVE}, complete=False, origin="a")], outlook()) == (1, {"s0": LIVE}, [], ["s1", "s2"])
