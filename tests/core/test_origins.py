"""Lists of a server with several processes, each of which knows only its own streams: what absence proves there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from exporter.model import Answer, Reason, Reply, Request, State
from exporter.providers import all_providers
from exporter.providers.interface import Page
from exporter.rounds.origins import FEWEST, Origins
from exporter.rounds.plan import Outlook, plan
from exporter.rounds.prober import Prober
from tests.core.test_planner import GONE, LIVE, account, list_only, names, outlook, streams
from tests.virtual import Network, account_prober, prober, run, scrape

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


def test_a_list_is_asked_for_so_often_at_most_whoever_answers() -> None:
    """Answers that nobody counts keep no round asking: it asks from the first page each time, with rows of its own."""
    seen, rows = outlook(), []
    seen.origins[SCOPE].note("a", 990.0)
    steps = plan(list_only(absent=GONE, elsewhere="somewhere"), account(), streams(2), seen)
    (query,) = next(steps).ask
    for _ in range(FEWEST):
        assert (query.page, query.token) == (1, "")
        step = steps.send((query, Page({"s0": LIVE, "x": LIVE}, origin="a")))
        rows.append(step.rows)
        query, *_ = [*step.ask, query]
    assert (step.ask, names(step.elsewhere), rows) == ([], ["s1"], [2] * FEWEST)


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


# --- in virtual time --------------------------------------------------------------------------------------------------


@dataclass
class Workers:
    """Workers of one server, each with the streams that are published to it; which of them answers is up to the test.

    Attributes:
        live: The streams of each worker.
        turn: The workers that answer next, one after another, for ever.
        calls: How many answers there were.
        shown: What each scrape showed, by stream.
    """

    live: dict[str, set[str]]
    turn: list[str]
    calls: int = 0
    shown: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, _provider: str, _request: Request) -> Reply:
        """Answer as the worker whose turn it is."""
        worker = self.turn[self.calls % len(self.turn)]
        self.calls += 1
        rows = "".join(
            f"<stream><name>{name}</name><nclients>1</nclients><publishing/></stream>" for name in self.live[worker]
        )
        app = f"<application><name>live</name><live>{rows}<nclients>1</nclients></live></application>"
        return Reply(
            200, {"content-type": "text/xml"}, f"<rtmp><pid>{worker}</pid><server>{app}</server></rtmp>".encode()
        )

    @property
    def now(self) -> dict[str, str]:
        """What the last scrape showed."""
        return self.shown[-1]

    def ever(self, name: str) -> set[str]:
        """Return all that a stream has shown."""
        return {shown[name] for shown in self.shown}


def watching(workers: Workers, test: Callable[[Prober, Callable[[float], Awaitable[None]]], Awaitable[None]]) -> None:
    """Run a test with a prober that watches `one` and `two`, and what scrapes it every 15 s for so many seconds."""

    async def main() -> None:
        network, provider = Network(workers.answer), all_providers()["nginx_rtmp"]
        watched = [provider.stream(name=name, account="main") for name in ("one", "two")]
        made = prober(network, [provider.account(name="main", provider="nginx_rtmp")], watched)

        async def scraping(seconds: float) -> None:
            for _ in range(int(seconds / 15)):
                await asyncio.sleep(15)
                await scrape(made)
                now, board = made.shared.clock.mono(), made.shared.board
                workers.shown.append({record.key[1]: str(record.state(now, board.max_age)) for record in board})

        await test(made, scraping)
        assert all(network.asked_for_new)

    run(main())


def test_a_worker_that_is_alone_settles_both_ways() -> None:
    """The first scrape asks until there are enough answers, each on a connection of its own; later ones ask once."""
    workers = Workers({"1": {"one"}}, ["1"])

    async def test(_made: Prober, scraping: Callable[[float], Awaitable[None]]) -> None:
        await scraping(15)
        assert (workers.now, workers.calls) == ({"one": "active", "two": "inactive"}, FEWEST)
        await scraping(60)
        assert workers.calls == FEWEST + 4
        workers.live["1"] = {"two"}
        await scraping(15)
        assert (workers.now, workers.calls) == ({"one": "inactive", "two": "active"}, FEWEST + 5)

    watching(workers, test)


def test_after_a_reload_nothing_is_down_for_a_minute_and_what_was_live_until_it_is_seen_again() -> None:
    """The old worker keeps its streams and answers no more, for hours: only a push to the new one ends the doubt."""
    workers = Workers({"1": {"one"}, "2": set()}, ["1"])

    async def test(_made: Prober, scraping: Callable[[float], Awaitable[None]]) -> None:
        await scraping(120)
        assert workers.now == {"one": "active", "two": "inactive"}
        workers.turn, workers.shown = ["2"], []
        await scraping(45)
        assert workers.ever("two") == {"unknown"}
        await scraping(30)
        assert workers.now == {"one": "unknown", "two": "inactive"}
        await scraping(4 * 3600)
        assert workers.ever("one") == {"unknown"}
        workers.live["2"] = {"one"}
        await scraping(15)
        assert workers.now["one"] == "active"
        workers.live["2"] = set()
        await scraping(15)
        assert workers.now == {"one": "inactive", "two": "inactive"}

    watching(workers, test)


@pytest.mark.parametrize("turn", [["1", "2"], ["1"] * 7 + ["2"], ["1", "1", "1", "2", "2", "2", "3"]], ids=len)
def test_with_several_workers_nothing_is_ever_down(turn: list[str]) -> None:
    """However they take turns: each shows live what it has, and of the rest nobody knows."""
    workers = Workers({"1": {"one"}, "2": set(), "3": set()}, turn)

    async def test(made: Prober, scraping: Callable[[float], Awaitable[None]]) -> None:
        # Which worker answers is chance, so that the first answers may all come from one.
        while len({turn[number % len(turn)] for number in range(workers.calls)}) < 2:
            await scraping(15)
        workers.shown = []
        await scraping(3600)
        assert workers.ever("one") <= {"active", "unknown"}
        assert workers.ever("two") == {"unknown"}
        fault = next(record.fault for record in made.shared.board if record.key[1] == "two")
        assert fault is not None
        assert (fault.reason, fault.code) == (Reason.PROVIDER_ERROR, "other_worker")
        workers.live, workers.shown = {"1": set(), "2": set(), "3": set()}, []
        await scraping(15)
        health = account_prober(made).health
        assert workers.now == {"one": "unknown", "two": "unknown"}
        assert (health.up, health.fault) == (False, fault)
        assert not health.breaker.open

    watching(workers, test)


def test_another_server_knows_better() -> None:
    """At another endpoint, what a worker of the old one had proves nothing any more."""
    workers = Workers({"1": {"one"}, "2": set()}, ["1"])

    async def test(made: Prober, scraping: Callable[[float], Awaitable[None]]) -> None:
        await scraping(15)
        workers.turn = ["2"]
        provider, watched = all_providers()["nginx_rtmp"], [record.stream for record in made.shared.board]
        moved = provider.account(name="main", provider="nginx_rtmp", endpoint="http://new.example")
        made.configure([(provider, moved)], watched, 120.0)
        await scraping(15)
        assert workers.now == {"one": "inactive", "two": "inactive"}

    watching(workers, test)
